#include <doctest/doctest.h>

#include <limits>

#include "kernels/palette_map.hpp"
#include "kernels/skeleton_draw.hpp"
#include "random_data.hpp"

using namespace handpose;
using handpose::testing::Picture;
using handpose::testing::Random;

TEST_CASE("draw_skeleton stays within its memory, wherever the points are") {
  constexpr PixelFormat kFormats[] = {PixelFormat::kBgr24, PixelFormat::kRgb24, PixelFormat::kBgra32,
                                      PixelFormat::kNv12, PixelFormat::kYuv420p};
  constexpr float kFar[] = {
      1e9f, -1e9f, 3e38f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), 1e-40f};
  const std::int32_t bones[] = {0, 1, 1, 2, 2, 2};
  const std::uint8_t colors[9] = {255, 0, 10, 20, 255, 30, 1, 2, 255};
  Random random(5);
  for (int round = 0; round < 3000; ++round) {
    const Picture picture(kFormats[random.integer(0, 4)], random.integer(1, 50), random.integer(1, 50), &random);
    float points[6], scores[3];
    for (float& value : points) {
      value = random.integer(0, 4) == 0 ? kFar[random.integer(0, 5)] : static_cast<float>(random.real(-30, 80));
    }
    for (float& value : scores)
      value = random.integer(0, 9) == 0 ? kFar[3] : static_cast<float>(random.real(-0.2, 1.2));
    SkeletonParams params;
    params.points = points;
    params.scores = random.integer(0, 1) == 0 ? nullptr : scores;
    params.joints = 3;
    params.bones = bones;
    params.bone_count = 3;
    params.bone_colors = params.joint_colors = colors;
    params.thickness = random.integer(0, 9) == 0 ? 1e6f : static_cast<float>(random.real(0, 9));
    params.joint_radius = static_cast<float>(random.real(0, 9));
    draw_skeleton(picture.writable(), params);
  }
}

TEST_CASE("palette_map reads and writes its pixels only") {
  std::vector<std::uint8_t> lut(64 * 64 * 64);
  for (std::size_t i = 0; i < lut.size(); ++i) lut[i] = static_cast<std::uint8_t>(i * 7 % 251);
  Random random(6);
  for (int round = 0; round < 200; ++round) {
    const Picture picture(PixelFormat::kBgr24, random.integer(1, 40), random.integer(1, 40), &random);
    const ImageView image = picture.view();
    const std::size_t area = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
    const std::unique_ptr<std::uint8_t[]> out(new std::uint8_t[area]);
    palette_map(image, lut.data(), out.get());
    const std::uint8_t* last = image.planes[0].row(image.height - 1) + 3 * (image.width - 1);
    const int cell = (last[2] >> 2) * 4096 + (last[1] >> 2) * 64 + (last[0] >> 2);
    CHECK(out[area - 1] == lut[static_cast<std::size_t>(cell)]);
  }
}
