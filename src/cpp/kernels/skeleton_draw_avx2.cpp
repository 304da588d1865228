#include "float8_avx2.hpp"

namespace handpose {
namespace avx2 {
namespace {

struct Alpha8 {
  __m128i v;
};

// Ties to even, as std::lrint.
inline Alpha8 rounded(Float8 a) {
  const __m256i whole = _mm256_cvtps_epi32(a.v);
  return {_mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1))};
}

// `a` with 0 in its first `count` lanes, 0..8.
inline Alpha8 without_first(Alpha8 a, std::int32_t count) {
  const __m128i lanes = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7);
  return {_mm_andnot_si128(_mm_cmpgt_epi16(_mm_set1_epi16(static_cast<short>(count)), lanes), a.v)};
}

// Shuffles that spread 16 bit opacities of eight pixels, and a colour of bytes, over the channels in 16 bits each.
template <std::size_t kChannels>
struct Spread {
  alignas(32) std::uint8_t opacities[16 * kChannels + 16] = {};
  alignas(32) std::uint8_t color[16 * kChannels + 16] = {};

  constexpr Spread() {
    for (std::size_t i = 0; i < 8 * kChannels; ++i) {
      opacities[2 * i] = static_cast<std::uint8_t>(i / kChannels * 2);
      opacities[2 * i + 1] = static_cast<std::uint8_t>(i / kChannels * 2 + 1);
      color[2 * i] = static_cast<std::uint8_t>(i % kChannels);
      color[2 * i + 1] = 0x80;  // zero
    }
  }
};

inline __m256i load32(const std::uint8_t* from) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(from)); }

// A colour of kChannels bytes, to blend into eight pixels: sixteen bytes at a time, and eight where no more are left.
// old * 256 + 128 + (color - old) * alpha is computed modulo 2^16: as a whole it is 0..65535.
template <std::size_t kChannels>
class Ink {
 public:
  Ink() = default;

  explicit Ink(const std::uint8_t color[4]) {
    std::int32_t bytes = 0;
    __builtin_memcpy(&bytes, color, sizeof bytes);
    for (std::size_t i = 0; i < kParts; ++i) {
      colors_[i] = _mm256_shuffle_epi8(_mm256_set1_epi32(bytes), load32(kSpread.color + 32 * i));
    }
  }

  void blend(std::uint8_t* pixels, Alpha8 alpha) const {
    for (std::size_t i = 0; i < kChannels / 2; ++i) blend16(pixels + 16 * i, alpha, i);
    if (kChannels % 2 == 1) blend8(pixels + 16 * (kParts - 1), alpha, kParts - 1);
  }

 private:
  static constexpr std::size_t kParts = (kChannels + 1) / 2;
  static constexpr Spread<kChannels> kSpread{};

  void blend16(std::uint8_t* bytes, Alpha8 alpha, std::size_t part) const {
    const __m256i old = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
    const __m256i alphas =
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(alpha.v), load32(kSpread.opacities + 32 * part));
    const __m256i steps = _mm256_mullo_epi16(_mm256_sub_epi16(colors_[part], old), alphas);
    const __m256i start = _mm256_or_si256(_mm256_slli_epi16(old, 8), _mm256_set1_epi16(128));
    const __m256i blended = _mm256_srli_epi16(_mm256_add_epi16(start, steps), 8);
    const __m128i packed = _mm_packus_epi16(_mm256_castsi256_si128(blended), _mm256_extracti128_si256(blended, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), packed);
  }

  void blend8(std::uint8_t* bytes, Alpha8 alpha, std::size_t part) const {
    const __m128i old = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
    const __m128i alphas = _mm_shuffle_epi8(alpha.v, _mm256_castsi256_si128(load32(kSpread.opacities + 32 * part)));
    const __m128i step = _mm_sub_epi16(_mm256_castsi256_si128(colors_[part]), _mm_cvtepu8_epi16(old));
    const __m128i start = _mm_unpacklo_epi8(_mm_set1_epi8(-128), old);
    const __m128i blended = _mm_srli_epi16(_mm_add_epi16(start, _mm_mullo_epi16(step, alphas)), 8);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), _mm_packus_epi16(blended, blended));
  }

  __m256i colors_[kParts];
};

}  // namespace
}  // namespace avx2
}  // namespace handpose

#define HANDPOSE_LEVEL avx2
#include "skeleton_draw_vector.hpp"
