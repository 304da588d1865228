#include "float8_neon.hpp"

namespace handpose {
namespace neon {
namespace {

using Alpha8 = uint16x8_t;

// Ties to even, as std::lrint.
inline Alpha8 rounded(Float8 a) {
  return vcombine_u16(vmovn_u32(vcvtnq_u32_f32(a.low)), vmovn_u32(vcvtnq_u32_f32(a.high)));
}

// `a` with 0 in its first `count` lanes, 0..8.
inline Alpha8 without_first(Alpha8 a, std::int32_t count) {
  constexpr std::uint16_t kLaneNumbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  return vandq_u16(a, vcgeq_u16(vld1q_u16(kLaneNumbers), vdupq_n_u16(static_cast<std::uint16_t>(count))));
}

// Eight pixels of kChannels bytes, one vector per channel.
template <std::size_t kChannels>
struct Pixels;

template <>
struct Pixels<1> {
  uint8x8_t val[1];
  static Pixels load(const std::uint8_t* from) { return {{vld1_u8(from)}}; }
  void store(std::uint8_t* to) const { vst1_u8(to, val[0]); }
};

template <>
struct Pixels<2> : uint8x8x2_t {
  static Pixels load(const std::uint8_t* from) { return {vld2_u8(from)}; }
  void store(std::uint8_t* to) const { vst2_u8(to, *this); }
};

template <>
struct Pixels<3> : uint8x8x3_t {
  static Pixels load(const std::uint8_t* from) { return {vld3_u8(from)}; }
  void store(std::uint8_t* to) const { vst3_u8(to, *this); }
};

template <>
struct Pixels<4> : uint8x8x4_t {
  static Pixels load(const std::uint8_t* from) { return {vld4_u8(from)}; }
  void store(std::uint8_t* to) const { vst4_u8(to, *this); }
};

template <std::size_t kChannels>
class Ink {
 public:
  Ink() = default;

  explicit Ink(const std::uint8_t color[4]) {
    for (std::size_t c = 0; c < kChannels; ++c) colors_[c] = vdupq_n_u16(color[c]);
  }

  void blend(std::uint8_t* pixels, Alpha8 alpha) const {
    auto eight = Pixels<kChannels>::load(pixels);
    for (std::size_t c = 0; c < kChannels; ++c) {
      const uint16x8_t old = vmovl_u8(eight.val[c]);
      // old * 256 + 128 + (color - old) * alpha, modulo 2^16: it is 0..65535 as a whole.
      const uint16x8_t start = vorrq_u16(vshlq_n_u16(old, 8), vdupq_n_u16(128));
      eight.val[c] = vshrn_n_u16(vmlaq_u16(start, vsubq_u16(colors_[c], old), alpha), 8);
    }
    eight.store(pixels);
  }

 private:
  uint16x8_t colors_[kChannels];
};

}  // namespace
}  // namespace neon
}  // namespace handpose

#define HANDPOSE_LEVEL neon
#include "skeleton_draw_vector.hpp"
