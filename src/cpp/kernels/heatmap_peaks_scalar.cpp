// The sums and searches over a map in portable C++: the definition of the result.
#include <cstdint>

#include "../core/half.hpp"
#include "levels.hpp"

namespace handpose {
namespace scalar {
namespace {

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

// Columns are weighted without a product per pixel: a row's running sums, added up after every block of kLanes columns,
// count a pixel once for its own block and once for each one right of it.
template <typename Kind>
FirstMoments first_moments_of(const HeatmapView& map) {
  float sum[kLanes] = {}, repeated[kLanes] = {}, sum_x[kLanes], sum_y[kLanes] = {}, most[kLanes] = {};
  for (std::int32_t y = 0; y < map.height; ++y) {
    const auto* row = reinterpret_cast<const typename Kind::Stored*>(row_of(map, y));
    float in_row[kLanes] = {}, repeated_in_row[kLanes] = {};
    for (std::int32_t block = 0; block < map.width; block += kLanes) {
      float masses[kLanes] = {};
      const std::int32_t lanes = map.width - block < kLanes ? map.width - block : kLanes;
      for (std::int32_t i = 0; i < lanes; ++i) masses[i] = mass(Kind::value(row[block + i]));
      for (std::int32_t i = 0; i < kLanes; ++i) {
        most[i] = masses[i] > most[i] ? masses[i] : most[i];
        in_row[i] += masses[i];
        repeated_in_row[i] += in_row[i];
      }
    }
    for (std::int32_t i = 0; i < kLanes; ++i) {
      sum[i] += in_row[i];
      repeated[i] += repeated_in_row[i];
      sum_y[i] += in_row[i] * static_cast<float>(y);
    }
  }
  const std::int32_t blocks = (map.width + kLanes - 1) / kLanes;
  float largest = 0;
  for (std::int32_t i = 0; i < kLanes; ++i) {
    const float block_of = sum[i] * static_cast<float>(blocks) - repeated[i];
    sum_x[i] = block_of * static_cast<float>(kLanes) + sum[i] * static_cast<float>(i);
    largest = most[i] > largest ? most[i] : largest;
  }
  return {add_lanes(sum), add_lanes(sum_x), add_lanes(sum_y), largest};
}

template <typename Kind>
SecondMoments second_moments_of(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y) {
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

template <typename Kind>
void blur_around_of(const HeatmapView& map, const MapPeak& peak, const PeakParams& params, BlurredPatch* patch) {
  const std::int32_t side = params.blur_taps + kBlurredSide - 1;
  const std::int32_t left = peak.x - side / 2;
  const std::int32_t top = peak.y - side / 2;
  float down[kBlurredSide][kMostBlurTaps + kBlurredSide - 1] = {};
  for (std::int32_t r = 0; r < side; ++r) {
    if (top + r < 0 || top + r >= map.height) continue;
    const auto* row = reinterpret_cast<const typename Kind::Stored*>(row_of(map, top + r));
    for (std::int32_t c = 0; c < side; ++c) {
      if (left + c < 0 || left + c >= map.width) continue;
      const float value = mass(Kind::value(row[left + c]));
      for (std::int32_t j = 0; j < kBlurredSide; ++j) down[j][c] += params.taps()[r - j] * value;
    }
  }
  for (std::int32_t j = 0; j < kBlurredSide; ++j) {
    for (std::int32_t i = 0; i < kBlurredSide; ++i) {
      float sum = 0;
      for (std::int32_t t = 0; t < params.blur_taps; ++t) sum += params.taps()[t] * down[j][i + t];
      patch->at[j][i] = sum;
    }
  }
}

}  // namespace

MapPeak find_peak(const HeatmapView& map) { return map.half ? find_peak_of<Half>(map) : find_peak_of<Single>(map); }

FirstMoments first_moments(const HeatmapView& map) {
  return map.half ? first_moments_of<Half>(map) : first_moments_of<Single>(map);
}

SecondMoments second_moments(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y) {
  return map.half ? second_moments_of<Half>(map, center_x, center_y)
                  : second_moments_of<Single>(map, center_x, center_y);
}

void blur_around(const HeatmapView& map, const MapPeak& peak, const PeakParams& params, BlurredPatch* patch) {
  return map.half ? blur_around_of<Half>(map, peak, params, patch) : blur_around_of<Single>(map, peak, params, patch);
}

}  // namespace scalar
}  // namespace handpose
