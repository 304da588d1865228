// 2x3 affine maps of points, in double.
#pragma once

#include <cmath>

namespace handpose {

// Named a_from_b: x_a = xx * x_b + xy * y_b + x0, y_a = yx * x_b + yy * y_b + y0.
struct Affine {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;

  bool axis_aligned() const { return xy == 0 && yx == 0; }
};

// The inverse, or false where there is none in finite numbers.
inline bool invert(const Affine& a_from_b, Affine* b_from_a) {
  const double determinant = a_from_b.xx * a_from_b.yy - a_from_b.xy * a_from_b.yx;
  const double r = 1 / determinant;
  Affine inverse;
  inverse.xx = a_from_b.yy * r;
  inverse.xy = a_from_b.xy == 0 ? 0 : -a_from_b.xy * r;  // no -0: it decides axis_aligned, and prints
  inverse.yx = a_from_b.yx == 0 ? 0 : -a_from_b.yx * r;
  inverse.yy = a_from_b.xx * r;
  inverse.x0 = -(inverse.xx * a_from_b.x0 + inverse.xy * a_from_b.y0);
  inverse.y0 = -(inverse.yx * a_from_b.x0 + inverse.yy * a_from_b.y0);
  if (determinant == 0 || !std::isfinite(r) || !std::isfinite(inverse.xx) || !std::isfinite(inverse.xy) ||
      !std::isfinite(inverse.yx) || !std::isfinite(inverse.yy) || !std::isfinite(inverse.x0) ||
      !std::isfinite(inverse.y0)) {
    return false;
  }
  *b_from_a = inverse;
  return true;
}

}  // namespace handpose
