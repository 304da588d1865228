// The searches over a map and the blur, eight pixels at a time; the same operations in the same order as in
// heatmap_peaks_scalar.cpp. A level includes its Float8 and Lanes, defines HANDPOSE_LEVEL and includes this.
#pragma once

#include <limits>

#include "heatmap_moments_vector.hpp"

namespace handpose {
namespace HANDPOSE_LEVEL {
namespace {

constexpr std::int32_t kStep = 8;
constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr std::uint16_t kHalfInfinity = 0x7c00;

// `count` values, 0..8, and `rest` in the lanes after them.
template <typename Stored>
Float8 load_some(const Stored* from, std::int32_t count, float rest) {
  float values[kStep];
  for (std::int32_t i = 0; i < kStep; ++i) values[i] = i < count ? load1(from + i) : rest;
  return load8(values);
}

Float8 mass(Float8 value) { return larger(value, zero8()); }

// The largest of the values by kLarger.
template <Float8 (*kLarger)(Float8, Float8), typename Stored>
float largest_by(const Stored* values, std::int32_t count) {
  Float8 most[4] = {all(kNone), all(kNone), all(kNone), all(kNone)};
  std::int32_t x = 0;
  for (; x + 4 * kStep <= count; x += 4 * kStep) {
    fetch_ahead(values + x);
    fetch_ahead(values + x + 2 * kStep);
    for (std::int32_t k = 0; k < 4; ++k) most[k] = kLarger(load8(values + x + k * kStep), most[k]);
  }
  for (; x + kStep <= count; x += kStep) most[0] = kLarger(load8(values + x), most[0]);
  if (x < count) {
    const Float8 rest = x == 0 ? load_some(values, count, kNone) : load8(values + count - kStep);
    most[1] = kLarger(rest, most[1]);
  }
  return largest_lane(kLarger(kLarger(most[0], most[1]), kLarger(most[2], most[3])));
}

// The largest of the values that are numbers, minus infinity where none is.
template <typename Stored>
float largest_of(const Stored* values, std::int32_t count) {
  const float most = largest_by<larger_or_nan>(values, count);
  return most == most ? most : largest_by<larger>(values, count);
}

// The same, or, where nothing is above `best`, any value that is not either: that is known sooner of half floats.
inline float largest_above(const float* values, std::int32_t count, float) { return largest_of(values, count); }

inline float largest_above(const std::uint16_t* values, std::int32_t count, float best) {
  // Negative values, and NaN with a sign, are negative numbers of 16 bits too, and stay below zero.
  Half16 most[4] = {zero16(), zero16(), zero16(), zero16()};
  std::int32_t x = 0;
  for (; x + 4 * kLanes <= count; x += 4 * kLanes) {
    fetch_ahead(values + x);
    fetch_ahead(values + x + 2 * kLanes);
    for (std::int32_t k = 0; k < 4; ++k) most[k] = larger(load16(values + x + k * kLanes), most[k]);
  }
  for (; x + kLanes <= count; x += kLanes) most[0] = larger(load16(values + x), most[0]);
  if (x < count) {
    if (x == 0) return largest_of(values, count);
    most[1] = larger(load16(values + count - kLanes), most[1]);
  }
  const std::uint16_t bits = largest_bits(larger(larger(most[0], most[1]), larger(most[2], most[3])));
  const bool number = bits <= kHalfInfinity;
  if (number && (bits > 0 || best >= 0)) return load1(&bits);
  return largest_of(values, count);
}

// The place of the first value that equals `wanted`, or -1.
template <typename Stored>
std::int32_t find_first(const Stored* values, std::int32_t count, float wanted) {
  const Float8 wanted8 = all(wanted);
  std::int32_t x = 0;
  for (; x + kStep <= count; x += kStep) {
    const int lane = first_equal(load8(values + x), wanted8);
    if (lane < kStep) return x + lane;
  }
  for (; x < count; ++x) {
    if (load1(values + x) == wanted) return x;
  }
  return -1;
}

inline std::int32_t find_peak_in(const float* line, std::int32_t count, float value) {
  return find_first(line, count, value);
}

// All values but zero have one pattern of bits each.
inline std::int32_t find_peak_in(const std::uint16_t* line, std::int32_t count, float value) {
  std::int32_t x = 0;
  if (value > 0) {
    const Half16 wanted = all16(half_bits(value));
    for (; x + kLanes <= count; x += kLanes) {
      const int lane = first_equal(load16(line + x), wanted);
      if (lane < kLanes) return x + lane;
    }
  }
  const std::int32_t place = find_first(line + x, count - x, value);
  return place < 0 ? -1 : x + place;
}

// A map as lines to search: its rows, or stretches of a few cache lines' worth where rows follow one another densely.
struct Lines {
  std::int64_t pitch_bytes;
  std::int64_t values;  // of all lines
  std::int32_t length;  // of every line but the last

  std::int32_t length_of(std::int64_t line) const {
    const std::int64_t rest = values - line * length;
    return rest < length ? static_cast<std::int32_t>(rest) : length;
  }
};

template <typename Stored>
Lines lines_of(const HeatmapView& map) {
  constexpr std::int32_t kDenseLength = 512;
  constexpr std::int64_t kItem = sizeof(Stored);
  const std::int64_t values = static_cast<std::int64_t>(map.height) * map.width;
  const bool dense = map.height == 1 || map.pitch_bytes == map.width * kItem;
  if (dense) return {kDenseLength * kItem, values, kDenseLength};
  return {map.pitch_bytes, values, map.width};
}

template <typename Stored>
MapPeak find_peak_of(const HeatmapView& map) {
  const Lines lines = lines_of<Stored>(map);
  const std::int64_t count = (lines.values + lines.length - 1) / lines.length;
  const auto line_at = [&](std::int64_t line) {
    return reinterpret_cast<const Stored*>(map.data + line * lines.pitch_bytes);
  };
  float best = kNone;
  std::int64_t best_line = 0;
  for (std::int64_t line = 0; line < count; ++line) {
    const float most = largest_above(line_at(line), lines.length_of(line), best);
    best_line = most > best ? line : best_line;
    best = most > best ? most : best;
  }
  // Found in the first line that is searched, unless the largest value is minus infinity, or there is none.
  for (std::int64_t line = best_line; line < count; ++line) {
    const std::int32_t place = find_peak_in(line_at(line), lines.length_of(line), best);
    if (place < 0) continue;
    const std::int64_t at = line * lines.length + place;
    return {static_cast<std::int32_t>(at % map.width), static_cast<std::int32_t>(at / map.width),
            load1(line_at(line) + place)};
  }
  return {-1, -1, 0};
}

// The masses of columns x .. x + 7, zero outside the map.
template <typename Stored>
Float8 load_columns(const Stored* row, std::int32_t x, std::int32_t width) {
  if (x >= 0 && x + kStep <= width) return mass(load8(row + x));
  float values[kStep];
  for (std::int32_t i = 0; i < kStep; ++i) values[i] = x + i >= 0 && x + i < width ? load1(row + x + i) : 0.0f;
  return mass(load8(values));
}

template <typename Stored>
void blur_around_of(const HeatmapView& map, const MapPeak& peak, const PeakParams& params, BlurredPatch* patch) {
  constexpr std::int32_t kMostColumns = (kMostBlurTaps + kBlurredSide - 1 + kStep - 1) / kStep * kStep;
  const std::int32_t side = params.blur_taps + kBlurredSide - 1;
  const std::int32_t left = peak.x - side / 2;
  const std::int32_t top = peak.y - side / 2;
  const std::int32_t y_begin = top > 0 ? top : 0;
  const std::int32_t y_end = top + side < map.height ? top + side : map.height;
  float down[kBlurredSide][kMostColumns + kStep];
  std::int32_t columns = 0;
  for (; columns < side; columns += kStep) {
    Float8 sums[kBlurredSide] = {zero8(), zero8(), zero8(), zero8(), zero8()};
    for (std::int32_t y = y_begin; y < y_end; ++y) {
      const Float8 masses = load_columns(row_of<Stored>(map, y), left + columns, map.width);
      const float* weights = params.taps() + (y - top);
      for (std::int32_t j = 0; j < kBlurredSide; ++j) sums[j] = sums[j] + all(weights[-j]) * masses;
    }
    for (std::int32_t j = 0; j < kBlurredSide; ++j) store8(down[j] + columns, sums[j]);
  }
  for (std::int32_t j = 0; j < kBlurredSide; ++j) store8(down[j] + columns, zero8());  // read, but not used
  Float8 sums[kBlurredSide] = {zero8(), zero8(), zero8(), zero8(), zero8()};
  for (std::int32_t t = 0; t < params.blur_taps; ++t) {
    const Float8 weight = all(params.taps()[t]);
    for (std::int32_t j = 0; j < kBlurredSide; ++j) sums[j] = sums[j] + weight * load8(down[j] + t);
  }
  for (std::int32_t j = 0; j < kBlurredSide; ++j) store8(patch->at[j], sums[j]);
}

}  // namespace

MapPeak find_peak(const HeatmapView& map) {
  return map.half ? find_peak_of<std::uint16_t>(map) : find_peak_of<float>(map);
}

FirstMoments first_moments(const HeatmapView& map) {
  return map.half ? first_moments_of<std::uint16_t>(map) : first_moments_of<float>(map);
}

void blur_around(const HeatmapView& map, const MapPeak& peak, const PeakParams& params, BlurredPatch* patch) {
  return map.half ? blur_around_of<std::uint16_t>(map, peak, params, patch)
                  : blur_around_of<float>(map, peak, params, patch);
}

}  // namespace HANDPOSE_LEVEL
}  // namespace handpose
