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

// The two kinds of pixels, so that the loops are compiled once for each.
struct Single {
  using Stored = float;
  static float value(Stored stored) { return stored; }
};

struct Half {
  using Stored = std::uint16_t;
  static float value(Stored stored) { return float_from_half(stored); }
};

float mass(float value) { return value > 0.0f ? value : 0.0f; }

float add_lanes(float lanes[kLanes]) {
  for (std::int32_t step = kLanes / 2; step > 0; step /= 2) {
    for (std::int32_t i = 0; i < step; ++i) lanes[i] += lanes[i + step];
  }
  return lanes[0];
}

template <typename Kind>
MapPeak find_peak_of(const HeatmapView& map) {
  MapPeak peak{-1, -1, 0};
  for (std::int32_t y = 0; y < map.height; ++y) {
    const auto* row = reinterpret_cast<const typename Kind::Stored*>(row_of(map, y));
    for (std::int32_t x = 0; x < map.width; ++x) {
      const float value = Kind::value(row[x]);
      const bool number = value == value;
      if (value > peak.value || (peak.x < 0 && number)) peak = {x, y, value};
    }
  }
  return peak;
}

template <typename Kind>
MapMoments first_moments_of(const HeatmapView& map) {
  float sum[kLanes] = {}, sum_x[kLanes] = {}, sum_y[kLanes] = {};
  for (std::int32_t y = 0; y < map.height; ++y) {
    const auto* row = reinterpret_cast<const typename Kind::Stored*>(row_of(map, y));
    float in_row[kLanes] = {};
    for (std::int32_t block = 0; block < map.width; block += kLanes) {
      const std::int32_t lanes = map.width - block < kLanes ? map.width - block : kLanes;
      for (std::int32_t i = 0; i < lanes; ++i) {
        const float value = mass(Kind::value(row[block + i]));
        in_row[i] += value;
        sum_x[i] += value * static_cast<float>(block + i);
      }
    }
    for (std::int32_t i = 0; i < kLanes; ++i) {
      sum[i] += in_row[i];
      sum_y[i] += in_row[i] * static_cast<float>(y);
    }
  }
  return {add_lanes(sum), add_lanes(sum_x), add_lanes(sum_y), 0};
}

template <typename Kind>
MapMoments second_moments_of(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y) {
  float sum[kLanes] = {}, sum_x[kLanes] = {}, sum_y[kLanes] = {}, squares[kLanes] = {};
  for (std::int32_t y = 0; y < map.height; ++y) {
    const auto* row = reinterpret_cast<const typename Kind::Stored*>(row_of(map, y));
    const auto dy = static_cast<float>(y - center_y);
    float in_row[kLanes] = {};
    for (std::int32_t block = 0; block < map.width; block += kLanes) {
      const std::int32_t lanes = map.width - block < kLanes ? map.width - block : kLanes;
      for (std::int32_t i = 0; i < lanes; ++i) {
        const float value = mass(Kind::value(row[block + i]));
        const auto dx = static_cast<float>(block + i - center_x);
        const float moment = value * dx;
        in_row[i] += value;
        sum_x[i] += moment;
        squares[i] += moment * dx;
      }
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

}  // namespace

MapPeak find_peak(const HeatmapView& map) { return map.half ? find_peak_of<Half>(map) : find_peak_of<Single>(map); }

MapMoments first_moments(const HeatmapView& map) {
  return map.half ? first_moments_of<Half>(map) : first_moments_of<Single>(map);
}

MapMoments second_moments(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y) {
  return map.half ? second_moments_of<Half>(map, center_x, center_y)
                  : second_moments_of<Single>(map, center_x, center_y);
}

}  // namespace scalar
}  // namespace handpose
