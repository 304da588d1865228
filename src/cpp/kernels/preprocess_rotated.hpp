// Rotated and sheared regions of preprocess in blocks; see preprocess_blocks.hpp.
#pragma once

#include "preprocess_bilinear.hpp"

namespace handpose {
namespace {

// Whether all offsets within the plane fit 32 bits.
inline bool offsets_fit(const Plane& plane) {
  const std::ptrdiff_t pitch = plane.pitch_bytes < 0 ? -plane.pitch_bytes : plane.pitch_bytes;
  return pitch <= 0x7fffffff / plane.height;
}

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

  // The block of outputs from column x on.
  HANDPOSE_INLINE void locate(const RotatedRow& map, std::int32_t x, BlockPlace<V>* place) const {
    const Float outputs = V::add(V::all(static_cast<float>(x) + 0.5f), V::zero_to_seven());
    const Float image_x = V::add(V::multiply(V::all(map.step_x), outputs), V::all(map.base_x));
    const Float image_y = V::add(V::multiply(V::all(map.step_y), outputs), V::all(map.base_y));
    typename V::Int column, row;
    const Float fx = split(V::multiply(image_x, V::all(to_plane_)), width_, &column);
    const Float fy = split(V::multiply(image_y, V::all(to_plane_)), height_, &row);
    place->weights = weigh_rows<V>(V::weight_pairs(V::round(V::multiply(fx, V::all(16384.0f)))),
                                   V::double_words(V::at_most(V::round(V::multiply(fy, V::all(32768.0f))), 32767)));
    place->readable = V::store_offsets(V::template offsets<kChannels>(row, pitch_, column), last_load_, place->offsets);
  }

  HANDPOSE_INLINE void sample(const BlockPlace<V>& place, typename V::Int* components) const {
    if (place.readable) {
      V::template sample<kChannels, 1>({row0_, row1_, place.offsets, nullptr}, place.weights, components);
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

  HANDPOSE_NOINLINE void sample_copied(const BlockPlace<V>& place, typename V::Int* components) const {
    CopiedTaps copy{};
    const BlockTaps taps = copy_taps<kChannels>(row0_, row1_, place.offsets, width_, &copy);
    V::template sample<kChannels, 1>(taps, place.weights, components);
  }

  const std::uint8_t* row0_;
  const std::uint8_t* row1_;
  std::int32_t width_, height_, pitch_, last_load_;
  float to_plane_;
};

// A row of one plane, to a sink. From a coordinate to the sample is a long way for one block: several go it side by
// side.
template <typename V, int kChannels, typename Sink>
HANDPOSE_INLINE void sample_rotated(const PreprocessPlan& plan, int plane, std::int32_t y, const Sink& sink) {
  constexpr std::int32_t kBlocks = 8;
  const RotatedPlane<V, kChannels> sampler(plan.source.planes[plane], plane == 0 ? 1.0f : 0.5f);
  const RotatedRow row = rotated_row(plan.params.image_from_input, y);
  const std::int32_t end = plan.inside[y].end;
  BlockPlace<V> places[kBlocks];
  for (std::int32_t left = plan.inside[y].begin; left < end; left += kBlocks * kBlock) {
    const std::int32_t blocks = (end - left + kBlock - 1) / kBlock;
    const std::int32_t count = blocks < kBlocks ? blocks : kBlocks;
    for (std::int32_t i = 0; i < count; ++i) sampler.locate(row, left + i * kBlock, &places[i]);
    for (std::int32_t i = 0; i < count; ++i) {
      const std::int32_t x = left + i * kBlock;
      typename V::Int components[3];
      sampler.sample(places[i], components);
      write_sums<V, kChannels>(sink, x, end - x, components);
    }
  }
}

template <typename V>
struct RotatedRows {
  const PreprocessPlan& plan;
  std::int32_t begin, end;

  template <typename Writer>
  void with_writer() const {
    if (plan.source.planes[0].channels == 3) {
      for (std::int32_t y = begin; y < end; ++y) sample_rotated<V, 3>(plan, 0, y, Writer(plan, y, kPerSum));
      return;
    }
    for (std::int32_t y = begin; y < end; ++y) {
      for (int i = 0; i < plane_count(plan.source.format); ++i) sample_to_levels(i, y);
      write_row<V, Writer>(plan, y, plan.inside[y], kPerSum);
    }
  }

  HANDPOSE_NOINLINE void sample_to_levels(int plane, std::int32_t y) const {
    if (plan.source.planes[plane].channels == 1) {
      sample_rotated<V, 1>(plan, plane, y, LevelsSink<V, 1>(plan.levels + plane));
    } else {
      sample_rotated<V, 2>(plan, plane, y, LevelsSink<V, 2>(plan.levels + plane));
    }
  }
};

// Offsets have 32 bits: a picture for which that is too few goes to the portable rows, which give the same bits.
template <typename V>
void rotated_rows_of(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  for (int i = 0; i < plane_count(plan.source.format); ++i) {
    if (!offsets_fit(plan.source.planes[i])) return scalar::rotated_rows(plan, begin, end);
  }
  run_with_writer<V>(plan.out, RotatedRows<V>{plan, begin, end});
}

}  // namespace
}  // namespace handpose
