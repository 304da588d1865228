// The rows of preprocess with NEON.
#include <arm_neon.h>

#include <type_traits>

#include "neon_words.hpp"
#include "preprocess_neon_taps.hpp"
#include "preprocess_rotated.hpp"

namespace handpose {
namespace neon {
namespace {

struct Neon {
  // Outputs 0 to 3 and 4 to 7.
  using Float = float32x4x2_t;
  using Int = int32x4x2_t;
  static constexpr std::int32_t kBlock = 8;

  // Of 8 outputs or 4, of 3 channels of 4.
  static constexpr std::int32_t kLoadBytes = 64;
  static constexpr int most_group(int channels) { return channels == 3 ? 4 : 8; }
  static constexpr int least_group(int) { return 4; }

  HANDPOSE_INLINE static Float all(float value) { return {{vdupq_n_f32(value), vdupq_n_f32(value)}}; }
  HANDPOSE_INLINE static Float add(Float a, Float b) {
    return {{vaddq_f32(a.val[0], b.val[0]), vaddq_f32(a.val[1], b.val[1])}};
  }
  HANDPOSE_INLINE static Float subtract(Float a, Float b) {
    return {{vsubq_f32(a.val[0], b.val[0]), vsubq_f32(a.val[1], b.val[1])}};
  }
  HANDPOSE_INLINE static Float multiply(Float a, Float b) {
    return {{vmulq_f32(a.val[0], b.val[0]), vmulq_f32(a.val[1], b.val[1])}};
  }
  // Of numbers; a zero may get the other sign.
  HANDPOSE_INLINE static Float clamp(Float v, Float low, Float high) {
    return {{vminq_f32(vmaxq_f32(v.val[0], low.val[0]), high.val[0]),
             vminq_f32(vmaxq_f32(v.val[1], low.val[1]), high.val[1])}};
  }
  HANDPOSE_INLINE static Float load(const float* from) { return {{vld1q_f32(from), vld1q_f32(from + 4)}}; }
  HANDPOSE_INLINE static void store(Float v, float* to) {
    vst1q_f32(to, v.val[0]);
    vst1q_f32(to + 4, v.val[1]);
  }
  // The weights of the first taps of outputs 0 to 7, then those of the second taps of 4 to 7 and 0 to 3; see
  // sample_eight.
  HANDPOSE_INLINE static Int load_pairs(const std::int16_t* pairs) {
    const int16x8x2_t taps = vld2q_s16(pairs);
    return {{vreinterpretq_s32_s16(taps.val[0]), vreinterpretq_s32_s16(swap_halves(taps.val[1]))}};
  }

  HANDPOSE_INLINE static Float numbers() {
    const float32x4_t first = {0.0f, 1.0f, 2.0f, 3.0f};
    return {{first, vaddq_f32(first, vdupq_n_f32(4.0f))}};
  }
  HANDPOSE_INLINE static Int truncate(Float v) { return {{vcvtq_s32_f32(v.val[0]), vcvtq_s32_f32(v.val[1])}}; }
  HANDPOSE_INLINE static Int round(Float v) { return {{vcvtnq_s32_f32(v.val[0]), vcvtnq_s32_f32(v.val[1])}}; }
  HANDPOSE_INLINE static Float to_float(Int v) { return {{vcvtq_f32_s32(v.val[0]), vcvtq_f32_s32(v.val[1])}}; }
  HANDPOSE_INLINE static Int at_most(Int v, std::int32_t most) {
    return {{vminq_s32(v.val[0], vdupq_n_s32(most)), vminq_s32(v.val[1], vdupq_n_s32(most))}};
  }

  // To grey levels from 0 to 255. Numbers that are not negative have the order of their bits, and those that are become
  // zero.
  HANDPOSE_INLINE static Float clamp_levels(Float v) {
    return {{clamp_four_levels(v.val[0]), clamp_four_levels(v.val[1])}};
  }

  // Words in the order of load_pairs.
  HANDPOSE_INLINE static Int all_words(std::int16_t word) {
    const int32x4_t words = vreinterpretq_s32_s16(vdupq_n_s16(word));
    return {{words, words}};
  }
  HANDPOSE_INLINE static Int double_words(Int low) {
    const int16x8_t words = lower_words(low.val[0], low.val[1]);
    return {{vreinterpretq_s32_s16(words), vreinterpretq_s32_s16(swap_halves(words))}};
  }
  HANDPOSE_INLINE static Int scale_pairs(Int pairs, Int share) {
    return {{scale_four(pairs.val[0], share.val[0]), scale_four(pairs.val[1], share.val[1])}};
  }
  HANDPOSE_INLINE static Int subtract_pairs(Int a, Int b) {
    return {{subtract_four(a.val[0], b.val[0]), subtract_four(a.val[1], b.val[1])}};
  }

  // The weights of the second taps, 0..2^14 -> of both, as BlockWeights has them.
  HANDPOSE_INLINE static Int weight_pairs(Int second) {
    const int16x8_t seconds = lower_words(second.val[1], second.val[0]);
    const int16x8_t firsts = vsubq_s16(vdupq_n_s16(1 << 14), swap_halves(seconds));
    return {{vreinterpretq_s32_s16(firsts), vreinterpretq_s32_s16(seconds)}};
  }

  template <int kChannels>
  HANDPOSE_INLINE static Int offsets(Int row, std::int32_t pitch, Int column) {
    return {{vmlaq_n_s32(vmulq_n_s32(column.val[0], kChannels), row.val[0], pitch),
             vmlaq_n_s32(vmulq_n_s32(column.val[1], kChannels), row.val[1], pitch)}};
  }

  // Whether no offset is above `last`.
  HANDPOSE_INLINE static bool store_offsets(Int offsets, std::int32_t last, std::int32_t* to) {
    vst1q_s32(to, offsets.val[0]);
    vst1q_s32(to + 4, offsets.val[1]);
    return vmaxvq_s32(vmaxq_s32(offsets.val[0], offsets.val[1])) <= last;
  }

  HANDPOSE_INLINE static void store_float(Float v, unsigned char* to) {
    vst1q_u8(to, vreinterpretq_u8_f32(v.val[0]));
    vst1q_u8(to + 16, vreinterpretq_u8_f32(v.val[1]));
  }
  HANDPOSE_INLINE static void store_half(Float v, unsigned char* to) { vst1q_u8(to, vreinterpretq_u8_u16(halves(v))); }
  HANDPOSE_INLINE static void store_byte(Float v, unsigned char* to) { vst1_u8(to, bytes(v)); }

  // The same for eight values of each of three channels, pixel by pixel.
  HANDPOSE_INLINE static void store_float_pixels(const Float* v, unsigned char* to) {
    for (int half = 0; half < 2; ++half) {
      const float32x4x3_t pixels = {{v[0].val[half], v[1].val[half], v[2].val[half]}};
      vst3q_f32(reinterpret_cast<float*>(to) + 12 * half, pixels);
    }
  }
  HANDPOSE_INLINE static void store_half_pixels(const Float* v, unsigned char* to) {
    const uint16x8x3_t pixels = {{halves(v[0]), halves(v[1]), halves(v[2])}};
    vst3q_u16(reinterpret_cast<std::uint16_t*>(to), pixels);
  }
  HANDPOSE_INLINE static void store_byte_pixels(const Float* v, unsigned char* to) {
    const uint8x8x3_t pixels = {{bytes(v[0]), bytes(v[1]), bytes(v[2])}};
    vst3_u8(to, pixels);
  }

  // Places in a window of the taps of every channel, as words, in the order of the weights: a group of eight has the
  // first taps of all outputs, then the second ones of outputs 4 to 7 and 0 to 3, each in a vector; of groups of four
  // the first one has both in a vector, first taps first, the second one second taps first.
  static void fill_shuffles(const std::uint8_t* shifts, int channels, int group, unsigned char* to) {
    constexpr std::uint8_t kZero = 0xff;  // no place in a window
    for (int vector = 0; vector < 2; ++vector) {
      for (int c = 0; c < channels; ++c) {
        for (int i = 0; i < 8; ++i, to += 2) {
          const int output = group == 8 ? (i + 4 * vector) % 8 : i % 4 + 4 * vector;
          const bool second = group == 8 ? vector == 1 : (i < 4) == (vector == 1);
          to[0] = static_cast<unsigned char>(shifts[output] + c + (second ? channels : 0));
          to[1] = kZero;
        }
      }
    }
  }

  // The bilinear samples of a block: channel c of the plane to components[c].
  template <int kChannels, int kGroup>
  HANDPOSE_INLINE static void sample(const BlockTaps& taps, const BlockWeights<Neon>& w, Int* components) {
    if (kGroup == 8) return sample_eight<kChannels>(taps, w, components);
    sample_four<kChannels, 0>(taps, w, components);
    sample_four<kChannels, 1>(taps, w, components);
  }

  // The same, each output with a place of its own.
  template <int kChannels>
  HANDPOSE_INLINE static void sample_apart(const std::uint8_t* row0, const std::uint8_t* row1, const std::int32_t* at,
                                           const BlockWeights<Neon>& w, Int* components) {
    sample_four_apart<kChannels, 0>(row0, row1, at, w, components);
    sample_four_apart<kChannels, 1>(row0, row1, at, w, components);
  }

 private:
  HANDPOSE_INLINE static uint16x8_t words_of(int32x4_t a) { return vreinterpretq_u16_s32(a); }

  template <int kChannels>
  HANDPOSE_INLINE static void sample_eight(const BlockTaps& taps, const BlockWeights<Neon>& w, Int* components) {
    const Window row0 = load_window(taps.row0 + taps.offsets[0]), row1 = load_window(taps.row1 + taps.offsets[0]);
    for (int c = 0; c < kChannels; ++c) {
      const uint8x16_t first = vld1q_u8(taps.shuffles + 16 * c),
                       second = vld1q_u8(taps.shuffles + 16 * (kChannels + c));
      const uint16x8_t first_above = look_up(row0, first), first_below = look_up(row1, first);
      const uint16x8_t second_above = look_up(row0, second), second_below = look_up(row1, second);
      uint32x4_t low = multiply_half<0>(first_above, words_of(w.above.val[0]));
      uint32x4_t high = multiply_half<1>(first_above, words_of(w.above.val[0]));
      low = add_half<0>(low, first_below, words_of(w.below.val[0]));
      high = add_half<1>(high, first_below, words_of(w.below.val[0]));
      low = add_half<1>(low, second_above, words_of(w.above.val[1]));
      high = add_half<0>(high, second_above, words_of(w.above.val[1]));
      low = add_half<1>(low, second_below, words_of(w.below.val[1]));
      high = add_half<0>(high, second_below, words_of(w.below.val[1]));
      components[c] = {{vreinterpretq_s32_u32(low), vreinterpretq_s32_u32(high)}};
    }
  }

  // Outputs 0 to 3, or 4 to 7.
  template <int kChannels, int kHalf>
  HANDPOSE_INLINE static void sample_four(const BlockTaps& taps, const BlockWeights<Neon>& w, Int* components) {
    const std::int32_t at = taps.offsets[4 * kHalf];
    const Window row0 = load_window(taps.row0 + at), row1 = load_window(taps.row1 + at);
    for (int c = 0; c < kChannels; ++c) {
      const uint8x16_t places = vld1q_u8(taps.shuffles + 16 * (kChannels * kHalf + c));
      const uint16x8_t above = look_up(row0, places), below = look_up(row1, places);
      uint32x4_t sum = multiply_half<0>(above, words_of(w.above.val[kHalf]));
      sum = add_half<1>(sum, above, words_of(w.above.val[1 - kHalf]));
      sum = add_half<0>(sum, below, words_of(w.below.val[kHalf]));
      sum = add_half<1>(sum, below, words_of(w.below.val[1 - kHalf]));
      components[c].val[kHalf] = vreinterpretq_s32_u32(sum);
    }
  }

  // The same; channel c has bytes c and kChannels + c at each place.
  template <int kChannels, int kHalf>
  HANDPOSE_INLINE static void sample_four_apart(const std::uint8_t* row0, const std::uint8_t* row1,
                                                const std::int32_t* at, const BlockWeights<Neon>& w, Int* components) {
    const Bytes above = load_bytes(row0, at + 4 * kHalf), below = load_bytes(row1, at + 4 * kHalf);
    const uint16x8_t first_above = four_twice<kHalf>(w.above.val[0]),
                     second_above = four_twice<1 - kHalf>(w.above.val[1]);
    const uint16x8_t first_below = four_twice<kHalf>(w.below.val[0]),
                     second_below = four_twice<1 - kHalf>(w.below.val[1]);
    const auto blend = [&](auto channel) {
      constexpr int kFirst = decltype(channel)::value, kSecond = kFirst + kChannels;
      uint32x4_t sum = multiply_half<kFirst % 2>(above.two[kFirst / 2], first_above);
      sum = add_half<kSecond % 2>(sum, above.two[kSecond / 2], second_above);
      sum = add_half<kFirst % 2>(sum, below.two[kFirst / 2], first_below);
      sum = add_half<kSecond % 2>(sum, below.two[kSecond / 2], second_below);
      components[kFirst].val[kHalf] = vreinterpretq_s32_u32(sum);
    };
    blend(std::integral_constant<int, 0>{});
    if constexpr (kChannels > 1) blend(std::integral_constant<int, 1>{});
    if constexpr (kChannels > 2) blend(std::integral_constant<int, 2>{});
  }

  template <int kHalf>
  HANDPOSE_INLINE static uint16x8_t four_twice(int32x4_t eight) {
    return vreinterpretq_u16_u64(vdupq_laneq_u64(vreinterpretq_u64_s32(eight), kHalf));
  }

  // Bytes 0 and 1, 2 and 3, 4 and 5 at each of four places, as words: the first bytes in the lower half of a vector.
  struct Bytes {
    uint16x8_t two[3];
  };

  HANDPOSE_INLINE static Bytes load_bytes(const std::uint8_t* row, const std::int32_t* at) {
    const uint8x16_t even = interleave(vld1_u8(row + at[0]), vld1_u8(row + at[2]));
    const uint8x16_t odd = interleave(vld1_u8(row + at[1]), vld1_u8(row + at[3]));
    const uint8x16_t first = vzip1q_u8(even, odd), last = vzip2q_u8(even, odd), zero = vdupq_n_u8(0);
    return {{vreinterpretq_u16_u8(vzip1q_u8(first, zero)), vreinterpretq_u16_u8(vzip2q_u8(first, zero)),
             vreinterpretq_u16_u8(vzip1q_u8(last, zero))}};
  }

  HANDPOSE_INLINE static int16x8_t swap_halves(int16x8_t v) { return vextq_s16(v, v, 4); }
  HANDPOSE_INLINE static int16x8_t lower_words(int32x4_t a, int32x4_t b) {
    return vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
  }

  HANDPOSE_INLINE static float32x4_t clamp_four_levels(float32x4_t v) {
    const int32x4_t bits = vmaxq_s32(vreinterpretq_s32_f32(v), vdupq_n_s32(0));
    return vreinterpretq_f32_s32(vminq_s32(bits, vreinterpretq_s32_f32(vdupq_n_f32(255.0f))));
  }

  HANDPOSE_INLINE static int32x4_t scale_four(int32x4_t pairs, int32x4_t share) {
    return vreinterpretq_s32_s16(vqrdmulhq_s16(vreinterpretq_s16_s32(pairs), vreinterpretq_s16_s32(share)));
  }
  HANDPOSE_INLINE static int32x4_t subtract_four(int32x4_t a, int32x4_t b) {
    return vreinterpretq_s32_s16(vsubq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)));
  }

  HANDPOSE_INLINE static uint16x8_t halves(Float v) {
    return vcombine_u16(vreinterpret_u16_f16(vcvt_f16_f32(v.val[0])), vreinterpret_u16_f16(vcvt_f16_f32(v.val[1])));
  }

  // Every step saturates.
  HANDPOSE_INLINE static uint8x8_t bytes(Float v) {
    return vqmovn_u16(vcombine_u16(vqmovn_u32(vcvtnq_u32_f32(v.val[0])), vqmovn_u32(vcvtnq_u32_f32(v.val[1]))));
  }
};

struct NeonTaps : Neon, NeonSums {};

}  // namespace

void prepare_linear(PreprocessPlan* plan) { prepare_linear_of<Neon>(plan); }

void prepare_taps(PreprocessPlan* plan) { prepare_taps_of<NeonTaps>(plan); }

void linear_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  linear_rows_of<Neon>(plan, begin, end);
}

void taps_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  taps_rows_of<NeonTaps>(plan, begin, end);
}

void rotated_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  rotated_rows_of<Neon>(plan, begin, end);
}

}  // namespace neon
}  // namespace handpose
