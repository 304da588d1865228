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
  std::int32_t offsets[V::kBlock];
  bool readable;
};

// The places of planes of one size and pitch.
template <typename V, int kChannels>
class PlaneMap {
 public:
  using Float = typename V::Float;

  explicit PlaneMap(const Plane& plane)
      : across_(plane.width),
        down_(plane.height),
        pitch_(static_cast<std::int32_t>(plane.pitch_bytes)),
        last_load_(static_cast<std::int32_t>(plane_end(plane) - last_row(plane) - kTapBytes)) {}

  // From coordinates in the plane.
  HANDPOSE_INLINE void locate(Float plane_x, Float plane_y, BlockPlace<V>* place) const {
    typename V::Int column, row;
    const Float fx = split(plane_x, across_, &column);
    const Float fy = split(plane_y, down_, &row);
    place->weights = weigh_rows<V>(V::weight_pairs(V::round(V::multiply(fx, V::all(16384.0f)))),
                                   V::double_words(V::at_most(V::round(V::multiply(fy, V::all(32768.0f))), 32767)));
    place->readable = V::store_offsets(V::template offsets<kChannels>(row, pitch_, column), last_load_, place->offsets);
  }

 private:
  // The second rows of taps end farthest in memory, with a falling pitch the first ones.
  static const std::uint8_t* last_row(const Plane& plane) {
    return plane.data + (plane.height > 1 && plane.pitch_bytes > 0 ? plane.pitch_bytes : 0);
  }

  // An axis with `size` samples.
  struct Axis {
    explicit Axis(std::int32_t size)
        : last(V::all(static_cast<float>(size - 1))), last_first(size > 1 ? size - 2 : 0) {}

    Float last;
    std::int32_t last_first;
  };

  // A coordinate -> the first of the two samples round it, and how far on from there it is.
  HANDPOSE_INLINE static Float split(Float coordinate, const Axis& axis, typename V::Int* first) {
    const Float position = V::clamp(V::subtract(coordinate, V::all(0.5f)), V::all(0.0f), axis.last);
    *first = V::at_most(V::truncate(position), axis.last_first);
    return V::subtract(position, V::to_float(*first));
  }

  Axis across_, down_;
  std::int32_t pitch_, last_load_;
};

// Rows of the output lie askew in memory, which the CPU does not foresee: what is new in the next kAheadRows of them is
// fetched while every kAheadRows-th is sampled. A cache line serves many rows, so that the last of the next ones tells.
constexpr std::int32_t kAheadRows = 4;

// Samples one plane; `to_plane`: 1, or 0.5 for chroma.
template <typename V, int kChannels>
class PlaneSampler {
 public:
  PlaneSampler(const Plane& plane, const Affine& image_from_input, double to_plane)
      : row0_(plane.data),
        row1_(plane.height > 1 ? plane.data + plane.pitch_bytes : plane.data),
        width_(plane.width),
        ahead_(bytes_ahead(plane, image_from_input, to_plane)) {}

  HANDPOSE_INLINE void fetch_ahead(const BlockPlace<V>& place) const {
    // As a number, because it may lie outside the plane, where fetching does nothing.
    const auto base = reinterpret_cast<std::uintptr_t>(row0_) + static_cast<std::uintptr_t>(ahead_);
    for (int i = 0; i < V::kBlock; ++i) {
      __builtin_prefetch(reinterpret_cast<const void*>(base + static_cast<std::uintptr_t>(place.offsets[i])));
    }
  }

  HANDPOSE_INLINE void sample(const BlockPlace<V>& place, typename V::Float* values) const {
    typename V::Int sums[3];
    if (__builtin_expect(place.readable, 1)) {
      V::template sample_apart<kChannels>(row0_, row1_, place.offsets, place.weights, sums);
    } else {
      sample_copied(place, sums);
    }
    for (int c = 0; c < kChannels; ++c) values[c] = V::to_float(sums[c]);
  }

 private:
  // How far behind a tap that of the same column lies in the last row to fetch, as the affine has it: about.
  static std::ptrdiff_t bytes_ahead(const Plane& plane, const Affine& image_from_input, double to_plane) {
    const double rows = (2 * kAheadRows - 1) * to_plane;
    const double across = rows * image_from_input.xy, down = rows * image_from_input.yy;
    const auto whole = [](double samples, double most) {
      return static_cast<std::ptrdiff_t>(samples < -most ? -most : samples > most ? most : samples);
    };
    return whole(down, plane.height) * plane.pitch_bytes + whole(across, plane.width) * kChannels;
  }

  HANDPOSE_NOINLINE void sample_copied(const BlockPlace<V>& place, typename V::Int* sums) const {
    CopiedTaps<V> copy{};
    const BlockTaps taps = copy_taps<V, kChannels>(row0_, row1_, place.offsets, width_, &copy);
    V::template sample_apart<kChannels>(taps.row0, taps.row1, taps.offsets, place.weights, sums);
  }

  const std::uint8_t* row0_;
  const std::uint8_t* row1_;
  std::int32_t width_;
  std::ptrdiff_t ahead_;
};

// What there is to sample, by format: Place says where a block lies in it, `values` are in grey levels times 1 / kUnit.

// One plane: gray8, bgr24 and rgb24.
template <typename V, int kChannels>
class PlaneSource {
 public:
  using Place = BlockPlace<V>;
  static constexpr float kUnit = kPerSum;

  explicit PlaneSource(const PreprocessPlan& plan)
      : map_(plan.source.planes[0]), pixels_(plan.source.planes[0], plan.params.image_from_input, 1.0) {}

  HANDPOSE_INLINE void locate(typename V::Float x, typename V::Float y, Place* place) const {
    map_.locate(x, y, place);
  }
  HANDPOSE_INLINE void fetch_ahead(const Place& place) const { pixels_.fetch_ahead(place); }
  HANDPOSE_INLINE void sample(const Place& place, typename V::Float* values) const {
    pixels_.sample(place, values);
    if (kChannels == 1) values[1] = values[2] = values[0];
  }

 private:
  PlaneMap<V, kChannels> map_;
  PlaneSampler<V, kChannels> pixels_;
};

// nv12 (kPlanes 2) and yuv420p (kPlanes 3, both chroma planes of one pitch): chroma has one place for both components.
template <typename V, int kPlanes>
class YuvSource {
 public:
  struct Place {
    BlockPlace<V> luma, chroma;
  };
  static constexpr float kUnit = 1.0f;

  explicit YuvSource(const PreprocessPlan& plan)
      : luma_map_(plan.source.planes[0]),
        chroma_map_(plan.source.planes[1]),
        luma_(plan.source.planes[0], plan.params.image_from_input, 1.0),
        first_chroma_(plan.source.planes[1], plan.params.image_from_input, 0.5),
        last_chroma_(plan.source.planes[kPlanes - 1], plan.params.image_from_input, 0.5),
        to_rgb_(yuv_in_units(plan.params.yuv, kPerSum)) {}

  HANDPOSE_INLINE void locate(typename V::Float x, typename V::Float y, Place* place) const {
    luma_map_.locate(x, y, &place->luma);
    chroma_map_.locate(V::multiply(x, V::all(0.5f)), V::multiply(y, V::all(0.5f)), &place->chroma);
  }

  HANDPOSE_INLINE void fetch_ahead(const Place& place) const {
    luma_.fetch_ahead(place.luma);
    first_chroma_.fetch_ahead(place.chroma);
    if (kPlanes == 3) last_chroma_.fetch_ahead(place.chroma);
  }

  HANDPOSE_INLINE void sample(const Place& place, typename V::Float* values) const {
    luma_.sample(place.luma, values);
    first_chroma_.sample(place.chroma, values + 1);
    if (kPlanes == 3) last_chroma_.sample(place.chroma, values + 2);
    to_rgb<V>(to_rgb_, values);
  }

 private:
  static constexpr int kChroma = kPlanes == 2 ? 2 : 1;  // channels of a chroma plane

  PlaneMap<V, 1> luma_map_;
  PlaneMap<V, kChroma> chroma_map_;
  PlaneSampler<V, 1> luma_;
  PlaneSampler<V, kChroma> first_chroma_, last_chroma_;
  YuvToRgb to_rgb_;
};

// A row. From a coordinate to the sample is a long way for one block: several go it side by side.
template <typename V, typename Source, typename Writer>
HANDPOSE_INLINE void sample_rotated(const PreprocessPlan& plan, const Source& source, std::int32_t y) {
  constexpr std::int32_t kBlocks = 64 / V::kBlock;
  const Writer writer(plan, y, Source::kUnit);
  const RotatedRow row = rotated_row(plan.params.image_from_input, y);
  const Columns inside = plan.inside[y];
  const bool fetches = y % kAheadRows == 0;
  typename Source::Place places[static_cast<std::size_t>(kBlocks)];
  for (std::int32_t left = inside.begin; left < inside.end; left += kBlocks * V::kBlock) {
    const std::int32_t right = left + kBlocks * V::kBlock < inside.end ? left + kBlocks * V::kBlock : inside.end;
    typename Source::Place* place = places;
    for (std::int32_t x = left; x < right; x += V::kBlock, ++place) {
      const typename V::Float outputs = V::add(V::all(static_cast<float>(x) + 0.5f), V::numbers());
      source.locate(V::add(V::multiply(V::all(row.step_x), outputs), V::all(row.base_x)),
                    V::add(V::multiply(V::all(row.step_y), outputs), V::all(row.base_y)), place);
      __asm__ volatile("" : : : "memory");  // else GCC makes several loops of this one, which compute much again
    }
    place = places;
    for (std::int32_t x = left; x < right; x += V::kBlock, ++place) {
      typename V::Float values[3];
      if (fetches) source.fetch_ahead(*place);
      source.sample(*place, values);
      writer.write(x, inside.end - x, values);
    }
  }
}

template <typename V>
struct RotatedRows {
  const PreprocessPlan& plan;
  std::int32_t begin, end;

  template <typename Writer>
  void with_writer() const {
    switch (plan.source.format) {
      case PixelFormat::kGray8:
        return run<PlaneSource<V, 1>, Writer>();
      case PixelFormat::kNv12:
        return run<YuvSource<V, 2>, Writer>();
      case PixelFormat::kYuv420p:
        return run<YuvSource<V, 3>, Writer>();
      default:
        return run<PlaneSource<V, 3>, Writer>();
    }
  }

  template <typename Source, typename Writer>
  void run() const {
    const Source source(plan);
    for (std::int32_t y = begin; y < end; ++y) sample_rotated<V, Source, Writer>(plan, source, y);
  }
};

// Offsets have 32 bits and both chroma planes the same: a picture that is otherwise goes to the portable rows, which
// give the same bits.
template <typename V>
void rotated_rows_of(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  const Plane* const planes = plan.source.planes;
  bool fit = plan.source.format != PixelFormat::kYuv420p || planes[1].pitch_bytes == planes[2].pitch_bytes;
  for (int i = 0; i < plane_count(plan.source.format); ++i) fit = fit && offsets_fit(planes[i]);
  if (!fit) return scalar::rotated_rows(plan, begin, end);
  run_with_writer<V>(plan.out, RotatedRows<V>{plan, begin, end});
}

}  // namespace
}  // namespace handpose
