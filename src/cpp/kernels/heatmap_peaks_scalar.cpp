// The sums and searches over a whole map in portable C++: the definition of the result.
#include <cstdint>

#include "../core/half.hpp"
#include "levels.hpp"

namespace handpose {
namespace scalar {
namespace {

// Sums run in lanes, column mod 16, so that vector levels can add in the same order.
constexpr std::int32_t kLanes = 16;

const std::uint8_t* row_of(const HeatmapView& map, std::int32_t y) { return map.data + y * map.pitch_bytes; }

float load(const std::uint8_t* row, bool half, std::int32_t x) {
  return half ? float_from_half(reinterpret_cast<const std::uint16_t*>(row)[x]) : reinterpret_cast<const float*>(row)[x];
}

float mass(float value) { return value > 0.0f ? value : 0.0f; }

float add_lanes(float lanes[kLanes]) {
  for (std::int32_t step = kLanes / 2; step > 0; step /= 2) {
    for (std::int32_t i = 0; i < step; ++i) lanes[i] += lanes[i + step];
  }
  return lanes[0];
}

}  // namespace

MapPeak find_peak(const HeatmapView& map) {
  MapPeak peak{-1, -1, 0};
  for (std::int32_t y = 0; y < map.height; ++y) {
    const std::uint8_t* row = row_of(map, y);
    for (std::int32_t x = 0; x < map.width; ++x) {
      const float value = load(row, map.half, x);
      const bool number = value == value;
      if (value > peak.value || (peak.x < 0 && number)) peak = {x, y, value};
    }
  }
  return peak;
}

MapMoments first_moments(const HeatmapView& map) {
  float sum[kLanes] = {}, sum_x[kLanes] = {}, sum_y[kLanes] = {};
  for (std::int32_t y = 0; y < map.height; ++y) {
    const std::uint8_t* row = row_of(map, y);
    float in_row[kLanes] = {};
    for (std::int32_t x = 0; x < map.width; ++x) {
      const float value = mass(load(row, map.half, x));
      in_row[x % kLanes] += value;
      sum_x[x % kLanes] += value * static_cast<float>(x);
    }
    for (std::int32_t i = 0; i < kLanes; ++i) {
      sum[i] += in_row[i];
      sum_y[i] += in_row[i] * static_cast<float>(y);
    }
  }
  return {add_lanes(sum), add_lanes(sum_x), add_lanes(sum_y), 0};
}

MapMoments second_moments(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y) {
  float sum[kLanes] = {}, sum_x[kLanes] = {}, sum_y[kLanes] = {}, squares[kLanes] = {};
  for (std::int32_t y = 0; y < map.height; ++y) {
    const std::uint8_t* row = row_of(map, y);
    const auto dy = static_cast<float>(y - center_y);
    float in_row[kLanes] = {};
    for (std::int32_t x = 0; x < map.width; ++x) {
      const auto dx = static_cast<float>(x - center_x);
      const float moment = mass(load(row, map.half, x)) * dx;
      in_row[x % kLanes] += mass(load(row, map.half, x));
      sum_x[x % kLanes] += moment;
      squares[x % kLanes] += moment * dx;
    }
    for (std::int32_t i = 0; i < kLanes; ++i) {
      const float moment = in_row[i] * dy;
      sum[i] += in_row[i];
      sum_y[i] += moment;
      squares[i] += moment * dy;
    }
  }
  return {add_lanes(sum), add_lanes(sum_x), add_lanes(sum_y), add_lanes(squares)};
}

}  // namespace scalar
}  // namespace handpose
