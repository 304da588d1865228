// Eight floats in NEON of aarch64: the operations that the vector kernels are written in. Included by *_neon.cpp only.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace handpose {
namespace {

struct Float8 {
  float32x4_t low, high;
};

inline Float8 all(float value) { return {vdupq_n_f32(value), vdupq_n_f32(value)}; }
inline Float8 zero8() { return all(0.0f); }
inline Float8 load8(const float* from) { return {vld1q_f32(from), vld1q_f32(from + 4)}; }
inline Float8 float8_of(uint16x8_t halves) {
  const float16x8_t h = vreinterpretq_f16_u16(halves);
  return {vcvt_f32_f16(vget_low_f16(h)), vcvt_high_f32_f16(h)};
}
inline Float8 load8(const std::uint16_t* halves) { return float8_of(vld1q_u16(halves)); }
inline float load1(const float* from) { return *from; }
inline float load1(const std::uint16_t* half) {
  return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(*half))), 0);
}
inline void store8(float* to, Float8 a) {
  vst1q_f32(to, a.low);
  vst1q_f32(to + 4, a.high);
}

// Left to the CPU: what it gains has been measured on x86-64 only.
inline void fetch_ahead(const void*) {}

inline Float8 operator+(Float8 a, Float8 b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
inline Float8 operator-(Float8 a, Float8 b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
inline Float8 operator*(Float8 a, Float8 b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }

// a > b ? a : b in each lane, so b where either is NaN; vmaxq and vmaxnmq treat (signalling) NaNs otherwise.
inline Float8 larger(Float8 a, Float8 b) {
  return {vbslq_f32(vcgtq_f32(a.low, b.low), a.low, b.low), vbslq_f32(vcgtq_f32(a.high, b.high), a.high, b.high)};
}
// The larger in each lane, NaN where either is; of zeros either.
inline Float8 larger_or_nan(Float8 a, Float8 b) { return {vmaxq_f32(a.low, b.low), vmaxq_f32(a.high, b.high)}; }
// a < b ? a : b in each lane.
inline Float8 smaller(Float8 a, Float8 b) {
  return {vbslq_f32(vcltq_f32(a.low, b.low), a.low, b.low), vbslq_f32(vcltq_f32(a.high, b.high), a.high, b.high)};
}
inline Float8 square_root(Float8 a) { return {vsqrtq_f32(a.low), vsqrtq_f32(a.high)}; }

// The first lane that equals `value`, 8 where none does.
inline int first_equal(Float8 a, Float8 value) {
  const uint16x4_t low = vmovn_u32(vceqq_f32(a.low, value.low));
  const uint16x4_t high = vmovn_u32(vceqq_f32(a.high, value.high));
  const std::uint64_t lanes = vget_lane_u64(vreinterpret_u64_u8(vmovn_u16(vcombine_u16(low, high))), 0);
  return lanes == 0 ? 8 : __builtin_ctzll(lanes) / 8;
}

// The largest of the lanes, NaN where one is; of zeros either.
inline float largest_lane(Float8 a) { return vmaxvq_f32(vmaxq_f32(a.low, a.high)); }

// The sum of the lanes: i + (i + 4) first, then i + (i + 2), then the last two.
inline float sum_of_lanes(Float8 a) {
  const float32x4_t m = vaddq_f32(a.low, a.high);
  const float32x2_t pair = vadd_f32(vget_low_f32(m), vget_high_f32(m));
  return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
}

// Floats and half floats as the signed numbers that their bits are. Of values of which at most one is negative these
// have the order of the values, and NaN is largest or, with a sign, negative.
struct Bits8 {
  int32x4_t low, high;
};

inline Bits8 bits_of(Float8 a) { return {vreinterpretq_s32_f32(a.low), vreinterpretq_s32_f32(a.high)}; }
inline Float8 float8_of(Bits8 a) { return {vreinterpretq_f32_s32(a.low), vreinterpretq_f32_s32(a.high)}; }
inline Bits8 larger(Bits8 a, Bits8 b) { return {vmaxq_s32(a.low, b.low), vmaxq_s32(a.high, b.high)}; }

// Whether any lane, none negative, is NaN: beyond infinity.
inline bool any_nan(Bits8 a) { return vmaxvq_s32(vmaxq_s32(a.low, a.high)) > 0x7f800000; }

// Sixteen half floats.
struct Half16 {
  int16x8_t low, high;
};

inline Half16 zero16() { return {vdupq_n_s16(0), vdupq_n_s16(0)}; }
inline Half16 all16(std::uint16_t half) {
  const int16x8_t eight = vreinterpretq_s16_u16(vdupq_n_u16(half));
  return {eight, eight};
}
inline Half16 load16(const std::uint16_t* from) {
  return {vreinterpretq_s16_u16(vld1q_u16(from)), vreinterpretq_s16_u16(vld1q_u16(from + 8))};
}
inline Float8 low8(Half16 a) { return float8_of(vreinterpretq_u16_s16(a.low)); }
inline Float8 high8(Half16 a) { return float8_of(vreinterpretq_u16_s16(a.high)); }
inline Half16 larger(Half16 a, Half16 b) { return {vmaxq_s16(a.low, b.low), vmaxq_s16(a.high, b.high)}; }
inline bool any_nan(Half16 a) { return vmaxvq_s16(vmaxq_s16(a.low, a.high)) > 0x7c00; }

// The largest of the lanes, none of them negative, as a signed number.
inline std::uint16_t largest_bits(Half16 a) { return static_cast<std::uint16_t>(vmaxvq_s16(vmaxq_s16(a.low, a.high))); }

inline std::uint16_t half_bits(float value) {
  return vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(value))), 0);
}

// The first lane whose bits are those of `value`, 16 where none is.
inline int first_equal(Half16 a, Half16 value) {
  const uint8x16_t lanes =
      vcombine_u8(vmovn_u16(vceqq_s16(a.low, value.low)), vmovn_u16(vceqq_s16(a.high, value.high)));
  // Four bits of each lane.
  const uint8x8_t nibbles = vshrn_n_u16(vreinterpretq_u16_u8(lanes), 4);
  const std::uint64_t bits = vget_lane_u64(vreinterpret_u64_u8(nibbles), 0);
  return bits == 0 ? 16 : __builtin_ctzll(bits) / 4;
}

}  // namespace
}  // namespace handpose
