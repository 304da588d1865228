// Non-owning views of pictures: planes of bytes with a row pitch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace handpose {

// Names as FFmpeg's.
enum class PixelFormat : std::uint8_t { kBgr24, kRgb24, kBgra32, kGray8, kNv12, kYuv420p };

// Longest side of an image or an input, in pixels: keeps offsets within a row in 32 bits and float coordinates fine.
constexpr std::int32_t kMaxSide = 65535;

template <typename Byte>
struct BasicPlane {
  Byte* data = nullptr;            // first pixel of the top row
  std::ptrdiff_t pitch_bytes = 0;  // from a row to the next one; may be negative
  std::int32_t width = 0;          // pixels
  std::int32_t height = 0;         // rows
  std::int32_t channels = 0;       // bytes per pixel, packed

  Byte* row(std::int32_t y) const { return data + static_cast<std::ptrdiff_t>(y) * pitch_bytes; }
};

// bgr24, rgb24, bgra32, gray8: one plane. nv12: y, uv. yuv420p: y, u, v; chroma planes have half the size, rounded up.
template <typename Byte>
struct BasicImageView {
  PixelFormat format = PixelFormat::kBgr24;
  std::int32_t width = 0;
  std::int32_t height = 0;
  BasicPlane<Byte> planes[3];
};

using Plane = BasicPlane<const std::uint8_t>;
using MutablePlane = BasicPlane<std::uint8_t>;
using ImageView = BasicImageView<const std::uint8_t>;
using MutableImageView = BasicImageView<std::uint8_t>;

constexpr bool is_yuv(PixelFormat format) { return format == PixelFormat::kNv12 || format == PixelFormat::kYuv420p; }

constexpr int plane_count(PixelFormat format) {
  return format == PixelFormat::kNv12 ? 2 : format == PixelFormat::kYuv420p ? 3 : 1;
}

constexpr int plane_channels(PixelFormat format, int plane) {
  switch (format) {
    case PixelFormat::kBgr24:
    case PixelFormat::kRgb24:
      return 3;
    case PixelFormat::kBgra32:
      return 4;
    case PixelFormat::kNv12:
      return plane == 0 ? 1 : 2;
    default:
      return 1;
  }
}

}  // namespace handpose
