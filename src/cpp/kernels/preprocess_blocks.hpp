// The rows of preprocess in blocks of eight outputs, for levels with vectors: everything but the arithmetic of a
// vector, which the level gives as a class V. Included by preprocess_LEVEL.cpp only; all names stay within that file.
//
// V::Float holds a value for each of the eight outputs, V::Int a 32-bit integer. The operations round as the scalar
// ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "levels.hpp"
#include "preprocess_values.hpp"

namespace handpose {
namespace {

#define HANDPOSE_INLINE inline __attribute__((always_inline))  // GCC keeps functions of this size out of the loop
#define HANDPOSE_NOINLINE __attribute__((noinline))

// The byte after the last one of a plane.
inline const std::uint8_t* plane_end(const Plane& plane) {
  return plane.row(plane.pitch_bytes < 0 ? 0 : plane.height - 1) +
         static_cast<std::ptrdiff_t>(plane.width) * plane.channels;
}

// Normalises blocks of a row and writes them. The components of the source are the output channels, in their order or
// in reverse.
template <typename V, DType kDType, Layout kLayout>
class BlockWriter {
 public:
  explicit BlockWriter(const PreprocessPlan& plan)
      : reversed_(channels_reversed(plan)),
        width_(static_cast<std::size_t>(plan.out.width)),
        area_(width_ * static_cast<std::size_t>(plan.out.height)),
        data_(static_cast<unsigned char*>(plan.out.data)) {
    for (int c = 0; c < 3; ++c) {
      scale_[c] = V::all(plan.params.scale[reversed_ ? 2 - c : c]);
      bias_[c] = V::all(plan.params.bias[reversed_ ? 2 - c : c]);
    }
  }

  void start_row(std::int32_t y) {
    unsigned char* const row = data_ + static_cast<std::size_t>(y) * width_ * kPixel;
    for (std::size_t k = 0; k < 3; ++k) rows_[k] = row + (reversed_ ? 2 - k : k) * area_ * kItem;
    if (kInterleaved) rows_[0] = row;
  }

  // The eight columns from x on, or `count` if that is less: the grey levels of each component.
  HANDPOSE_INLINE void write(std::int32_t x, std::int32_t count, const typename V::Float* levels) const {
    using Float = typename V::Float;
    Float v[3];
    for (int c = 0; c < 3; ++c) v[c] = V::add(V::multiply(levels[c], scale_[c]), bias_[c]);
    const std::size_t at = static_cast<std::size_t>(x) * kPixel;
    if (kInterleaved) {
      const Float pixels[3] = {reversed_ ? v[2] : v[0], v[1], reversed_ ? v[0] : v[2]};
      if (count >= kBlock) return store_pixels(pixels, rows_[0] + at);
      unsigned char block[3 * kBlock * sizeof(float)];
      store_pixels(pixels, block);
      std::memcpy(rows_[0] + at, block, static_cast<std::size_t>(count) * kPixel);
      return;
    }
    for (int c = 0; c < 3; ++c) {
      if (count >= kBlock) {
        store(v[c], rows_[c] + at);
      } else {
        unsigned char block[kBlock * sizeof(float)];
        store(v[c], block);
        std::memcpy(rows_[c] + at, block, static_cast<std::size_t>(count) * kItem);
      }
    }
  }

 private:
  static constexpr bool kInterleaved = kLayout == Layout::kNhwc;
  static constexpr std::size_t kItem = item_size(kDType);
  static constexpr std::size_t kPixel = kInterleaved ? 3 * kItem : kItem;

  HANDPOSE_INLINE static void store(typename V::Float value, unsigned char* to) {
    if (kDType == DType::kFloat32) {
      V::store_float(value, to);
    } else if (kDType == DType::kFloat16) {
      V::store_half(value, to);
    } else {
      V::store_byte(value, to);
    }
  }

  HANDPOSE_INLINE static void store_pixels(const typename V::Float* values, unsigned char* to) {
    if (kDType == DType::kFloat32) {
      V::store_float_pixels(values, to);
    } else if (kDType == DType::kFloat16) {
      V::store_half_pixels(values, to);
    } else {
      V::store_byte_pixels(values, to);
    }
  }

  bool reversed_;
  std::size_t width_, area_;
  unsigned char* data_;
  unsigned char* rows_[3] = {};  // column 0 of what each component is written to; interleaved: the first is the row
  typename V::Float scale_[3], bias_[3];
};

template <typename V>
HANDPOSE_INLINE typename V::Float clamp_block(typename V::Float value) {
  return V::clamp(value, V::all(0.0f), V::all(255.0f));
}

// What is sampled from the planes -> grey levels of the components R, G, B (or those of bgr24 and rgb24, as they are).
template <typename V, PixelFormat kFormat>
HANDPOSE_INLINE void to_components(const YuvToRgb& k, typename V::Float* c) {
  using Float = typename V::Float;
  if (kFormat == PixelFormat::kGray8) c[1] = c[2] = c[0];
  if (!is_yuv(kFormat)) return;
  const Float luma = V::multiply(V::subtract(c[0], V::all(k.offset)), V::all(k.scale));
  const Float u = V::subtract(c[1], V::all(128.0f));
  const Float v = V::subtract(c[2], V::all(128.0f));
  const Float green = V::add(V::add(luma, V::multiply(V::all(k.g_u), u)), V::multiply(V::all(k.g_v), v));
  c[0] = clamp_block<V>(V::add(luma, V::multiply(V::all(k.r_v), v)));
  c[1] = clamp_block<V>(green);
  c[2] = clamp_block<V>(V::add(luma, V::multiply(V::all(k.b_u), u)));
}

// Calls Rows<V, format, dtype, layout>::run(plan, begin, end) with what the plan says; rgb24 is as bgr24.
template <template <typename, PixelFormat, DType, Layout> class Rows, typename V, PixelFormat kFormat, DType kDType>
void run_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  if (plan.out.layout == Layout::kNchw) {
    Rows<V, kFormat, kDType, Layout::kNchw>::run(plan, begin, end);
  } else {
    Rows<V, kFormat, kDType, Layout::kNhwc>::run(plan, begin, end);
  }
}

template <template <typename, PixelFormat, DType, Layout> class Rows, typename V, PixelFormat kFormat>
void run_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  if (plan.out.dtype == DType::kFloat32) return run_rows<Rows, V, kFormat, DType::kFloat32>(plan, begin, end);
  if (plan.out.dtype == DType::kFloat16) return run_rows<Rows, V, kFormat, DType::kFloat16>(plan, begin, end);
  run_rows<Rows, V, kFormat, DType::kUint8>(plan, begin, end);
}

template <template <typename, PixelFormat, DType, Layout> class Rows, typename V>
void run_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  const PixelFormat format = plan.source.format;
  if (format == PixelFormat::kGray8) return run_rows<Rows, V, PixelFormat::kGray8>(plan, begin, end);
  if (format == PixelFormat::kNv12) return run_rows<Rows, V, PixelFormat::kNv12>(plan, begin, end);
  if (format == PixelFormat::kYuv420p) return run_rows<Rows, V, PixelFormat::kYuv420p>(plan, begin, end);
  run_rows<Rows, V, PixelFormat::kBgr24>(plan, begin, end);
}

}  // namespace
}  // namespace handpose
