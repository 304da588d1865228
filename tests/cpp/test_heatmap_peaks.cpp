#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/half.hpp"
#include "kernels/heatmap_peaks.hpp"
#include "random_data.hpp"

using namespace handpose;
using handpose::testing::Random;

TEST_CASE("heatmap_peaks stays within its memory and the map, also with hostile numbers") {
  constexpr float kHostile[] = {0.0f,
                                -0.0f,
                                1e38f,
                                -1e38f,
                                std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity(),
                                std::numeric_limits<float>::quiet_NaN(),
                                1e-45f};
  Random random(4);
  for (int round = 0; round < 3000; ++round) {
    const std::int32_t width = random.integer(1, 40);
    const std::int32_t height = random.integer(1, 40);
    const bool half = random.integer(0, 1) == 1;
    const std::size_t item = half ? 2 : 4;
    const std::size_t pitch = (static_cast<std::size_t>(width) + static_cast<std::size_t>(random.integer(0, 3))) * item;
    const std::size_t bytes = pitch * static_cast<std::size_t>(height - 1) + static_cast<std::size_t>(width) * item;
    const std::unique_ptr<std::uint8_t[]> block(new std::uint8_t[bytes]);
    const int hostile_share = random.integer(0, 2) * 4;
    for (std::size_t at = 0; at + item <= bytes; at += item) {
      const float value = random.integer(0, 9) < hostile_share ? kHostile[random.integer(0, 7)]
                                                               : static_cast<float>(random.real(-0.2, 1.0));
      const std::uint16_t short_value = half_from_float(value);
      std::memcpy(block.get() + at, half ? static_cast<const void*>(&short_value) : &value, item);
    }
    HeatmapStack stack;
    stack.first = {block.get(), static_cast<std::ptrdiff_t>(pitch), height, width, half};
    stack.batches = stack.maps = 1;
    PeakParams params;
    params.method = static_cast<PeakMethod>(random.integer(0, 4));
    params.upsampled_height = height + random.integer(0, 50);
    params.upsampled_width = width + random.integer(0, 50);
    fill_blur(3 + 2 * random.integer(0, 14), &params);
    float point[2], score = 0, spread = 0;
    heatmap_peaks(stack, params, point, &score, &spread);
    if (!std::isnan(point[0])) {
      CHECK(point[0] >= 0);
      CHECK(point[0] <= static_cast<float>(width));
      CHECK(point[1] >= 0);
      CHECK(point[1] <= static_cast<float>(height));
    }
  }
}
