// draw_skeleton: anti-aliased bones and joints, blended into an image in place.
// The rules, to the bit, are in docs/kernels.md; tests/reference/skeleton_draw.py restates them in float64.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../core/image_view.hpp"
#include "../core/yuv.hpp"

namespace handpose {

struct SkeletonParams {
  const float* points = nullptr;  // x, y per joint
  const float* scores = nullptr;  // per joint; null: all 1
  std::size_t joints = 0;
  const std::int32_t* bones = nullptr;  // two joint indices per bone, each below `joints`
  std::size_t bone_count = 0;
  const std::uint8_t* bone_colors = nullptr;   // RGB per bone
  const std::uint8_t* joint_colors = nullptr;  // RGB per joint
  float thickness = 1;                         // px, finite, >= 0
  float joint_radius = 1;                      // px, finite, >= 0
  float min_score = 0;
  float opacity = 1;                               // 0..1
  ColorMatrix color_matrix = ColorMatrix::kBt601;  // nv12 and yuv420p
  ColorRange color_range = ColorRange::kLimited;
};

// A capsule: all points within `radius` of the segment from (ax, ay) along (dx, dy), in pixels of a plane.
struct Stroke {
  float ax, ay, dx, dy;
  float inverse_length2;  // 1 / (dx^2 + dy^2), 0 for a disc
  float radius;
  float opacity256;  // 0..256
};

// A plane and the stroke's colour in it.
struct Target {
  MutablePlane plane;
  std::uint8_t color[4];
};

// Pixels begin .. end - 1 of a row, within the plane; empty where begin >= end.
struct Span {
  std::int32_t begin, end;
};

// Rows y .. y + count - 1, and where in them a stroke may be seen. Its coverage alone decides which pixels change.
struct RowSpans {
  static constexpr std::int32_t kMost = 64;
  std::int32_t y, count;
  Span spans[kMost];
};

// Preconditions: sides 1..kMaxSide, planes writable and packed within a row. Does not allocate, throw or fail.
void draw_skeleton(const MutableImageView& image, const SkeletonParams& params);

}  // namespace handpose
