// The arithmetic of preprocess with AVX2 and F16C. Included by preprocess_LEVEL.cpp of levels that have these.
#pragma once

#include <immintrin.h>

#include "preprocess_rotated.hpp"

namespace handpose {
namespace {

inline __m256i from_lanes(__m128i low, __m128i high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

inline __m128i load16(const std::uint8_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }

// Eight bytes from each of two places.
inline __m128i load8(const std::uint8_t* low, const std::uint8_t* high) {
  const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(low));
  return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(first), reinterpret_cast<const __m64*>(high)));
}

// The bytes round eight outputs: 0, 1 | 4, 5 and 2, 3 | 6, 7, two outputs in each half register.
struct Pairs {
  __m256i a, b;
};

// Of groups of two.
HANDPOSE_INLINE Pairs load_twos(const std::uint8_t* row, const std::int32_t* at) {
  return {from_lanes(load16(row + at[0]), load16(row + at[4])), from_lanes(load16(row + at[2]), load16(row + at[6]))};
}

// Each output's own; those of every second output come behind those of the one before.
HANDPOSE_INLINE Pairs load_ones(const std::uint8_t* row, const std::int32_t* at) {
  return {from_lanes(load8(row + at[0], row + at[1]), load8(row + at[4], row + at[5])),
          from_lanes(load8(row + at[2], row + at[3]), load8(row + at[6], row + at[7]))};
}

// Byte indices for _mm256_shuffle_epi8 that widen taps to 16 bits, tap beside tap. Zero comes from indices above 127;
// adding a shift below 16 keeps them there.
constexpr char kZero = -128;
inline __m256i both_lanes(char i0, char i1, char i2, char i3) {
  return _mm256_setr_epi8(i0, kZero, i1, kZero, i0, kZero, i1, kZero, i2, kZero, i3, kZero, i2, kZero, i3, kZero,  //
                          i0, kZero, i1, kZero, i0, kZero, i1, kZero, i2, kZero, i3, kZero, i2, kZero, i3, kZero);
}

// Four times eight bytes, the lowest first.
inline __m256i bytes32(long long low0, long long low1, long long high0, long long high1) {
  return _mm256_setr_epi64x(low0, low1, high0, high1);
}

struct Avx2 {
  using Float = __m256;
  using Int = __m256i;
  using Offsets = const std::int32_t*;  // of the taps of outputs that have places of their own
  static constexpr std::int32_t kBlock = 8;
  static constexpr std::int32_t kBlocksLocated = 64 / kBlock;       // at a time, with rotation
  static constexpr std::int32_t kFetchEvery = 2, kFetchAhead = 11;  // rows, with rotation

  // Of 4 outputs at most, of 3 channels of 2.
  static constexpr std::int32_t kLoadBytes = 16;
  static constexpr int most_group(int channels) { return channels == 3 ? 2 : 4; }
  static constexpr int smaller_group(int, int group) { return group / 2; }

  static Float all(float value) { return _mm256_set1_ps(value); }
  static Float add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static Float load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(Float value, float* to) { _mm256_storeu_ps(to, value); }
  static Int load_pairs(const std::int16_t* pairs) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pairs));
  }

  static Float to_float(Int value) { return _mm256_cvtepi32_ps(value); }
  static Int all_ints(std::int32_t value) { return _mm256_set1_epi32(value); }
  static Int load_ints(const std::int32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static void store_ints(Int value, std::int32_t* to) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value); }
  static void store_offsets(Int value, std::int32_t* to) { store_ints(value, to); }
  static Offsets load_offsets(const std::int32_t* from) { return from; }
  static Int clamp_ints(Int value, std::int32_t most) {
    return _mm256_min_epi32(_mm256_max_epi32(value, _mm256_setzero_si256()), _mm256_set1_epi32(most));
  }
  static Int add_ints(Int a, Int b) { return _mm256_add_epi32(a, b); }

  // To grey levels from 0 to 255. Numbers that are not negative have the order of their bits, and those that are become
  // zero; integers keep the floating-point units free.
  static Float clamp_levels(Float value) {
    const Int bits = _mm256_max_epi32(_mm256_castps_si256(value), _mm256_setzero_si256());
    return _mm256_castsi256_ps(_mm256_min_epi32(bits, _mm256_castps_si256(all(255.0f))));
  }

  // Words, two to a pair.
  static Int all_words(std::int16_t word) { return _mm256_set1_epi16(word); }
  static Int scale_pairs(Int pairs, Int share) { return _mm256_mulhrs_epi16(pairs, share); }
  static Int subtract_pairs(Int a, Int b) { return _mm256_sub_epi16(a, b); }

  // From positions, whose fractions are the lower words and whose samples the upper ones: the weights across, the
  // shares of the second row, the offsets.
  static Int second_weights(Int across) {
    const Int second = _mm256_and_si256(_mm256_slli_epi32(across, 16 - kDropAcross), _mm256_set1_epi32(0x3fff << 16));
    return _mm256_or_si256(second, _mm256_sub_epi32(_mm256_set1_epi32(1 << 14), _mm256_srli_epi32(second, 16)));
  }
  static Int second_shares(Int down) {
    const Int twice = _mm256_shuffle_epi8(
        down, bytes32(0x0504050401000100, 0x0d0c0d0c09080908, 0x0504050401000100, 0x0d0c0d0c09080908));
    return _mm256_srli_epi16(twice, kDropDown);
  }
  template <int kChannels>
  static Int offsets(Int across, Int down, std::int32_t pitch) {
    const Int column = _mm256_srli_epi32(across, kPositionBits), row = _mm256_srli_epi32(down, kPositionBits);
    const Int bytes = kChannels == 1   ? column
                      : kChannels == 2 ? _mm256_add_epi32(column, column)
                                       : _mm256_add_epi32(column, _mm256_add_epi32(column, column));
    return _mm256_add_epi32(_mm256_mullo_epi32(row, _mm256_set1_epi32(pitch)), bytes);
  }

  static void store_float(Float value, unsigned char* to) { _mm256_storeu_ps(reinterpret_cast<float*>(to), value); }

  static void store_half(Float value, unsigned char* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }

  static void store_byte(Float value, unsigned char* to) {
    const __m256i whole = to_bytes_range(value);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
  }

  // The same for eight values of each of three channels, pixel by pixel.
  static void store_float_pixels(const Float* v, unsigned char* to) {
    const Interleaved values = interleave(v);
    for (int k = 0; k < 3; ++k) store_float(values.v[k], to + 32 * k);
  }

  static void store_half_pixels(const Float* v, unsigned char* to) {
    const Interleaved values = interleave(v);
    for (int k = 0; k < 3; ++k) store_half(values.v[k], to + 16 * k);
  }

  static void store_byte_pixels(const Float* v, unsigned char* to) {
    const __m256i two = _mm256_packs_epi32(to_bytes_range(v[0]), to_bytes_range(v[1]));
    const __m256i third = to_bytes_range(v[2]);
    const __m256i planar =
        _mm256_packus_epi16(two, _mm256_packs_epi32(third, third));  // in each lane 4 of each channel
    const __m256i pixels = _mm256_shuffle_epi8(
        planar, bytes32(0x0602090501080400, 0x000000000b07030a, 0x0602090501080400, 0x000000000b07030a));
    const __m256i packed = _mm256_permutevar8x32_epi32(pixels, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 16), _mm256_extracti128_si256(packed, 1));
  }

  // Byte indices of a block for Pairs: two for the first two channels (of a, of b), two for the last channel.
  struct Shuffles {
    __m256i two[2], last[2];
  };

  template <int kChannels>
  HANDPOSE_INLINE static Shuffles make_shuffles(long long shifts) {
    // For each pair 4 times the shift of its first output, 4 times that of its second, and again.
    const __m256i a = _mm256_shuffle_epi8(_mm256_set1_epi64x(shifts), bytes32(0x0101010100000000, 0x0101010100000000,
                                                                              0x0505050504040404, 0x0505050504040404));
    const __m256i b = _mm256_shuffle_epi8(_mm256_set1_epi64x(shifts), bytes32(0x0303030302020202, 0x0303030302020202,
                                                                              0x0707070706060606, 0x0707070706060606));
    constexpr char kFirst = kChannels - 1, kSecond = 2 * kChannels - 1;
    const __m256i two = both_lanes(0, kChannels, 1, kChannels + 1);
    return {{_mm256_add_epi8(two, a), _mm256_add_epi8(two, b)},
            {_mm256_add_epi8(both_lanes(kFirst, kSecond, kZero, kZero), a),
             _mm256_add_epi8(both_lanes(kZero, kZero, kFirst, kSecond), b)}};
  }

  static void fill_shuffles(const std::uint8_t* shifts, int channels, int group, unsigned char* to) {
    if (group == 4) return fill_quad_shuffles(shifts, channels, to);
    long long eight = 0;
    std::memcpy(&eight, shifts, sizeof eight);
    const Shuffles made = channels == 1   ? make_shuffles<1>(eight)
                          : channels == 2 ? make_shuffles<2>(eight)
                                          : make_shuffles<3>(eight);
    const __m256i parts[] = {made.two[0], made.two[1], made.last[0], made.last[1]};
    for (int i = 0; i < 4; ++i) _mm256_store_si256(reinterpret_cast<__m256i*>(to) + i, parts[i]);
  }

  // Both taps of outputs 0 to 3 and 4 to 7 as words, a vector of 32 bytes for each channel.
  static void fill_quad_shuffles(const std::uint8_t* shifts, int channels, unsigned char* to) {
    for (int c = 0; c < channels; ++c) {
      for (int i = 0; i < kBlock; ++i, to += 4) {
        to[0] = static_cast<unsigned char>(shifts[i] + c);
        to[2] = static_cast<unsigned char>(shifts[i] + c + channels);
        to[1] = to[3] = static_cast<unsigned char>(kZero);
      }
    }
  }

  HANDPOSE_INLINE static Shuffles load_shuffles(const unsigned char* from) {
    const auto* const parts = reinterpret_cast<const __m256i*>(from);
    return {{_mm256_load_si256(parts), _mm256_load_si256(parts + 1)},
            {_mm256_load_si256(parts + 2), _mm256_load_si256(parts + 3)}};
  }

  // The bilinear samples of a block: channel c of the plane to components[c].
  template <int kChannels, int kGroup>
  HANDPOSE_INLINE static void sample(const BlockTaps& taps, const BlockWeights<Avx2>& w, Int* components) {
    if (kGroup == 4) return sample_quads<kChannels>(taps, w, components);
    sample_pairs<kChannels>(load_twos(taps.row0, taps.offsets), load_twos(taps.row1, taps.offsets),
                            load_shuffles(taps.shuffles), w, components);
  }

  // The same, each output with a place of its own.
  template <int kChannels>
  HANDPOSE_INLINE static void sample_apart(const std::uint8_t* row0, const std::uint8_t* row1, Offsets at,
                                           const BlockWeights<Avx2>& w, Int* components) {
    sample_pairs<kChannels>(load_ones(row0, at), load_ones(row1, at), make_shuffles<kChannels>(0x0800080008000800), w,
                            components);
  }

 private:
  template <int kChannels>
  HANDPOSE_INLINE static void sample_pairs(const Pairs& row0, const Pairs& row1, const Shuffles& shuffles,
                                           const BlockWeights<Avx2>& w, Int* components) {
    if (kChannels > 1) {
      // Outputs 0 1 0 1 | 4 5 4 5 and 2 3 2 3 | 6 7 6 7, channel 0 in the lower half of a lane and channel 1 above.
      const Int a = blend_rows(_mm256_shuffle_epi8(row0.a, shuffles.two[0]),
                               _mm256_shuffle_epi8(row1.a, shuffles.two[0]), quarters<0x44>(w));
      const Int b = blend_rows(_mm256_shuffle_epi8(row0.b, shuffles.two[1]),
                               _mm256_shuffle_epi8(row1.b, shuffles.two[1]), quarters<0xee>(w));
      components[0] = _mm256_unpacklo_epi64(a, b);
      components[1] = _mm256_unpackhi_epi64(a, b);
      if (kChannels == 2) return;
    }
    // The last channel: the four outputs of `a` in the lower halves of the lanes, those of `b` in the upper ones.
    components[kChannels - 1] = blend_rows(
        _mm256_or_si256(_mm256_shuffle_epi8(row0.a, shuffles.last[0]), _mm256_shuffle_epi8(row0.b, shuffles.last[1])),
        _mm256_or_si256(_mm256_shuffle_epi8(row1.a, shuffles.last[0]), _mm256_shuffle_epi8(row1.b, shuffles.last[1])),
        w);
  }

  template <int kChannels>
  HANDPOSE_INLINE static void sample_quads(const BlockTaps& taps, const BlockWeights<Avx2>& w, Int* components) {
    const std::int32_t* at = taps.offsets;
    const Int row0 = from_lanes(load16(taps.row0 + at[0]), load16(taps.row0 + at[4]));
    const Int row1 = from_lanes(load16(taps.row1 + at[0]), load16(taps.row1 + at[4]));
    for (int c = 0; c < kChannels; ++c) {
      const Int shuffle = _mm256_load_si256(reinterpret_cast<const __m256i*>(taps.shuffles) + c);
      components[c] = blend_rows(_mm256_shuffle_epi8(row0, shuffle), _mm256_shuffle_epi8(row1, shuffle), w);
    }
  }

  // Whole numbers that packing with saturation brings to 0..255: what is too low already converts to a negative one.
  HANDPOSE_INLINE static __m256i to_bytes_range(Float value) {
    return _mm256_cvtps_epi32(_mm256_min_ps(value, all(255.0f)));
  }

  // Three times eight values, one channel each -> the same values pixel by pixel.
  struct Interleaved {
    Float v[3];
  };

  HANDPOSE_INLINE static Interleaved interleave(const Float* v) {
    // Lane by lane r0 g0 b0 r1 | g1 b1 r2 g2 | b2 r3 g3 b3, then lanes in order.
    const __m256 rg = _mm256_shuffle_ps(v[0], v[1], 0x88);  // r0 r2 g0 g2
    const __m256 gb = _mm256_shuffle_ps(v[1], v[2], 0xdd);  // g1 g3 b1 b3
    const __m256 br = _mm256_shuffle_ps(v[2], v[0], 0xd8);  // b0 b2 r1 r3
    const __m256 p = _mm256_shuffle_ps(rg, br, 0x88);       // r0 g0 b0 r1
    const __m256 q = _mm256_shuffle_ps(gb, rg, 0xd8);       // g1 b1 r2 g2
    const __m256 s = _mm256_shuffle_ps(br, gb, 0xdd);       // b2 r3 g3 b3
    return {
        {_mm256_permute2f128_ps(p, q, 0x20), _mm256_permute2f128_ps(s, p, 0x30), _mm256_permute2f128_ps(q, s, 0x31)}};
  }

  // The weights of outputs 0 1 0 1 | 4 5 4 5, or 2 3 2 3 | 6 7 6 7.
  template <int kOrder>
  HANDPOSE_INLINE static BlockWeights<Avx2> quarters(const BlockWeights<Avx2>& w) {
    return {_mm256_shuffle_epi32(w.above, kOrder), _mm256_shuffle_epi32(w.below, kOrder)};
  }

  HANDPOSE_INLINE static Int blend_rows(Int row0, Int row1, const BlockWeights<Avx2>& w) {
    return _mm256_add_epi32(_mm256_madd_epi16(row0, w.above), _mm256_madd_epi16(row1, w.below));
  }
};

}  // namespace
}  // namespace handpose
