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

// The blocks of a row of one plane, of groups of kGroup outputs.
template <typename V, int kChannels, int kGroup>
class LinearRow {
 public:
  HANDPOSE_INLINE LinearRow(const PreprocessPlan& plan, int plane_index, std::int32_t y)
      : plane_(plan.source.planes[plane_index]),
        x_axis_(plan.x[plane_index > 0 ? 1 : 0]),
        offsets_(x_axis_.offsets),
        across_(x_axis_.weights),
        shuffles_(x_axis_.shuffles),
        begin_(x_axis_.begin) {
    const AxisTable& y_axis = plan.y[plane_index > 0 ? 1 : 0];
    row0_ = plane_.row(y_axis.start[y]);
    row1_ = y_axis.taps == 2 ? row0_ + plane_.pitch_bytes : row0_;
    down_ = V::all_words(y_axis.down[y]);
    last_load_ = plane_end(plane_) - (row0_ > row1_ ? row0_ : row1_) - V::kLoadBytes;
    ahead_ = plane_.row(y_axis.start[y + 1 < y_axis.end ? y + 1 : y]) - row0_;
  }

  // Whether no load of any block reaches beyond the plane.
  bool readable() const { return last_load_ >= static_cast<std::ptrdiff_t>(plane_.width) * kChannels; }

  // Fetches what the next row of the output takes in the block from column x on: rows lie too far apart for the CPU to
  // foresee. So many outputs share a cache line.
  HANDPOSE_INLINE void fetch_ahead(std::ptrdiff_t x) const {
    constexpr int kStep = kChannels != 3 ? 8 : kGroup < V::most_group(3) ? 2 : 4;
    for (int i = 0; i < V::kBlock; i += kStep) {
      __builtin_prefetch(row0_ + ahead_ + offsets_[x + i]);
      __builtin_prefetch(row1_ + ahead_ + offsets_[x + i]);
    }
  }

  // Its weights.
  HANDPOSE_INLINE BlockWeights<V> weights(std::ptrdiff_t x) const {
    return weigh_rows<V>(V::load_pairs(across_ + 2 * x), down_);
  }

  // Its samples.
  HANDPOSE_INLINE void sample(std::ptrdiff_t x, const BlockWeights<V>& weights, typename V::Float* values) const {
    sample_taps<kGroup>({row0_, row1_, offsets_ + x, shuffles_ + (x - begin_) * kShuffleBytes}, weights, values);
  }

  // The same where loads may reach too far.
  HANDPOSE_NOINLINE void sample_carefully(std::ptrdiff_t x, typename V::Float* values) const {
    if (offsets_[x] <= last_load_ && offsets_[x + V::kBlock - 1] <= last_load_) {
      return sample(x, weights(x), values);
    }
    std::int32_t first_taps[V::kBlock];
    for (std::int32_t i = 0; i < V::kBlock; ++i) first_taps[i] = x_axis_.start[x + i] * kChannels;
    CopiedTaps<V> copy{};
    sample_taps<1>(copy_taps<V, kChannels>(row0_, row1_, first_taps, plane_.width, &copy), weights(x), values);
  }

 private:
  template <int kTaken>
  HANDPOSE_INLINE static void sample_taps(const BlockTaps& taps, const BlockWeights<V>& w, typename V::Float* values) {
    typename V::Int sums[3];
    if constexpr (kTaken == 1) {
      V::template sample_apart<kChannels>(taps.row0, taps.row1, V::load_offsets(taps.offsets), w, sums);
    } else {
      V::template sample<kChannels, kTaken>(taps, w, sums);
    }
    for (int c = 0; c < kChannels; ++c) values[c] = V::to_float(sums[c]);
  }

  const Plane& plane_;
  const AxisTable& x_axis_;
  const std::int32_t* offsets_;
  const std::int16_t* across_;
  const unsigned char* shuffles_;
  std::ptrdiff_t begin_;
  const std::uint8_t* row0_;
  const std::uint8_t* row1_;
  typename V::Int down_;
  std::ptrdiff_t last_load_;  // offset from which a load just does not reach beyond the plane
  std::ptrdiff_t ahead_;      // to the row that the next output takes
};

// What there is to sample for a row of the output, by format; values are in grey levels times 1 / kUnit.

// One plane: gray8, bgr24 and rgb24.
template <typename V, int kChannels, int kGroup>
class LinearPlane {
 public:
  static constexpr float kUnit = kPerSum;

  HANDPOSE_INLINE LinearPlane(const PreprocessPlan& plan, std::int32_t y) : pixels_(plan, 0, y) {}

  bool readable() const { return pixels_.readable(); }
  HANDPOSE_INLINE void sample(std::ptrdiff_t x, typename V::Float* values) const {
    pixels_.fetch_ahead(x);
    pixels_.sample(x, pixels_.weights(x), values);
    if (kChannels == 1) values[1] = values[2] = values[0];
  }
  void sample_carefully(std::ptrdiff_t x, typename V::Float* values) const {
    pixels_.sample_carefully(x, values);
    if (kChannels == 1) values[1] = values[2] = values[0];
  }

 private:
  LinearRow<V, kChannels, kGroup> pixels_;
};

// The chroma of a row of the output, to plan.levels: so are the pointers to what is sampled at a time few enough for
// the registers. Both planes of yuv420p share their weights.
template <typename V, int kPlanes, int kGroup>
HANDPOSE_NOINLINE void sample_chroma(const PreprocessPlan& plan, std::int32_t y) {
  constexpr int kChannels = kPlanes == 2 ? 2 : 1;
  if constexpr (kGroup > 1) {
    if (plan.x[1].group < kGroup) return sample_chroma<V, kPlanes, V::smaller_group(kChannels, kGroup)>(plan, y);
  }
  using Row = LinearRow<V, kChannels, kGroup>;
  const Row first(plan, 1, y), last(plan, kPlanes - 1, y);
  float* const u = plan.levels[1];
  float* const v = plan.levels[2];
  std::int32_t x = plan.x[1].begin;
  const std::int32_t end = plan.x[1].end;
  if (first.readable() && last.readable()) {
    for (; x + V::kBlock <= end; x += V::kBlock) {
      first.fetch_ahead(x);
      if (kPlanes == 3) last.fetch_ahead(x);
      const BlockWeights<V> weights = first.weights(x);
      typename V::Float values[2];
      first.sample(x, weights, values);
      if (kPlanes == 3) last.sample(x, weights, values + 1);
      V::store(values[0], u + x);
      V::store(values[1], v + x);
    }
  }
  for (; x < end; x += V::kBlock) {
    typename V::Float values[2];
    first.sample_carefully(x, values);
    if (kPlanes == 3) last.sample_carefully(x, values + 1);
    V::store(values[0], u + x);
    V::store(values[1], v + x);
  }
}

// nv12 (kPlanes 2) and yuv420p (kPlanes 3).
template <typename V, int kPlanes, int kGroup>
class LinearYuv {
 public:
  static constexpr float kUnit = 1.0f;

  LinearYuv(const PreprocessPlan& plan, std::int32_t y)
      : luma_(plan, 0, y), u_(plan.levels[1]), v_(plan.levels[2]), to_rgb_(yuv_in_units(plan.params.yuv, kPerSum)) {
    sample_chroma<V, kPlanes, V::most_group(kPlanes == 2 ? 2 : 1)>(plan, y);
  }

  bool readable() const { return luma_.readable(); }
  HANDPOSE_INLINE void sample(std::ptrdiff_t x, typename V::Float* values) const {
    luma_.fetch_ahead(x);
    luma_.sample(x, luma_.weights(x), values);
    add_chroma(x, values);
  }
  void sample_carefully(std::ptrdiff_t x, typename V::Float* values) const {
    luma_.sample_carefully(x, values);
    add_chroma(x, values);
  }

 private:
  HANDPOSE_INLINE void add_chroma(std::ptrdiff_t x, typename V::Float* values) const {
    values[1] = V::load(u_ + x);
    values[2] = V::load(v_ + x);
    to_rgb<V>(to_rgb_, values);
  }

  LinearRow<V, 1, kGroup> luma_;
  const float* u_;
  const float* v_;
  YuvToRgb to_rgb_;
};

// The rest of a row, from column x on. The arguments are copies, so that the originals may stay in registers.
template <typename V, typename Source, typename Writer>
HANDPOSE_NOINLINE void sample_rest(const Source source, const Writer writer, std::int32_t x, std::int32_t end) {
  for (; x < end; x += V::kBlock) {
    typename V::Float values[3];
    source.sample_carefully(x, values);
    writer.write(x, end - x, values);
  }
}

template <typename V, typename Source, typename Writer>
HANDPOSE_NOINLINE void sample_linear(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  for (std::int32_t y = begin; y < end; ++y) {
    const Source source(plan, y);
    const Writer writer(plan, y, Source::kUnit);
    std::int32_t x = plan.x[0].begin;
    const std::int32_t last = plan.x[0].end;
    if (source.readable()) {
      for (; x + V::kBlock <= last; x += V::kBlock) {
        typename V::Float values[3];
        source.sample(x, values);
        writer.write(x, V::kBlock, values);
      }
    }
    if (x < last) sample_rest<V>(source, writer, x, last);
  }
}

template <typename V>
struct LinearRows {
  const PreprocessPlan& plan;
  std::int32_t begin, end;

  template <typename Writer>
  void with_writer() const {
    switch (plan.source.format) {
      case PixelFormat::kGray8:
        return run_plane<Writer, 1, V::most_group(1)>();
      case PixelFormat::kNv12:
        return run_yuv<Writer, 2, V::most_group(1)>();
      case PixelFormat::kYuv420p:
        return run_yuv<Writer, 3, V::most_group(1)>();
      default:
        return run_plane<Writer, 3, V::most_group(3)>();
    }
  }

  // Of groups of kGroup outputs or fewer, as the table says.
  template <typename Writer, int kChannels, int kGroup>
  void run_plane() const {
    if constexpr (kGroup > 1) {
      if (plan.x[0].group < kGroup) return run_plane<Writer, kChannels, V::smaller_group(kChannels, kGroup)>();
    }
    sample_linear<V, LinearPlane<V, kChannels, kGroup>, Writer>(plan, begin, end);
  }

  template <typename Writer, int kPlanes, int kGroup>
  void run_yuv() const {
    if constexpr (kGroup > 1) {
      if (plan.x[0].group < kGroup) return run_yuv<Writer, kPlanes, V::smaller_group(1, kGroup)>();
    }
    sample_linear<V, LinearYuv<V, kPlanes, kGroup>, Writer>(plan, begin, end);
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
