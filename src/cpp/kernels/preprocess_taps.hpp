// The filters "antialias" and "cubic" of preprocess in blocks; see preprocess_blocks.hpp.
//
// V::reduce_rows makes the weighted sum of rows of bytes, V::split puts the channels of a row apart, and V::weigh_rows
// makes the weighted sums along the rows of the channels, for which V::fill_weights may order the weights once per
// call.
#pragma once

#include "preprocess_blocks.hpp"

namespace handpose {
namespace {

// Rows of a plane and their weights; sum >> drop is in 1/64 grey level.
struct WeightedRows {
  const std::uint8_t* first;
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

// How many columns on from the first one there is one whose address is a multiple of `bytes`, a power of two: 1..bytes.
inline std::int32_t columns_to_alignment(const WeightedRows& rows, std::int32_t bytes) {
  return bytes - static_cast<std::int32_t>(reinterpret_cast<std::uintptr_t>(rows.first) &
                                           static_cast<std::uintptr_t>(bytes - 1));
}

inline std::int16_t reduce_column(const WeightedRows& rows, std::int32_t column) {
  std::int32_t sum = 1 << (rows.drop - 1);
  for (std::int32_t k = 0; k < rows.taps; ++k) sum += rows.weights[k] * rows.first[k * rows.pitch_bytes + column];
  return static_cast<std::int16_t>(sum >> rows.drop);
}

// The samples of a row that outputs need.
inline Columns needed_samples(const AxisTable& axis) {
  const std::int32_t first = axis.start[axis.begin], last = axis.start[axis.end - 1];
  return first < last ? Columns{first, last + axis.taps} : Columns{last, first + axis.taps};
}

// One row of one plane: first all columns that outputs need are summed over the rows, then along the row. The channels
// go to `levels`, in whole grey levels.
template <typename V, int kChannels>
void sample_taps(const PreprocessPlan& plan, const Plane& plane, int table, std::int32_t y, float* const* levels) {
  const AxisTable& axis = plan.x[table];
  const Columns needed = needed_samples(axis);
  const std::int32_t first = needed.begin, count = needed.end - first;
  WeightedRows rows = weighted_rows(plane, plan.y[table], y);
  rows.first += first * kChannels;
  if constexpr (kChannels == 1) {
    V::reduce_rows(rows, count, plan.reduced[0] + first);
  } else {
    V::reduce_rows(rows, count * kChannels, plan.interleaved);
    std::int16_t* const parts[3] = {plan.reduced[0] + first, plan.reduced[1] + first, plan.reduced[2] + first};
    V::template split<kChannels>(plan.interleaved, count, parts);
  }
  V::template weigh_rows<kChannels>(plan.reduced, axis, levels);
}

template <typename V>
struct TapsRows {
  const PreprocessPlan& plan;
  std::int32_t begin, end;

  template <typename Writer>
  void with_writer() const {
    for (std::int32_t y = begin; y < end; ++y) {
      for (int i = 0; i < plane_count(plan.source.format); ++i) {
        const Plane& plane = plan.source.planes[i];
        const auto sample = plane.channels == 1   ? sample_taps<V, 1>
                            : plane.channels == 2 ? sample_taps<V, 2>
                                                  : sample_taps<V, 3>;
        sample(plan, plane, i == 0 ? 0 : 1, y, plan.levels + i);
      }
      write_row<V, Writer>(plan, y, {plan.x[0].begin, plan.x[0].end}, 1.0f);
    }
  }
};

template <typename V>
void prepare_taps_of(PreprocessPlan* plan) {
  for (int table = 0; table < (is_yuv(plan->source.format) ? 2 : 1); ++table) V::fill_weights(&plan->x[table]);
}

template <typename V>
void taps_rows_of(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  // Vectors reach beyond the last sample, to weights of zero: no matter what is there, but something has to be.
  for (int table = 0; table < (is_yuv(plan.source.format) ? 2 : 1); ++table) {
    const std::int32_t last = needed_samples(plan.x[table]).end;
    for (std::int16_t* row : plan.reduced) std::memset(row + last, 0, kBeyondRow * sizeof(std::int16_t));
  }
  run_with_writer<V>(plan.out, TapsRows<V>{plan, begin, end});
}

}  // namespace
}  // namespace handpose
