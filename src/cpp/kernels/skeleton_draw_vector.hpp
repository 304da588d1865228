// The blending of draw_skeleton, eight pixels at a time; the same operations in the same order as in
// skeleton_draw_scalar.cpp. A level includes its Float8, defines HANDPOSE_LEVEL, Alpha8 (eight opacities of 0..256 in
// 16 bits), Ink (a colour that blends) and their functions, and includes this.
#pragma once

#include "levels.hpp"

namespace handpose {
namespace HANDPOSE_LEVEL {
namespace {

constexpr std::int32_t kStep = 8;

// The opacities of pixels of one stroke.
class Coverage {
 public:
  explicit Coverage(const Stroke& s)
      : ax_(all(s.ax)),
        dx_(all(s.dx)),
        dy_(all(s.dy)),
        inverse_length2_(all(s.inverse_length2)),
        edge_(all(s.radius + 0.5f)),
        opacity256_(all(s.opacity256)),
        ay_(s.ay) {}

  void set_row(std::int32_t y) {
    py_ = all((static_cast<float>(y) + 0.5f) - ay_);
    py_dy_ = py_ * dy_;
  }

  // Of pixels x .. x + 7 of the row.
  Alpha8 at(std::int32_t x) const {
    constexpr float kCenters[kStep] = {0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f};
    const Float8 px = (all(static_cast<float>(x)) + load8(kCenters)) - ax_;  // the sum is exact
    const Float8 t = clamped((px * dx_ + py_dy_) * inverse_length2_);
    const Float8 ex = px - t * dx_;
    const Float8 ey = py_ - t * dy_;
    return rounded(clamped(edge_ - square_root(ex * ex + ey * ey)) * opacity256_);
  }

 private:
  static Float8 clamped(Float8 a) { return smaller(larger(a, zero8()), all(1.0f)); }

  Float8 ax_, dx_, dy_, inverse_length2_, edge_, opacity256_;
  Float8 py_ = zero8(), py_dy_ = zero8();
  float ay_;
};

template <std::size_t kChannels, std::size_t kTargets>
void blend_rows_of(const Stroke& stroke, const RowSpans& rows, const Target* targets) {
  // Eight pixels are read and written even where the last ones lie beyond the span, with no opacity, but never beyond
  // the row: there the eight begin earlier, and those already drawn get no opacity.
  const std::int32_t last = targets[0].plane.width - kStep;
  Coverage coverage(stroke);
  Ink<kChannels> inks[kTargets];
  std::uint8_t* pixels[kTargets];
  for (std::size_t k = 0; k < kTargets; ++k) inks[k] = Ink<kChannels>(targets[k].color);
  for (std::int32_t i = 0; i < rows.count; ++i) {
    const Span span = rows.spans[i];
    coverage.set_row(rows.y + i);
    for (std::size_t k = 0; k < kTargets; ++k) pixels[k] = targets[k].plane.row(rows.y + i);
    for (std::int32_t x = span.begin; x < span.end; x += kStep) {
      const std::int32_t start = x < last ? x : last;
      Alpha8 alpha = coverage.at(start);
      if (start != x) alpha = without_first(alpha, x - start);
      for (std::size_t k = 0; k < kTargets; ++k)
        inks[k].blend(pixels[k] + static_cast<std::size_t>(start) * kChannels, alpha);
    }
  }
}

}  // namespace

void blend_rows(const Stroke& stroke, const RowSpans& rows, const Target* targets, std::size_t target_count) {
  const MutablePlane& plane = targets[0].plane;
  if (plane.width < kStep) return scalar::blend_rows(stroke, rows, targets, target_count);
  if (target_count == 2) return blend_rows_of<1, 2>(stroke, rows, targets);
  if (plane.channels == 1) return blend_rows_of<1, 1>(stroke, rows, targets);
  if (plane.channels == 2) return blend_rows_of<2, 1>(stroke, rows, targets);
  if (plane.channels == 3) return blend_rows_of<3, 1>(stroke, rows, targets);
  return blend_rows_of<4, 1>(stroke, rows, targets);
}

}  // namespace HANDPOSE_LEVEL
}  // namespace handpose
