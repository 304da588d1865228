// The sums along and down rows of preprocess with AVX-512, beside its other arithmetic. Included by
// preprocess_avx512.cpp.
#pragma once

#include "preprocess_avx512.hpp"
#include "preprocess_taps.hpp"

namespace handpose {
namespace {

struct Avx512Taps : Avx512 {
  static constexpr std::int32_t kLanes = 16, kLaneTaps = 4, kMostParts = 4, kMostSteps = 32;
  static constexpr std::int32_t kLeastWindow = 64, kMostWindow = 128;
  static constexpr std::int32_t kChannelLanes = 4;
  // Of a window of chained strands; of the sums, so that what rounds them is a multiple of 256.
  static constexpr std::int32_t kChainTaps = 16, kLeastChainBits = 15;
  static constexpr std::int32_t step_weight_bytes(bool apart) { return apart ? 32 : 128; }
  static constexpr std::int32_t step_weight_bytes(const TapStrands& strands) {
    return step_weight_bytes(strands.apart);
  }

  // Bytes of a window, in the order of the lanes.
  static void put_places(const std::int32_t* places, unsigned char* to) {
    for (int i = 0; i < 64; ++i) to[i] = static_cast<unsigned char>(places[i] < 0 ? 0 : places[i]);
  }

  // A weight is 256 times a signed byte and another one: the former of all taps, then the latter. Of channels apart,
  // those of the first.
  static void put_weights(const std::int16_t* weights, const TapStrands& strands, unsigned char* to) {
    const int count = step_weight_bytes(strands) / 2;
    for (int i = 0; i < count; ++i) {
      const int coarse = (weights[i] + 128) >> 8;
      to[i] = static_cast<unsigned char>(coarse);
      to[count + i] = static_cast<unsigned char>(weights[i] - 256 * coarse);
    }
  }

  static void add_rows(const RowsToAdd& add, const TapStrands& strands) {
    const AddRows run = strands.apart        ? choose_apart(strands)
                        : strands.parts == 1 ? choose_steps<1, false>(strands)
                        : strands.parts == 2 ? choose_steps<2, false>(strands)
                                             : choose_steps<4, false>(strands);
    run(add, strands);
    if (add.complete) write_samples(*add.to, add.active[0].sums);
  }

  static void write_samples(const SampleRow& row, const std::int32_t* sums) {
    SampleWriter writer(row);
    for (std::ptrdiff_t v = 0; v < row.vectors; ++v) writer.write(_mm512_load_si512(sums + v * kLanes));
  }

  // The samples of a block, channels apart.
  template <int kChannels>
  HANDPOSE_INLINE static void load_samples(const std::uint8_t* from, Float* channels) {
    if (kChannels == 1) {
      channels[0] = to_float(_mm512_cvtepu8_epi32(load_bytes(from)));
      return;
    }
    const __m512i bytes = kChannels == 3
                              ? _mm512_loadu_si512(from)
                              : _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    const __m512i pixels = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                              _mm512_set1_epi32(kChannels));
    for (int c = 0; c < kChannels; ++c) {
      const __m512i places = _mm512_add_epi32(pixels, _mm512_set1_epi32(c));
      channels[c] = to_float(_mm512_maskz_permutexvar_epi8(0x1111111111111111, places, bytes));
    }
  }

 private:
  static __m128i load_bytes(const std::uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }

  using AddRows = void (*)(const RowsToAdd&, const TapStrands&);

  // Clamps complete sums.
  class SampleWriter {
   public:
    explicit SampleWriter(const SampleRow& row)
        : to_(row.samples),
          bytes_(row.order.bytes),
          shift_(_mm_cvtsi32_si128(row.shift)),
          lanes_(load_bytes(row.order.lanes)) {}

    HANDPOSE_INLINE void write(__m512i sums) {
      const __m512i levels = _mm512_max_epi32(_mm512_sra_epi32(sums, shift_), _mm512_setzero_si512());
      const __m128i bytes = _mm_shuffle_epi8(_mm512_cvtusepi32_epi8(levels), lanes_);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to_), bytes);
      to_ += bytes_;
    }

   private:
    std::uint8_t* to_;
    std::int32_t bytes_;
    __m128i shift_, lanes_;
  };

  // GCC copies sums before and after its intrinsics for these.
  HANDPOSE_INLINE static void add_bytes(__m512i* sum, __m512i bytes, __m512i weights) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(bytes), "v"(weights));
  }
  // With two weights for all pairs of words.
  HANDPOSE_INLINE static void add_words(__m512i* sum, __m512i words, const std::int16_t* weights) {
    const auto& both = *reinterpret_cast<const std::int16_t (*)[2]>(weights);
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(*sum) : "v"(words), "m"(both));
  }

  template <bool kApart>
  HANDPOSE_INLINE static __m512i load_weights(const unsigned char* from) {
    return kApart ? _mm512_broadcast_i32x4(load_bytes(from)) : _mm512_load_si512(from);
  }

  // The sums of a strand along four rows.
  struct FourSums {
    __m512i of[kRowsAtOnce];
  };

  // `kSteps`, `kWindowSteps`: those of the strands, or 0 where only they say. `kWide`: windows of 128 bytes.
  template <bool kApart, bool kWide, int kSteps, int kWindowSteps>
  HANDPOSE_INLINE static FourSums sum_strand(const RowsToAdd& add, const TapStrands& strands, std::int32_t offset,
                                             const unsigned char* first_places, const unsigned char* weights,
                                             std::int32_t step_bytes, __m512i rounding) {
    const __m512i step_places = _mm512_set1_epi8(static_cast<char>(step_bytes));
    __m512i coarse[kRowsAtOnce], fine[kRowsAtOnce];
    for (int k = 0; k < kRowsAtOnce; ++k) {
      coarse[k] = _mm512_setzero_si512();
      fine[k] = rounding;
    }
    const std::int32_t steps = kSteps > 0 ? kSteps : strands.steps;
    const std::int32_t window_steps = kSteps > 0 ? kWindowSteps : strands.window_steps;
    for (std::int32_t first = 0; first < steps; first += window_steps, offset += window_steps * step_bytes) {
      __m512i low[kRowsAtOnce], high[kRowsAtOnce];
      for (int k = 0; k < kRowsAtOnce; ++k) {
        low[k] = _mm512_loadu_si512(add.rows[k] + offset);
        if (kWide) high[k] = _mm512_loadu_si512(add.rows[k] + offset + 64);
      }
      __m512i places = _mm512_load_si512(first_places);
      const std::int32_t last = first + window_steps < steps ? first + window_steps : steps;
      for (std::int32_t step = first; step < last; ++step, weights += step_weight_bytes(kApart)) {
        const __m512i coarse_weights = load_weights<kApart>(weights);
        const __m512i fine_weights = load_weights<kApart>(weights + step_weight_bytes(kApart) / 2);
        for (int k = 0; k < kRowsAtOnce; ++k) {
          const __m512i bytes =
              kWide ? _mm512_permutex2var_epi8(low[k], places, high[k]) : _mm512_permutexvar_epi8(places, low[k]);
          add_bytes(&coarse[k], bytes, coarse_weights);
          add_bytes(&fine[k], bytes, fine_weights);
        }
        places = _mm512_add_epi8(places, step_places);
      }
    }
    FourSums sums;
    for (int k = 0; k < kRowsAtOnce; ++k) sums.of[k] = _mm512_add_epi32(_mm512_slli_epi32(coarse[k], 8), fine[k]);
    return sums;
  }

  // Where the parts of a sum lie that are added up: in halves or quarters of a vector; of channels apart, in pairs or
  // single ones of each four lanes.
  enum class Parts { kHalves, kQuarters, kPairs, kSingles };

  // Adds two parts of each sum, of two strands or what has been made of strands before. Those of `a` come first.
  template <Parts kWhere>
  HANDPOSE_INLINE static FourSums add_parts(const FourSums& a, const FourSums& b) {
    FourSums sums;
    for (int k = 0; k < kRowsAtOnce; ++k) {
      const __m512i x = a.of[k], y = b.of[k];
      if (kWhere == Parts::kHalves) {
        sums.of[k] = _mm512_add_epi32(_mm512_shuffle_i64x2(x, y, 0x44), _mm512_shuffle_i64x2(x, y, 0xee));
      } else if (kWhere == Parts::kQuarters) {
        sums.of[k] = _mm512_add_epi32(_mm512_shuffle_i64x2(x, y, 0x88), _mm512_shuffle_i64x2(x, y, 0xdd));
      } else if (kWhere == Parts::kPairs) {
        sums.of[k] = _mm512_add_epi32(_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y));
      } else {
        sums.of[k] = _mm512_add_epi32(_mm512_unpacklo_epi32(x, y), _mm512_unpackhi_epi32(x, y));
      }
    }
    return sums;
  }

  // The shapes that pictures usually have, and any.
  template <int kParts, bool kApart>
  static AddRows choose_steps(const TapStrands& strands) {
    const std::int32_t shape = strands.steps < 10 ? strands.steps * 10 + strands.window_steps : 0;
    if (strands.window_bytes <= 64) {
      return shape == 11   ? add_rows_of<kParts, kApart, false, 1, 1>
             : shape == 22 ? add_rows_of<kParts, kApart, false, 2, 2>
                           : add_rows_of<kParts, kApart, false, 0, 0>;
    }
    return shape == 22   ? add_rows_of<kParts, kApart, true, 2, 2>
           : shape == 33 ? add_rows_of<kParts, kApart, true, 3, 3>
           : shape == 42 ? add_rows_of<kParts, kApart, true, 4, 2>
           : shape == 53 ? add_rows_of<kParts, kApart, true, 5, 3>
                         : add_rows_of<kParts, kApart, true, 0, 0>;
  }
  static AddRows choose_apart(const TapStrands& strands) {
    if (strands.chained) return add_chained_rows;
    return strands.parts == 1   ? choose_steps<1, true>(strands)
           : strands.parts == 2 ? choose_steps<2, true>(strands)
                                : choose_steps<4, true>(strands);
  }

  template <int kParts, bool kApart, bool kWide, int kSteps, int kWindowSteps>
  HANDPOSE_NOINLINE static void add_rows_of(const RowsToAdd& add, const TapStrands& strands) {
    const std::int32_t step_bytes = kLaneTaps * kParts * add.channels;
    // In the first part only.
    constexpr unsigned kLanesOfChannel = (1U << kChannelLanes / kParts) - 1;
    constexpr auto first_lanes =
        static_cast<__mmask16>(kApart ? kLanesOfChannel * 0x1111U : (1U << kLanes / kParts) - 1);
    const __m512i half = _mm512_maskz_set1_epi32(first_lanes, 1 << (add.drop - 1));
    const __m128i down = _mm_cvtsi32_si128(add.drop), up = _mm_cvtsi32_si128(16 - add.drop);
    const std::int32_t* offset = strands.offsets;
    const unsigned char* places = strands.places;
    const unsigned char* weights = strands.weights;
    const std::ptrdiff_t strand_bytes = std::ptrdiff_t{strands.steps} * step_weight_bytes(kApart);
    const auto next_strand = [&] {
      const FourSums sums =
          sum_strand<kApart, kWide, kSteps, kWindowSteps>(add, strands, *offset, places, weights, step_bytes, half);
      ++offset;
      places += kPlacesBytes;
      weights += strand_bytes;
      return sums;
    };
    const __m512i rounding = _mm512_set1_epi32(1 << (add.to->shift - 1));
    for (std::ptrdiff_t at = 0; at < std::ptrdiff_t{add.to->vectors} * kLanes; at += kLanes) {
      // About as many cache lines as the taps of a vector begin in.
      constexpr int kLines = kParts + (kWide ? 1 : 0);
      for (int i = 0; add.ahead != 0 && i < kLines; ++i) fetch_ahead(add, *offset + 64 * i);
      FourSums sums = next_strand();
      if (kParts == 2) sums = add_parts<kApart ? Parts::kPairs : Parts::kHalves>(sums, next_strand());
      if (kParts == 4) {
        constexpr Parts kFirst = kApart ? Parts::kSingles : Parts::kHalves;
        sums = add_parts<kFirst>(sums, next_strand());
        const FourSums third = next_strand(), others = add_parts<kFirst>(third, next_strand());
        sums = add_parts<kApart ? Parts::kPairs : Parts::kQuarters>(sums, others);
      }
      add_down(add, sums, at, down, up, rounding);
    }
  }

  // Adds the sums along four rows to the rows of the output.
  HANDPOSE_INLINE static void add_down(const RowsToAdd& add, const FourSums& sums, std::ptrdiff_t at, __m128i down,
                                       __m128i up, __m512i rounding) {
    // In 1/64 grey level; those of two rows in a lane, as words.
    const auto pair = [&](__m512i first, __m512i second) {
      return _mm512_mask_mov_epi16(_mm512_sll_epi32(second, up), 0x55555555, _mm512_sra_epi32(first, down));
    };
    const __m512i above = pair(sums.of[0], sums.of[1]), below = pair(sums.of[2], sums.of[3]);
    const auto add_to = [&](const ActiveRow& row, __m512i sum) {
      add_words(&sum, above, row.weights);
      add_words(&sum, below, row.weights + 2);
      _mm512_store_si512(row.sums + at, sum);
    };
    std::int32_t i = 0;
    for (; i < add.begun; ++i) add_to(add.active[i], _mm512_load_si512(add.active[i].sums + at));
    for (; i < add.count; ++i) add_to(add.active[i], rounding);
  }

  // Along one row a chained strand, from the window of its output, which becomes that of the next one. `rounding` is in
  // 256s.
  struct ChainedWeights {
    __m512i coarse[2], fine[2];
  };
  HANDPOSE_INLINE static __m512i sum_chained(const std::uint8_t* from, __m512i places, const ChainedWeights& weights,
                                             __m512i rounding, __m512i* window) {
    const __m512i next = _mm512_permutexvar_epi8(places, _mm512_loadu_si512(from));
    __m512i sum = rounding;
    add_bytes(&sum, *window, weights.coarse[0]);
    add_bytes(&sum, next, weights.coarse[1]);
    sum = _mm512_slli_epi32(sum, 8);
    add_bytes(&sum, *window, weights.fine[0]);
    add_bytes(&sum, next, weights.fine[1]);
    *window = next;
    return sum;
  }

  HANDPOSE_NOINLINE static void add_chained_rows(const RowsToAdd& add, const TapStrands& strands) {
    // In the first part only, in 256s.
    const __m512i half = _mm512_maskz_set1_epi32(0x1111, 1 << (add.drop - 9));
    const __m128i down = _mm_cvtsi32_si128(add.drop), up = _mm_cvtsi32_si128(16 - add.drop);
    const __m512i rounding = _mm512_set1_epi32(1 << (add.to->shift - 1));
    const __m512i places = _mm512_load_si512(strands.places);
    const std::int32_t* offset = strands.offsets;
    const unsigned char* weights = strands.weights;
    FourSums window;
    for (int k = 0; k < kRowsAtOnce; ++k) {
      window.of[k] = _mm512_permutexvar_epi8(places, _mm512_loadu_si512(add.rows[k] + *offset));
    }
    const auto next_strand = [&] {
      constexpr int kBytes = step_weight_bytes(true);
      const ChainedWeights both = {
          {load_weights<true>(weights), load_weights<true>(weights + kBytes)},
          {load_weights<true>(weights + kBytes / 2), load_weights<true>(weights + kBytes + kBytes / 2)}};
      weights += 2 * kBytes;
      ++offset;
      FourSums sums;
      for (int k = 0; k < kRowsAtOnce; ++k) {
        sums.of[k] = sum_chained(add.rows[k] + *offset, places, both, half, &window.of[k]);
      }
      return sums;
    };
    for (std::ptrdiff_t at = 0; at < std::ptrdiff_t{add.to->vectors} * kLanes; at += kLanes) {
      for (int i = 0; add.ahead != 0 && i < 3; ++i) fetch_ahead(add, *offset + 64 * i);  // of 4 times 16 pixels
      const FourSums first = next_strand(), pair = add_parts<Parts::kSingles>(first, next_strand());
      const FourSums third = next_strand(), others = add_parts<Parts::kSingles>(third, next_strand());
      add_down(add, add_parts<Parts::kPairs>(pair, others), at, down, up, rounding);
    }
  }
};

}  // namespace
}  // namespace handpose
