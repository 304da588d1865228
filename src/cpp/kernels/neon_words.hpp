// What preprocess_neon.cpp takes from the instruction set itself where GCC before 12 makes much of intrinsics: tables
// of four registers it copies through memory, and lower halves of registers into others. Included by *_neon.cpp only.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12
#define HANDPOSE_ASSEMBLER 1
#else
#define HANDPOSE_ASSEMBLER 0
#endif

namespace handpose {
namespace {

// 64 bytes to look up.
using Window = uint8x16x4_t;

inline Window load_window(const std::uint8_t* from) {
#if HANDPOSE_ASSEMBLER
  Window window;
  __asm__("ld1 {%S0.16b - %V0.16b}, %1" : "=w"(window) : "Q"(*reinterpret_cast<const std::uint8_t (*)[64]>(from)));
  return window;
#else
  return vld1q_u8_x4(from);
#endif
}

// The bytes at `places`; zero where that is beyond the window.
inline uint16x8_t look_up(const Window& window, uint8x16_t places) {
#if HANDPOSE_ASSEMBLER
  uint16x8_t found;
  __asm__("tbl %0.16b, {%S1.16b - %V1.16b}, %2.16b" : "=w"(found) : "w"(window), "w"(places));
  return found;
#else
  return vreinterpretq_u16_u8(vqtbl4q_u8(window, places));
#endif
}

// Products of the lower or the upper four words.
template <int kHalf>
inline uint32x4_t multiply_half(uint16x8_t a, uint16x8_t b) {
  if (kHalf == 1) return vmull_high_u16(a, b);
#if HANDPOSE_ASSEMBLER
  uint32x4_t product;
  __asm__("umull %0.4s, %1.4h, %2.4h" : "=w"(product) : "w"(a), "w"(b));
  return product;
#else
  return vmull_u16(vget_low_u16(a), vget_low_u16(b));
#endif
}

template <int kHalf>
inline int32x4_t multiply_half(int16x8_t a, int16x8_t b) {
  if (kHalf == 1) return vmull_high_s16(a, b);
#if HANDPOSE_ASSEMBLER
  int32x4_t product;
  __asm__("smull %0.4s, %1.4h, %2.4h" : "=w"(product) : "w"(a), "w"(b));
  return product;
#else
  return vmull_s16(vget_low_s16(a), vget_low_s16(b));
#endif
}

// The same, added to `sum`.
template <int kHalf>
inline uint32x4_t add_half(uint32x4_t sum, uint16x8_t a, uint16x8_t b) {
  if (kHalf == 1) return vmlal_high_u16(sum, a, b);
#if HANDPOSE_ASSEMBLER
  __asm__("umlal %0.4s, %1.4h, %2.4h" : "+w"(sum) : "w"(a), "w"(b));
  return sum;
#else
  return vmlal_u16(sum, vget_low_u16(a), vget_low_u16(b));
#endif
}

template <int kHalf>
inline int32x4_t add_half(int32x4_t sum, int16x8_t a, int16x8_t b) {
  if (kHalf == 1) return vmlal_high_s16(sum, a, b);
#if HANDPOSE_ASSEMBLER
  __asm__("smlal %0.4s, %1.4h, %2.4h" : "+w"(sum) : "w"(a), "w"(b));
  return sum;
#else
  return vmlal_s16(sum, vget_low_s16(a), vget_low_s16(b));
#endif
}

// The same with one of four words, for all products.
template <int kHalf, int kWord>
inline int32x4_t add_half_by(int32x4_t sum, int16x8_t a, int16x4_t words) {
  if (kHalf == 1) return vmlal_high_lane_s16(sum, a, words, kWord);
#if HANDPOSE_ASSEMBLER
  __asm__("smlal %0.4s, %1.4h, %2.h[%3]" : "+w"(sum) : "w"(a), "x"(words), "i"(kWord));
  return sum;
#else
  return vmlal_lane_s16(sum, vget_low_s16(a), words, kWord);
#endif
}

// The bytes of both in turn.
inline uint8x16_t interleave(uint8x8_t a, uint8x8_t b) {
#if HANDPOSE_ASSEMBLER
  uint8x16_t both;
  __asm__("zip1 %0.16b, %1.16b, %2.16b" : "=w"(both) : "w"(a), "w"(b));
  return both;
#else
  return vzip1q_u8(vcombine_u8(a, vcreate_u8(0)), vcombine_u8(b, vcreate_u8(0)));
#endif
}

}  // namespace
}  // namespace handpose

#undef HANDPOSE_ASSEMBLER
