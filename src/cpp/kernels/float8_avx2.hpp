// Eight floats in AVX2 with F16C: the operations that the vector kernels are written in. Included by *_avx2.cpp only.
// Everything is local to the file that includes it: nothing built for this level may be linked into another.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace handpose {
namespace {

struct Float8 {
  __m256 v;
};

inline Float8 all(float value) { return {_mm256_set1_ps(value)}; }
inline Float8 zero8() { return {_mm256_setzero_ps()}; }
inline Float8 load8(const float* from) { return {_mm256_loadu_ps(from)}; }
inline Float8 load8(const std::uint16_t* halves) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)))};
}
inline float load1(const float* from) { return *from; }
inline float load1(const std::uint16_t* half) { return _cvtsh_ss(*half); }
inline void store8(float* to, Float8 a) { _mm256_storeu_ps(to, a.v); }

// A search needs its memory sooner than the CPU foresees: 8 KB ahead serves both the caches and DRAM well.
inline void fetch_ahead(const void* from) { __builtin_prefetch(static_cast<const char*>(from) + 8192); }

inline Float8 operator+(Float8 a, Float8 b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Float8 operator-(Float8 a, Float8 b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Float8 operator*(Float8 a, Float8 b) { return {_mm256_mul_ps(a.v, b.v)}; }

// a > b ? a : b in each lane, so b where either is NaN.
inline Float8 larger(Float8 a, Float8 b) { return {_mm256_max_ps(a.v, b.v)}; }
// The larger in each lane; where one is NaN that or the other, which costs no more here.
inline Float8 larger_or_nan(Float8 a, Float8 b) { return larger(a, b); }
// a < b ? a : b in each lane.
inline Float8 smaller(Float8 a, Float8 b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Float8 square_root(Float8 a) { return {_mm256_sqrt_ps(a.v)}; }

// The first lane that equals `value`, 8 where none does.
inline int first_equal(Float8 a, Float8 value) {
  return __builtin_ctz(static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, value.v, _CMP_EQ_OQ))) | 0x100U);
}

// The larger of the lanes, none of them NaN; of zeros either.
inline float largest_lane(Float8 a) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

// The sum of the lanes: i + (i + 4) first, then i + (i + 2), then the last two.
inline float sum_of_lanes(Float8 a) {
  __m128 m = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  m = _mm_add_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_add_ss(m, _mm_movehdup_ps(m)));
}

// Floats and half floats as the signed numbers that their bits are. Of values of which at most one is negative these
// have the order of the values, and NaN is largest or, with a sign, negative. Integers keep the floating-point units
// free.
struct Bits8 {
  __m256i v;
};

inline Bits8 bits_of(Float8 a) { return {_mm256_castps_si256(a.v)}; }
inline Float8 float8_of(Bits8 a) { return {_mm256_castsi256_ps(a.v)}; }
inline Bits8 larger(Bits8 a, Bits8 b) { return {_mm256_max_epi32(a.v, b.v)}; }

// Whether any lane, none negative, is NaN: beyond infinity.
inline bool any_nan(Bits8 a) {
  return _mm256_movemask_epi8(_mm256_cmpgt_epi32(a.v, _mm256_set1_epi32(0x7f800000))) != 0;
}

// Sixteen half floats.
struct Half16 {
  __m256i v;
};

inline Half16 zero16() { return {_mm256_setzero_si256()}; }
inline Half16 all16(std::uint16_t half) { return {_mm256_set1_epi16(static_cast<std::int16_t>(half))}; }
inline Half16 load16(const std::uint16_t* from) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))}; }
inline Float8 low8(Half16 a) { return {_mm256_cvtph_ps(_mm256_castsi256_si128(a.v))}; }
inline Float8 high8(Half16 a) { return {_mm256_cvtph_ps(_mm256_extracti128_si256(a.v, 1))}; }
inline Half16 larger(Half16 a, Half16 b) { return {_mm256_max_epi16(a.v, b.v)}; }
inline bool any_nan(Half16 a) { return _mm256_movemask_epi8(_mm256_cmpgt_epi16(a.v, _mm256_set1_epi16(0x7c00))) != 0; }

// The largest of the lanes, none of them negative, as a signed number.
inline std::uint16_t largest_bits(Half16 a) {
  // minpos finds the smallest of eight unsigned numbers.
  const __m128i most = _mm_max_epi16(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  const __m128i least = _mm_minpos_epu16(_mm_xor_si128(most, _mm_set1_epi16(0x7fff)));
  return static_cast<std::uint16_t>(_mm_cvtsi128_si32(least) ^ 0x7fff);
}

inline std::uint16_t half_bits(float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); }

// The first lane whose bits are those of `value`, 16 where none is.
inline int first_equal(Half16 a, Half16 value) {
  const int lanes = _mm256_movemask_epi8(_mm256_cmpeq_epi16(a.v, value.v));
  return lanes == 0 ? 16 : __builtin_ctz(static_cast<unsigned>(lanes)) / 2;
}

}  // namespace
}  // namespace handpose
