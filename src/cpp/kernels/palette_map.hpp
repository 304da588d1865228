// palette_map: bgr24 pixels -> palette indices through a table of 64 x 64 x 64 colours. Rules in docs/kernels.md.
#pragma once

#include <cstdint>

#include "../core/image_view.hpp"

namespace handpose {

// Preconditions: `image` is bgr24; `lut` has 64 * 64 * 64 bytes, red slowest; `out` has height * width bytes, dense.
void palette_map(const ImageView& image, const std::uint8_t* lut, std::uint8_t* out);

}  // namespace handpose
