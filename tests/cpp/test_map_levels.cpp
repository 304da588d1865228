// Every level that this processor has gives the bits of "scalar": heatmap_peaks, draw_skeleton and palette_map, on
// sizes round the widths of vectors, with and without padded rows, in blocks that end with their last pixel.
#include <doctest/doctest.h>

#include <cstring>
#include <limits>

#include "core/half.hpp"
#include "kernels/heatmap_peaks.hpp"
#include "kernels/kernel_table.hpp"
#include "kernels/palette_map.hpp"
#include "kernels/skeleton_draw.hpp"
#include "random_data.hpp"

using namespace handpose;
using handpose::testing::Picture;
using handpose::testing::Random;

namespace {

// The levels of this processor, the first of them scalar; puts back the active one at the end of a test.
class Levels {
 public:
  Levels() : tables_(supported_kernels(&count_)), before_(&active_kernels()) {}
  ~Levels() { activate_kernels(*before_); }
  Levels(const Levels&) = delete;
  Levels& operator=(const Levels&) = delete;

  std::size_t count() const { return count_; }
  void activate(std::size_t level) const { activate_kernels(tables_[level]); }

 private:
  std::size_t count_ = 0;
  const KernelTable* tables_;
  const KernelTable* before_;
};

std::int32_t size_of(Random* random) {
  constexpr std::int32_t kSizes[] = {1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 63, 64, 65};
  return random->integer(0, 3) == 0 ? random->integer(1, 90) : kSizes[random->integer(0, 21)];
}

float any_value(Random* random, int kind) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kHostile[] = {0.0f, -0.0f, 1e38f, -1e38f, kInf, -kInf, kNan, -kNan, 1e-45f, 6e-8f, 65504.0f};
  if (kind == 1) return static_cast<float>(random->integer(-2, 2)) / 2;  // ties
  if (kind == 2 && random->integer(0, 9) == 0) return kHostile[random->integer(0, 10)];
  if (kind == 3) return kHostile[random->integer(0, 10)];
  if (kind == 4) return random->integer(0, 60) == 0 ? -kInf : kNan;
  return static_cast<float>(random->real(-0.5, 1.0));
}

// Two maps with random pitches and values.
struct Maps {
  explicit Maps(Random* random) {
    HeatmapView& map = stack.first;
    map.half = random->integer(0, 1) == 1;
    map.height = size_of(random);
    map.width = size_of(random);
    const std::size_t item = map.half ? 2 : 4;
    const auto width = static_cast<std::size_t>(map.width + (random->integer(0, 1) == 0 ? 0 : random->integer(1, 9)));
    const std::size_t rows = static_cast<std::size_t>(map.height) * 2 - 1;
    const std::size_t bytes = (rows * width + static_cast<std::size_t>(map.width)) * item;
    memory.reset(new std::uint8_t[bytes]);
    const int kind = random->integer(0, 5);
    for (std::size_t at = 0; at < bytes; at += item) {
      const float value = any_value(random, kind);
      const std::uint16_t half = half_from_float(value);
      std::memcpy(memory.get() + at, map.half ? static_cast<const void*>(&half) : &value, item);
    }
    map.data = memory.get();
    map.pitch_bytes = static_cast<std::ptrdiff_t>(width * item);
    stack.map_pitch_bytes = map.pitch_bytes * map.height;
    stack.batches = 1;
    stack.maps = 2;
  }

  HeatmapStack stack;
  std::unique_ptr<std::uint8_t[]> memory;
};

// Points, scores and spreads of two maps.
struct Results {
  float values[8] = {};
};

Results peaks(const HeatmapStack& stack, const PeakParams& params, bool with_spreads) {
  Results results;
  float* const values = results.values;
  heatmap_peaks(stack, params, values, values + 4, with_spreads ? values + 6 : nullptr);
  // Which NaN it is does not matter, and differs between processors.
  for (float& value : results.values) value = value == value ? value : std::numeric_limits<float>::quiet_NaN();
  return results;
}

std::vector<std::uint8_t> bytes_of(const MutableImageView& image) {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < plane_count(image.format); ++i) {
    const MutablePlane& plane = image.planes[i];
    for (std::int32_t y = 0; y < plane.height; ++y) {
      bytes.insert(bytes.end(), plane.row(y), plane.row(y) + plane.width * plane.channels);
    }
  }
  return bytes;
}

void restore(const MutableImageView& image, const std::vector<std::uint8_t>& bytes) {
  const std::uint8_t* from = bytes.data();
  for (int i = 0; i < plane_count(image.format); ++i) {
    const MutablePlane& plane = image.planes[i];
    const auto row = static_cast<std::size_t>(plane.width * plane.channels);
    for (std::int32_t y = 0; y < plane.height; ++y, from += row) std::memcpy(plane.row(y), from, row);
  }
}

}  // namespace

TEST_CASE("heatmap_peaks gives the same bits on every level") {
  const Levels levels;
  Random random(21);
  for (int round = 0; round < 6000; ++round) {
    const Maps maps(&random);
    PeakParams params;
    params.method = static_cast<PeakMethod>(random.integer(0, 3));
    fill_blur(3 + 2 * random.integer(0, 14), &params);
    const bool with_spreads = random.integer(0, 1) == 0;
    levels.activate(0);
    const Results expected = peaks(maps.stack, params, with_spreads);
    for (std::size_t level = 1; level < levels.count(); ++level) {
      levels.activate(level);
      const Results got = peaks(maps.stack, params, with_spreads);
      CAPTURE(round);
      CHECK(std::memcmp(&got, &expected, sizeof got) == 0);
    }
  }
}

TEST_CASE("draw_skeleton gives the same bits on every level") {
  constexpr PixelFormat kFormats[] = {PixelFormat::kBgr24, PixelFormat::kRgb24, PixelFormat::kBgra32,
                                      PixelFormat::kNv12, PixelFormat::kYuv420p};
  const std::int32_t bones[] = {0, 1, 1, 2, 2, 3, 3, 3};
  const std::uint8_t colors[12] = {255, 0, 10, 20, 255, 30, 1, 2, 255, 128, 127, 3};
  const Levels levels;
  Random random(22);
  for (int round = 0; round < 3000; ++round) {
    const Picture picture(kFormats[random.integer(0, 4)], size_of(&random), size_of(&random), &random);
    const double reach = random.integer(0, 4) == 0 ? 1e4 : 90;
    float points[8], scores[4];
    for (float& value : points) value = static_cast<float>(random.real(-reach, reach) / 2 + 30);
    if (random.integer(0, 3) == 0) points[3] = points[1] + static_cast<float>(random.real(-1e-4, 1e-4));  // level
    if (random.integer(0, 3) == 0) points[4] = points[2];                                                 // upright
    for (float& value : scores) value = static_cast<float>(random.real(0.2, 1.2));
    SkeletonParams params;
    params.points = points;
    params.scores = scores;
    params.joints = 4;
    params.bones = bones;
    params.bone_count = 4;
    params.bone_colors = params.joint_colors = colors;
    params.thickness = static_cast<float>(random.real(0, random.integer(0, 9) == 0 ? 200 : 9));
    params.joint_radius = static_cast<float>(random.real(0, 9));
    const std::vector<std::uint8_t> before = bytes_of(picture.writable());
    levels.activate(0);
    draw_skeleton(picture.writable(), params);
    const std::vector<std::uint8_t> expected = bytes_of(picture.writable());
    for (std::size_t level = 1; level < levels.count(); ++level) {
      levels.activate(level);
      restore(picture.writable(), before);
      draw_skeleton(picture.writable(), params);
      CAPTURE(round);
      CHECK(bytes_of(picture.writable()) == expected);
    }
  }
}

TEST_CASE("palette_map and palette_map_changed give the same bits on every level") {
  const Levels levels;
  Random random(23);
  const std::unique_ptr<std::uint8_t[]> lut(new std::uint8_t[64 * 64 * 64]);
  for (std::size_t i = 0; i < 64 * 64 * 64; ++i) lut[i] = random.byte();
  for (int round = 0; round < 300; ++round) {
    const Picture picture(PixelFormat::kBgr24, size_of(&random), size_of(&random), &random);
    const ImageView image = picture.view();
    const std::size_t area = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
    std::vector<std::uint8_t> expected(area), got(area);
    levels.activate(0);
    palette_map(image, lut.get(), expected.data());
    for (std::size_t level = 1; level < levels.count(); ++level) {
      levels.activate(level);
      palette_map(image, lut.get(), got.data());
      CHECK(got == expected);
    }
    // What is held: the picture, with a byte here and there a little off.
    const std::uint8_t tolerance = static_cast<std::uint8_t>(random.integer(0, 40));
    std::vector<std::uint8_t> held(3 * area);
    for (std::int32_t y = 0; y < image.height; ++y) {
      const std::size_t bytes = 3 * static_cast<std::size_t>(image.width);
      std::memcpy(held.data() + static_cast<std::size_t>(y) * bytes, image.planes[0].row(y), bytes);
    }
    for (std::size_t i = 0; i < held.size(); i += static_cast<std::size_t>(random.integer(1, 60))) {
      held[i] = static_cast<std::uint8_t>(held[i] ^ random.integer(0, 63));
    }
    levels.activate(0);
    std::vector<std::uint8_t> expected_held = held, expected_changed(area, 7);
    palette_map_changed(image, lut.get(), tolerance, expected_held.data(), expected_changed.data());
    for (std::size_t level = 1; level < levels.count(); ++level) {
      levels.activate(level);
      std::vector<std::uint8_t> got_held = held, got_changed(area, 7);
      palette_map_changed(image, lut.get(), tolerance, got_held.data(), got_changed.data());
      CHECK(got_held == expected_held);
      CHECK(got_changed == expected_changed);
    }
  }
}
