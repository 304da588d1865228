// The rows of preprocess in blocks of V::kBlock outputs, for levels with vectors: everything but the arithmetic of a
// vector, which the level gives as a class V. Included by preprocess_LEVEL.cpp only; all names stay within that file.
//
// V::Float holds a value for each output of a block, V::Int a 32-bit integer. The operations round as the scalar ones.
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

// Row y of the output: normalises values in `unit` grey levels, a power of two. The components of the source are the
// output channels, in their order or in reverse.
template <typename V, DType kDType, Layout kLayout>
class BlockWriter {
 public:
  // Nothing here loops over the components, which GCC unrolls too late to keep their parts of this object in registers.
  HANDPOSE_INLINE BlockWriter(const PreprocessPlan& plan, std::int32_t y, float unit)
      : reversed_(channels_reversed(plan)), row_bytes_(static_cast<std::size_t>(plan.out.width) * kPixel) {
    set_component<0>(plan, y, unit);
    set_component<1>(plan, y, unit);
    set_component<2>(plan, y, unit);
  }

  // Goes on to the next row.
  HANDPOSE_INLINE void next_row() {
    rows_[0] += row_bytes_;
    rows_[1] += row_bytes_;
    rows_[2] += row_bytes_;
  }

  // The columns of a block from x on, or `count` if that is less: the values of each component.
  HANDPOSE_INLINE void write(std::ptrdiff_t x, std::int32_t count, const typename V::Float* values) const {
    using Float = typename V::Float;
    const Float v[3] = {normalised(values[0], scale_[0], bias_[0]), normalised(values[1], scale_[1], bias_[1]),
                        normalised(values[2], scale_[2], bias_[2])};
    const std::size_t at = static_cast<std::size_t>(x) * kPixel;
    if (kInterleaved) {
      const Float pixels[3] = {reversed_ ? v[2] : v[0], v[1], reversed_ ? v[0] : v[2]};
      if (count >= V::kBlock) return store_pixels(pixels, rows_[0] + at);
      alignas(64) unsigned char block[3 * V::kBlock * sizeof(float)];
      store_pixels(pixels, block);
      std::memcpy(rows_[0] + at, block, static_cast<std::size_t>(count) * kPixel);
      return;
    }
    store_some(v[0], count, rows_[0] + at);
    store_some(v[1], count, rows_[1] + at);
    store_some(v[2], count, rows_[2] + at);
  }

 private:
  static constexpr bool kInterleaved = kLayout == Layout::kNhwc;
  static constexpr std::size_t kItem = item_size(kDType);
  static constexpr std::size_t kPixel = kInterleaved ? 3 * kItem : kItem;

  template <std::size_t kComponent>
  HANDPOSE_INLINE void set_component(const PreprocessPlan& plan, std::int32_t y, float unit) {
    const std::size_t channel = reversed_ ? 2 - kComponent : kComponent;
    scale_[kComponent] = plan.params.scale[channel] * unit;
    bias_[kComponent] = plan.params.bias[channel];
    plain_ = plain_ && plan.params.bias[channel] == 0.0f;
    unsigned char* const row = static_cast<unsigned char*>(plan.out.data) + static_cast<std::size_t>(y) * row_bytes_;
    const std::size_t plane = row_bytes_ * static_cast<std::size_t>(plan.out.height);
    rows_[kComponent] = kInterleaved ? row : row + channel * plane;
  }

  HANDPOSE_INLINE typename V::Float normalised(typename V::Float value, float scale, float bias) const {
    const typename V::Float scaled = V::multiply(value, V::all(scale));
    return kDType == DType::kUint8 && plain_ ? scaled : V::add(scaled, V::all(bias));
  }

  HANDPOSE_INLINE static void store_some(typename V::Float value, std::int32_t count, unsigned char* to) {
    if (count >= V::kBlock) return store(value, to);
    alignas(64) unsigned char block[V::kBlock * sizeof(float)];
    store(value, block);
    std::memcpy(to, block, static_cast<std::size_t>(count) * kItem);
  }

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
  std::size_t row_bytes_;
  bool plain_ = true;       // nothing to add, as is usual for bytes
  unsigned char* rows_[3];  // column 0 of what each component is written to
  float scale_[3], bias_[3];
};

// Y, U, V -> R, G, B in grey levels.
template <typename V>
HANDPOSE_INLINE void to_rgb(const YuvToRgb& k, typename V::Float* c) {
  using Float = typename V::Float;
  const Float luma = V::multiply(c[0], V::all(k.scale));
  const Float red = V::add(V::multiply(c[2], V::all(k.r_v)), V::all(k.red));
  const Float green = V::add(V::multiply(c[1], V::all(k.g_u)), V::all(k.green));
  const Float blue = V::add(V::multiply(c[1], V::all(k.b_u)), V::all(k.blue));
  c[1] = V::clamp_levels(V::add(V::add(luma, green), V::multiply(c[2], V::all(k.g_v))));
  c[0] = V::clamp_levels(V::add(luma, red));
  c[2] = V::clamp_levels(V::add(luma, blue));
}

// Calls run.template with_writer<BlockWriter<...>>() for the dtype and layout of the output.
template <typename V, DType kDType, typename Run>
void run_with_writer(Layout layout, const Run& run) {
  if (layout == Layout::kNchw) {
    run.template with_writer<BlockWriter<V, kDType, Layout::kNchw>>();
  } else {
    run.template with_writer<BlockWriter<V, kDType, Layout::kNhwc>>();
  }
}

template <typename V, typename Run>
void run_with_writer(const TensorView& out, const Run& run) {
  if (out.dtype == DType::kFloat32) return run_with_writer<V, DType::kFloat32>(out.layout, run);
  if (out.dtype == DType::kFloat16) return run_with_writer<V, DType::kFloat16>(out.layout, run);
  run_with_writer<V, DType::kUint8>(out.layout, run);
}

}  // namespace
}  // namespace handpose
