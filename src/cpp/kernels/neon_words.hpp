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

// Memory of a register.
typedef uint8x16_t Bytes16 __attribute__((aligned(1), may_alias));

// Two registers from memory and to it, which GCC seldom makes one access of.
inline void load_two(const std::int32_t* from, int32x4_t* low, int32x4_t* high) {
#if defined(__GNUC__) && !defined(__clang__)
  __asm__("ldp %q0, %q1, %2" : "=w"(*low), "=w"(*high) : "Q"(*reinterpret_cast<const std::int32_t (*)[8]>(from)));
#else
  *low = vld1q_s32(from);
  *high = vld1q_s32(from + 4);
#endif
}

inline void store_two(uint8x16_t low, uint8x16_t high, void* to) {
#if defined(__GNUC__) && !defined(__clang__)
  __asm__("stp %q2, %q3, [%4]"
          : "=m"(*static_cast<Bytes16*>(to)), "=m"(*(static_cast<Bytes16*>(to) + 1))
          : "w"(low), "w"(high), "r"(to));
#else
  vst1q_u8(static_cast<unsigned char*>(to), low);
  vst1q_u8(static_cast<unsigned char*>(to) + 16, high);
#endif
}

// Eight offsets.
struct Offsets8 {
  std::int64_t operator[](int i) const { return at[i]; }

  std::int64_t at[8];
};

inline Offsets8 load_eight_offsets(const std::int32_t* from) {
#if defined(__GNUC__) && !defined(__clang__)
  std::int64_t a, b, c, d, e, f, g, h;
  __asm__("ldpsw %0, %1, [%8]\n\tldpsw %2, %3, [%8, 8]\n\tldpsw %4, %5, [%8, 16]\n\tldpsw %6, %7, [%8, 24]"
          : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=&r"(e), "=&r"(f), "=r"(g), "=r"(h)
          : "r"(from), "m"(*reinterpret_cast<const Bytes16*>(from)), "m"(*reinterpret_cast<const Bytes16*>(from + 4)));
  return {{a, b, c, d, e, f, g, h}};
#else
  return {{from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7]}};
#endif
}

// Four times eight bytes to look up: places in the second count from 16 on, in the third from 32, in the fourth
// from 48.
struct Eights {
  uint8x8_t first, second, third, fourth;
};

inline uint16x8_t look_up(const Eights& eights, uint8x16_t places) {
#if defined(__GNUC__) && !defined(__clang__)
  // The instruction takes neighbouring registers, which GCC copies values into, unless it is told which.
  register uint8x8_t first __asm__("v28") = eights.first;
  register uint8x8_t second __asm__("v29") = eights.second;
  register uint8x8_t third __asm__("v30") = eights.third;
  register uint8x8_t fourth __asm__("v31") = eights.fourth;
  uint16x8_t found;
  __asm__("tbl %0.16b, {v28.16b - v31.16b}, %1.16b"
          : "=w"(found)
          : "w"(places), "w"(first), "w"(second), "w"(third), "w"(fourth));
  return found;
#else
  const auto whole = [](uint8x8_t eight) { return vcombine_u8(eight, vcreate_u8(0)); };
  return look_up(Window{{whole(eights.first), whole(eights.second), whole(eights.third), whole(eights.fourth)}},
                 places);
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

}  // namespace
}  // namespace handpose

#undef HANDPOSE_ASSEMBLER
