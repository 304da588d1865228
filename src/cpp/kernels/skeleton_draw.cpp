// The part of draw_skeleton that is the same on every level: which figures, in which colour, over which spans of
// pixels.
#include "skeleton_draw.hpp"

#include <algorithm>
#include <cmath>

#include "kernel_table.hpp"

namespace handpose {
namespace {

struct Segment {
  double ax, ay, bx, by;
};

// Cuts the segment to the plane grown by `margin` (Liang and Barsky, 1984); false where nothing is left. What is cut
// off lies too far out to colour a pixel, and what is left is small enough for float.
bool clip(Segment* s, double width, double height, double margin) {
  const double dx = s->bx - s->ax;
  const double dy = s->by - s->ay;
  const double p[4] = {-dx, dx, -dy, dy};
  const double q[4] = {s->ax + margin, width + margin - s->ax, s->ay + margin, height + margin - s->ay};
  double enter = 0;
  double leave = 1;
  for (int side = 0; side < 4; ++side) {
    if (p[side] == 0) {
      if (q[side] < 0) return false;
      continue;
    }
    const double t = q[side] / p[side];
    if (p[side] < 0) {
      enter = std::max(enter, t);
    } else {
      leave = std::min(leave, t);
    }
  }
  if (enter > leave) return false;
  *s = {s->ax + enter * dx, s->ay + enter * dy, s->ax + leave * dx, s->ay + leave * dy};
  return true;
}

// Grows [low, high] by where the row at `y` meets the disc of radius `reach` round (cx, cy).
void cover_disc(double cx, double cy, double reach, double y, double* low, double* high) {
  const double square = reach * reach - (y - cy) * (y - cy);
  if (square < 0) return;
  const double half = std::sqrt(square);
  *low = std::min(*low, cx - half);
  *high = std::max(*high, cx + half);
}

// Grows [low, high] by where the row at `y` meets the edge from (ax, ay) to (bx, by).
void cover_edge(double ax, double ay, double bx, double by, double y, double* low, double* high) {
  if ((y - ay) * (y - by) > 0 || ay == by) return;
  const double x = ax + (bx - ax) * (y - ay) / (by - ay);
  *low = std::min(*low, x);
  *high = std::max(*high, x);
}

void draw_stroke(const MutablePlane& plane, Segment s, double radius, float opacity, const std::uint8_t color[4]) {
  const double reach = radius + 0.5;
  if (!clip(&s, plane.width, plane.height, reach + 2)) return;
  const double dx = s.bx - s.ax;
  const double dy = s.by - s.ay;
  double length = std::sqrt(dx * dx + dy * dy);
  if (length < 1e-6) length = 0;  // a disc: its inverse square would not fit a float
  Stroke stroke{static_cast<float>(s.ax),
                static_cast<float>(s.ay),
                static_cast<float>(dx),
                static_cast<float>(dy),
                length > 0 ? static_cast<float>(1 / (length * length)) : 0.0f,
                static_cast<float>(radius),
                opacity * 256.0f,
                {color[0], color[1], color[2], color[3]}};
  // Spans are found with a pixel to spare: the coverage of a pixel decides alone whether it changes.
  const double grown = reach + 0.01;
  const double nx = length > 0 ? -dy / length * grown : 0;
  const double ny = length > 0 ? dx / length * grown : 0;
  const auto y_begin = static_cast<std::int32_t>(std::max(0.0, std::floor(std::min(s.ay, s.by) - grown - 0.5)));
  const auto y_end =
      static_cast<std::int32_t>(std::min<double>(plane.height, std::ceil(std::max(s.ay, s.by) + grown + 0.5)));
  for (std::int32_t y = y_begin; y < y_end; ++y) {
    const double at = y + 0.5;
    double low = 1e9;
    double high = -1e9;
    cover_disc(s.ax, s.ay, grown, at, &low, &high);
    cover_disc(s.bx, s.by, grown, at, &low, &high);
    cover_edge(s.ax + nx, s.ay + ny, s.bx + nx, s.by + ny, at, &low, &high);
    cover_edge(s.ax - nx, s.ay - ny, s.bx - nx, s.by - ny, at, &low, &high);
    if (low > high) continue;
    const auto x_begin = static_cast<std::int32_t>(std::min<double>(plane.width, std::max(0.0, std::floor(low - 1))));
    const auto x_end = static_cast<std::int32_t>(std::max(0.0, std::min<double>(plane.width, std::ceil(high + 1))));
    if (x_begin < x_end) active_kernels().blend_span({plane.row(y), x_begin, x_end, y, plane.channels}, stroke);
  }
}

// One bone or joint in all planes of the image.
void draw_figure(const MutableImageView& image, const SkeletonParams& params, const Segment& s, double radius,
                 float opacity, const std::uint8_t rgb[3]) {
  if (!is_yuv(image.format)) {
    const bool red_first = image.format == PixelFormat::kRgb24;
    const std::uint8_t color[4] = {rgb[red_first ? 0 : 2], rgb[1], rgb[red_first ? 2 : 0], 255};
    draw_stroke(image.planes[0], s, radius, opacity, color);
    return;
  }
  std::uint8_t yuv[3];
  yuv_from_rgb(params.color_matrix, params.color_range, rgb, yuv);
  const Segment half{s.ax / 2, s.ay / 2, s.bx / 2, s.by / 2};
  const std::uint8_t luma[4] = {yuv[0]};
  const std::uint8_t u_and_v[4] = {yuv[1], yuv[2]};
  draw_stroke(image.planes[0], s, radius, opacity, luma);
  draw_stroke(image.planes[1], half, radius / 2, opacity, u_and_v);
  if (image.format == PixelFormat::kYuv420p) {
    const std::uint8_t v[4] = {yuv[2]};
    draw_stroke(image.planes[2], half, radius / 2, opacity, v);
  }
}

// How strongly a joint shows, 0..1, or below 0 where it is left out. A NaN score is unknown and counts as sure.
float joint_strength(const SkeletonParams& params, std::size_t joint) {
  if (!std::isfinite(params.points[2 * joint]) || !std::isfinite(params.points[2 * joint + 1])) return -1.0f;
  if (params.scores == nullptr || std::isnan(params.scores[joint])) return 1.0f;
  const float score = params.scores[joint];
  if (score < params.min_score) return -1.0f;
  return std::min(std::max(score, 0.0f), 1.0f);
}

}  // namespace

void draw_skeleton(const MutableImageView& image, const SkeletonParams& params) {
  const auto segment = [&](std::size_t a, std::size_t b) {
    return Segment{params.points[2 * a], params.points[2 * a + 1], params.points[2 * b], params.points[2 * b + 1]};
  };
  for (std::size_t bone = 0; bone < params.bone_count; ++bone) {
    const auto a = static_cast<std::size_t>(params.bones[2 * bone]);
    const auto b = static_cast<std::size_t>(params.bones[2 * bone + 1]);
    const float strength = std::min(joint_strength(params, a), joint_strength(params, b));
    if (strength <= 0) continue;
    draw_figure(image, params, segment(a, b), params.thickness / 2, params.opacity * strength,
                params.bone_colors + 3 * bone);
  }
  for (std::size_t joint = 0; joint < params.joints; ++joint) {
    const float strength = joint_strength(params, joint);
    if (strength <= 0) continue;
    draw_figure(image, params, segment(joint, joint), params.joint_radius, params.opacity * strength,
                params.joint_colors + 3 * joint);
  }
}

}  // namespace handpose
