// The rows of preprocess with NEON.
#include <arm_neon.h>

#include "neon_words.hpp"
#include "preprocess_neon_taps.hpp"
#include "preprocess_rotated.hpp"

namespace handpose {
namespace neon {
namespace {

struct Neon {
  // Outputs 0 to 3 and 4 to 7.
  struct Float {
    float32x4_t low, high;
  };
  struct Int {
    template <int kHalf>
    int32x4_t at() const {
      return kHalf == 0 ? low : high;
    }
    template <int kHalf>
    void set(uint32x4_t four) {
      (kHalf == 0 ? low : high) = vreinterpretq_s32_u32(four);
    }

    int32x4_t low, high;
  };
  using Offsets = Offsets8;
  static constexpr std::int32_t kBlock = 8;
  static constexpr std::int32_t kBlocksLocated = 1;                // at a time, with rotation
  static constexpr std::int32_t kFetchEvery = 4, kFetchAhead = 7;  // rows, with rotation

  // Of 8 outputs or 4, of 3 channels of 4.
  static constexpr std::int32_t kLoadBytes = 64;
  static constexpr int most_group(int channels) { return channels == 3 ? 4 : 8; }
  static constexpr int smaller_group(int, int group) { return group > 4 ? group / 2 : 1; }

  HANDPOSE_INLINE static Float all(float value) { return {vdupq_n_f32(value), vdupq_n_f32(value)}; }
  HANDPOSE_INLINE static Float add(Float a, Float b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
  HANDPOSE_INLINE static Float multiply(Float a, Float b) {
    return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)};
  }
  HANDPOSE_INLINE static Float load(const float* from) { return {vld1q_f32(from), vld1q_f32(from + 4)}; }
  HANDPOSE_INLINE static void store(Float v, float* to) {
    vst1q_f32(to, v.low);
    vst1q_f32(to + 4, v.high);
  }
  // The weights of the first taps of outputs 0 to 7, then those of the second taps of 4 to 7 and 0 to 3; see
  // sample_eight.
  HANDPOSE_INLINE static Int load_pairs(const std::int16_t* pairs) {
    const int16x8x2_t taps = vld2q_s16(pairs);
    return {vreinterpretq_s32_s16(taps.val[0]), vreinterpretq_s32_s16(swap_halves(taps.val[1]))};
  }

  HANDPOSE_INLINE static Float to_float(Int v) { return {vcvtq_f32_s32(v.low), vcvtq_f32_s32(v.high)}; }
  HANDPOSE_INLINE static Int all_ints(std::int32_t value) { return {vdupq_n_s32(value), vdupq_n_s32(value)}; }
  HANDPOSE_INLINE static Int load_ints(const std::int32_t* from) {
    Int ints;
    load_two(from, &ints.low, &ints.high);
    return ints;
  }
  HANDPOSE_INLINE static Offsets load_offsets(const std::int32_t* from) { return load_eight_offsets(from); }
  // Offsets go to other registers, which memory does with fewer instructions than moving each.
  HANDPOSE_INLINE static void store_offsets(Int v, std::int32_t* to) {
    store_two(vreinterpretq_u8_s32(v.low), vreinterpretq_u8_s32(v.high), to);
  }
  HANDPOSE_INLINE static void store_ints(Int v, std::int32_t* to) {
    vst1q_s32(to, v.low);
    vst1q_s32(to + 4, v.high);
  }
  // To 0..most.
  HANDPOSE_INLINE static Int clamp_ints(Int v, std::int32_t most) {
    const int32x4_t last = vdupq_n_s32(most), zero = vdupq_n_s32(0);
    return {vminq_s32(vmaxq_s32(v.low, zero), last), vminq_s32(vmaxq_s32(v.high, zero), last)};
  }
  HANDPOSE_INLINE static Int add_ints(Int a, Int b) { return {vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)}; }

  // To grey levels from 0 to 255. Numbers that are not negative have the order of their bits, and those that are become
  // zero.
  HANDPOSE_INLINE static Float clamp_levels(Float v) { return {clamp_four_levels(v.low), clamp_four_levels(v.high)}; }

  // Words in the order of load_pairs.
  HANDPOSE_INLINE static Int all_words(std::int16_t word) {
    const int32x4_t words = vreinterpretq_s32_s16(vdupq_n_s16(word));
    return {words, words};
  }
  HANDPOSE_INLINE static Int scale_pairs(Int pairs, Int share) {
    return {scale_four(pairs.low, share.low), scale_four(pairs.high, share.high)};
  }
  HANDPOSE_INLINE static Int subtract_pairs(Int a, Int b) {
    return {subtract_four(a.low, b.low), subtract_four(a.high, b.high)};
  }

  // From positions, whose fractions are the lower words and whose samples the upper ones: the weights across, the
  // shares of the second row, the offsets.
  HANDPOSE_INLINE static Int second_weights(Int across) {
    const int16x8_t seconds = shift_down<kDropAcross>(lower_words(across.high, across.low));
    const int16x8_t firsts = vsubq_s16(vdupq_n_s16(1 << 14), swap_halves(seconds));
    return {vreinterpretq_s32_s16(firsts), vreinterpretq_s32_s16(seconds)};
  }
  HANDPOSE_INLINE static Int second_shares(Int down) {
    const int16x8_t shares = shift_down<kDropDown>(lower_words(down.low, down.high));
    return {vreinterpretq_s32_s16(shares), vreinterpretq_s32_s16(swap_halves(shares))};
  }
  template <int kChannels>
  HANDPOSE_INLINE static Int offsets(Int across, Int down, std::int32_t pitch) {
    const uint16x8_t columns = vuzp2q_u16(words_of(across.low), words_of(across.high));
    const uint16x8_t channels = vdupq_n_u16(kChannels);
    return {offsets_of_four(multiply_half<0>(columns, channels), down.low, pitch),
            offsets_of_four(multiply_half<1>(columns, channels), down.high, pitch)};
  }

  HANDPOSE_INLINE static void store_float(Float v, unsigned char* to) {
    store_two(vreinterpretq_u8_f32(v.low), vreinterpretq_u8_f32(v.high), to);
  }
  HANDPOSE_INLINE static void store_half(Float v, unsigned char* to) { vst1q_u8(to, vreinterpretq_u8_u16(halves(v))); }
  HANDPOSE_INLINE static void store_byte(Float v, unsigned char* to) { vst1_u8(to, bytes(v)); }

  // The same for eight values of each of three channels, pixel by pixel.
  HANDPOSE_INLINE static void store_float_pixels(const Float* v, unsigned char* to) {
    const float32x4x3_t first = {{v[0].low, v[1].low, v[2].low}}, last = {{v[0].high, v[1].high, v[2].high}};
    vst3q_f32(reinterpret_cast<float*>(to), first);
    vst3q_f32(reinterpret_cast<float*>(to) + 12, last);
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
  HANDPOSE_INLINE static void sample_apart(const std::uint8_t* row0, const std::uint8_t* row1, const Offsets& offsets,
                                           const BlockWeights<Neon>& w, Int* components) {
    sample_four_apart<kChannels, 0>(row0, row1, offsets, w.above.low, w.above.high, w.below.low, w.below.high,
                                    components);
    const int32x4_t above = last_pairs(w.above), below = last_pairs(w.below);
    sample_four_apart<kChannels, 1>(row0, row1, offsets, above, above, below, below, components);
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
      uint32x4_t low = multiply_half<0>(first_above, words_of(w.above.low));
      uint32x4_t high = multiply_half<1>(first_above, words_of(w.above.low));
      low = add_half<0>(low, first_below, words_of(w.below.low));
      high = add_half<1>(high, first_below, words_of(w.below.low));
      low = add_half<1>(low, second_above, words_of(w.above.high));
      high = add_half<0>(high, second_above, words_of(w.above.high));
      low = add_half<1>(low, second_below, words_of(w.below.high));
      high = add_half<0>(high, second_below, words_of(w.below.high));
      components[c] = {vreinterpretq_s32_u32(low), vreinterpretq_s32_u32(high)};
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
      uint32x4_t sum = multiply_half<0>(above, words_of(w.above.at<kHalf>()));
      sum = add_half<1>(sum, above, words_of(w.above.at<1 - kHalf>()));
      sum = add_half<0>(sum, below, words_of(w.below.at<kHalf>()));
      sum = add_half<1>(sum, below, words_of(w.below.at<1 - kHalf>()));
      components[c].set<kHalf>(sum);
    }
  }

  // The weights of the first taps of outputs 4 to 7, then those of the second taps.
  HANDPOSE_INLINE static int32x4_t last_pairs(Int weights) { return vextq_s32(weights.low, weights.high, 2); }

  // The same; channel c has bytes c and kChannels + c at each place. Weights of first taps are lower halves, of second
  // taps upper ones.
  template <int kChannels, int kHalf>
  HANDPOSE_INLINE static void sample_four_apart(const std::uint8_t* row0, const std::uint8_t* row1,
                                                const Offsets& offsets, int32x4_t first_above, int32x4_t second_above,
                                                int32x4_t first_below, int32x4_t second_below, Int* components) {
    uint16x8_t above[3], below[3];
    find_taps<kChannels>(load_eights<4 * kHalf>(row0, offsets), above);
    find_taps<kChannels>(load_eights<4 * kHalf>(row1, offsets), below);
    for (int c = 0; c < kChannels; ++c) {
      uint32x4_t sum = multiply_half<0>(above[c], words_of(first_above));
      sum = add_half<1>(sum, above[c], words_of(second_above));
      sum = add_half<0>(sum, below[c], words_of(first_below));
      sum = add_half<1>(sum, below[c], words_of(second_below));
      components[c].set<kHalf>(sum);
    }
  }

  // Of each channel the first taps, then the second ones.
  template <int kChannels>
  HANDPOSE_INLINE static void find_taps(const Eights& eights, uint16x8_t* taps) {
    taps[0] = look_up(eights, places_apart<0, kChannels>());
    if (kChannels > 1) taps[1] = look_up(eights, places_apart<1, kChannels + 1>());
    if (kChannels > 2) taps[2] = look_up(eights, places_apart<2, kChannels + 2>());
  }

  template <int kFirst>
  HANDPOSE_INLINE static Eights load_eights(const std::uint8_t* row, const Offsets& offsets) {
    return {vld1_u8(row + offsets[kFirst]), vld1_u8(row + offsets[kFirst + 1]), vld1_u8(row + offsets[kFirst + 2]),
            vld1_u8(row + offsets[kFirst + 3])};
  }

  // Bytes `low` of each of four registers as words, then bytes `high`.
  template <std::uint8_t kLow, std::uint8_t kHigh>
  HANDPOSE_INLINE static uint8x16_t places_apart() {
    constexpr std::uint8_t kZero = 0xff;  // beyond the registers
    return uint8x16_t{kLow,  kZero, kLow + 16,  kZero, kLow + 32,  kZero, kLow + 48,  kZero,
                      kHigh, kZero, kHigh + 16, kZero, kHigh + 32, kZero, kHigh + 48, kZero};
  }

  HANDPOSE_INLINE static int16x8_t swap_halves(int16x8_t v) { return vextq_s16(v, v, 4); }
  HANDPOSE_INLINE static int16x8_t lower_words(int32x4_t a, int32x4_t b) {
    return vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
  }

  template <int kBits>
  HANDPOSE_INLINE static int16x8_t shift_down(int16x8_t v) {
    return vreinterpretq_s16_u16(vshrq_n_u16(vreinterpretq_u16_s16(v), kBits));
  }
  HANDPOSE_INLINE static int32x4_t offsets_of_four(uint32x4_t columns, int32x4_t down, std::int32_t pitch) {
    const uint32x4_t rows = vshrq_n_u32(vreinterpretq_u32_s32(down), kPositionBits);
    return vmlaq_n_s32(vreinterpretq_s32_u32(columns), vreinterpretq_s32_u32(rows), pitch);
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
    return vcombine_u16(vreinterpret_u16_f16(vcvt_f16_f32(v.low)), vreinterpret_u16_f16(vcvt_f16_f32(v.high)));
  }

  // Every step saturates.
  HANDPOSE_INLINE static uint8x8_t bytes(Float v) {
    return vqmovn_u16(vcombine_u16(vqmovn_u32(vcvtnq_u32_f32(v.low)), vqmovn_u32(vcvtnq_u32_f32(v.high))));
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
