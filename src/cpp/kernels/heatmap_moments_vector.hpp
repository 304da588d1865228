// The sums over a map, sixteen pixels at a time; the same operations in the same order as in heatmap_peaks_scalar.cpp.
// A level includes its Lanes (kLanes floats), LaneBits and Half16, defines HANDPOSE_LEVEL and includes this;
// first_moments follows in heatmap_peaks_vector.hpp or is its own.
#pragma once

#include "levels.hpp"

namespace handpose {
namespace HANDPOSE_LEVEL {
namespace {

template <typename Stored>
const Stored* row_of(const HeatmapView& map, std::int32_t y) {
  return reinterpret_cast<const Stored*>(map.data + y * map.pitch_bytes);
}

constexpr float kLaneNumbers[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// The last columns of a row, from x on, before zeros.
template <typename Stored>
struct RowEnd {
  RowEnd(const Stored* row, std::int32_t x, std::int32_t width) {
    for (std::int32_t i = 0; x + i < width; ++i) columns[i] = row[x + i];
  }

  Stored columns[kLanes] = {};
};

// The masses of sixteen pixels, and the largest of all so far.
template <typename Item>
class Masses {
 public:
  using Stored = Item;

  Lanes load(const Stored* from) {
    const Lanes masses = larger(load_lanes(from), zero_lanes());
    most_ = larger(masses, most_);
    return masses;
  }

  bool saw_nan() const { return false; }
  float largest() const { return largest_lane(most_); }

 private:
  Lanes most_ = zero_lanes();
};

// The same where none is NaN, compared as integers: the sums alone keep the floating-point units busy.
template <typename Item>
class NumberMasses;

template <>
class NumberMasses<float> {
 public:
  using Stored = float;

  Lanes load(const Stored* from) {
    const LaneBits masses = larger(bits_of(load_lanes(from)), bits_of(zero_lanes()));
    most_ = larger(masses, most_);
    return lanes_of(masses);
  }

  bool saw_nan() const { return any_nan(most_); }
  float largest() const { return largest_lane(lanes_of(most_)); }

 private:
  LaneBits most_ = bits_of(zero_lanes());
};

template <>
class NumberMasses<std::uint16_t> {
 public:
  using Stored = std::uint16_t;

  Lanes load(const Stored* from) {
    const Half16 halves = larger(load16(from), zero16());
    most_ = larger(halves, most_);
    return lanes_of(halves);
  }

  bool saw_nan() const { return any_nan(most_); }
  float largest() const { return largest_lane(lanes_of(most_)); }

 private:
  Half16 most_ = zero16();
};

// Whether the masses were the right kind for the map; `moments` holds nothing of use otherwise.
template <typename Source>
bool sum_first_moments(const HeatmapView& map, FirstMoments* moments) {
  using Stored = typename Source::Stored;
  Source source;
  Lanes sum = zero_lanes(), repeated = zero_lanes(), sum_y = zero_lanes();
  for (std::int32_t y = 0; y < map.height; ++y) {
    const Stored* row = row_of<Stored>(map, y);
    Lanes in_row = zero_lanes(), repeated_in_row = zero_lanes();
    const auto add_block = [&](const Stored* block) {
      in_row = in_row + source.load(block);
      repeated_in_row = repeated_in_row + in_row;
    };
    std::int32_t x = 0;
    for (; x + kLanes <= map.width; x += kLanes) add_block(row + x);
    if (x < map.width) add_block(RowEnd<Stored>(row, x, map.width).columns);
    sum = sum + in_row;
    repeated = repeated + repeated_in_row;
    sum_y = sum_y + in_row * all_lanes(static_cast<float>(y));
  }
  const Lanes blocks = all_lanes(static_cast<float>((map.width + kLanes - 1) / kLanes));
  const Lanes block_of = sum * blocks - repeated;
  const Lanes sum_x = block_of * all_lanes(static_cast<float>(kLanes)) + sum * load_lanes(kLaneNumbers);
  *moments = {sum_of_lanes(sum), sum_of_lanes(sum_x), sum_of_lanes(sum_y), source.largest()};
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
  Lanes sum = zero_lanes(), sum_x = zero_lanes(), sum_y = zero_lanes(), squares = zero_lanes();
  for (std::int32_t y = 0; y < map.height; ++y) {
    const Stored* row = row_of<Stored>(map, y);
    Lanes in_row = zero_lanes();
    const auto add_block = [&](const Stored* block, std::int32_t x) {
      const Lanes masses = larger(load_lanes(block), zero_lanes());
      // Whole numbers below 2^24: the sum is exact.
      const Lanes dx = load_lanes(kLaneNumbers) + all_lanes(static_cast<float>(x - center_x));
      const Lanes moment = masses * dx;
      in_row = in_row + masses;
      sum_x = sum_x + moment;
      squares = squares + moment * dx;
    };
    std::int32_t x = 0;
    for (; x + kLanes <= map.width; x += kLanes) add_block(row + x, x);
    if (x < map.width) add_block(RowEnd<Stored>(row, x, map.width).columns, x);
    const Lanes dy = all_lanes(static_cast<float>(y - center_y));
    const Lanes moment = in_row * dy;
    sum = sum + in_row;
    sum_y = sum_y + moment;
    squares = squares + moment * dy;
  }
  return {sum_of_lanes(sum), sum_of_lanes(sum_x), sum_of_lanes(sum_y), sum_of_lanes(squares)};
}

}  // namespace

SecondMoments second_moments(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y) {
  return map.half ? second_moments_of<std::uint16_t>(map, center_x, center_y)
                  : second_moments_of<float>(map, center_x, center_y);
}

}  // namespace HANDPOSE_LEVEL
}  // namespace handpose
