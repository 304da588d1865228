#include <arm_neon.h>

#include <cstdint>

namespace handpose {
namespace neon {
namespace {

inline void places_of_8(const std::uint8_t* bgr, std::uint32_t places[8]) {
  const uint8x8x3_t pixels = vld3_u8(bgr);
  const uint16x8_t blue = vmovl_u8(vshr_n_u8(pixels.val[0], 2));
  const uint16x8_t green = vshll_n_u8(vshr_n_u8(pixels.val[1], 2), 6);
  const uint16x8_t low = vorrq_u16(blue, green);
  const uint16x8_t red = vmovl_u8(vshr_n_u8(pixels.val[2], 2));
  vst1q_u32(places, vorrq_u32(vmovl_u16(vget_low_u16(low)), vshll_n_u16(vget_low_u16(red), 12)));
  vst1q_u32(places + 4, vorrq_u32(vmovl_u16(vget_high_u16(low)), vshll_n_u16(vget_high_u16(red), 12)));
}

// Whether one of 48 bytes differs from its partner by more than the tolerance.
inline bool any_differs_of_48(const std::uint8_t* a, const std::uint8_t* b, std::uint8_t tolerance) {
  uint8x16_t largest = vdupq_n_u8(0);
  for (int i = 0; i < 48; i += 16) largest = vmaxq_u8(largest, vabdq_u8(vld1q_u8(a + i), vld1q_u8(b + i)));
  return vmaxvq_u8(largest) > tolerance;
}

}  // namespace
}  // namespace neon
}  // namespace handpose

#define HANDPOSE_LEVEL neon
#include "palette_map_vector.hpp"
