// The sums along and down rows of preprocess with NEON, beside its other arithmetic. Included by preprocess_neon.cpp.
#pragma once

#include <type_traits>

#include "neon_words.hpp"
#include "preprocess_taps.hpp"

namespace handpose {
namespace {

struct NeonSums {
  static constexpr std::int32_t kLanes = 8, kLaneTaps = 2, kMostParts = 8, kMostSteps = 1;
  static constexpr std::int32_t kLeastWindow = 16, kMostWindow = 16;
  static constexpr std::int32_t kChannelLanes = 0;
  static constexpr std::int32_t kChainTaps = 0;
  static constexpr std::int32_t kStepBytes = 32;
  static constexpr std::int32_t step_weight_bytes(const TapStrands&) { return kStepBytes; }

  // Words of taps: the first ones of lanes 0 to 3, the second ones, then the same of lanes 4 to 7.
  static void put_places(const std::int32_t* places, unsigned char* to) {
    for (int i = 0; i < 16; ++i, to += 2) {
      const std::int32_t place = places[tap_of_word(i)];
      to[0] = static_cast<unsigned char>(place < 0 ? 0xff : place);  // no place in a window
      to[1] = 0xff;
    }
  }

  static void put_weights(const std::int16_t* weights, const TapStrands&, unsigned char* to) {
    for (int i = 0; i < 16; ++i) std::memcpy(to + 2 * i, weights + tap_of_word(i), sizeof *weights);
  }

  static void add_rows(const RowsToAdd& add, const TapStrands& strands) { add_rows_in_turn<NeonSums>(add, strands); }

  // The sums along four rows, in 1/64 grey level, to add.row_sums.
  template <int kParts>
  HANDPOSE_NOINLINE static void sum_along(const RowsToAdd& add, const TapStrands& strands) {
    const std::int32_t step_bytes = kLaneTaps * kParts * add.channels, steps = strands.steps;
    const int32x4_t down = vdupq_n_s32(-add.drop);
    const std::ptrdiff_t strand_bytes = std::ptrdiff_t{steps} * kStepBytes;
    const std::int32_t* offset = strands.offsets;
    const unsigned char* places = strands.places;
    const unsigned char* weights = strands.weights;
    std::int16_t* to = add.row_sums;
    for (std::int32_t v = 0; v < add.to->vectors; ++v, to += kRowsAtOnce * kLanes) {
      const FourSums sums = join_strands<kParts>([&](int i) {
        return sum_strand(add, steps, offset[i], places + i * std::ptrdiff_t{kPlacesBytes}, weights + i * strand_bytes,
                          step_bytes);
      });
      offset += kParts;
      places += kParts * kPlacesBytes;
      weights += kParts * strand_bytes;
      for (int k = 0; k < kRowsAtOnce; ++k) {  // shifts that round
        const int16x4_t low = vmovn_s32(vrshlq_s32(sums.of[k][0], down));
        vst1q_s16(to + k * kLanes, vmovn_high_s32(low, vrshlq_s32(sums.of[k][1], down)));
      }
    }
  }

  // For each vector there are the sums of one row after the other.
  template <int kPairs, bool kBegun, bool kComplete>
  HANDPOSE_NOINLINE static void add_down(const RowsToAdd& add, const ActiveRow& active) {
    const int16x4_t weights = vld1_s16(active.weights);
    const int32x4_t half = vdupq_n_s32(1 << (add.to->shift - 1));
    const std::int16_t* rows = add.row_sums;
    std::int32_t* sums = active.sums;
    SampleWriter writer(*add.to);
    for (std::int32_t v = 0; v < add.to->vectors; ++v, sums += kLanes, rows += kRowsAtOnce * kLanes) {
      int32x4_t low = kBegun ? vld1q_s32(sums) : half, high = kBegun ? vld1q_s32(sums + 4) : half;
      if (kPairs & 1) {
        add_row<0>(&low, &high, rows, weights);
        add_row<1>(&low, &high, rows, weights);
      }
      if (kPairs & 2) {
        add_row<2>(&low, &high, rows, weights);
        add_row<3>(&low, &high, rows, weights);
      }
      if (kComplete) {
        writer.write(low, high);
      } else {
        vst1q_s32(sums, low);
        vst1q_s32(sums + 4, high);
      }
    }
  }

  static void write_samples(const SampleRow& row, const std::int32_t* sums) {
    SampleWriter writer(row);
    for (std::int32_t v = 0; v < row.vectors; ++v, sums += kLanes) writer.write(vld1q_s32(sums), vld1q_s32(sums + 4));
  }

  // The samples of a block, channels apart.
  template <int kChannels, typename Float>
  HANDPOSE_INLINE static void load_samples(const std::uint8_t* from, Float* channels) {
    if (kChannels == 1) {
      channels[0] = floats<Float>(vld1_u8(from));
    } else if (kChannels == 2) {
      const uint8x8x2_t pixels = vld2_u8(from);
      for (int c = 0; c < 2; ++c) channels[c] = floats<Float>(pixels.val[c]);
    } else {
      const uint8x8x3_t pixels = vld3_u8(from);
      for (int c = 0; c < 3; ++c) channels[c] = floats<Float>(pixels.val[c]);
    }
  }

 private:
  // Clamps complete sums: shifts and narrows with saturation.
  class SampleWriter {
   public:
    explicit SampleWriter(const SampleRow& row)
        : to_(row.samples),
          bytes_(row.order.bytes),
          shift_(vdupq_n_s32(-row.shift)),
          lanes_(vld1_u8(row.order.lanes)) {}

    HANDPOSE_INLINE void write(int32x4_t low, int32x4_t high) {
      const uint16x8_t words = vqmovun_high_s32(vqmovun_s32(vshlq_s32(low, shift_)), vshlq_s32(high, shift_));
      vst1_u8(to_, vtbl1_u8(vqmovn_u16(words), lanes_));
      to_ += bytes_;
    }

   private:
    std::uint8_t* to_;
    std::int32_t bytes_;
    int32x4_t shift_;
    uint8x8_t lanes_;
  };

  // Of two taps per lane.
  static constexpr int tap_of_word(int word) { return 2 * (word / 8 * 4 + word % 4) + word / 4 % 2; }

  template <typename Float>
  HANDPOSE_INLINE static Float floats(uint8x8_t bytes) {
    const uint16x8_t words = vmovl_u8(bytes);
    return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(words))), vcvtq_f32_u32(vmovl_high_u16(words))};
  }

  // The sums of a strand along four rows, of lanes 0 to 3 and 4 to 7.
  struct FourSums {
    int32x4_t of[kRowsAtOnce][2];
  };

  HANDPOSE_INLINE static FourSums sum_strand(const RowsToAdd& add, std::int32_t steps, std::int32_t offset,
                                             const unsigned char* first_places, const unsigned char* weights,
                                             std::int32_t step_bytes) {
    FourSums sums;
    const uint8x16_t places[2] = {vld1q_u8(first_places), vld1q_u8(first_places + 16)};
    const auto add_step = [&](auto first) {
      const int16x8_t weight[2] = {vreinterpretq_s16_u8(vld1q_u8(weights)),
                                   vreinterpretq_s16_u8(vld1q_u8(weights + 16))};
      for (int k = 0; k < kRowsAtOnce; ++k) {
        const uint8x16_t window = vld1q_u8(add.rows[k] + offset);
        for (int i = 0; i < 2; ++i) {
          const int16x8_t taps = vreinterpretq_s16_u8(vqtbl1q_u8(window, places[i]));
          int32x4_t& sum = sums.of[k][i];
          sum = decltype(first)::value ? multiply_half<0>(taps, weight[i]) : add_half<0>(sum, taps, weight[i]);
          sum = add_half<1>(sum, taps, weight[i]);
        }
      }
      weights += kStepBytes;
      offset += step_bytes;
    };
    add_step(std::true_type{});
    for (std::int32_t step = 1; step < steps; ++step) add_step(std::false_type{});
    return sums;
  }

  // Adds the two parts that lie kLanesApart from each other, of two strands or what has been made of strands before, so
  // that the sums of `a` come first wherever both have been.
  template <int kLanesApart>
  HANDPOSE_INLINE static FourSums add_parts(const FourSums& a, const FourSums& b) {
    FourSums sums;
    for (int k = 0; k < kRowsAtOnce; ++k) {
      const int32x4_t *x = a.of[k], *y = b.of[k];
      if (kLanesApart == 4) {
        sums.of[k][0] = vaddq_s32(x[0], x[1]);
        sums.of[k][1] = vaddq_s32(y[0], y[1]);
        continue;
      }
      for (int i = 0; i < 2; ++i) {
        const int64x2_t p = vreinterpretq_s64_s32(x[i]), q = vreinterpretq_s64_s32(y[i]);
        sums.of[k][i] = kLanesApart == 1 ? vpaddq_s32(x[i], y[i])
                                         : vaddq_s32(vreinterpretq_s32_s64(vzip1q_s64(p, q)),
                                                     vreinterpretq_s32_s64(vzip2q_s64(p, q)));
      }
    }
    return sums;
  }

  // The vector that strands make: sum(i) gives the sums of strand i.
  template <int kParts, typename Sum>
  HANDPOSE_INLINE static FourSums join_strands(const Sum& sum) {
    if constexpr (kParts == 1) {
      return sum(0);
    } else if constexpr (kParts == 2) {
      return add_parts<4>(sum(0), sum(1));
    } else {
      const auto four = [&](int first, int apart) {
        const FourSums even = add_parts<4>(sum(first), sum(first + apart));
        return add_parts<2>(even, add_parts<4>(sum(first + 1), sum(first + apart + 1)));
      };
      if constexpr (kParts == 4) {
        return four(0, 2);
      } else {
        const FourSums first = four(0, 4);
        return add_parts<1>(first, four(2, 4));
      }
    }
  }

  template <int kRow>
  HANDPOSE_INLINE static void add_row(int32x4_t* low, int32x4_t* high, const std::int16_t* rows, int16x4_t weights) {
    const int16x8_t levels = vld1q_s16(rows + kRow * kLanes);
    *low = add_half_by<0, kRow>(*low, levels, weights);
    *high = add_half_by<1, kRow>(*high, levels, weights);
  }
};

}  // namespace
}  // namespace handpose
