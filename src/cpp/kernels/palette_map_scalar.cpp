#include "levels.hpp"

namespace handpose {
namespace scalar {

void palette_map_row(const std::uint8_t* bgr, std::int32_t width, const std::uint8_t* lut, std::uint8_t* out) {
  for (std::int32_t x = 0; x < width; ++x, bgr += 3) {
    out[x] = lut[(bgr[2] >> 2) << 12 | (bgr[1] >> 2) << 6 | bgr[0] >> 2];
  }
}

}  // namespace scalar
}  // namespace handpose
