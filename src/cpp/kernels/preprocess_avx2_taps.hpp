// The sums along and down rows of preprocess with AVX2, beside its other arithmetic. Included by preprocess_avx2.cpp.
#pragma once

#include "preprocess_avx2.hpp"
#include "preprocess_taps.hpp"

namespace handpose {
namespace {

struct Avx2Taps : Avx2 {
  static constexpr std::int32_t kLanes = 8, kLaneTaps = 2, kMostParts = 8, kMostSteps = 1;
  static constexpr std::int32_t kLeastWindow = 16, kMostWindow = 16;  // loaded into both halves of a vector
  static constexpr std::int32_t kChannelLanes = 0;
  static constexpr std::int32_t kChainTaps = 0;
  static constexpr std::int32_t kStepBytes = 32;
  static constexpr std::int32_t step_weight_bytes(const TapStrands&) { return kStepBytes; }

  // Shuffles that make a word of each tap.
  static void put_places(const std::int32_t* places, unsigned char* to) {
    for (int i = 0; i < 16; ++i) {
      to[2 * i] = static_cast<unsigned char>(places[i] < 0 ? kZero : places[i]);
      to[2 * i + 1] = static_cast<unsigned char>(kZero);
    }
  }

  static void put_weights(const std::int16_t* weights, const TapStrands&, unsigned char* to) {
    std::memcpy(to, weights, kStepBytes);
  }

  static void add_rows(const RowsToAdd& add, const TapStrands& strands) { add_rows_in_turn<Avx2Taps>(add, strands); }

  // The sums along four rows, in 1/64 grey level, to add.row_sums.
  template <int kParts>
  HANDPOSE_NOINLINE static void sum_along(const RowsToAdd& add, const TapStrands& strands) {
    const std::int32_t step_bytes = kLaneTaps * kParts * add.channels, steps = strands.steps;
    alignas(32) std::int32_t halves[kLanes] = {};  // in the first part only
    for (int lane = 0; lane < kLanes / kParts; ++lane) halves[lane] = 1 << (add.drop - 1);
    const __m256i half = load_ints(halves);
    const __m128i down = _mm_cvtsi32_si128(add.drop), up = _mm_cvtsi32_si128(16 - add.drop);
    const std::ptrdiff_t strand_bytes = std::ptrdiff_t{steps} * kStepBytes;
    std::int16_t* to = add.row_sums;
    for (std::ptrdiff_t v = 0; v < add.to->vectors; ++v, to += kRowsAtOnce * kLanes) {
      const FourSums sums = join_strands<kParts>([&](int strand) {
        const std::ptrdiff_t i = v * kParts + strand;
        return sum_strand(add, steps, strands.offsets[i], strands.places + i * std::ptrdiff_t{kPlacesBytes},
                          strands.weights + i * strand_bytes, step_bytes, half);
      });
      for (int k = 0; k < kRowsAtOnce; k += 2) {
        const __m256i first = _mm256_sra_epi32(sums.of[k], down), second = _mm256_sll_epi32(sums.of[k + 1], up);
        _mm256_store_si256(reinterpret_cast<__m256i*>(to + k * kLanes), _mm256_blend_epi16(first, second, 0xaa));
      }
    }
  }

  // For each vector there are the sums of the first two rows as pairs of words, then those of the others.
  template <int kPairs, bool kBegun, bool kComplete>
  HANDPOSE_NOINLINE static void add_down(const RowsToAdd& add, const ActiveRow& active) {
    std::int32_t weights[2];
    std::memcpy(weights, active.weights, sizeof weights);
    const __m256i above = _mm256_set1_epi32(weights[0]), below = _mm256_set1_epi32(weights[1]);
    const __m256i half = _mm256_set1_epi32(1 << (add.to->shift - 1));
    const std::int16_t* rows = add.row_sums;
    SampleWriter writer(*add.to);
    for (std::ptrdiff_t at = 0; at < std::ptrdiff_t{add.to->vectors} * kLanes;
         at += kLanes, rows += kRowsAtOnce * kLanes) {
      __m256i sums = kBegun ? load_ints(active.sums + at) : half;
      if (kPairs & 1) sums = _mm256_add_epi32(sums, _mm256_madd_epi16(load_ints(rows), above));
      if (kPairs & 2) sums = _mm256_add_epi32(sums, _mm256_madd_epi16(load_ints(rows + 2 * kLanes), below));
      if (kComplete) {
        writer.write(sums);
      } else {
        _mm256_store_si256(reinterpret_cast<__m256i*>(active.sums + at), sums);
      }
    }
  }

  static void write_samples(const SampleRow& row, const std::int32_t* sums) {
    SampleWriter writer(row);
    for (std::ptrdiff_t v = 0; v < row.vectors; ++v) writer.write(load_ints(sums + v * kLanes));
  }

  // The samples of a block, channels apart.
  template <int kChannels>
  HANDPOSE_INLINE static void load_samples(const std::uint8_t* from, Float* channels) {
    if (kChannels == 1) {
      channels[0] = to_float(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
      return;
    }
    // Four pixels in each half.
    const __m256i bytes = from_lanes(load16(from), load16(from + 4 * kChannels));
    for (int c = 0; c < kChannels; ++c) {
      const auto place = [c](int pixel) { return static_cast<int>(0x80808000U) + pixel * kChannels + c; };
      const __m128i places = _mm_setr_epi32(place(0), place(1), place(2), place(3));
      channels[c] = to_float(_mm256_shuffle_epi8(bytes, from_lanes(places, places)));
    }
  }

 private:
  // Clamps complete sums.
  class SampleWriter {
   public:
    explicit SampleWriter(const SampleRow& row)
        : to_(row.samples),
          bytes_(row.order.bytes),
          shift_(_mm_cvtsi32_si128(row.shift)),
          lanes_(load16(row.order.lanes)) {}

    HANDPOSE_INLINE void write(__m256i sums) {
      const __m256i levels = _mm256_sra_epi32(sums, shift_);
      const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(levels), _mm256_extracti128_si256(levels, 1));
      const __m128i bytes = _mm_shuffle_epi8(_mm_packus_epi16(words, words), lanes_);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to_), bytes);
      to_ += bytes_;
    }

   private:
    std::uint8_t* to_;
    std::int32_t bytes_;
    __m128i shift_, lanes_;
  };

  static __m256i load_ints(const void* from) { return _mm256_load_si256(static_cast<const __m256i*>(from)); }

  // The sums of a strand along four rows.
  struct FourSums {
    __m256i of[kRowsAtOnce];
  };

  HANDPOSE_INLINE static FourSums sum_strand(const RowsToAdd& add, std::int32_t steps, std::int32_t offset,
                                             const unsigned char* first_places, const unsigned char* weights,
                                             std::int32_t step_bytes, __m256i rounding) {
    FourSums sums;
    for (__m256i& sum : sums.of) sum = rounding;
    const __m256i places = load_ints(first_places);
    for (std::int32_t step = 0; step < steps; ++step, weights += kStepBytes, offset += step_bytes) {
      const __m256i weight = load_ints(weights);
      for (int k = 0; k < kRowsAtOnce; ++k) {
        const __m256i taps = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16(add.rows[k] + offset)), places);
        sums.of[k] = _mm256_add_epi32(sums.of[k], _mm256_madd_epi16(taps, weight));
      }
    }
    return sums;
  }

  // Adds the two parts that lie kLanesApart from each other, of two strands or what has been made of strands before, so
  // that the sums of `a` come first wherever both have been.
  template <int kLanesApart>
  HANDPOSE_INLINE static FourSums add_parts(const FourSums& a, const FourSums& b) {
    FourSums sums;
    for (int k = 0; k < kRowsAtOnce; ++k) {
      const __m256i x = a.of[k], y = b.of[k];
      if (kLanesApart == 4) {
        sums.of[k] = _mm256_add_epi32(_mm256_permute2x128_si256(x, y, 0x20), _mm256_permute2x128_si256(x, y, 0x31));
      } else if (kLanesApart == 2) {
        sums.of[k] = _mm256_add_epi32(_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y));
      } else {
        sums.of[k] = _mm256_hadd_epi32(x, y);
      }
    }
    return sums;
  }

  // What strands first, first + apart and so on make of a vector: sum(i) gives the sums of strand i.
  template <int kParts, typename Sum>
  HANDPOSE_INLINE static FourSums join_strands(const Sum& sum) {
    if constexpr (kParts == 1) {
      return sum(0);
    } else if constexpr (kParts == 2) {
      return add_parts<4>(sum(0), sum(1));
    } else if constexpr (kParts == 4) {
      return add_parts<2>(add_parts<4>(sum(0), sum(2)), add_parts<4>(sum(1), sum(3)));
    } else {
      const auto four = [&](int first) {
        return add_parts<2>(add_parts<4>(sum(first), sum(first + 4)), add_parts<4>(sum(first + 1), sum(first + 5)));
      };
      return add_parts<1>(four(0), four(2));
    }
  }
};

}  // namespace
}  // namespace handpose
