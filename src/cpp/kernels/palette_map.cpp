#include "palette_map.hpp"

#include "kernel_table.hpp"

namespace handpose {

void palette_map(const ImageView& image, const std::uint8_t* lut, std::uint8_t* out) {
  const KernelTable& kernels = active_kernels();
  for (std::int32_t y = 0; y < image.height; ++y) {
    kernels.palette_map_row(image.planes[0].row(y), image.width, lut,
                            out + static_cast<std::ptrdiff_t>(y) * image.width);
  }
}

void palette_map_changed(const ImageView& image, const std::uint8_t* lut, std::uint8_t tolerance, std::uint8_t* held,
                         std::uint8_t* out) {
  const KernelTable& kernels = active_kernels();
  for (std::int32_t y = 0; y < image.height; ++y) {
    const std::ptrdiff_t first = static_cast<std::ptrdiff_t>(y) * image.width;
    kernels.palette_map_changed_row(image.planes[0].row(y), image.width, lut, tolerance, held + 3 * first, out + first);
  }
}

}  // namespace handpose
