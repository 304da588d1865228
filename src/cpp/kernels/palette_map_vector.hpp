// palette_map, eight pixels at a time: their places in the table are computed in vectors, the look-ups stay scalar, as
// gathers are no faster. Unchanged pixels are passed over 16 at a time. A level includes what its places_of_8 and
// any_differs_of_48 need, defines those and HANDPOSE_LEVEL, and includes this.
#pragma once

#include "levels.hpp"

namespace handpose {
namespace HANDPOSE_LEVEL {

void palette_map_row(const std::uint8_t* bgr, std::int32_t width, const std::uint8_t* lut, std::uint8_t* out) {
  std::int32_t x = 0;
  for (; x + 8 <= width; x += 8, bgr += 24) {
    alignas(32) std::uint32_t places[8];
    places_of_8(bgr, places);
    for (int i = 0; i < 8; ++i) out[x + i] = lut[places[i]];
  }
  scalar::palette_map_row(bgr, width - x, lut, out + x);
}

void palette_map_changed_row(const std::uint8_t* bgr, std::int32_t width, const std::uint8_t* lut,
                             std::uint8_t tolerance, std::uint8_t* held, std::uint8_t* out) {
  std::int32_t x = 0;
  for (; x + 16 <= width; x += 16, bgr += 48, held += 48) {
    if (any_differs_of_48(bgr, held, tolerance)) {
      scalar::palette_map_changed_row(bgr, 16, lut, tolerance, held, out + x);
    }
  }
  scalar::palette_map_changed_row(bgr, width - x, lut, tolerance, held, out + x);
}

}  // namespace HANDPOSE_LEVEL
}  // namespace handpose
