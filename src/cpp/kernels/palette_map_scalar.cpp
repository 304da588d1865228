#include <cstdlib>

#include "levels.hpp"

namespace handpose {
namespace scalar {
namespace {

inline std::uint8_t index_of(const std::uint8_t* bgr, const std::uint8_t* lut) {
  return lut[(bgr[2] >> 2) << 12 | (bgr[1] >> 2) << 6 | bgr[0] >> 2];
}

}  // namespace

void palette_map_row(const std::uint8_t* bgr, std::int32_t width, const std::uint8_t* lut, std::uint8_t* out) {
  for (std::int32_t x = 0; x < width; ++x, bgr += 3) out[x] = index_of(bgr, lut);
}

void palette_map_changed_row(const std::uint8_t* bgr, std::int32_t width, const std::uint8_t* lut,
                             std::uint8_t tolerance, std::uint8_t* held, std::uint8_t* out) {
  for (std::int32_t x = 0; x < width; ++x, bgr += 3, held += 3) {
    if (std::abs(bgr[0] - held[0]) <= tolerance && std::abs(bgr[1] - held[1]) <= tolerance &&
        std::abs(bgr[2] - held[2]) <= tolerance) {
      continue;
    }
    for (int channel = 0; channel < 3; ++channel) held[channel] = bgr[channel];
    out[x] = index_of(bgr, lut);
  }
}

}  // namespace scalar
}  // namespace handpose
