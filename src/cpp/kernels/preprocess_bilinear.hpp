// The filter "linear" of preprocess in blocks; see preprocess_blocks.hpp.
//
// V::sample<channels, group> gives the bilinear samples of a block, in kPerSum, from BlockTaps and BlockWeights,
// loading V::kLoadBytes for the taps of a group; V::sample_apart<channels> the same where every output has a place of
// its own.
#pragma once

#include "preprocess_axis.hpp"
#include "preprocess_blocks.hpp"
#include "preprocess_positions.hpp"

namespace handpose {
namespace {

// Where a block of outputs finds its two taps per output in two rows of a plane; see AxisTable.
struct BlockTaps {
  const std::uint8_t* row0;
  const std::uint8_t* row1;
  const std::int32_t* offsets;
  const unsigned char* shuffles;  // made by V::fill_shuffles; unused where every output has a place of its own
};

// The weights of the two taps across (first | second << 16) in the two rows.
template <typename V>
struct BlockWeights {
  typename V::Int above, below;
};

// From the weights across, which sum to 2^14, and the share of the second row in 1 / 2^15, in both halves of `down`.
template <typename V>
HANDPOSE_INLINE BlockWeights<V> weigh_rows(typename V::Int across, typename V::Int down) {
  const typename V::Int below = V::scale_pairs(across, down);
  return {V::subtract_pairs(across, below), below};
}

// The taps of a block, copied, for where a whole load would reach beyond the plane.
template <typename V>
struct CopiedTaps {
  std::uint8_t rows[2][V::kBlock * kTapBytes];
  std::int32_t offsets[V::kBlock];
};

// `first_taps`: bytes from the row's start. A plane one sample wide has no second tap; its weight is zero.
template <typename V, int kChannels>
BlockTaps copy_taps(const std::uint8_t* row0, const std::uint8_t* row1, const std::int32_t* first_taps,
                    std::int32_t width, CopiedTaps<V>* copy) {
  const std::size_t bytes = width > 1 ? 2 * kChannels : kChannels;
  for (std::int32_t i = 0; i < V::kBlock; ++i) {
    std::memcpy(copy->rows[0] + kTapBytes * i, row0 + first_taps[i], bytes);
    std::memcpy(copy->rows[1] + kTapBytes * i, row1 + first_taps[i], bytes);
    copy->offsets[i] = kTapBytes * i;
  }
  return {copy->rows[0], copy->rows[1], copy->offsets, nullptr};
}

// A row of one plane.
template <typename V, int kChannels>
class LinearRow {
 public:
  LinearRow(const PreprocessPlan& plan, int plane_index, std::int32_t y)
      : plane_(plan.source.planes[plane_index]),
        x_axis_(plan.x[plane_index > 0 ? 1 : 0]),
        offsets_(x_axis_.offsets),
        across_(x_axis_.weights) {
    const AxisTable& y_axis = plan.y[plane_index > 0 ? 1 : 0];
    row0_ = plane_.row(y_axis.start[y]);
    row1_ = y_axis.taps == 2 ? row0_ + plane_.pitch_bytes : row0_;
    down_ = V::all_words(y_axis.down[y]);
    last_load_ = plane_end(plane_) - (row0_ > row1_ ? row0_ : row1_) - V::kLoadBytes;
    ahead_ = plane_.row(y_axis.start[y + 1 < y_axis.end ? y + 1 : y]) - row0_;
  }

  // Whether no load of any block reaches beyond the plane.
  bool readable() const { return last_load_ >= static_cast<std::ptrdiff_t>(plane_.width) * kChannels; }

  // The block from column x on.
  template <int kGroup>
  HANDPOSE_INLINE void sample(std::int32_t x, const unsigned char* shuffles, const BlockWeights<V>& weights,
                              typename V::Int* components) const {
    // Rows lie too far apart for the CPU to foresee the next ones; so many outputs share a cache line.
    constexpr int kStep = kChannels != 3 ? 8 : kGroup < V::most_group(3) ? 2 : 4;
    for (int i = 0; i < V::kBlock; i += kStep) {
      __builtin_prefetch(row0_ + ahead_ + offsets_[x + i]);
      __builtin_prefetch(row1_ + ahead_ + offsets_[x + i]);
    }
    sample_taps<kGroup>({row0_, row1_, offsets_ + x, shuffles}, weights, components);
  }

  // The same where loads may reach too far.
  template <int kGroup>
  void sample_carefully(std::int32_t x, const unsigned char* shuffles, typename V::Int* components) const {
    if (offsets_[x] <= last_load_ && offsets_[x + V::kBlock - 1] <= last_load_) {
      return sample<kGroup>(x, shuffles, weights(x), components);
    }
    std::int32_t first_taps[V::kBlock];
    for (std::int32_t i = 0; i < V::kBlock; ++i) first_taps[i] = x_axis_.start[x + i] * kChannels;
    CopiedTaps<V> copy{};
    sample_taps<1>(copy_taps<V, kChannels>(row0_, row1_, first_taps, plane_.width, &copy), weights(x), components);
  }

  // Of the block from column x on.
  HANDPOSE_INLINE BlockWeights<V> weights(std::int32_t x) const {
    return weigh_rows<V>(V::load_pairs(across_ + 2 * x), down_);
  }

 private:
  template <int kGroup>
  HANDPOSE_INLINE static void sample_taps(const BlockTaps& taps, const BlockWeights<V>& w, typename V::Int* to) {
    if constexpr (kGroup == 1) {
      V::template sample_apart<kChannels>(taps.row0, taps.row1, V::load_offsets(taps.offsets), w, to);
    } else {
      V::template sample<kChannels, kGroup>(taps, w, to);
    }
  }

  const Plane& plane_;
  const AxisTable& x_axis_;
  const std::int32_t* offsets_;
  const std::int16_t* across_;
  const std::uint8_t* row0_;
  const std::uint8_t* row1_;
  typename V::Int down_;
  std::ptrdiff_t last_load_;  // offset from which a load just does not reach beyond the plane
  std::ptrdiff_t ahead_;      // to the row that the next output takes
};

template <typename V, int kChannels, typename Sink>
HANDPOSE_INLINE void write_sums(const Sink& sink, std::int32_t x, std::int32_t count, const typename V::Int* sums) {
  typename V::Float values[3];
  for (int c = 0; c < kChannels; ++c) values[c] = V::to_float(sums[c]);
  sink.write(x, count, values);
}

// The rest of a row, from column x on. The arguments are copies, so that the originals may stay in registers.
template <typename V, int kChannels, int kGroup, typename Sink>
HANDPOSE_NOINLINE void sample_rest(const LinearRow<V, kChannels> row, const Sink sink, std::int32_t x, std::int32_t end,
                                   const unsigned char* shuffles) {
  for (; x < end; x += V::kBlock, shuffles += V::kBlock * kShuffleBytes) {
    typename V::Int components[3];
    row.template sample_carefully<kGroup>(x, shuffles, components);
    write_sums<V, kChannels>(sink, x, end - x, components);
  }
}

// A row of one plane, to a sink.
template <typename V, int kChannels, int kGroup, typename Sink>
HANDPOSE_INLINE void sample_linear(const PreprocessPlan& plan, int plane, std::int32_t y, const Sink& sink) {
  const AxisTable& axis = plan.x[plane > 0 ? 1 : 0];
  const LinearRow<V, kChannels> row(plan, plane, y);
  const unsigned char* shuffles = axis.shuffles;
  std::int32_t x = axis.begin;
  const std::int32_t end = axis.end;
  if (row.readable()) {
    for (; x + V::kBlock <= end; x += V::kBlock, shuffles += V::kBlock * kShuffleBytes) {
      typename V::Int components[3];
      row.template sample<kGroup>(x, shuffles, row.weights(x), components);
      write_sums<V, kChannels>(sink, x, V::kBlock, components);
    }
  }
  if (x < end) sample_rest<V, kChannels, kGroup, Sink>(row, sink, x, end, shuffles);
}

// Rows of two planes of one size, to rows of floats: the weights are worked out once.
template <typename V, int kGroup>
HANDPOSE_INLINE void sample_chroma(const PreprocessPlan& plan, std::int32_t y) {
  const AxisTable& axis = plan.x[1];
  const LinearRow<V, 1> rows[2] = {{plan, 1, y}, {plan, 2, y}};
  const LevelsSink<V, 1> sinks[2] = {LevelsSink<V, 1>(plan.levels + 1), LevelsSink<V, 1>(plan.levels + 2)};
  const unsigned char* shuffles = axis.shuffles;
  std::int32_t x = axis.begin;
  const std::int32_t end = axis.end;
  if (rows[0].readable() && rows[1].readable()) {
    for (; x + V::kBlock <= end; x += V::kBlock, shuffles += V::kBlock * kShuffleBytes) {
      const BlockWeights<V> weights = rows[0].weights(x);
      typename V::Int sums[2];
      for (int i = 0; i < 2; ++i) rows[i].template sample<kGroup>(x, shuffles, weights, sums + i);
      for (int i = 0; i < 2; ++i) write_sums<V, 1>(sinks[i], x, V::kBlock, sums + i);
    }
  }
  if (x == end) return;
  for (int i = 0; i < 2; ++i) sample_rest<V, 1, kGroup, LevelsSink<V, 1>>(rows[i], sinks[i], x, end, shuffles);
}

template <typename V>
struct LinearRows {
  const PreprocessPlan& plan;
  std::int32_t begin, end;

  template <typename Writer>
  void with_writer() const {
    if (plan.source.planes[0].channels == 3) return run<V::most_group(3), Writer>();
    for (std::int32_t y = begin; y < end; ++y) {
      sample_to_levels<1, V::most_group(1)>(0, y);
      if (plan.source.format == PixelFormat::kNv12) sample_to_levels<2, V::most_group(2)>(1, y);
      if (plan.source.format == PixelFormat::kYuv420p) sample_chroma_to_levels<V::most_group(1)>(y);
      write_row<V, Writer>(plan, y, {plan.x[0].begin, plan.x[0].end}, kPerSum);
    }
  }

  // Of groups of kGroup outputs or fewer, as the table says.
  template <int kGroup, typename Writer>
  void run() const {
    if constexpr (kGroup > 1) {
      if (plan.x[0].group < kGroup) return run<V::smaller_group(3, kGroup), Writer>();
    }
    for (std::int32_t y = begin; y < end; ++y) sample_linear<V, 3, kGroup>(plan, 0, y, Writer(plan, y, kPerSum));
  }

  template <int kChannels, int kGroup>
  HANDPOSE_NOINLINE void sample_to_levels(int plane, std::int32_t y) const {
    if constexpr (kGroup > 1) {
      if (plan.x[plane > 0 ? 1 : 0].group < kGroup) {
        return sample_to_levels<kChannels, V::smaller_group(kChannels, kGroup)>(plane, y);
      }
    }
    sample_linear<V, kChannels, kGroup>(plan, plane, y, LevelsSink<V, kChannels>(plan.levels + plane));
  }

  template <int kGroup>
  HANDPOSE_NOINLINE void sample_chroma_to_levels(std::int32_t y) const {
    if constexpr (kGroup > 1) {
      if (plan.x[1].group < kGroup) return sample_chroma_to_levels<V::smaller_group(1, kGroup)>(y);
    }
    sample_chroma<V, kGroup>(plan, y);
  }
};

// The largest group of the level that fits, of the x axis of a plane with so many channels.
template <typename V>
std::int32_t group_of(const AxisTable& axis, int channels) {
  int group = V::most_group(channels);
  while (group > 1 && !group_fits(axis, channels, V::kLoadBytes, group)) group = V::smaller_group(channels, group);
  return group;
}

template <typename V>
void prepare_linear_of(PreprocessPlan* plan) {
  for (int table = 0; table < (is_yuv(plan->source.format) ? 2 : 1); ++table) {
    AxisTable& axis = plan->x[table];
    const int channels = plan->source.planes[table].channels;
    axis.group = group_of<V>(axis, channels);
    axis.group_bytes = V::kLoadBytes;
    fill_offsets(channels, &axis);
    if (axis.group == 1) continue;
    unsigned char* shuffles = axis.shuffles;
    for (std::int32_t x = axis.begin; x < axis.end; x += V::kBlock, shuffles += V::kBlock * kShuffleBytes) {
      V::fill_shuffles(axis.shifts + x, channels, axis.group, shuffles);
    }
  }
}

template <typename V>
void linear_rows_of(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  run_with_writer<V>(plan.out, LinearRows<V>{plan, begin, end});
}

}  // namespace
}  // namespace handpose
