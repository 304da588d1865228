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

// A stripe across the plane: on the row dy below a stroke's start, x lies within `half` of middle + slope * dy.
struct Stripe {
  float middle = 0, slope = 0, half = 1e9f;  // everything
};

// A stroke lies between two lines along it and between two across it, which makes two stripes, and within a box.
struct Outline {
  Stripe along, across;
  float x_low, x_high;
  std::int32_t y_begin, y_end;
};

Outline outline_of(const Segment& s, double length, double radius, const MutablePlane& plane) {
  // With an eighth of a pixel to spare for float at coordinates up to kMaxSide.
  const double reach = radius + 0.5 + 0.125;
  const double dx = s.bx - s.ax;
  const double dy = s.by - s.ay;
  Outline outline;
  // A line nearly level with the rows says nothing about x.
  if (std::fabs(dy) > 1e-6 * length) {
    outline.along = {static_cast<float>(s.ax), static_cast<float>(dx / dy),
                     static_cast<float>(reach * length / std::fabs(dy))};
  }
  if (std::fabs(dx) > 1e-6 * length) {
    outline.across = {static_cast<float>(s.ax + length * length / (2 * dx)), static_cast<float>(-dy / dx),
                      static_cast<float>((length / 2 + reach) * length / std::fabs(dx))};
  }
  const auto within = [](double value, double size) { return std::min(std::max(value, 0.0), size); };
  outline.x_low = static_cast<float>(within(std::min(s.ax, s.bx) - reach, plane.width));
  outline.x_high = static_cast<float>(within(std::max(s.ax, s.bx) + reach, plane.width));
  outline.y_begin = static_cast<std::int32_t>(within(std::min(s.ay, s.by) - reach, plane.height));
  outline.y_end = static_cast<std::int32_t>(std::ceil(within(std::max(s.ay, s.by) + reach, plane.height)));
  return outline;
}

void find_spans(const Outline& outline, float start_y, RowSpans* rows) {
  const Stripe along = outline.along;
  const Stripe across = outline.across;
  for (std::int32_t i = 0; i < rows->count; ++i) {
    const float dy = (static_cast<float>(rows->y + i) + 0.5f) - start_y;
    const float along_x = along.middle + along.slope * dy;
    const float across_x = across.middle + across.slope * dy;
    float low = std::max(along_x - along.half, across_x - across.half);
    float high = std::min(along_x + along.half, across_x + across.half);
    low = std::min(std::max(low, outline.x_low), outline.x_high);
    high = std::max(std::min(high, outline.x_high), outline.x_low);
    // The pixels whose centres lie between.
    rows->spans[i] = {static_cast<std::int32_t>(low + 0.5f), static_cast<std::int32_t>(high + 0.5f)};
  }
}

// Draws a stroke onto planes of the same size, all at once: its coverage is found once.
template <std::size_t kTargets>
void draw_stroke(const Target (&targets)[kTargets], Segment s, double radius, float opacity) {
  const MutablePlane& plane = targets[0].plane;
  if (!clip(&s, plane.width, plane.height, radius + 2.5)) return;
  double dx = s.bx - s.ax;
  double dy = s.by - s.ay;
  double length = std::sqrt(dx * dx + dy * dy);
  if (length < 1e-6) dx = dy = length = 0;  // a disc: the inverse square would not fit a float
  const Stroke stroke{static_cast<float>(s.ax),
                      static_cast<float>(s.ay),
                      static_cast<float>(dx),
                      static_cast<float>(dy),
                      length > 0 ? static_cast<float>(1 / (length * length)) : 0.0f,
                      static_cast<float>(radius),
                      opacity * 256.0f};
  const Outline outline = outline_of({s.ax, s.ay, s.ax + dx, s.ay + dy}, length, radius, plane);
  const KernelTable& kernels = active_kernels();
  RowSpans rows;
  for (rows.y = outline.y_begin; rows.y < outline.y_end; rows.y += rows.count) {
    rows.count = std::min(outline.y_end - rows.y, RowSpans::kMost);
    find_spans(outline, stroke.ay, &rows);
    kernels.blend_rows(stroke, rows, targets, kTargets);
  }
}

// One bone or joint in all planes of the image.
void draw_figure(const MutableImageView& image, const SkeletonParams& params, const Segment& s, double radius,
                 float opacity, const std::uint8_t rgb[3]) {
  if (!is_yuv(image.format)) {
    const bool red_first = image.format == PixelFormat::kRgb24;
    const Target packed[] = {{image.planes[0], {rgb[red_first ? 0 : 2], rgb[1], rgb[red_first ? 2 : 0], 255}}};
    draw_stroke(packed, s, radius, opacity);
    return;
  }
  std::uint8_t yuv[3];
  yuv_from_rgb(params.color_matrix, params.color_range, rgb, yuv);
  const Target luma[] = {{image.planes[0], {yuv[0]}}};
  draw_stroke(luma, s, radius, opacity);
  const Segment half{s.ax / 2, s.ay / 2, s.bx / 2, s.by / 2};
  if (image.format == PixelFormat::kNv12) {
    const Target chroma[] = {{image.planes[1], {yuv[1], yuv[2]}}};
    draw_stroke(chroma, half, radius / 2, opacity);
  } else {
    const Target chroma[] = {{image.planes[1], {yuv[1]}}, {image.planes[2], {yuv[2]}}};
    draw_stroke(chroma, half, radius / 2, opacity);
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
