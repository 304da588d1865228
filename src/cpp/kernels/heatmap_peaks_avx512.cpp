// Sums over a map with 512 bits; the rest of heatmap_peaks is that of AVX2, which is as fast as memory.
#include "float8_avx2.hpp"

namespace handpose {
namespace {

// kLanes floats.
struct Lanes {
  __m512 v;
};

inline Lanes zero_lanes() { return {_mm512_setzero_ps()}; }
inline Lanes all_lanes(float value) { return {_mm512_set1_ps(value)}; }
// In halves: maps are seldom aligned to 64 bytes, and then every whole load would touch two cache lines.
inline Lanes load_lanes(const float* from) {
  const __m512d low = _mm512_castps_pd(_mm512_castps256_ps512(_mm256_loadu_ps(from)));
  return {_mm512_castpd_ps(_mm512_insertf64x4(low, _mm256_castps_pd(_mm256_loadu_ps(from + 8)), 1))};
}
inline Lanes lanes_of(Half16 halves) { return {_mm512_cvtph_ps(halves.v)}; }
inline Lanes load_lanes(const std::uint16_t* halves) { return lanes_of(load16(halves)); }

inline Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Lanes operator-(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Lanes operator*(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Lanes larger(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }

inline Float8 low8(Lanes a) { return {_mm512_castps512_ps256(a.v)}; }
inline Float8 high8(Lanes a) { return {_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a.v), 1))}; }
inline float largest_lane(Lanes a) { return largest_lane(larger(low8(a), high8(a))); }
inline float sum_of_lanes(Lanes a) { return sum_of_lanes(low8(a) + high8(a)); }

// Their bits.
struct LaneBits {
  __m512i v;
};

inline LaneBits bits_of(Lanes a) { return {_mm512_castps_si512(a.v)}; }
inline Lanes lanes_of(LaneBits a) { return {_mm512_castsi512_ps(a.v)}; }
inline LaneBits larger(LaneBits a, LaneBits b) { return {_mm512_max_epi32(a.v, b.v)}; }
inline bool any_nan(LaneBits a) { return any_nan(larger(bits_of(low8(lanes_of(a))), bits_of(high8(lanes_of(a))))); }

}  // namespace
}  // namespace handpose

#define HANDPOSE_LEVEL avx512
#include "heatmap_moments_vector.hpp"

namespace handpose {
namespace avx512 {

// Of float32 AVX2 waits for memory too.
FirstMoments first_moments(const HeatmapView& map) {
  return map.half ? first_moments_of<std::uint16_t>(map) : avx2::first_moments(map);
}

}  // namespace avx512
}  // namespace handpose
