// Where a rotated or sheared region is sampled: what all levels share.
//
// A position along one axis of a plane is a whole number of 1/65536 sample, 0 in the middle of the first one. That of
// output (x, y) is the sum of two such numbers, one of its column and one of its row. So vectors of 32 bits hold it, as
// exactly at any size of image, and one addition gives it.
#pragma once

#include <cmath>
#include <cstdint>

#include "preprocess.hpp"

namespace handpose {

constexpr std::int32_t kPositionBits = 16;
// Of a position's fraction the weights use 14 bits across and 15 down; adding half a step first rounds.
constexpr std::int32_t kDropAcross = 2, kDropDown = 1;
constexpr std::int32_t kLastShare = 32767;  // the share of the second row stays below 1
// Where what columns give, and sides of the image, are below these, 32 bits hold a position also before it is clamped,
// if what the row gives is kept within reach.
constexpr std::int32_t kMostNarrow = 1 << 29, kMostNarrowSide = 1 << 14;
// Faster levels load so many bytes for the two taps of an output that has a place of its own.
constexpr std::int32_t kTapBytes = 8;

// Columns and rows are at most 2^16, so that steps and offsets within these bounds make sums that fit 64 bits; no plane
// is seen in steps of 2^27 samples.
constexpr double kMostStep = 0x1p43, kMostOffset = 0x1p60;

// NaN, which only numbers far beyond make, is the lowest.
static inline double bounded(double value, double most) {
  return !(value > -most) ? -most : value < most ? value : most;
}

static inline std::int64_t position_of_column(const PositionAxis& axis, std::int32_t x) {
  return std::llrint(axis.per_column * (x + 0.5));
}

static inline std::int64_t position_of_row(const PositionAxis& axis, std::int32_t y) {
  return std::llrint(axis.per_row * (y + 0.5) + axis.first);
}

// Of the two samples round a position the first, and how far on from there it is in 1/65536: all the way for the last
// sample of a plane.
struct PositionTap {
  std::int32_t at, fraction;
};

static inline PositionTap position_tap(std::int64_t position, std::int32_t size) {
  const std::int64_t last = std::int64_t{size - 1} << kPositionBits;
  position = position < 0 ? 0 : position > last ? last : position;
  auto at = static_cast<std::int32_t>(position >> kPositionBits);
  if (at > size - 2 && size > 1) at = size - 2;
  return {at, static_cast<std::int32_t>(position - (std::int64_t{at} << kPositionBits))};
}

static inline std::int32_t second_weight(const PositionTap& across) { return across.fraction >> kDropAcross; }

static inline std::int32_t second_share(const PositionTap& down) {
  const std::int32_t share = down.fraction >> kDropDown;
  return share < kLastShare ? share : kLastShare;
}

struct PositionRange {
  std::int64_t low, high;
};

constexpr std::int64_t kOneSample = std::int64_t{1} << kPositionBits;

// Inside an image of `size`: from edge to edge, with a unit to spare for rounding.
static inline PositionRange inside_positions(std::int32_t size, std::int32_t drop) {
  const std::int64_t first = (1 << drop) / 2 - kOneSample / 2;
  return {first - 1, first + size * kOneSample + 1};
}

// Where taps need no care: nothing is clamped, and no load of kTapBytes reaches beyond the plane, as both rows have
// another one before or behind them in memory.
static inline PositionRange plain_across(const Plane& plane) {
  return {0, plane.width < kTapBytes ? -1 : (plane.width - 1) * kOneSample - 1};
}
static inline PositionRange plain_down(const Plane& plane) { return {kOneSample, (plane.height - 2) * kOneSample - 1}; }

// Whether all positions of an output are in a range: they rise or fall with the columns and with the rows.
static inline bool all_between(const PositionAxis& axis, const TensorView& out, PositionRange range) {
  const std::int64_t columns[2] = {position_of_column(axis, 0), position_of_column(axis, out.width - 1)};
  const std::int64_t rows[2] = {position_of_row(axis, 0), position_of_row(axis, out.height - 1)};
  for (int corner = 0; corner < 4; ++corner) {
    const std::int64_t position = columns[corner % 2] + rows[corner / 2];
    if (position < range.low || position > range.high) return false;
  }
  return true;
}

// Those of `among` at which the positions of a row are in a range: they rise or fall along a row, so that a guess need
// only be moved until it is right.
static inline Columns columns_between(const PositionAxis& axis, std::int32_t y, PositionRange range, Columns among) {
  if (among.begin >= among.end) return among;
  const std::int64_t of_row = position_of_row(axis, y);
  const auto position = [&](std::int32_t x) { return position_of_column(axis, x) + of_row; };
  const auto between = [&](std::int32_t x) { return position(x) >= range.low && position(x) <= range.high; };
  if (between(among.begin) && between(among.end - 1)) return among;
  const double step = axis.per_column;
  if (step == 0.0) return {among.end, among.end};
  const auto guess = [&](std::int64_t edge) {
    const double x = static_cast<double>(edge - of_row) / step - 0.5;
    return static_cast<std::int32_t>(x > among.begin ? x < among.end ? x : among.end : among.begin);
  };
  // Before `begin` lies one side of the range, from `end` on the other.
  const auto before = [&](std::int32_t x) { return step > 0 ? position(x) < range.low : position(x) > range.high; };
  const auto within = [&](std::int32_t x) { return step > 0 ? position(x) <= range.high : position(x) >= range.low; };
  Columns found{guess(step > 0 ? range.low : range.high), guess(step > 0 ? range.high : range.low)};
  while (found.begin < among.end && before(found.begin)) ++found.begin;
  while (found.begin > among.begin && !before(found.begin - 1)) --found.begin;
  while (found.end < among.end && within(found.end)) ++found.end;
  while (found.end > among.begin && !within(found.end - 1)) --found.end;
  return {found.begin, found.end > found.begin ? found.end : found.begin};
}

}  // namespace handpose
