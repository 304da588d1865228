// The blending of draw_skeleton in portable C++: the definition of the result.
#include <cmath>

#include "levels.hpp"

namespace handpose {
namespace scalar {

void blend_rows(const Stroke& stroke, const RowSpans& rows, const Target* targets, std::size_t target_count) {
  const float edge = stroke.radius + 0.5f;
  for (std::int32_t i = 0; i < rows.count; ++i) {
    const std::int32_t y = rows.y + i;
    const float py = (static_cast<float>(y) + 0.5f) - stroke.ay;
    for (std::int32_t x = rows.spans[i].begin; x < rows.spans[i].end; ++x) {
      const float px = (static_cast<float>(x) + 0.5f) - stroke.ax;
      float t = (px * stroke.dx + py * stroke.dy) * stroke.inverse_length2;
      t = t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t;
      const float ex = px - t * stroke.dx;
      const float ey = py - t * stroke.dy;
      float coverage = edge - std::sqrt(ex * ex + ey * ey);
      coverage = coverage < 0.0f ? 0.0f : coverage > 1.0f ? 1.0f : coverage;
      const auto alpha = static_cast<std::int32_t>(std::lrint(coverage * stroke.opacity256));
      for (const Target* target = targets; target < targets + target_count; ++target) {
        const std::int32_t channels = target->plane.channels;
        std::uint8_t* pixel = target->plane.row(y) + static_cast<std::ptrdiff_t>(x) * channels;
        for (std::int32_t c = 0; c < channels; ++c) {
          pixel[c] = static_cast<std::uint8_t>(pixel[c] + (((target->color[c] - pixel[c]) * alpha + 128) >> 8));
        }
      }
    }
  }
}

}  // namespace scalar
}  // namespace handpose
