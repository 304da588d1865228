// The filters "antialias" and "cubic" of preprocess in blocks; see preprocess_blocks.hpp.
//
// V::reduce_rows makes the weighted sum of rows of bytes, V::split puts the channels of a row apart, and V::weigh_block
// makes the weighted sums of eight outputs along a row.
#pragma once

#include "preprocess_blocks.hpp"

namespace handpose {
namespace {

// Rows of a plane and their weights; sum >> drop is in 1/64 grey level.
struct WeightedRows {
  const std::uint8_t* row;
  std::ptrdiff_t pitch_bytes;
  const std::int16_t* weights;
  std::int32_t taps;
  std::int32_t drop;
};

// The rows of output y that have any weight.
inline WeightedRows weighted_rows(const Plane& plane, const AxisTable& axis, std::int32_t y) {
  const std::int16_t* weights = axis.weights + static_cast<std::ptrdiff_t>(y) * axis.stride;
  std::int32_t first = 0, taps = axis.taps;
  while (taps > 1 && weights[taps - 1] == 0) --taps;
  while (first < taps - 1 && weights[first] == 0) ++first;
  return {plane.row(axis.start[y] + first), plane.pitch_bytes, weights + first, taps - first, axis.bits - 6};
}

inline std::int16_t reduce_column(const WeightedRows& rows, std::int32_t column) {
  std::int32_t sum = 1 << (rows.drop - 1);
  for (std::int32_t k = 0; k < rows.taps; ++k) sum += rows.weights[k] * rows.row[k * rows.pitch_bytes + column];
  return static_cast<std::int16_t>(sum >> rows.drop);
}

// One plane: first all columns that outputs need are summed over the rows, then eight outputs at a time along the row.
template <typename V, int kChannels>
class TapsPlane {
 public:
  // The components of the plane go to kChannels rows from `reduced` on.
  TapsPlane(const Plane& plane, const AxisTable& x_axis, const AxisTable& y_axis, std::int16_t* interleaved,
            std::int16_t* const* reduced)
      : plane_(plane), x_(x_axis), y_(y_axis), interleaved_(interleaved) {
    const std::int32_t ends[2] = {x_axis.start[x_axis.begin], x_axis.start[x_axis.end - 1]};
    const bool rising = ends[0] < ends[1];
    first_ = rising ? ends[0] : ends[1];
    count_ = (rising ? ends[1] : ends[0]) + x_axis.taps - first_;
    for (int c = 0; c < kChannels; ++c) reduced_[c] = reduced[c];
  }

  void start_row(std::int32_t y) const {
    WeightedRows rows = weighted_rows(plane_, y_, y);
    rows.row += first_ * kChannels;
    if constexpr (kChannels == 1) {
      V::reduce_rows(rows, count_, reduced_[0] + first_);
    } else {
      V::reduce_rows(rows, count_ * kChannels, interleaved_);
      std::int16_t* parts[3];
      for (int c = 0; c < kChannels; ++c) parts[c] = reduced_[c] + first_;
      V::template split<kChannels>(interleaved_, count_, parts);
    }
  }

  HANDPOSE_INLINE void sample(std::int32_t x, typename V::Float* components) const {
    const std::int16_t* const weights = x_.weights + static_cast<std::ptrdiff_t>(x) * x_.stride;
    for (int c = 0; c < kChannels; ++c) {
      components[c] = V::weigh_block(reduced_[c], x_.start + x, weights, x_.stride, 6 + x_.bits);
    }
  }

 private:
  const Plane plane_;
  const AxisTable x_, y_;
  std::int16_t* const interleaved_;
  std::int16_t* reduced_[3];
  std::int32_t first_, count_;
};

template <typename V, PixelFormat kFormat, DType kDType, Layout kLayout>
struct TapsRows {
  static constexpr int kTable = plane_count(kFormat) > 1 ? 1 : 0, kThird = plane_count(kFormat) > 2 ? 2 : 0;

  static void run(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
    using Chroma = TapsPlane<V, plane_channels(kFormat, 1)>;
    const Plane* const planes = plan.source.planes;
    const AxisTable &x_axis = plan.x[kTable], &y_axis = plan.y[kTable];
    const TapsPlane<V, plane_channels(kFormat, 0)> first(planes[0], plan.x[0], plan.y[0], plan.interleaved,
                                                         plan.reduced);
    const Chroma second(planes[kTable], x_axis, y_axis, plan.interleaved, plan.reduced + kTable);
    const Chroma third(planes[kThird], x_axis, y_axis, plan.interleaved, plan.reduced + kThird);
    const YuvToRgb yuv = plan.params.yuv;
    const std::int32_t left = plan.x[0].begin, right = plan.x[0].end;
    BlockWriter<V, kDType, kLayout> writer(plan);
    for (std::int32_t y = begin; y < end; ++y) {
      first.start_row(y);
      if (kTable != 0) second.start_row(y);
      if (kThird != 0) third.start_row(y);
      writer.start_row(y);
      for (std::int32_t x = left; x < right; x += kBlock) {
        typename V::Float levels[3];
        first.sample(x, levels);
        if (kTable != 0) second.sample(x, levels + 1);
        if (kThird != 0) third.sample(x, levels + 2);
        to_components<V, kFormat>(yuv, levels);
        writer.write(x, right - x, levels);
      }
    }
  }
};

}  // namespace
}  // namespace handpose
