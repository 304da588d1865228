#include <immintrin.h>

#include <cstdint>

namespace handpose {
namespace avx2 {
namespace {

inline void places_of_8(const std::uint8_t* bgr, std::uint32_t places[8]) {
  // Pixels 0..3 begin at byte 0, pixels 4..7 at byte 12: read from byte 8, so that nothing after byte 23 is.
  const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bgr));
  const __m128i second = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bgr + 8));
  const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
  const __m256i apart = _mm256_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1,  //
                                         4, 5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15, -1);
  const __m256i pixels = _mm256_shuffle_epi8(bytes, apart);  // blue in bits 0..7, green in 8..15, red in 16..23
  const __m256i blue = _mm256_and_si256(_mm256_srli_epi32(pixels, 2), _mm256_set1_epi32(0x3f));
  const __m256i green = _mm256_and_si256(_mm256_srli_epi32(pixels, 4), _mm256_set1_epi32(0x3f << 6));
  const __m256i red = _mm256_and_si256(_mm256_srli_epi32(pixels, 6), _mm256_set1_epi32(0x3f << 12));
  _mm256_store_si256(reinterpret_cast<__m256i*>(places), _mm256_or_si256(_mm256_or_si256(blue, green), red));
}

// Whether one of 48 bytes differs from its partner by more than the tolerance.
inline bool any_differs_of_48(const std::uint8_t* a, const std::uint8_t* b, std::uint8_t tolerance) {
  const __m128i allowed = _mm_set1_epi8(static_cast<char>(tolerance));
  __m128i excess = _mm_setzero_si128();
  for (int i = 0; i < 48; i += 16) {
    const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i));
    const __m128i second = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i));
    const __m128i difference = _mm_or_si128(_mm_subs_epu8(first, second), _mm_subs_epu8(second, first));
    excess = _mm_or_si128(excess, _mm_subs_epu8(difference, allowed));
  }
  return _mm_testz_si128(excess, excess) == 0;
}

}  // namespace
}  // namespace avx2
}  // namespace handpose

#define HANDPOSE_LEVEL avx2
#include "palette_map_vector.hpp"
