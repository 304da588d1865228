// The filter "linear" of preprocess in blocks; see preprocess_blocks.hpp.
//
// V::sample<channels, paired, same_rows> gives the bilinear samples of a block from BlockTaps and BlockWeights.
#pragma once

#include "preprocess_blocks.hpp"

namespace handpose {
namespace {

constexpr std::int32_t kLoadBytes = 16;  // read from an offset of AxisTable on

// Where a block of outputs finds its two taps per output in two rows of a plane; see AxisTable.
struct BlockTaps {
  const std::uint8_t* row0;
  const std::uint8_t* row1;
  const std::int32_t* offsets;
  const unsigned char* shuffles;  // made by V::fill_shuffles; unused where not paired
};

// The weights of the two taps across (first | second << 16), and those of the two rows.
template <typename V>
struct BlockWeights {
  typename V::Int across;
  typename V::Float above, below;
};

// The taps of a block, copied, for where a whole load would reach beyond the plane.
struct CopiedTaps {
  std::uint8_t rows[2][kBlock * 8];
  std::int32_t offsets[kBlock];
};

// `first_taps`: bytes from the row's start. A plane one sample wide has no second tap; its weight is zero.
template <int kChannels>
BlockTaps copy_taps(const std::uint8_t* row0, const std::uint8_t* row1, const std::int32_t* first_taps,
                    std::int32_t width, CopiedTaps* copy) {
  const std::size_t bytes = width > 1 ? 2 * kChannels : kChannels;
  for (std::int32_t i = 0; i < kBlock; ++i) {
    std::memcpy(copy->rows[0] + 8 * i, row0 + first_taps[i], bytes);
    std::memcpy(copy->rows[1] + 8 * i, row1 + first_taps[i], bytes);
    copy->offsets[i] = 8 * i;
  }
  return {copy->rows[0], copy->rows[1], copy->offsets, nullptr};
}

// A row of one plane.
template <typename V, int kChannels>
class LinearRow {
 public:
  LinearRow(const Plane& plane, const AxisTable& x_axis, const AxisTable& y_axis, std::int32_t y)
      : row0_(plane.row(y_axis.start[y])),
        row1_(y_axis.taps == 2 ? row0_ + plane.pitch_bytes : row0_),
        offsets_(x_axis.offsets),
        weights_(x_axis.weights),
        shuffles_(x_axis.shuffles),
        above_(V::all(y_axis.fractions[2 * y])),
        below_(V::all(y_axis.fractions[2 * y + 1])),
        last_load_(plane_end(plane) - (row0_ > row1_ ? row0_ : row1_) - kLoadBytes),
        width_(plane.width),
        first_(x_axis.begin) {}

  // Whether no load of any block reaches beyond the plane.
  bool readable() const { return last_load_ >= static_cast<std::ptrdiff_t>(width_) * kChannels; }

  // The eight outputs from column x on: channel c of the plane to components[c].
  template <bool kPaired>
  HANDPOSE_INLINE void sample(std::int32_t x, typename V::Float* components) const {
    const unsigned char* const shuffles = shuffles_ + (x - first_) * (kShuffleBytes / kBlock);
    V::template sample<kChannels, kPaired, true>({row0_, row1_, offsets_ + x, shuffles}, weights(x), components);
  }

  // The same where loads may reach too far.
  template <bool kPaired>
  void sample_carefully(std::int32_t x, const std::int32_t* start, typename V::Float* components) const {
    const std::int32_t* const at = offsets_ + x;
    if (at[0] <= last_load_ && at[kBlock - 1] <= last_load_) return sample<kPaired>(x, components);
    std::int32_t first_taps[kBlock];
    for (std::int32_t i = 0; i < kBlock; ++i) first_taps[i] = start[x + i] * kChannels;
    CopiedTaps copy{};
    const BlockTaps taps = copy_taps<kChannels>(row0_, row1_, first_taps, width_, &copy);
    V::template sample<kChannels, false, true>(taps, weights(x), components);
  }

 private:
  HANDPOSE_INLINE BlockWeights<V> weights(std::int32_t x) const {
    return {V::load_pairs(weights_ + 2 * x), above_, below_};
  }

  const std::uint8_t* row0_;
  const std::uint8_t* row1_;
  const std::int32_t* offsets_;
  const std::int16_t* weights_;
  const unsigned char* shuffles_;
  typename V::Float above_, below_;
  std::ptrdiff_t last_load_;
  std::int32_t width_, first_;
};

template <typename V, PixelFormat kFormat, DType kDType, Layout kLayout>
struct LinearRows {
  // The table and the plane of the second and of the third component, where they come from planes of their own.
  static constexpr int kTable = plane_count(kFormat) > 1 ? 1 : 0, kThird = plane_count(kFormat) > 2 ? 2 : 0;
  using Writer = BlockWriter<V, kDType, kLayout>;
  using First = LinearRow<V, plane_channels(kFormat, 0)>;
  using Chroma = LinearRow<V, plane_channels(kFormat, 1)>;

  static void run(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
    for (int table = 0; plan.paired && table <= kTable; ++table) {
      const AxisTable& axis = plan.x[table];
      for (std::int32_t x = axis.begin, block = 0; x < axis.end; x += kBlock, ++block) {
        V::fill_shuffles(axis.shifts + x, plan.source.planes[table].channels, axis.shuffles + block * kShuffleBytes);
      }
    }
    plan.paired ? run_paired<true>(plan, begin, end) : run_paired<false>(plan, begin, end);
  }

  template <bool kPaired>
  static void run_paired(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
    const Plane* const planes = plan.source.planes;
    const YuvToRgb yuv = plan.params.yuv;
    const std::int32_t left = plan.x[0].begin, right = plan.x[0].end;
    Writer writer(plan);
    for (std::int32_t y = begin; y < end; ++y) {
      const First first(planes[0], plan.x[0], plan.y[0], y);
      const Chroma second(planes[kTable], plan.x[kTable], plan.y[kTable], y);
      const Chroma third(planes[kThird], plan.x[kTable], plan.y[kTable], y);
      writer.start_row(y);
      std::int32_t x = left;
      if (first.readable() && (kTable == 0 || second.readable()) && (kThird == 0 || third.readable())) {
        for (; x + kBlock <= right; x += kBlock) {
          typename V::Float levels[3];
          first.template sample<kPaired>(x, levels);
          if (kTable != 0) second.template sample<kPaired>(x, levels + 1);
          if (kThird != 0) third.template sample<kPaired>(x, levels + 2);
          to_components<V, kFormat>(yuv, levels);
          writer.write(x, kBlock, levels);
        }
      }
      if (x < right) run_carefully<kPaired>(plan, first, second, third, writer, x);
    }
  }

  // By value, so that the compiler may keep the originals in registers.
  template <bool kPaired>
  HANDPOSE_NOINLINE static void run_carefully(const PreprocessPlan& plan, const First first, const Chroma second,
                                              const Chroma third, const Writer writer, std::int32_t x) {
    const std::int32_t right = plan.x[0].end;
    for (; x < right; x += kBlock) {
      typename V::Float levels[3];
      first.template sample_carefully<kPaired>(x, plan.x[0].start, levels);
      if (kTable != 0) second.template sample_carefully<kPaired>(x, plan.x[kTable].start, levels + 1);
      if (kThird != 0) third.template sample_carefully<kPaired>(x, plan.x[kTable].start, levels + 2);
      to_components<V, kFormat>(plan.params.yuv, levels);
      writer.write(x, right - x, levels);
    }
  }
};

}  // namespace
}  // namespace handpose
