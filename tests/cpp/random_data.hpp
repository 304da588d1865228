// Seeded random pictures and maps in heap blocks of the exact size, so that the address sanitizer sees every step
// outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "core/image_view.hpp"

namespace handpose::testing {

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}

  std::int32_t integer(std::int32_t low, std::int32_t high) {
    return std::uniform_int_distribution<std::int32_t>(low, high)(engine_);
  }
  double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(engine_()); }

 private:
  std::mt19937 engine_;
};

// A picture of any format whose planes each end with their last pixel; rows may be padded and may run upwards.
class Picture {
 public:
  Picture(PixelFormat format, std::int32_t width, std::int32_t height, Random* random) {
    view_.format = format;
    view_.width = width;
    view_.height = height;
    for (int i = 0; i < plane_count(format); ++i) {
      MutablePlane& plane = view_.planes[i];
      plane.channels = plane_channels(format, i);
      plane.width = i == 0 ? width : (width + 1) / 2;
      plane.height = i == 0 ? height : (height + 1) / 2;
      const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(plane.width) * plane.channels;
      const std::ptrdiff_t pitch = row + random->integer(0, 3) * 5;
      const auto bytes = static_cast<std::size_t>(pitch * (plane.height - 1) + row);
      blocks_[i].reset(new std::uint8_t[bytes]);
      for (std::size_t k = 0; k < bytes; ++k) blocks_[i][k] = random->byte();
      const bool upwards = random->integer(0, 3) == 0;
      plane.data = blocks_[i].get() + (upwards ? pitch * (plane.height - 1) : 0);
      plane.pitch_bytes = upwards ? -pitch : pitch;
    }
  }

  const MutableImageView& writable() const { return view_; }

  ImageView view() const {
    ImageView image;
    image.format = view_.format;
    image.width = view_.width;
    image.height = view_.height;
    for (int i = 0; i < 3; ++i) {
      const MutablePlane& plane = view_.planes[i];
      image.planes[i] = {plane.data, plane.pitch_bytes, plane.width, plane.height, plane.channels};
    }
    return image;
  }

 private:
  MutableImageView view_;
  std::unique_ptr<std::uint8_t[]> blocks_[3];
};

}  // namespace handpose::testing
