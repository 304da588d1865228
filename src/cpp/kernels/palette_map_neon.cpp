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

}  // namespace
}  // namespace neon
}  // namespace handpose

#define HANDPOSE_LEVEL neon
#include "palette_map_vector.hpp"
