// The arithmetic of preprocess with AVX-512: F, BW, VL, VBMI and VNNI. Included by preprocess_avx512.cpp.
#pragma once

#include <immintrin.h>

#include "preprocess_avx2.hpp"

namespace handpose {
namespace {

struct Avx512 {
  using Float = __m512;
  using Int = __m512i;
  using Offsets = const std::int32_t*;  // of the taps of outputs that have places of their own
  static constexpr std::int32_t kBlock = 16;

  // A block in up to four loads of each row; of 3 channels also in six, two of them of two outputs only.
  static constexpr std::int32_t kLoadBytes = 64;
  static constexpr int most_group(int channels) { return channels == 1 ? 16 : channels == 2 ? 8 : 4; }
  static constexpr int smaller_group(int channels, int group) {
    return group > 4 ? group / 2 : channels == 3 && group == 4 ? 3 : 1;
  }

  static Float all(float value) { return _mm512_set1_ps(value); }
  static Float add(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float multiply(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(Float value, float* to) { _mm512_storeu_ps(to, value); }
  static Int load_pairs(const std::int16_t* pairs) { return _mm512_loadu_si512(pairs); }

  static Float to_float(Int value) { return _mm512_cvtepi32_ps(value); }
  static Offsets load_offsets(const std::int32_t* from) { return from; }
  // To grey levels from 0 to 255. Numbers that are not negative have the order of their bits, and those that are become
  // zero; integers keep the floating-point units free.
  static Float clamp_levels(Float value) {
    const Int bits = _mm512_max_epi32(_mm512_castps_si512(value), _mm512_setzero_si512());
    return _mm512_castsi512_ps(_mm512_min_epi32(bits, _mm512_castps_si512(all(255.0f))));
  }

  // Words, two to a pair.
  static Int all_words(std::int16_t word) { return _mm512_set1_epi16(word); }
  static Int scale_pairs(Int pairs, Int share) { return _mm512_mulhrs_epi16(pairs, share); }
  static Int subtract_pairs(Int a, Int b) { return _mm512_sub_epi16(a, b); }

  // From positions, as in Avx2.
  static Int second_weights(Int across) {
    const Int second = _mm512_and_si512(_mm512_slli_epi32(across, 16 - kDropAcross), _mm512_set1_epi32(0x3fff << 16));
    return _mm512_or_si512(second, _mm512_sub_epi32(_mm512_set1_epi32(1 << 14), _mm512_srli_epi32(second, 16)));
  }
  static Int second_shares(Int down) {
    const Int twice = _mm512_shuffle_epi8(down, _mm512_set4_epi32(0x0d0c0d0c, 0x09080908, 0x05040504, 0x01000100));
    return _mm512_srli_epi16(twice, kDropDown);
  }
  template <int kChannels>
  static Int offsets(Int across, Int down, std::int32_t pitch) {
    static_assert(kChannels <= 2, "three channels are in one plane, which AVX2 takes");
    const Int column = _mm512_srli_epi32(across, kPositionBits), row = _mm512_srli_epi32(down, kPositionBits);
    return _mm512_add_epi32(_mm512_mullo_epi32(row, _mm512_set1_epi32(pitch)),
                            _mm512_slli_epi32(column, kChannels - 1));
  }

  static void store_float(Float value, unsigned char* to) { _mm512_storeu_ps(to, value); }

  static void store_half(Float value, unsigned char* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), halves(value));
  }

  static void store_byte(Float value, unsigned char* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(whole_levels(value)));
  }

  // The same for the values of a block in three channels, pixel by pixel.
  static void store_float_pixels(const Float* v, unsigned char* to) {
    for (int k = 0; k < 3; ++k) {
      // Item i, 16 k <= i < 16 k + 16, is that of pixel i / 3 in channel i % 3.
      alignas(64) static constexpr std::int32_t kFirst[3][16] = {
          {0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5},
          {21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26},
          {0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0}};
      alignas(64) static constexpr std::int32_t kLast[3][16] = {{0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0},
                                                                {0, 5, 0, 0, 6, 0, 0, 7, 0, 0, 8, 0, 0, 9, 0, 0},
                                                                {10, 0, 0, 11, 0, 0, 12, 0, 0, 13, 0, 0, 14, 0, 0, 15}};
      constexpr __mmask16 kIsLast[3] = {0x4924, 0x2492, 0x9249};
      const Float two = _mm512_permutex2var_ps(v[0], _mm512_load_si512(kFirst[k]), v[1]);
      store_float(_mm512_mask_permutexvar_ps(two, kIsLast[k], _mm512_load_si512(kLast[k]), v[2]), to + 64 * k);
    }
  }

  static void store_half_pixels(const Float* v, unsigned char* to) {
    const __m512i two = _mm512_inserti64x4(_mm512_castsi256_si512(halves(v[0])), halves(v[1]), 1);
    const __m512i third = _mm512_castsi256_si512(halves(v[2]));
    // Half i is that of pixel i / 3 in channel i % 3: words 0 to 15 of `two`, 16 to 31, or 0 to 15 of `third` (32 on).
    alignas(64) static constexpr std::int16_t kWords[48] = {
        0, 16, 32, 1, 17, 33, 2,  18, 34, 3,  19, 35, 4,  20, 36, 5,  21, 37, 6,  22, 38, 7,  23, 39,
        8, 24, 40, 9, 25, 41, 10, 26, 42, 11, 27, 43, 12, 28, 44, 13, 29, 45, 14, 30, 46, 15, 31, 47};
    const __m512i head = _mm512_permutex2var_epi16(two, _mm512_load_si512(kWords), third);
    const __m512i last = _mm512_castsi256_si512(_mm256_load_si256(reinterpret_cast<const __m256i*>(kWords + 32)));
    const __m512i tail = _mm512_permutex2var_epi16(two, last, third);
    _mm512_storeu_si512(to, head);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 64), _mm512_castsi512_si256(tail));
  }

  static void store_byte_pixels(const Float* v, unsigned char* to) {
    // A pixel in each 32-bit number, then without the fourth bytes.
    const Int pixels = _mm512_or_si512(whole_levels(v[0]), _mm512_or_si512(_mm512_slli_epi32(whole_levels(v[1]), 8),
                                                                           _mm512_slli_epi32(whole_levels(v[2]), 16)));
    alignas(64) static constexpr std::uint8_t kBytes[64] = {
        0,  1,  2,  4,  5,  6,  8,  9,  10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24, 25, 26, 28, 29, 30,
        32, 33, 34, 36, 37, 38, 40, 41, 42, 44, 45, 46, 48, 49, 50, 52, 53, 54, 56, 57, 58, 60, 61, 62};
    const Int packed = _mm512_permutexvar_epi8(_mm512_load_si512(kBytes), pixels);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(packed));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 32), _mm512_extracti32x4_epi32(packed, 2));
  }

  // Byte indices into what the loads of a row bring: of 3 channels, for Row, one register after the other; else for the
  // taps as words, channel by channel.
  static void fill_shuffles(const std::uint8_t* shifts, int channels, int group, unsigned char* to) {
    const auto index = [&](int output, int byte) {
      const int load = group < 8 ? output % 8 / group : output / group;  // the second of two lies behind the first
      return static_cast<unsigned char>(shifts[output] + byte + load % 2 * kLoadBytes);
    };
    for (int i = 0; channels == 3 && i < kBlock; ++i) {
      for (int byte = 0; byte < kTapBytes; ++byte) *to++ = index(i, byte);
    }
    for (int c = 0; channels < 3 && c < channels; ++c) {
      for (int i = 0; i < kBlock; ++i, to += 4) {
        to[0] = to[1] = index(i, c);
        to[2] = to[3] = index(i, c + channels);
      }
    }
  }

  // The bilinear samples of a block: channel c of the plane to components[c].
  template <int kChannels, int kGroup>
  HANDPOSE_INLINE static void sample(const BlockTaps& taps, const BlockWeights<Avx512>& w, Int* components) {
    if constexpr (kChannels == 3) {
      const Row above = load_grouped<kGroup>(taps.row0, taps), below = load_grouped<kGroup>(taps.row1, taps);
      blend_rows<kChannels>(above, below, w, components);
    } else {
      for (int c = 0; c < kChannels; ++c) {
        const Int words = _mm512_load_si512(taps.shuffles + 64 * c);
        components[c] = blend(pick_grouped<kGroup>(taps.row0, taps.offsets, words),
                              pick_grouped<kGroup>(taps.row1, taps.offsets, words), w);
      }
    }
  }

  // The same, each output with a place of its own.
  template <int kChannels>
  HANDPOSE_INLINE static void sample_apart(const std::uint8_t* row0, const std::uint8_t* row1, Offsets at,
                                           const BlockWeights<Avx512>& w, Int* components) {
    const Row above = {load_eight(row0, at), load_eight(row0, at + 8)};
    const Row below = {load_eight(row1, at), load_eight(row1, at + 8)};
    blend_rows<kChannels>(above, below, w, components);
  }

 private:
  // Eight bytes of a row for each output of a block, its taps first: of the first eight outputs, of the others.
  struct Row {
    Int low, high;
  };

  // From both taps in one channel as words.
  HANDPOSE_INLINE static Int blend(Int above, Int below, const BlockWeights<Avx512>& w) {
    return _mm512_dpwssd_epi32(_mm512_madd_epi16(above, w.above), below, w.below);
  }

  template <int kChannels>
  HANDPOSE_INLINE static void blend_rows(const Row& above, const Row& below, const BlockWeights<Avx512>& w,
                                         Int* components) {
    for (int c = 0; c < kChannels; ++c) {
      const Int words =
          _mm512_add_epi8(_mm512_set1_epi32((kChannels + c) << 16 | c),
                          _mm512_setr_epi32(0x00000000, 0x08080808, 0x10101010, 0x18181818, 0x20202020, 0x28282828,
                                            0x30303030, 0x38383838, 0x40404040, 0x48484848, 0x50505050, 0x58585858,
                                            0x60606060, 0x68686868, 0x70707070, 0x78787878));
      components[c] = blend(pick_words(above.low, words, above.high), pick_words(below.low, words, below.high), w);
    }
  }

  static constexpr __mmask64 kLowerBytes = 0x5555555555555555;  // of words
  HANDPOSE_INLINE static Int pick_words(Int first, Int bytes, Int second) {
    return _mm512_maskz_permutex2var_epi8(kLowerBytes, first, bytes, second);
  }

  // From groups of 16, 8 or 4 outputs both taps in one channel as words.
  template <int kGroup>
  HANDPOSE_INLINE static Int pick_grouped(const std::uint8_t* row, const std::int32_t* at, Int bytes) {
    const auto load = [&](int output) { return _mm512_loadu_si512(row + at[output]); };
    if (kGroup == 16) return _mm512_maskz_permutexvar_epi8(kLowerBytes, bytes, load(0));
    if (kGroup == 8) return pick_words(load(0), bytes, load(8));
    return _mm512_mask_blend_epi32(0xff00, pick_words(load(0), bytes, load(4)), pick_words(load(8), bytes, load(12)));
  }

  // From groups of 4 or 3 outputs.
  template <int kGroup>
  HANDPOSE_INLINE static Row load_grouped(const std::uint8_t* row, const BlockTaps& taps) {
    const auto eight = [&](int first) {
      const Int bytes = _mm512_load_si512(taps.shuffles + kTapBytes * first);
      const auto load = [&](int output) { return _mm512_loadu_si512(row + taps.offsets[first + output]); };
      const Int most = _mm512_permutex2var_epi8(load(0), bytes, load(kGroup));
      return kGroup == 4 ? most : _mm512_mask_permutexvar_epi8(most, 0xffffULL << 48, bytes, load(6));
    };
    return {eight(0), eight(8)};
  }

  HANDPOSE_INLINE static Int load_eight(const std::uint8_t* row, const std::int32_t* at) {
    const __m256i low = from_lanes(load8(row + at[0], row + at[1]), load8(row + at[2], row + at[3]));
    const __m256i high = from_lanes(load8(row + at[4], row + at[5]), load8(row + at[6], row + at[7]));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

  static __m256i halves(Float value) { return _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT); }

  // 0..255, rounded.
  static Int whole_levels(Float value) {
    return _mm512_max_epi32(_mm512_cvtps_epi32(_mm512_min_ps(value, all(255.0f))), _mm512_setzero_si512());
  }
};

}  // namespace
}  // namespace handpose
