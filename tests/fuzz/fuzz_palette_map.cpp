// palette_map and palette_map_changed on every level.
#include "kernels/palette_map.hpp"
#include "levels.hpp"
#include "pictures.hpp"

using namespace handpose;
using namespace handpose::fuzzing;

namespace {

constexpr std::size_t kTableBytes = 64 * 64 * 64;
constexpr std::size_t kMostPixels = GuardedPicture::kPlaneBytes / 3;

// A table that fills its block from fence to fence; neighbouring colours have different indices.
const std::uint8_t* colour_table() {
  static const Guarded block(kTableBytes);
  std::uint8_t* const table = block.place(kTableBytes, true);
  for (std::size_t i = 0; i < kTableBytes; ++i) table[i] = static_cast<std::uint8_t>(i + (i >> 6) * 5 + (i >> 12) * 7);
  return table;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::uint8_t* const table = colour_table();
  static GuardedPicture picture;
  static const Guarded out_block(kMostPixels), held_block(3 * kMostPixels);
  static std::uint8_t out_before[kMostPixels], held_before[3 * kMostPixels];
  static std::uint8_t out_expected[kMostPixels], held_expected[3 * kMostPixels];

  FuzzInput input(data, size);
  const bool changed = input.flag();
  const std::uint8_t tolerance = input.byte();
  picture.read(PixelFormat::kBgr24, &input);
  const ImageView image = picture.view();
  const auto pixels = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
  const std::uint8_t ends = input.byte();
  std::uint8_t* const out = out_block.place(pixels, (ends & 1) != 0);
  std::uint8_t* const held = held_block.place(3 * pixels, (ends & 2) != 0);
  input.fill(out_before, pixels);
  // What is held is the picture, but for some pixels and within a tolerance for others.
  input.fill(held_before, 3 * pixels);
  if ((ends & 4) != 0) {
    for (std::size_t i = 0; i < 3 * pixels; ++i) {
      const auto row = static_cast<std::int32_t>(i / (3 * static_cast<std::size_t>(image.width)));
      const std::uint8_t near = image.planes[0].row(row)[i % (3 * static_cast<std::size_t>(image.width))];
      held_before[i] = static_cast<std::uint8_t>(near + (held_before[i] % 64 == 0 ? tolerance : held_before[i] % 2));
    }
  }

  on_every_level(
      [&] {
        std::memcpy(out, out_before, pixels);
        std::memcpy(held, held_before, 3 * pixels);
        if (changed) {
          palette_map_changed(image, table, tolerance, held, out);
        } else {
          palette_map(image, table, out);
        }
      },
      [&](bool defines) {
        if (defines) {
          std::memcpy(out_expected, out, pixels);
          std::memcpy(held_expected, held, 3 * pixels);
        } else if (std::memcmp(out_expected, out, pixels) != 0 || std::memcmp(held_expected, held, 3 * pixels) != 0) {
          fail("palette_map: a level differs from scalar");
        }
      });
  return 0;
}
