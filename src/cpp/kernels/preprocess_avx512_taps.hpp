// The sums over rows and columns of preprocess with AVX-512, beside its other arithmetic. Included by
// preprocess_avx512.cpp.
#pragma once

#include "preprocess_avx2_taps.hpp"
#include "preprocess_avx512.hpp"

namespace handpose {
namespace {

struct Avx512Taps : Avx512 {
  // Sums over rows, two rows at a time: `count` columns to `to`.
  static void reduce_rows(const WeightedRows& rows, std::int32_t count, std::int16_t* to) {
    constexpr std::int32_t kVector = 64;
    if (count < kVector) return Avx2Taps::reduce_rows(rows, count, to);
    reduce_columns<1>(rows, 0, to);
    std::int32_t at = columns_to_alignment(rows, kVector);
    for (; at + 4 * kVector <= count; at += 4 * kVector) reduce_columns<4>(rows, at, to + at);
    for (; at < count; at += kVector) {
      if (at > count - kVector) at = count - kVector;  // again some of the columns before
      reduce_columns<1>(rows, at, to + at);
    }
  }

  // Channels apart: `count` samples to each row of `to`.
  template <int kChannels>
  static void split(const std::int16_t* from, std::int32_t count, std::int16_t* const* to) {
    std::int32_t at = 0;
    for (; at + 32 <= count; at += 32) {
      const std::int16_t* const samples = from + at * kChannels;
      if (kChannels == 2) {
        const __m512i x = load_wide(samples), y = load_wide(samples + 32);
        const __m512i even = numbers(0, 2);
        store_wide(_mm512_permutex2var_epi16(x, even, y), to[0] + at);
        store_wide(_mm512_permutex2var_epi16(x, _mm512_add_epi16(even, _mm512_set1_epi16(1)), y), to[1] + at);
      } else {
        const __m512i x = load_wide(samples), y = load_wide(samples + 32), z = load_wide(samples + 64);
        for (int c = 0; c < 3; ++c) {
          // Sample i of channel c is word 3 i + c: below 64 of x and y, from there on of z.
          const __m512i word = numbers(static_cast<std::int16_t>(c), 3);
          const __mmask32 last = _mm512_cmpgt_epi16_mask(word, _mm512_set1_epi16(63));
          const __m512i first = _mm512_permutex2var_epi16(x, word, y);
          store_wide(_mm512_mask_permutexvar_epi16(first, last, word, z), to[c] + at);
        }
      }
    }
    for (; at < count; ++at) {
      for (int c = 0; c < kChannels; ++c) to[c][at] = from[at * kChannels + c];
    }
  }

  // The weights in the order of weigh_windows.
  static void fill_weights(AxisTable* axis) {
    const std::int32_t outputs = axis->grouped_outputs = window_outputs(*axis);
    if (outputs == 0) return;
    const std::int32_t step = 32 / outputs, taps = (axis->taps + step - 1) / step * step;  // the stride is no less
    std::int16_t* to = axis->grouped_weights;
    const std::int32_t end = axis->begin + (axis->end - axis->begin + kBlock - 1) / kBlock * kBlock;
    for (std::int32_t x = axis->begin; x < end; x += outputs) {
      for (std::int32_t k = 0; k < taps; k += 2) {
        for (std::int32_t i = x; i < x + outputs; ++i, to += 2) {
          const std::int16_t* pair = axis->weights + static_cast<std::ptrdiff_t>(i) * axis->stride + k;
          to[0] = pair[0];
          to[1] = pair[1];
        }
      }
    }
  }

  // Weighted sums of the samples of rows, clamped to whole grey levels; writes whole blocks.
  template <int kChannels>
  static void weigh_rows(std::int16_t* const* rows, const AxisTable& axis, float* const* to) {
    if (axis.grouped_outputs == 8) return weigh_windows<kChannels, 8>(rows, axis, to);
    if (axis.grouped_outputs == 4) return weigh_windows<kChannels, 4>(rows, axis, to);
    Avx2Taps::weigh_rows<kChannels>(rows, axis, to);
  }

 private:
  static constexpr std::int32_t kWindow = 64;  // words that one permutation chooses from

  // How many neighbouring outputs have all their taps within a window: 8, 4 or 0.
  static std::int32_t window_outputs(const AxisTable& axis) {
    for (std::int32_t outputs = 8; outputs >= 4; outputs /= 2) {
      bool fit = true;
      for (std::int32_t x = axis.begin; fit && x < axis.end; x += outputs) {
        const std::int32_t span = axis.start[x + outputs - 1] - axis.start[x];
        fit = (span < 0 ? -span : span) + axis.taps <= kWindow;
      }
      if (fit) return outputs;
    }
    return 0;
  }

  // The sum and the products of pairs of words. GCC copies sums before and after its intrinsic for this.
  HANDPOSE_INLINE static __m512i add_products(__m512i sum, __m512i a, __m512i b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }

  static __m512i load_wide(const void* from) { return _mm512_loadu_si512(from); }
  static void store_wide(__m512i words, void* to) { _mm512_storeu_si512(to, words); }

  // first, first + step, first + 2 step, ...
  static __m512i numbers(std::int16_t first, std::int16_t step) {
    alignas(64) constexpr std::int16_t kNumbers[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                                       16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    const __m512i scaled = _mm512_mullo_epi16(_mm512_load_si512(kNumbers), _mm512_set1_epi16(step));
    return _mm512_add_epi16(scaled, _mm512_set1_epi16(first));
  }

  // The weighted sums of kVectors times 64 columns. Unpacking and packing within lanes undo each other.
  template <int kVectors>
  HANDPOSE_INLINE static void reduce_columns(const WeightedRows& rows, std::int32_t column, std::int16_t* to) {
    const __m512i zero = _mm512_setzero_si512();
    const std::uint8_t* row = rows.first + column;
    __m512i sums[static_cast<std::size_t>(kVectors)][4];
    for (auto& four : sums) {
      for (__m512i& sum : four) sum = _mm512_set1_epi32(1 << (rows.drop - 1));
    }
    const auto add_rows = [&](const std::uint8_t* first, const std::uint8_t* second, std::int32_t weights) {
      const __m512i pair = _mm512_set1_epi32(weights);
      for (int i = 0; i < kVectors; ++i) {
        const __m512i a = load_wide(first + 64 * i);
        const __m512i b = second == nullptr ? zero : load_wide(second + 64 * i);
        const __m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
        sums[i][0] = add_products(sums[i][0], _mm512_unpacklo_epi8(low, zero), pair);
        sums[i][1] = add_products(sums[i][1], _mm512_unpackhi_epi8(low, zero), pair);
        sums[i][2] = add_products(sums[i][2], _mm512_unpacklo_epi8(high, zero), pair);
        sums[i][3] = add_products(sums[i][3], _mm512_unpackhi_epi8(high, zero), pair);
      }
    };
    std::int32_t k = 0;
    for (; k + 2 <= rows.taps; k += 2, row += 2 * rows.pitch_bytes) {
      std::int32_t weights = 0;
      std::memcpy(&weights, rows.weights + k, sizeof weights);
      add_rows(row, row + rows.pitch_bytes, weights);
    }
    if (k < rows.taps) add_rows(row, nullptr, rows.weights[k] & 0xffff);
    const __m128i drop = _mm_cvtsi32_si128(rows.drop);
    for (int i = 0; i < kVectors; ++i) {
      for (__m512i& sum : sums[i]) sum = _mm512_sra_epi32(sum, drop);
      const __m512i low = _mm512_packs_epi32(sums[i][0], sums[i][1]);
      const __m512i high = _mm512_packs_epi32(sums[i][2], sums[i][3]);
      store_wide(_mm512_permutex2var_epi64(low, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), high), to + 64 * i);
      store_wide(_mm512_permutex2var_epi64(low, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), high), to + 64 * i + 32);
    }
  }

  // The places of the first pair of taps of each of the outputs within their window, group after group.
  template <int kOutputs>
  HANDPOSE_INLINE static __m512i pair_places(const std::int32_t* start, std::int32_t base) {
    __m512i starts;
    if (kOutputs == 8) {
      starts = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(start)));
    } else {
      starts = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(start)));
    }
    const __m512i first = _mm512_sub_epi32(starts, _mm512_set1_epi32(base));
    const __m512i both = _mm512_or_si512(first, _mm512_slli_epi32(first, 16));
    // Two words further on in each group.
    constexpr long long k0 = 0x0001000000010000, k2 = 0x0003000200030002, k4 = 0x0005000400050004,
                        k6 = 0x0007000600070006;
    return _mm512_add_epi16(both, kOutputs == 8 ? _mm512_setr_epi64(k0, k0, k0, k0, k2, k2, k2, k2)
                                                : _mm512_setr_epi64(k0, k0, k2, k2, k4, k4, k6, k6));
  }

  // Blocks of which all taps of kOutputs outputs come from a window of 64 samples, 32 / kOutputs of each at a time.
  template <int kChannels, int kOutputs>
  static void weigh_windows(std::int16_t* const* rows, const AxisTable& axis, float* const* to) {
    constexpr std::int32_t kTaps = 32 / kOutputs;
    constexpr std::size_t kWindows = kBlock / kOutputs;
    const std::int32_t steps = (axis.taps + kTaps - 1) / kTaps;
    const int shift = 6 + axis.bits;
    const __m512i half = _mm512_set1_epi32(1 << (shift - 1));
    const std::int16_t* weights = axis.grouped_weights;
    for (std::int32_t x = axis.begin; x < axis.end; x += kBlock) {
      __m512i sums[3][kWindows];
      for (std::size_t w = 0; w < kWindows; ++w, weights += 32 * steps) {
        const std::int32_t* const start = axis.start + x + kOutputs * static_cast<std::int32_t>(w);
        const std::int32_t base = start[0] < start[kOutputs - 1] ? start[0] : start[kOutputs - 1];
        __m512i places = pair_places<kOutputs>(start, base);
        __m512i low[3], high[3], sum[3];
        for (int c = 0; c < kChannels; ++c) {
          low[c] = load_wide(rows[c] + base);
          high[c] = load_wide(rows[c] + base + 32);
          sum[c] = _mm512_setzero_si512();
        }
        for (std::int32_t step = 0; step < steps; ++step) {
          const __m512i weight = load_wide(weights + 32 * step);
          for (int c = 0; c < kChannels; ++c) {
            sum[c] = add_products(sum[c], _mm512_permutex2var_epi16(low[c], places, high[c]), weight);
          }
          places = _mm512_add_epi16(places, _mm512_set1_epi16(kTaps));
        }
        for (int c = 0; c < kChannels; ++c) sums[c][w] = sum[c];
      }
      for (int c = 0; c < kChannels; ++c) {
        const __m512i sum = _mm512_add_epi32(add_parts<kOutputs>(sums[c]), half);
        const __m512i level = _mm512_sra_epi32(sum, _mm_cvtsi32_si128(shift));
        const __m512i clamped =
            _mm512_min_epi32(_mm512_max_epi32(level, _mm512_setzero_si512()), _mm512_set1_epi32(255));
        store(to_float(clamped), to[c] + x);
      }
    }
  }

  // The sums of a block from those of windows, which hold 16 / kOutputs parts of each output's sum one after the other.
  template <int kOutputs>
  HANDPOSE_INLINE static __m512i add_parts(const __m512i* windows) {
    const auto halves_of = [](__m512i a, __m512i b) {
      return _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xee));
    };
    const __m512i first = halves_of(windows[0], windows[1]);
    if (kOutputs == 8) return first;
    const __m512i second = halves_of(windows[2], windows[3]);
    return _mm512_add_epi32(_mm512_shuffle_i64x2(first, second, 0x88), _mm512_shuffle_i64x2(first, second, 0xdd));
  }
};

}  // namespace
}  // namespace handpose
