// The sums and searches over a map, eight pixels at a time; the same operations in the same order as in
// heatmap_peaks_scalar.cpp. A level includes its Float8, defines HANDPOSE_LEVEL and includes this.
#pragma once

#include <limits>

#include "levels.hpp"

namespace handpose {
namespace HANDPOSE_LEVEL {
namespace {

constexpr std::int32_t kStep = 8;
constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr std::uint16_t kHalfInfinity = 0x7c00;

template <typename Stored>
const Stored* row_of(const HeatmapView& map, std::int32_t y) {
  return reinterpret_cast<const Stored*>(map.data + y * map.pitch_bytes);
}

// `count` values, 0..8, and `rest` in the lanes after them.
template <typename Stored>
Float8 load_some(const Stored* from, std::int32_t count, float rest) {
  float values[kStep];
  for (std::int32_t i = 0; i < kStep; ++i) values[i] = i < count ? load1(from + i) : rest;
  return load8(values);
}

Float8 mass(Float8 value) { return larger(value, zero8()); }

// The largest of the values that are numbers, minus infinity where none is.
template <typename Stored>
float largest_of(const Stored* values, std::int32_t count) {
  Float8 most[4] = {all(kNone), all(kNone), all(kNone), all(kNone)};
  std::int32_t x = 0;
  for (; x + 4 * kStep <= count; x += 4 * kStep) {
    for (std::int32_t k = 0; k < 4; ++k) most[k] = larger(load8(values + x + k * kStep), most[k]);
  }
  for (; x + kStep <= count; x += kStep) most[0] = larger(load8(values + x), most[0]);
  if (x < count) {
    const Float8 rest = x == 0 ? load_some(values, count, kNone) : load8(values + count - kStep);
    most[1] = larger(rest, most[1]);
  }
  return largest_lane(larger(larger(most[0], most[1]), larger(most[2], most[3])));
}

// The same, or, where nothing is above `best`, any value that is not either: that is known sooner of half floats.
inline float largest_above(const float* values, std::int32_t count, float) { return largest_of(values, count); }

inline float largest_above(const std::uint16_t* values, std::int32_t count, float best) {
  // Negative values, and NaN with a sign, are negative numbers of 16 bits too, and stay below zero.
  Half16 most[4] = {zero16(), zero16(), zero16(), zero16()};
  std::int32_t x = 0;
  for (; x + 4 * kLanes <= count; x += 4 * kLanes) {
    for (std::int32_t k = 0; k < 4; ++k) most[k] = larger_bits(load16(values + x + k * kLanes), most[k]);
  }
  for (; x + kLanes <= count; x += kLanes) most[0] = larger_bits(load16(values + x), most[0]);
  if (x < count) {
    if (x == 0) return largest_of(values, count);
    most[1] = larger_bits(load16(values + count - kLanes), most[1]);
  }
  const std::uint16_t bits = largest_bits(larger_bits(larger_bits(most[0], most[1]), larger_bits(most[2], most[3])));
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

// Sums of lanes 0..7 and of lanes 8..15.
struct Sums {
  Float8 half[2] = {zero8(), zero8()};

  float total() const { return sum_of_lanes(half[0] + half[1]); }
};

// The masses of columns x .. x + 15, zero beyond the width.
template <typename Stored>
void load_block(const Stored* row, std::int32_t x, std::int32_t width, Float8 masses[2]) {
  for (std::int32_t k = 0; k < 2; ++k, x += kStep) {
    if (x + kStep <= width) {
      masses[k] = mass(load8(row + x));
    } else {
      masses[k] = x < width ? mass(load_some(row + x, width - x, 0.0f)) : zero8();
    }
  }
}

constexpr float kLaneNumbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// The masses of sixteen pixels, and the largest of all so far.
template <typename Item>
class Masses {
 public:
  using Stored = Item;

  void load(const Stored* from, Float8 masses[2]) {
    for (std::int32_t k = 0; k < 2; ++k) {
      masses[k] = mass(load8(from + k * kStep));
      most_.half[k] = larger(masses[k], most_.half[k]);
    }
  }

  bool saw_nan() const { return false; }
  float largest() const { return largest_lane(larger(most_.half[0], most_.half[1])); }

 private:
  Sums most_;
};

// The same where none is NaN, compared as integers: the sums alone keep the floating-point units busy.
template <typename Item>
class NumberMasses;

template <>
class NumberMasses<float> {
 public:
  using Stored = float;

  void load(const Stored* from, Float8 masses[2]) {
    for (std::int32_t k = 0; k < 2; ++k) {
      masses[k] = larger_bits(load8(from + k * kStep), zero8());
      most_.half[k] = larger_bits(masses[k], most_.half[k]);
    }
  }

  bool saw_nan() const { return any_nan(larger_bits(most_.half[0], most_.half[1])); }
  float largest() const { return largest_lane(larger_bits(most_.half[0], most_.half[1])); }

 private:
  Sums most_;
};

template <>
class NumberMasses<std::uint16_t> {
 public:
  using Stored = std::uint16_t;

  void load(const Stored* from, Float8 masses[2]) {
    const Half16 halves = larger_bits(load16(from), zero16());
    most_ = larger_bits(halves, most_);
    masses[0] = low8(halves);
    masses[1] = high8(halves);
  }

  bool saw_nan() const { return any_nan(most_); }
  float largest() const { return largest_lane(larger(low8(most_), high8(most_))); }

 private:
  Half16 most_ = zero16();
};

// Whether the masses were the right kind for the map; `moments` holds nothing of use otherwise.
template <typename Source>
bool sum_first_moments(const HeatmapView& map, FirstMoments* moments) {
  Source source;
  Sums sum, repeated, sum_x, sum_y;
  for (std::int32_t y = 0; y < map.height; ++y) {
    const auto* row = row_of<typename Source::Stored>(map, y);
    Sums in_row, repeated_in_row;
    const auto add_block = [&](const typename Source::Stored* block) {
      Float8 masses[2];
      source.load(block, masses);
      for (std::int32_t k = 0; k < 2; ++k) {
        in_row.half[k] = in_row.half[k] + masses[k];
        repeated_in_row.half[k] = repeated_in_row.half[k] + in_row.half[k];
      }
    };
    std::int32_t x = 0;
    for (; x + kLanes <= map.width; x += kLanes) add_block(row + x);
    if (x < map.width) {
      typename Source::Stored block[kLanes] = {};
      for (std::int32_t i = 0; x + i < map.width; ++i) block[i] = row[x + i];
      add_block(block);
    }
    const Float8 y8 = all(static_cast<float>(y));
    for (std::int32_t k = 0; k < 2; ++k) {
      sum.half[k] = sum.half[k] + in_row.half[k];
      repeated.half[k] = repeated.half[k] + repeated_in_row.half[k];
      sum_y.half[k] = sum_y.half[k] + in_row.half[k] * y8;
    }
  }
  const Float8 blocks = all(static_cast<float>((map.width + kLanes - 1) / kLanes));
  for (std::int32_t k = 0; k < 2; ++k) {
    const Float8 block_of = sum.half[k] * blocks - repeated.half[k];
    sum_x.half[k] = block_of * all(static_cast<float>(kLanes)) + sum.half[k] * load8(kLaneNumbers + k * kStep);
  }
  *moments = {sum.total(), sum_x.total(), sum_y.total(), source.largest()};
  return !source.saw_nan();
}

template <typename Stored>
FirstMoments first_moments_of(const HeatmapView& map) {
  FirstMoments moments{};
  if (!sum_first_moments<NumberMasses<Stored>>(map, &moments)) sum_first_moments<Masses<Stored>>(map, &moments);
  return moments;
}

template <typename Stored>
SecondMoments second_moments_of(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y) {
  Sums sum, sum_x, sum_y, squares;
  for (std::int32_t y = 0; y < map.height; ++y) {
    const Stored* row = row_of<Stored>(map, y);
    const Float8 dy = all(static_cast<float>(y - center_y));
    Sums in_row;
    for (std::int32_t x = 0; x < map.width; x += kLanes) {
      Float8 masses[2];
      load_block(row, x, map.width, masses);
      for (std::int32_t k = 0; k < 2; ++k) {
        // Whole numbers below 2^24: the sum is exact.
        const Float8 dx = load8(kLaneNumbers + k * kStep) + all(static_cast<float>(x - center_x));
        const Float8 moment = masses[k] * dx;
        in_row.half[k] = in_row.half[k] + masses[k];
        sum_x.half[k] = sum_x.half[k] + moment;
        squares.half[k] = squares.half[k] + moment * dx;
      }
    }
    for (std::int32_t k = 0; k < 2; ++k) {
      const Float8 moment = in_row.half[k] * dy;
      sum.half[k] = sum.half[k] + in_row.half[k];
      sum_y.half[k] = sum_y.half[k] + moment;
      squares.half[k] = squares.half[k] + moment * dy;
    }
  }
  return {sum.total(), sum_x.total(), sum_y.total(), squares.total()};
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

SecondMoments second_moments(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y) {
  return map.half ? second_moments_of<std::uint16_t>(map, center_x, center_y)
                  : second_moments_of<float>(map, center_x, center_y);
}

void blur_around(const HeatmapView& map, const MapPeak& peak, const PeakParams& params, BlurredPatch* patch) {
  return map.half ? blur_around_of<std::uint16_t>(map, peak, params, patch)
                  : blur_around_of<float>(map, peak, params, patch);
}

}  // namespace HANDPOSE_LEVEL
}  // namespace handpose
