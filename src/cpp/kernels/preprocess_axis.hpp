// How one axis of the output of preprocess reads one axis of a plane: first taps and weights, worked out once per call.
#pragma once

#include <cstdint>

#include "preprocess.hpp"

namespace handpose {

// One axis of the map from input to a plane: centre of output i at (i + 0.5) * scale + offset, in samples of the plane.
struct AxisMap {
  double scale, offset;
  std::int32_t size;    // of the plane
  std::int32_t extent;  // of the whole image on the same axis, in the plane's samples times two
  std::int32_t outputs;
  double tolerance;  // in the plane's samples, so that all planes agree on what is inside

  double centre(std::int32_t i) const { return (i + 0.5) * scale + offset; }
  double clamped_centre(std::int32_t i) const;
};

// Taps per output, and how many weights there are from one output to the next.
std::int32_t axis_taps(Filter filter, const AxisMap& map);
std::int32_t axis_weight_stride(Filter filter, std::int32_t taps);

// Fills start, weights, down, begin and end of a table whose `taps` and `stride` are set.
void fill_axis(const AxisMap& map, const PreprocessParams& params, AxisTable* table);

// For the x axis of the filter "linear": whether the taps of every group of so many neighbouring outputs lie within
// `bytes` of a row. Of eight outputs the last group may have fewer.
bool group_fits(const AxisTable& table, std::int32_t channels, std::int32_t bytes, std::int32_t group);

// Fills offsets and shifts of a table whose `group` is set: see AxisTable.
void fill_offsets(std::int32_t channels, AxisTable* table);

}  // namespace handpose
