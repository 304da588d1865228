// The arithmetic of preprocess with AVX-512: F, BW, VL, VBMI and VNNI. Included by preprocess_avx512.cpp.
#pragma once

#include <immintrin.h>

#include "preprocess_bilinear.hpp"

namespace handpose {
namespace {

struct Avx512 {
  using Float = __m512;
  using Int = __m512i;
  using Offsets = const std::int32_t*;  // of the taps of outputs that have places of their own
  static constexpr std::int32_t kBlock = 16;

  // The four taps of an output and channel, a byte each, make one of the 16 numbers of a register: as many outputs as
  // fill one, of 3 channels up to a quarter less, come from one load of each row, or from up to four.
  static constexpr std::int32_t kLoadBytes = 64;
  static constexpr int most_group(int channels) { return channels == 1 ? 16 : channels == 2 ? 8 : 4; }
  static constexpr int least_group(int channels) { return channels == 2 ? 2 : 4; }

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

  // For each register of taps the indices of its bytes in 64 bytes of the first row and 64 of the second one.
  static void fill_shuffles(const std::uint8_t* shifts, int channels, int, unsigned char* to) {
    const int outputs = most_group(channels);  // of a register
    for (int first = 0; first < kBlock; first += outputs, to += 64) {
      std::memset(to, 0, 64);
      for (int c = 0; c < channels; ++c) {
        for (int i = 0; i < outputs; ++i) {
          unsigned char* const number = to + 4 * (c * outputs + i);
          number[0] = static_cast<unsigned char>(shifts[first + i] + c);
          number[2] = static_cast<unsigned char>(shifts[first + i] + c + channels);
          number[1] = static_cast<unsigned char>(number[0] + 64);
          number[3] = static_cast<unsigned char>(number[2] + 64);
        }
      }
    }
  }

  // The bilinear samples of a block: channel c of the plane to components[c].
  template <int kChannels, int kGroup>
  HANDPOSE_INLINE static void sample(const BlockTaps& taps, const BlockWeights<Avx512>& w, Int* components) {
    const ByteWeights weights = byte_weights(w);
    constexpr int kOutputs = most_group(kChannels);
    Int parts[4];
    for (int i = 0; i < kBlock / kOutputs; ++i) {
      const Int bytes = _mm512_load_si512(taps.shuffles + 64 * i);
      parts[i] = pick_taps<kOutputs, kGroup>(taps.row0, taps.row1, taps.offsets + kOutputs * i, bytes);
    }
    if (kChannels == 1) {
      components[0] = blend(parts[0], weights);
    } else if (kChannels == 2) {
      components[0] = blend(_mm512_shuffle_i64x2(parts[0], parts[1], 0x44), weights);
      components[1] = blend(_mm512_shuffle_i64x2(parts[0], parts[1], 0xee), weights);
    } else {
      // Quarters of the parts are channels: 0 0 0 0, 1 1 1 1 and 2 2 2 2 of the four parts.
      const Int low01 = _mm512_shuffle_i64x2(parts[0], parts[1], 0x44);
      const Int low23 = _mm512_shuffle_i64x2(parts[2], parts[3], 0x44);
      const Int high01 = _mm512_shuffle_i64x2(parts[0], parts[1], 0xee);
      const Int high23 = _mm512_shuffle_i64x2(parts[2], parts[3], 0xee);
      components[0] = blend(_mm512_shuffle_i64x2(low01, low23, 0x88), weights);
      components[1] = blend(_mm512_shuffle_i64x2(low01, low23, 0xdd), weights);
      components[2] = blend(_mm512_shuffle_i64x2(high01, high23, 0x88), weights);
    }
  }

  // The same, each output with a place of its own.
  template <int kChannels>
  HANDPOSE_INLINE static void sample_apart(const std::uint8_t* row0, const std::uint8_t* row1, Offsets at,
                                           const BlockWeights<Avx512>& w, Int* components) {
    const ByteWeights weights = byte_weights(w);
    // Bytes of eight outputs: channels 0 and 1, and twice the last channel.
    const Int two = apart_shuffle<kChannels>(0, 1), last = apart_shuffle<kChannels>(kChannels - 1, kChannels - 1);
    const Int first0 = load_eight(row0, at), first1 = load_eight(row1, at);
    const Int second0 = load_eight(row0, at + 8), second1 = load_eight(row1, at + 8);
    const Int low = _mm512_permutex2var_epi8(first0, two, first1);
    const Int high = _mm512_permutex2var_epi8(second0, two, second1);
    components[0] = blend(_mm512_shuffle_i64x2(low, high, 0x44), weights);
    if (kChannels > 1) components[1] = blend(_mm512_shuffle_i64x2(low, high, 0xee), weights);
    if (kChannels == 3) {
      components[2] = blend(_mm512_mask_blend_epi64(0xf0, _mm512_permutex2var_epi8(first0, last, first1),
                                                    _mm512_permutex2var_epi8(second0, last, second1)),
                            weights);
    }
  }

 private:
  // Weights as 129 * coarse + fine, four signed bytes to an output: first tap above and below, second tap above and
  // below.
  struct ByteWeights {
    Int coarse, fine;
  };

  HANDPOSE_INLINE static ByteWeights byte_weights(const BlockWeights<Avx512>& w) {
    const Int above = coarse_words(w.above), below = coarse_words(w.below);
    return {pack_bytes(above, below), pack_bytes(fine_words(w.above, above), fine_words(w.below, below))};
  }

  // 0..2^14 / 129, rounded somehow: 0..127, and the rest is -65..65.
  static Int coarse_words(Int words) { return _mm512_mulhrs_epi16(words, _mm512_set1_epi16(254)); }
  static Int fine_words(Int words, Int coarse) {
    return _mm512_sub_epi16(words, _mm512_add_epi16(_mm512_slli_epi16(coarse, 7), coarse));
  }
  // Words to bytes, those of `below` above those of `above`.
  static Int pack_bytes(Int above, Int below) {
    return _mm512_mask_mov_epi8(_mm512_slli_epi16(below, 8), 0x5555555555555555, above);
  }

  HANDPOSE_INLINE static Int blend(Int taps, const ByteWeights& w) {
    const Int coarse = _mm512_dpbusd_epi32(_mm512_setzero_si512(), taps, w.coarse);
    return _mm512_add_epi32(_mm512_slli_epi32(coarse, 7), _mm512_dpbusd_epi32(coarse, taps, w.fine));
  }

  // The taps of kOutputs outputs, those of kGroup of them from each load.
  template <int kOutputs, int kGroup>
  HANDPOSE_INLINE static Int pick_taps(const std::uint8_t* row0, const std::uint8_t* row1, const std::int32_t* at,
                                       Int bytes) {
    const auto load = [](const std::uint8_t* from) { return _mm512_loadu_si512(from); };
    Int taps = _mm512_permutex2var_epi8(load(row0 + at[0]), bytes, load(row1 + at[0]));
    for (int i = kGroup; i < kOutputs; i += kGroup) {
      const Int more = _mm512_permutex2var_epi8(load(row0 + at[i]), bytes, load(row1 + at[i]));
      taps = _mm512_mask_blend_epi32(group_numbers(kOutputs, kGroup, i), taps, more);
    }
    return taps;
  }

  // Which numbers of a register of taps are of outputs first <= i < first + group.
  static constexpr __mmask16 group_numbers(int outputs, int group, int first) {
    unsigned numbers = 0;
    for (int i = 0; i < 16; ++i) numbers |= i % outputs >= first && i % outputs < first + group ? 1U << i : 0U;
    return static_cast<__mmask16>(numbers);
  }

  // Indices of the bytes of eight outputs in eight bytes of each in the first row and in the second one: those of one
  // channel, then those of another.
  template <int kChannels>
  HANDPOSE_INLINE static Int apart_shuffle(int channel, int other) {
    const Int output = _mm512_broadcast_i64x4(
        _mm256_setr_epi32(0, 0x08080808, 0x10101010, 0x18181818, 0x20202020, 0x28282828, 0x30303030, 0x38383838));
    constexpr int kTaps = kChannels << 24 | kChannels << 16;  // 0 and kChannels bytes on, in both rows
    const auto channels = [](int c) { return _mm256_set1_epi32(0x40004000 + kTaps + c * 0x01010101); };
    return _mm512_add_epi8(output, _mm512_inserti64x4(_mm512_castsi256_si512(channels(channel)), channels(other), 1));
  }

  static Int from_quarters(__m128i a, __m128i b, __m128i c, __m128i d) {
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

  // Eight bytes of each of eight outputs.
  HANDPOSE_INLINE static Int load_eight(const std::uint8_t* row, const std::int32_t* at) {
    const auto two = [&](int i) {
      const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + at[i]));
      return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(first), reinterpret_cast<const __m64*>(row + at[i + 1])));
    };
    return from_quarters(two(0), two(2), two(4), two(6));
  }

  static __m256i halves(Float value) { return _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT); }

  // 0..255, rounded.
  static Int whole_levels(Float value) {
    return _mm512_max_epi32(_mm512_cvtps_epi32(_mm512_min_ps(value, all(255.0f))), _mm512_setzero_si512());
  }
};

}  // namespace
}  // namespace handpose
