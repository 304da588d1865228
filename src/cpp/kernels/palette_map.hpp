// palette_map: bgr24 pixels -> palette indices through a table of 64 x 64 x 64 colours. Rules in docs/kernels.md.
#pragma once

#include <cstdint>

#include "../core/image_view.hpp"

namespace handpose {

// Preconditions: `image` is bgr24; `lut` has 64 * 64 * 64 bytes, red slowest; `out` has height * width bytes, dense.
void palette_map(const ImageView& image, const std::uint8_t* lut, std::uint8_t* out);

// Maps the pixels of which a channel differs by more than `tolerance` from `held`, and copies them there; leaves the
// others in `held` and `out` as they are.
// Preconditions: those of palette_map; `held` has height * width * 3 bytes, dense, and shares none with the others.
void palette_map_changed(const ImageView& image, const std::uint8_t* lut, std::uint8_t tolerance, std::uint8_t* held,
                         std::uint8_t* out);

}  // namespace handpose
