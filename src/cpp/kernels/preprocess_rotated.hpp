// Rotated and sheared regions of preprocess in blocks; see preprocess_blocks.hpp.
#pragma once

#include "preprocess_bilinear.hpp"

namespace handpose {
namespace {

// Continuous image coordinates of a block of outputs.
template <typename V>
struct BlockPoints {
  typename V::Float x, y;
};

// Where a block finds its taps in a plane, and with which weights.
template <typename V>
struct BlockPlace {
  BlockWeights<V> weights;
  std::int32_t offsets[kBlock];
  bool readable;
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

  HANDPOSE_INLINE void locate(const BlockPoints<V>& points, BlockPlace<V>* place) const {
    typename V::Int column, row;
    const Float fx = split(V::multiply(points.x, V::all(to_plane_)), width_, &column);
    const Float fy = split(V::multiply(points.y, V::all(to_plane_)), height_, &row);
    const Float unit = V::all(0x1p-14f);
    place->weights = {V::weight_pairs(V::round(V::multiply(fx, V::all(16384.0f)))),
                      V::multiply(V::subtract(V::all(1.0f), fy), unit), V::multiply(fy, unit)};
    place->readable = V::store_offsets(V::template offsets<kChannels>(row, pitch_, column), last_load_, place->offsets);
  }

  HANDPOSE_INLINE void sample(const BlockPlace<V>& place, Float* components) const {
    if (place.readable) {
      V::template sample<kChannels, false, false>({row0_, row1_, place.offsets, nullptr}, place.weights, components);
    } else {
      sample_copied(place, components);
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

  HANDPOSE_NOINLINE void sample_copied(const BlockPlace<V>& place, Float* components) const {
    CopiedTaps copy{};
    const BlockTaps taps = copy_taps<kChannels>(row0_, row1_, place.offsets, width_, &copy);
    V::template sample<kChannels, false, false>(taps, place.weights, components);
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
  // From a coordinate to the sample is a long way for one block; several go it side by side.
  static constexpr std::int32_t kBlocks = 8;

  static void run(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
    const Plane* const planes = plan.source.planes;
    const RotatedPlane<V, plane_channels(kFormat, 0)> first(planes[0], 1.0f);
    const RotatedPlane<V, plane_channels(kFormat, 1)> second(planes[kSecond], 0.5f);
    const RotatedPlane<V, plane_channels(kFormat, 1)> third(planes[kThird], 0.5f);
    // The last plane of yuv420p mostly has the pitch of the one before it, and so the same offsets.
    const bool apart = kThird != 0 && planes[kSecond].pitch_bytes != planes[kThird].pitch_bytes;
    const YuvToRgb yuv = plan.params.yuv;
    BlockWriter<V, kDType, kLayout> writer(plan);
    BlockPlace<V> luma[kBlocks], chroma[kBlocks], others[kBlocks];
    for (std::int32_t y = begin; y < end; ++y) {
      const RotatedRow row = rotated_row(plan.params.image_from_input, y);
      const std::int32_t right = plan.inside[y].end;
      writer.start_row(y);
      for (std::int32_t left = plan.inside[y].begin; left < right; left += kBlocks * kBlock) {
        const std::int32_t blocks = (right - left + kBlock - 1) / kBlock;
        const std::int32_t count = blocks < kBlocks ? blocks : kBlocks;
        for (std::int32_t i = 0; i < count; ++i) {
          const BlockPoints<V> points = block_points(row, left + i * kBlock);
          first.locate(points, &luma[i]);
          if (kSecond != 0) second.locate(points, &chroma[i]);
          if (apart) third.locate(points, &others[i]);
        }
        for (std::int32_t i = 0; i < count; ++i) {
          const std::int32_t x = left + i * kBlock;
          Float levels[3];
          first.sample(luma[i], levels);
          if (kSecond != 0) second.sample(chroma[i], levels + 1);
          if (kThird != 0) third.sample(apart ? others[i] : chroma[i], levels + 2);
          to_components<V, kFormat>(yuv, levels);
          writer.write(x, right - x, levels);
        }
      }
    }
  }

  HANDPOSE_INLINE static BlockPoints<V> block_points(const RotatedRow& row, std::int32_t x) {
    const Float column = V::add(V::all(static_cast<float>(x) + 0.5f), V::zero_to_seven());
    return {V::add(V::multiply(V::all(row.step_x), column), V::all(row.base_x)),
            V::add(V::multiply(V::all(row.step_y), column), V::all(row.base_y))};
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
