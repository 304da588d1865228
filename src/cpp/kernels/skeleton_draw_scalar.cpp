// The blending of draw_skeleton in portable C++: the definition of the result.
#include <cmath>

#include "levels.hpp"

namespace handpose {
namespace scalar {

void blend_span(const Span& span, const Stroke& stroke) {
  const float py = (static_cast<float>(span.y) + 0.5f) - stroke.ay;
  const float edge = stroke.radius + 0.5f;
  std::uint8_t* pixel = span.row + static_cast<std::ptrdiff_t>(span.x_begin) * span.channels;
  for (std::int32_t x = span.x_begin; x < span.x_end; ++x, pixel += span.channels) {
    const float px = (static_cast<float>(x) + 0.5f) - stroke.ax;
    float t = (px * stroke.dx + py * stroke.dy) * stroke.inverse_length2;
    t = t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t;
    const float ex = px - t * stroke.dx;
    const float ey = py - t * stroke.dy;
    float coverage = edge - std::sqrt(ex * ex + ey * ey);
    coverage = coverage < 0.0f ? 0.0f : coverage > 1.0f ? 1.0f : coverage;
    const auto alpha = static_cast<std::int32_t>(std::lrint(coverage * stroke.opacity256));
    for (std::int32_t c = 0; c < span.channels; ++c) {
      pixel[c] = static_cast<std::uint8_t>(pixel[c] + (((stroke.color[c] - pixel[c]) * alpha + 128) >> 8));
    }
  }
}

}  // namespace scalar
}  // namespace handpose
