// The sums over rows and columns of preprocess with AVX2, beside its other arithmetic. Included by
// preprocess_LEVEL.cpp.
#pragma once

#include "preprocess_avx2.hpp"
#include "preprocess_taps.hpp"

namespace handpose {
namespace {

struct Avx2Taps : Avx2 {
  // Sums over rows, two rows at a time: `count` columns to `to`.
  static void reduce_rows(const WeightedRows& rows, std::int32_t count, std::int16_t* to) {
    constexpr std::int32_t kColumns = 32;
    std::int32_t at = 0;
    if (count < kColumns) {
      for (; at < count; ++at) to[at] = reduce_column(rows, at);
      return;
    }
    reduce_columns(rows, 0, to);
    for (at = columns_to_alignment(rows, kColumns); at < count; at += kColumns) {
      if (at > count - kColumns) at = count - kColumns;  // again some of the columns before
      reduce_columns(rows, at, to + at);
    }
  }

  // Channels apart: `count` samples to each row of `to`.
  template <int kChannels>
  static void split(const std::int16_t* from, std::int32_t count, std::int16_t* const* to) {
    std::int32_t at = 0;
    for (; at + 16 <= count; at += 16) {
      __m256i parts[3];
      if (kChannels == 2) {
        split_pairs(from + at * kChannels, parts);
      } else {
        split_triples(from + at * kChannels, parts);
      }
      for (int c = 0; c < kChannels; ++c) store_words(parts[c], to[c] + at);
    }
    for (; at < count; ++at) {
      for (int c = 0; c < kChannels; ++c) to[c][at] = from[at * kChannels + c];
    }
  }

  static void fill_weights(AxisTable*) {}

  // Weighted sums of the samples of rows, clamped to whole grey levels; writes whole blocks.
  template <int kChannels>
  static void weigh_rows(std::int16_t* const* rows, const AxisTable& axis, float* const* to) {
    for (int c = 0; c < kChannels; ++c) weigh_row(rows[c], axis, to[c]);
  }

 private:
  static void weigh_row(const std::int16_t* row, const AxisTable& axis, float* to) {
    if (axis.stride == 8) return weigh_blocks<0>(row, axis, to);
    if (axis.stride == 16) return weigh_blocks<1>(row, axis, to);
    if (axis.stride == 32) return weigh_blocks<2>(row, axis, to);
    weigh_blocks<-1>(row, axis, to);
  }

  static __m256i load_words(const std::int16_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static void store_words(__m256i words, std::int16_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), words);
  }
  static __m256i load_bytes(const std::uint8_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }

  // The weighted sum of 32 columns. Unpacking and packing within lanes undo each other.
  HANDPOSE_INLINE static void reduce_columns(const WeightedRows& rows, std::int32_t column, std::int16_t* to) {
    const __m256i zero = _mm256_setzero_si256();
    const std::uint8_t* row = rows.first + column;
    __m256i sums[4];
    for (__m256i& sum : sums) sum = _mm256_set1_epi32(1 << (rows.drop - 1));
    const auto add_rows = [&](__m256i first, __m256i second, std::int32_t weights) {
      const __m256i pair = _mm256_set1_epi32(weights);
      const __m256i low = _mm256_unpacklo_epi8(first, second), high = _mm256_unpackhi_epi8(first, second);
      sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), pair));
      sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), pair));
      sums[2] = _mm256_add_epi32(sums[2], _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), pair));
      sums[3] = _mm256_add_epi32(sums[3], _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), pair));
    };
    std::int32_t k = 0;
    for (; k + 2 <= rows.taps; k += 2, row += 2 * rows.pitch_bytes) {
      std::int32_t weights = 0;
      std::memcpy(&weights, rows.weights + k, sizeof weights);
      add_rows(load_bytes(row), load_bytes(row + rows.pitch_bytes), weights);
    }
    if (k < rows.taps) add_rows(load_bytes(row), zero, rows.weights[k] & 0xffff);
    const __m128i drop = _mm_cvtsi32_si128(rows.drop);
    for (__m256i& sum : sums) sum = _mm256_sra_epi32(sum, drop);
    const __m256i low = _mm256_packs_epi32(sums[0], sums[1]), high = _mm256_packs_epi32(sums[2], sums[3]);
    store_words(_mm256_permute2x128_si256(low, high, 0x20), to);
    store_words(_mm256_permute2x128_si256(low, high, 0x31), to + 16);
  }

  // Sixteen samples of three channels: samples 0..7 in the lower lanes, 8..15 in the upper ones.
  HANDPOSE_INLINE static void split_triples(const std::int16_t* from, __m256i* to) {
    const auto half = [&](int word) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + word)); };
    const __m256i x = from_lanes(half(0), half(24));   // a0 b0 c0 a1 b1 c1 a2 b2
    const __m256i y = from_lanes(half(8), half(32));   // c2 a3 b3 c3 a4 b4 c4 a5
    const __m256i z = from_lanes(half(16), half(40));  // b5 c5 a6 b6 c6 a7 b7 c7
    const __m256i a = _mm256_blend_epi16(_mm256_blend_epi16(x, y, 0x92), z, 0x24);
    const __m256i b = _mm256_blend_epi16(_mm256_blend_epi16(x, y, 0x24), z, 0x49);
    const __m256i c = _mm256_blend_epi16(_mm256_blend_epi16(x, y, 0x49), z, 0x92);
    // Sample i of channel c is word (3 i + c) % 8 of its register.
    to[0] =
        _mm256_shuffle_epi8(a, bytes32(0x03020d0c07060100, 0x0b0a05040f0e0908, 0x03020d0c07060100, 0x0b0a05040f0e0908));
    to[1] =
        _mm256_shuffle_epi8(b, bytes32(0x05040f0e09080302, 0x0d0c070601000b0a, 0x05040f0e09080302, 0x0d0c070601000b0a));
    to[2] =
        _mm256_shuffle_epi8(c, bytes32(0x070601000b0a0504, 0x0f0e090803020d0c, 0x070601000b0a0504, 0x0f0e090803020d0c));
  }

  // The same of two channels.
  HANDPOSE_INLINE static void split_pairs(const std::int16_t* from, __m256i* to) {
    const __m256i apart = bytes32(0x0d0c090805040100, 0x0f0e0b0a07060302, 0x0d0c090805040100, 0x0f0e0b0a07060302);
    const __m256i x = _mm256_shuffle_epi8(load_words(from), apart);
    const __m256i y = _mm256_shuffle_epi8(load_words(from + 16), apart);
    to[0] = _mm256_permute4x64_epi64(_mm256_unpacklo_epi64(x, y), 0xd8);
    to[1] = _mm256_permute4x64_epi64(_mm256_unpackhi_epi64(x, y), 0xd8);
  }

  // Partial sums of weighted samples; kVectors times sixteen of them, or as many as there are.
  template <int kVectors>
  HANDPOSE_INLINE static __m256i weigh(const std::int16_t* samples, const std::int16_t* weights, std::int32_t taps) {
    __m256i sum = _mm256_madd_epi16(load_words(samples), load_words(weights));
    for (std::int32_t k = 16; k < (kVectors < 0 ? taps : 16 * kVectors); k += 16) {
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(load_words(samples + k), load_words(weights + k)));
    }
    return sum;
  }

  HANDPOSE_INLINE static __m128i weigh_eight(const std::int16_t* samples, const std::int16_t* weights) {
    return _mm_madd_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(samples)),
                          _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights)));
  }

  // Four sums of eight weighted samples each.
  HANDPOSE_INLINE static __m128i weigh_four(const std::int16_t* row, const std::int32_t* start,
                                            const std::int16_t* weights) {
    const __m128i a = weigh_eight(row + start[0], weights), b = weigh_eight(row + start[1], weights + 8);
    const __m128i c = weigh_eight(row + start[2], weights + 16), d = weigh_eight(row + start[3], weights + 24);
    const __m128i ab = _mm_add_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
    const __m128i cd = _mm_add_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
    return _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
  }

  // Eight sums; kVectors is 0 for eight taps.
  template <int kVectors>
  HANDPOSE_INLINE static __m256i weigh_block(const std::int16_t* row, const std::int32_t* start,
                                             const std::int16_t* weights, std::int32_t taps) {
    if (kVectors == 0) return from_lanes(weigh_four(row, start, weights), weigh_four(row, start + 4, weights + 32));
    // Lane by lane; unpacking and adding costs less than _mm256_hadd_epi32.
    const auto two = [&](int i) {
      const __m256i a = weigh<kVectors>(row + start[i], weights + i * taps, taps);
      const __m256i b = weigh<kVectors>(row + start[i + 1], weights + (i + 1) * taps, taps);
      return _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    };
    const auto four = [&](int i) {
      const __m256i ab = two(i), cd = two(i + 2);
      return _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    };
    const __m256i low = four(0), high = four(4);
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
  }

  template <int kVectors>
  HANDPOSE_NOINLINE static void weigh_blocks(const std::int16_t* row, const AxisTable& axis, float* to) {
    const std::int32_t taps = axis.stride, last = axis.end;
    const std::int32_t* const start = axis.start;
    const std::int16_t* const all_weights = axis.weights;
    const int shift = 6 + axis.bits;
    const __m256i half = _mm256_set1_epi32(1 << (shift - 1));
    for (std::int32_t x = axis.begin; x < last; x += kBlock) {
      const std::int16_t* const weights = all_weights + static_cast<std::ptrdiff_t>(x) * taps;
      const __m256i sum = _mm256_add_epi32(weigh_block<kVectors>(row, start + x, weights, taps), half);
      const __m256i level = _mm256_sra_epi32(sum, _mm_cvtsi32_si128(shift));
      const __m256i clamped = _mm256_min_epi32(_mm256_max_epi32(level, _mm256_setzero_si256()), _mm256_set1_epi32(255));
      _mm256_storeu_ps(to + x, _mm256_cvtepi32_ps(clamped));
    }
  }
};

}  // namespace
}  // namespace handpose
