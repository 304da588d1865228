// The rows of preprocess in portable C++: the definition of the result.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "levels.hpp"
#include "preprocess_positions.hpp"
#include "preprocess_values.hpp"

namespace handpose {
namespace scalar {
namespace {

// Where the components of a plane go: to rows, by the format and the order of the output channels.
struct Targets {
  float* of[3];
};

// The rows that the components of the only plane (bgr24, rgb24, gray8), or Y, U and V, are sampled into.
Targets component_rows(const PreprocessPlan& plan) {
  const bool reversed = !is_yuv(plan.source.format) && channels_reversed(plan);
  return reversed ? Targets{{plan.levels[2], plan.levels[1], plan.levels[0]}}
                  : Targets{{plan.levels[0], plan.levels[1], plan.levels[2]}};
}

// Y, U, V in the three rows, in `unit` grey levels, become R, G, B in the order of the output channels.
void convert_yuv(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end, float unit) {
  const YuvToRgb k = yuv_in_units(plan.params.yuv, unit);
  const bool rgb = plan.params.channel_order == ChannelOrder::kRgb;
  for (std::int32_t x = begin; x < end; ++x) {
    const float y = plan.levels[0][x], u = plan.levels[1][x], v = plan.levels[2][x];
    const float red = clamp_level(k.scale * y + (k.r_v * v + k.red));
    const float green = clamp_level((k.scale * y + (k.g_u * u + k.green)) + k.g_v * v);
    const float blue = clamp_level(k.scale * y + (k.b_u * u + k.blue));
    plan.levels[0][x] = rgb ? red : blue;
    plan.levels[1][x] = green;
    plan.levels[2][x] = rgb ? blue : red;
  }
}

// Normalises and writes columns begin <= x < end of row y.
void write_row(const PreprocessPlan& plan, std::int32_t y, std::int32_t begin, std::int32_t end, float unit) {
  const TensorView& out = plan.out;
  const auto width = static_cast<std::size_t>(out.width);
  const std::size_t row = static_cast<std::size_t>(y) * width;
  const std::size_t area = width * static_cast<std::size_t>(out.height);
  const bool planar = out.layout == Layout::kNchw;
  for (std::size_t c = 0; c < 3; ++c) {
    const std::size_t first = planar ? c * area + row : row * 3 + c;
    const std::size_t step = planar ? 1 : 3;
    for (std::int32_t x = begin; x < end; ++x) {
      const float value = plan.levels[c][x] * (plan.params.scale[c] * unit) + plan.params.bias[c];
      store_value(out.data, out.dtype, first + static_cast<std::size_t>(x) * step, value);
    }
  }
}

// After the planes have been sampled, in `unit` grey levels: colour, then normalise and write the row.
void finish_row(const PreprocessPlan& plan, std::int32_t y, std::int32_t begin, std::int32_t end, float unit) {
  const bool convert = is_yuv(plan.source.format);
  if (convert) {
    convert_yuv(plan, begin, end, unit);
  } else if (plan.source.format == PixelFormat::kGray8) {
    const std::size_t bytes = static_cast<std::size_t>(end - begin) * sizeof(float);
    std::memcpy(plan.levels[1] + begin, plan.levels[0] + begin, bytes);
    std::memcpy(plan.levels[2] + begin, plan.levels[0] + begin, bytes);
  }
  write_row(plan, y, begin, end, convert ? 1.0f : unit);
}

// Calls sample(plane, which tables, targets) for every plane of the source.
template <typename Sample>
void for_each_plane(const PreprocessPlan& plan, const Sample& sample) {
  const Targets rows = component_rows(plan);
  sample(plan.source.planes[0], 0, rows);
  if (plan.source.format == PixelFormat::kNv12)
    sample(plan.source.planes[1], 1, Targets{{rows.of[1], rows.of[2], nullptr}});
  if (plan.source.format == PixelFormat::kYuv420p) {
    sample(plan.source.planes[1], 1, Targets{{rows.of[1], nullptr, nullptr}});
    sample(plan.source.planes[2], 1, Targets{{rows.of[2], nullptr, nullptr}});
  }
}

// The weighted sum of two pixels across and two rows, in kPerSum; `second` is the weight of the second pixel in
// 1 / 2^14, `down` that of the second row in 1 / 2^15.
float blend(std::int32_t p00, std::int32_t p01, std::int32_t p10, std::int32_t p11, std::int32_t second,
            std::int32_t down) {
  const std::int32_t first = 16384 - second;
  const std::int32_t below0 = (first * down + 16384) >> 15, below1 = (second * down + 16384) >> 15;
  const std::int32_t sum = p00 * (first - below0) + p01 * (second - below1) + p10 * below0 + p11 * below1;
  return static_cast<float>(sum);  // below 2^22
}

void sample_linear(const Plane& plane, const AxisTable& x_axis, const AxisTable& y_axis, std::int32_t y,
                   const Targets& rows) {
  const std::int32_t top = y_axis.start[y];
  const std::uint8_t* row0 = plane.row(top);
  const std::uint8_t* row1 = y_axis.taps == 2 ? plane.row(top + 1) : row0;
  const std::int32_t next = x_axis.taps == 2 ? plane.channels : 0;
  for (std::int32_t x = x_axis.begin; x < x_axis.end; ++x) {
    const std::int32_t at = x_axis.start[x] * plane.channels;
    for (std::int32_t c = at; c < at + plane.channels; ++c) {
      rows.of[c - at][x] =
          blend(row0[c], row0[c + next], row1[c], row1[c + next], x_axis.weights[2 * x + 1], y_axis.down[y]);
    }
  }
}

// The sum along a row of output x in channel c, in 1/64 grey level.
std::int16_t sum_along(const std::uint8_t* row, const AxisTable& axis, std::int32_t x, std::int32_t c,
                       std::int32_t channels) {
  const std::int16_t* weights = axis.weights + static_cast<std::ptrdiff_t>(x) * axis.stride;
  const std::uint8_t* from = row + axis.start[x] * channels + c;
  const std::int32_t drop = axis.bits - 6;
  std::int32_t sum = 1 << (drop - 1);
  for (std::int32_t k = 0; k < axis.taps; ++k) sum += weights[k] * from[k * channels];
  return static_cast<std::int16_t>(sum >> drop);
}

// First along the rows, into 1/64 grey level, then down them into whole ones: all in integers, so the order of summing
// does not matter.
void sample_taps(const PreprocessPlan& plan, const Plane& plane, const AxisTable& x_axis, const AxisTable& y_axis,
                 std::int32_t y, const Targets& rows) {
  const std::int32_t channels = plane.channels, shift = y_axis.bits + 6;
  const std::int16_t* weights = y_axis.weights + static_cast<std::ptrdiff_t>(y) * y_axis.stride;
  std::int32_t* const sums = plan.sums[0];
  std::fill(sums + x_axis.begin * channels, sums + x_axis.end * channels, 1 << (shift - 1));
  for (std::int32_t k = 0; k < y_axis.taps; ++k) {
    if (weights[k] == 0) continue;
    const std::uint8_t* row = plane.row(y_axis.start[y] + k);
    for (std::int32_t x = x_axis.begin; x < x_axis.end; ++x) {
      for (std::int32_t c = 0; c < channels; ++c) {
        sums[x * channels + c] += weights[k] * sum_along(row, x_axis, x, c, channels);
      }
    }
  }
  for (std::int32_t x = x_axis.begin; x < x_axis.end; ++x) {
    for (std::int32_t c = 0; c < channels; ++c) {
      const std::int32_t level = sums[x * channels + c] >> shift;
      rows.of[c][x] = static_cast<float>(level < 0 ? 0 : level > 255 ? 255 : level);
    }
  }
}

void sample_point(const Plane& plane, const PositionTap& across, const PositionTap& down, float* const values[3]) {
  const std::int32_t second = second_weight(across), share = second_share(down);
  const std::uint8_t* row0 = plane.row(down.at) + across.at * plane.channels;
  const std::uint8_t* row1 = plane.height > 1 ? row0 + plane.pitch_bytes : row0;
  const std::int32_t next = plane.width > 1 ? plane.channels : 0;
  for (std::int32_t c = 0; c < plane.channels; ++c) {
    *values[c] = blend(row0[c], row0[c + next], row1[c], row1[c + next], second, share);
  }
}

// One output, up to its samples in the order of the output channels.
void sample_rotated(const PreprocessPlan& plan, std::int32_t x, std::int32_t y) {
  for_each_plane(plan, [&](const Plane& plane, int table, const Targets& rows) {
    const PositionAxis &across = plan.across[table], &down = plan.down[table];
    float* const values[3] = {rows.of[0] + x, rows.of[1] != nullptr ? rows.of[1] + x : nullptr,
                              rows.of[2] != nullptr ? rows.of[2] + x : nullptr};
    sample_point(plane, position_tap(position_of_column(across, x) + position_of_row(across, y), plane.width),
                 position_tap(position_of_column(down, x) + position_of_row(down, y), plane.height), values);
  });
}

}  // namespace

void prepare_linear(PreprocessPlan*) {}

void prepare_taps(PreprocessPlan*) {}

void linear_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  for (std::int32_t y = begin; y < end; ++y) {
    for_each_plane(plan, [&](const Plane& plane, int table, const Targets& rows) {
      sample_linear(plane, plan.x[table], plan.y[table], y, rows);
    });
    finish_row(plan, y, plan.x[0].begin, plan.x[0].end, kPerSum);
  }
}

void taps_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  for (std::int32_t y = begin; y < end; ++y) {
    for_each_plane(plan, [&](const Plane& plane, int table, const Targets& rows) {
      sample_taps(plan, plane, plan.x[table], plan.y[table], y, rows);
    });
    finish_row(plan, y, plan.x[0].begin, plan.x[0].end, 1.0f);
  }
}

void rotated_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  for (std::int32_t y = begin; y < end; ++y) {
    for (std::int32_t x = plan.inside[y].begin; x < plan.inside[y].end; ++x) sample_rotated(plan, x, y);
    finish_row(plan, y, plan.inside[y].begin, plan.inside[y].end, kPerSum);
  }
}

}  // namespace scalar
}  // namespace handpose
