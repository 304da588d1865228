// Pictures of every format in guarded memory, with padded rows that may run upwards.
#pragma once

#include <algorithm>

#include "core/image_view.hpp"
#include "fuzz_input.hpp"
#include "guarded.hpp"

namespace handpose::fuzzing {

// Where the planes of a picture lie, of which each has a block of its own.
class GuardedPicture {
 public:
  GuardedPicture() : blocks_{Guarded(kPlaneBytes), Guarded(kPlaneBytes), Guarded(kPlaneBytes)} {}

  // Takes size, pitches, place and pixels from the input.
  void read(PixelFormat format, FuzzInput* input) {
    view_ = {};
    view_.format = format;
    view_.width = input->width();
    view_.height = input->height();
    for (int i = 0; i < plane_count(format); ++i) {
      MutablePlane& plane = view_.planes[i];
      plane.channels = plane_channels(format, i);
      plane.width = i == 0 ? view_.width : (view_.width + 1) / 2;
      plane.height = i == 0 ? view_.height : (view_.height + 1) / 2;
      const std::ptrdiff_t pitch = row_bytes(plane) + input->padding();
      const auto above = pitch * (plane.height - 1);
      sizes_[i] = static_cast<std::size_t>(above + row_bytes(plane));
      const std::uint8_t how = input->byte();
      memory_[i] = blocks_[i].place(sizes_[i], (how & 1) != 0);
      const bool upwards = (how & 6) == 6;
      plane.data = memory_[i] + (upwards ? above : 0);
      plane.pitch_bytes = upwards ? -pitch : pitch;
      input->fill(memory_[i], sizes_[i]);
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

  // Every byte of every plane, padding too, to or from `bytes` (kMostBytes of them).
  void save(std::uint8_t* bytes) const {
    for (int i = 0; i < plane_count(view_.format); ++i) std::memcpy(part(bytes, i), memory_[i], sizes_[i]);
  }
  void restore(const std::uint8_t* bytes) const {
    for (int i = 0; i < plane_count(view_.format); ++i) std::memcpy(memory_[i], part(bytes, i), sizes_[i]);
  }
  bool equals(const std::uint8_t* bytes) const {
    for (int i = 0; i < plane_count(view_.format); ++i) {
      if (std::memcmp(memory_[i], part(bytes, i), sizes_[i]) != 0) return false;
    }
    return true;
  }

  // Whether the bytes between the rows are those of `bytes`.
  bool same_padding(const std::uint8_t* bytes) const {
    for (int i = 0; i < plane_count(view_.format); ++i) {
      const MutablePlane& plane = view_.planes[i];
      const auto pitch = static_cast<std::size_t>(plane.pitch_bytes < 0 ? -plane.pitch_bytes : plane.pitch_bytes);
      const auto row = static_cast<std::size_t>(row_bytes(plane));
      for (std::size_t at = row; at + (pitch - row) <= sizes_[i]; at += pitch) {
        if (std::memcmp(memory_[i] + at, part(bytes, i) + at, pitch - row) != 0) return false;
      }
    }
    return true;
  }

  static constexpr std::size_t kPlaneBytes = std::size_t{1} << 15;
  static constexpr std::size_t kMostBytes = 3 * kPlaneBytes;

 private:
  template <typename Byte>
  static Byte* part(Byte* bytes, int plane) {
    return bytes + static_cast<std::size_t>(plane) * kPlaneBytes;
  }

  static std::ptrdiff_t row_bytes(const MutablePlane& plane) {
    return static_cast<std::ptrdiff_t>(plane.width) * plane.channels;
  }

  Guarded blocks_[3];
  MutableImageView view_;
  std::uint8_t* memory_[3] = {};
  std::size_t sizes_[3] = {};
};

}  // namespace handpose::fuzzing
