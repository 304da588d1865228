// Rotated and sheared regions of preprocess in blocks; see preprocess_blocks.hpp.
#pragma once

#include "preprocess_bilinear.hpp"

namespace handpose {
namespace {

// Continuous image coordinates of a block of outputs, kept within the image.
template <typename V>
struct BlockPoints {
  typename V::Float x, y;
};

// One plane, of which any pixel may be sampled.
template <typename V, int kChannels>
class RotatedPlane {
 public:
  using Float = typename V::Float;

  // `to_plane`: 1, or 0.5 for chroma.
  RotatedPlane(const Plane& plane, float to_plane)
      : row0_(plane.data),
        row1_(plane.height > 1 ? plane.data + plane.pitch_bytes : plane.data),
        width_(plane.width),
        height_(plane.height),
        pitch_(static_cast<std::int32_t>(plane.pitch_bytes)),
        last_load_(static_cast<std::int32_t>(plane_end(plane) - (row0_ > row1_ ? row0_ : row1_) - 8)),
        to_plane_(to_plane) {}

  // Whether all offsets within the plane fit 32 bits.
  static bool reachable(const Plane& plane) {
    const std::ptrdiff_t pitch = plane.pitch_bytes < 0 ? -plane.pitch_bytes : plane.pitch_bytes;
    return pitch <= 0x7fffffff / plane.height;
  }

  HANDPOSE_INLINE void sample(const BlockPoints<V>& points, Float* components) const {
    typename V::Int column, row;
    const Float fx = split(V::multiply(points.x, V::all(to_plane_)), width_, &column);
    const Float fy = split(V::multiply(points.y, V::all(to_plane_)), height_, &row);
    const Float unit = V::all(0x1p-14f);
    const BlockWeights<V> weights{V::weight_pairs(V::round(V::multiply(fx, V::all(16384.0f)))),
                                  V::multiply(V::subtract(V::all(1.0f), fy), unit), V::multiply(fy, unit)};
    std::int32_t offsets[kBlock];
    if (V::store_offsets(V::template offsets<kChannels>(row, pitch_, column), last_load_, offsets)) {
      V::template sample<kChannels, false, false>({row0_, row1_, offsets, nullptr}, weights, components);
    } else {
      sample_copied(offsets, weights, components);
    }
  }

 private:
  // A coordinate -> the first of the two samples round it, and how far on from there it is.
  HANDPOSE_INLINE static Float split(Float coordinate, std::int32_t size, typename V::Int* first) {
    const Float position =
        V::clamp(V::subtract(coordinate, V::all(0.5f)), V::all(0.0f), V::all(static_cast<float>(size - 1)));
    *first = V::at_most(V::truncate(position), size > 1 ? size - 2 : 0);
    return V::subtract(position, V::to_float(*first));
  }

  HANDPOSE_NOINLINE void sample_copied(const std::int32_t* offsets, const BlockWeights<V> weights,
                                       Float* components) const {
    CopiedTaps copy{};
    const BlockTaps taps = copy_taps<kChannels>(row0_, row1_, offsets, width_, &copy);
    V::template sample<kChannels, false, false>(taps, weights, components);
  }

  const std::uint8_t* row0_;
  const std::uint8_t* row1_;
  std::int32_t width_, height_, pitch_, last_load_;
  float to_plane_;
};

template <typename V, PixelFormat kFormat, DType kDType, Layout kLayout>
struct RotatedRows {
  using Float = typename V::Float;
  static constexpr int kSecond = plane_count(kFormat) > 1 ? 1 : 0, kThird = plane_count(kFormat) > 2 ? 2 : 0;

  static void run(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
    const Plane* const planes = plan.source.planes;
    const RotatedPlane<V, plane_channels(kFormat, 0)> first(planes[0], 1.0f);
    const RotatedPlane<V, plane_channels(kFormat, 1)> second(planes[kSecond], 0.5f);
    const RotatedPlane<V, plane_channels(kFormat, 1)> third(planes[kThird], 0.5f);
    const YuvToRgb yuv = plan.params.yuv;
    const Float width = V::all(static_cast<float>(plan.source.width));
    const Float height = V::all(static_cast<float>(plan.source.height));
    const bool constant = plan.params.border == Border::kConstant;
    Float border[3];
    for (int c = 0; c < 3; ++c) border[c] = V::all(plan.params.border_value[channels_reversed(plan) ? 2 - c : c]);
    BlockWriter<V, kDType, kLayout> writer(plan);
    for (std::int32_t y = begin; y < end; ++y) {
      const RotatedRow row = rotated_row(plan.params.image_from_input, y);
      writer.start_row(y);
      for (std::int32_t x = 0; x < plan.out.width; x += kBlock) {
        const Float column = V::add(V::all(static_cast<float>(x) + 0.5f), V::zero_to_seven());
        const Float cx = V::add(V::multiply(V::all(row.step_x), column), V::all(row.base_x));
        const Float cy = V::add(V::multiply(V::all(row.step_y), column), V::all(row.base_y));
        const BlockPoints<V> points{V::clamp(cx, V::all(0.0f), width), V::clamp(cy, V::all(0.0f), height)};
        const typename V::Mask inside = V::both_equal(points.x, cx, points.y, cy);
        Float levels[3] = {border[0], border[1], border[2]};
        if (!constant || V::any(inside)) {
          first.sample(points, levels);
          if (kSecond != 0) second.sample(points, levels + 1);
          if (kThird != 0) third.sample(points, levels + 2);
          to_components<V, kFormat>(yuv, levels);
          if (constant && !V::every(inside)) {
            for (int c = 0; c < 3; ++c) levels[c] = V::choose(inside, levels[c], border[c]);
          }
        }
        writer.write(x, plan.out.width - x, levels);
      }
    }
  }
};

// Offsets have 32 bits: a picture for which that is too few goes to the portable rows, which give the same bits.
template <typename V>
void rotated_rows_of(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  bool reachable = true;
  for (int i = 0; i < plane_count(plan.source.format); ++i) {
    reachable = reachable && RotatedPlane<V, 1>::reachable(plan.source.planes[i]);
  }
  reachable ? run_rows<RotatedRows, V>(plan, begin, end) : scalar::rotated_rows(plan, begin, end);
}

}  // namespace
}  // namespace handpose
