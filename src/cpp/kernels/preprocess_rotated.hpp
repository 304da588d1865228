// Rotated and sheared regions of preprocess in blocks; see preprocess_blocks.hpp.
#pragma once

#include <utility>

#include "preprocess_bilinear.hpp"
#include "preprocess_positions.hpp"

namespace handpose {
namespace {

// Whether all offsets within the planes fit 32 bits, and both chroma planes have the same.
inline bool offsets_fit(const PreprocessPlan& plan) {
  const Plane* const planes = plan.source.planes;
  for (int i = 0; i < plane_count(plan.source.format); ++i) {
    const std::ptrdiff_t pitch = planes[i].pitch_bytes < 0 ? -planes[i].pitch_bytes : planes[i].pitch_bytes;
    if (pitch > 0x7fffffff / planes[i].height) return false;
  }
  return plan.source.format != PixelFormat::kYuv420p || planes[1].pitch_bytes == planes[2].pitch_bytes;
}

// Where a block finds its taps in a plane.
template <typename V>
struct BlockOffsets {
  std::int32_t at[V::kBlock];
};

// The places of one row in planes of one size and pitch.
template <typename V, int kChannels>
class RowPlaces {
 public:
  HANDPOSE_INLINE RowPlaces(const PreprocessPlan& plan, int plane, std::int32_t y)
      : plane_(plan.source.planes[plane]),
        across_(plan.across[plane > 0 ? 1 : 0]),
        down_(plan.down[plane > 0 ? 1 : 0]),
        across_of_columns_(across_.of_columns),
        down_of_columns_(down_.of_columns),
        pitch_(static_cast<std::int32_t>(plane_.pitch_bytes)),
        row_across_(position_of_row(across_, y)),
        row_down_(position_of_row(down_, y)) {}

  // The block from column x on, all plain: where its taps lie and their weights.
  HANDPOSE_INLINE BlockWeights<V> locate(std::ptrdiff_t x, BlockOffsets<V>* offsets) const {
    return place(V::add_ints(V::load_ints(across_of_columns_ + x), V::all_ints(static_cast<std::int32_t>(row_across_))),
                 V::add_ints(V::load_ints(down_of_columns_ + x), V::all_ints(static_cast<std::int32_t>(row_down_))),
                 offsets);
  }

  // Any block, where the plan says that 32 bits do. The last sample across counts as one with a second tap of weight
  // zero, the last one down as just short of it: both are the definition's to the bit.
  BlockWeights<V> locate_clamped(std::int32_t x, BlockOffsets<V>* offsets) const {
    const std::int32_t right = (plane_.width - 1) << kPositionBits, bottom = (plane_.height - 1) << kPositionBits;
    return place(clamped(across_of_columns_ + x, row_across_, right),
                 clamped(down_of_columns_ + x, row_down_, bottom > 0 ? bottom - 1 : 0), offsets);
  }

  // Any block; from `end` on it takes the last column before.
  BlockWeights<V> locate_carefully(std::int32_t x, std::int32_t end, BlockOffsets<V>* offsets) const {
    std::int16_t weights[2 * V::kBlock], shares[2 * V::kBlock];
    for (std::int32_t i = 0; i < V::kBlock; ++i) {
      const std::int32_t column = x + i < end ? x + i : end - 1;
      const PositionTap across = position_tap(position_of_column(across_, column) + row_across_, plane_.width);
      const PositionTap down = position_tap(position_of_column(down_, column) + row_down_, plane_.height);
      weights[2 * i + 1] = static_cast<std::int16_t>(second_weight(across));
      weights[2 * i] = static_cast<std::int16_t>((1 << 14) - second_weight(across));
      shares[2 * i] = shares[2 * i + 1] = static_cast<std::int16_t>(second_share(down));
      offsets->at[i] = down.at * pitch_ + across.at * kChannels;
    }
    return weigh_rows<V>(V::load_pairs(weights), V::load_pairs(shares));
  }

 private:
  HANDPOSE_INLINE BlockWeights<V> place(typename V::Int across, typename V::Int down, BlockOffsets<V>* offsets) const {
    V::store_offsets(V::template offsets<kChannels>(across, down, pitch_), offsets->at);
    return weigh_rows<V>(V::second_weights(across), V::second_shares(down));
  }

  static typename V::Int clamped(const std::int32_t* of_columns, std::int64_t of_row, std::int32_t last) {
    constexpr std::int64_t kMost = kMostNarrow;
    const std::int64_t row = of_row < -kMost ? -kMost : of_row > last + kMost ? last + kMost : of_row;
    const typename V::Int sum = V::add_ints(V::load_ints(of_columns), V::all_ints(static_cast<std::int32_t>(row)));
    return V::clamp_ints(sum, last);
  }

  const Plane& plane_;
  const PositionAxis& across_;
  const PositionAxis& down_;
  const std::int32_t* across_of_columns_;
  const std::int32_t* down_of_columns_;
  std::int32_t pitch_;
  std::int64_t row_across_, row_down_;
};

// Samples one plane; `to_plane`: 1, or 0.5 for chroma.
template <typename V, int kChannels>
class PlaneSampler {
 public:
  HANDPOSE_INLINE PlaneSampler(const Plane& plane, const Affine& image_from_input, double to_plane)
      : row0_(plane.data),
        row1_(plane.height > 1 ? plane.data + plane.pitch_bytes : plane.data),
        width_(plane.width),
        last_load_(plane_end(plane) - (row0_ > row1_ ? row0_ : row1_) - kTapBytes),
        ahead_(bytes_ahead(plane, image_from_input, to_plane)) {}

  // Rows of the output lie askew in memory, which the CPU does not foresee: while every V::kFetchEvery-th of them is
  // sampled, the taps of the one V::kFetchAhead rows on are fetched. A cache line serves many rows, so that it tells
  // for those before it.
  HANDPOSE_INLINE void fetch_ahead(const typename V::Offsets& offsets) const {
    // As a number, because it may lie outside the plane, where fetching does nothing.
    const auto base = reinterpret_cast<std::uintptr_t>(row0_) + static_cast<std::uintptr_t>(ahead_);
    fetch_all(base, offsets, std::make_integer_sequence<int, V::kBlock>{});
  }

  HANDPOSE_INLINE void sample(const typename V::Offsets& offsets, const BlockWeights<V>& weights,
                              typename V::Float* values) const {
    sample_rows(row0_, row1_, offsets, weights, values);
  }

  // Whether no load reaches beyond the plane.
  bool readable(const BlockOffsets<V>& offsets) const {
    std::int32_t most = offsets.at[0];
    for (const std::int32_t offset : offsets.at) most = offset > most ? offset : most;
    return most <= last_load_;
  }

  // The same where loads may reach too far.
  void sample_carefully(const BlockOffsets<V>& offsets, const BlockWeights<V>& weights,
                        typename V::Float* values) const {
    if (readable(offsets)) return sample(V::load_offsets(offsets.at), weights, values);
    CopiedTaps<V> copy{};
    const BlockTaps taps = copy_taps<V, kChannels>(row0_, row1_, offsets.at, width_, &copy);
    sample_rows(taps.row0, taps.row1, V::load_offsets(taps.offsets), weights, values);
  }

 private:
  // How far behind a tap that of the same column lies in the row to fetch, as the affine has it: about.
  static std::ptrdiff_t bytes_ahead(const Plane& plane, const Affine& image_from_input, double to_plane) {
    const double rows = V::kFetchAhead * to_plane;
    const double across = rows * image_from_input.xy, down = rows * image_from_input.yy;
    const auto whole = [](double samples, double most) {
      return static_cast<std::ptrdiff_t>(samples < -most ? -most : samples > most ? most : samples);
    };
    return whole(down, plane.height) * plane.pitch_bytes + whole(across, plane.width) * kChannels;
  }

  // Without a loop, for what is in registers.
  template <int... kOutputs>
  HANDPOSE_INLINE static void fetch_all(std::uintptr_t base, const typename V::Offsets& offsets,
                                        std::integer_sequence<int, kOutputs...>) {
    (__builtin_prefetch(reinterpret_cast<const void*>(base + static_cast<std::uintptr_t>(offsets[kOutputs]))), ...);
  }

  HANDPOSE_INLINE static void sample_rows(const std::uint8_t* row0, const std::uint8_t* row1,
                                          const typename V::Offsets& offsets, const BlockWeights<V>& weights,
                                          typename V::Float* values) {
    typename V::Int sums[3];
    V::template sample_apart<kChannels>(row0, row1, offsets, weights, sums);
    for (int c = 0; c < kChannels; ++c) values[c] = V::to_float(sums[c]);
  }

  const std::uint8_t* row0_;
  const std::uint8_t* row1_;
  std::int32_t width_;
  std::ptrdiff_t last_load_;  // offset from which a load just does not reach beyond the plane
  std::ptrdiff_t ahead_;
};

// What there is to sample, by format: Row says where the blocks of a row lie in it, `values` are in grey levels times
// 1 / kUnit.

// One plane: gray8, bgr24 and rgb24.
template <typename V, int kChannels>
class PlaneSource {
 public:
  using Row = RowPlaces<V, kChannels>;
  using Offsets = BlockOffsets<V>;
  using Weights = BlockWeights<V>;
  static constexpr float kUnit = kPerSum;

  HANDPOSE_INLINE explicit PlaneSource(const PreprocessPlan& plan)
      : plan_(plan), pixels_(plan.source.planes[0], plan.params.image_from_input, 1.0) {}

  HANDPOSE_INLINE Row row(std::int32_t y) const { return Row(plan_, 0, y); }
  HANDPOSE_INLINE void sample(const Offsets& offsets, const Weights& weights, bool fetches,
                              typename V::Float* values) const {
    const typename V::Offsets loaded = V::load_offsets(offsets.at);
    if (fetches) pixels_.fetch_ahead(loaded);
    pixels_.sample(loaded, weights, values);
    if (kChannels == 1) values[1] = values[2] = values[0];
  }
  bool readable(const Offsets& offsets) const { return pixels_.readable(offsets); }
  void sample_carefully(const Offsets& offsets, const Weights& weights, typename V::Float* values) const {
    pixels_.sample_carefully(offsets, weights, values);
    if (kChannels == 1) values[1] = values[2] = values[0];
  }

 private:
  const PreprocessPlan& plan_;
  PlaneSampler<V, kChannels> pixels_;
};

// nv12 (kPlanes 2) and yuv420p (kPlanes 3, both chroma planes of one pitch): chroma has one place for both components.
template <typename V, int kPlanes>
class YuvSource {
 public:
  static constexpr int kChroma = kPlanes == 2 ? 2 : 1;  // channels of a chroma plane
  static constexpr float kUnit = 1.0f;

  struct Offsets {
    BlockOffsets<V> luma, chroma;
  };
  struct Weights {
    BlockWeights<V> luma, chroma;
  };
  struct Row {
    HANDPOSE_INLINE Weights locate(std::ptrdiff_t x, Offsets* offsets) const {
      return {luma.locate(x, &offsets->luma), chroma.locate(x, &offsets->chroma)};
    }
    Weights locate_clamped(std::int32_t x, Offsets* offsets) const {
      return {luma.locate_clamped(x, &offsets->luma), chroma.locate_clamped(x, &offsets->chroma)};
    }
    Weights locate_carefully(std::int32_t x, std::int32_t end, Offsets* offsets) const {
      return {luma.locate_carefully(x, end, &offsets->luma), chroma.locate_carefully(x, end, &offsets->chroma)};
    }

    RowPlaces<V, 1> luma;
    RowPlaces<V, kChroma> chroma;
  };

  HANDPOSE_INLINE explicit YuvSource(const PreprocessPlan& plan)
      : plan_(plan),
        luma_(plan.source.planes[0], plan.params.image_from_input, 1.0),
        first_chroma_(plan.source.planes[1], plan.params.image_from_input, 0.5),
        last_chroma_(plan.source.planes[kPlanes - 1], plan.params.image_from_input, 0.5),
        to_rgb_(yuv_in_units(plan.params.yuv, kPerSum)) {}

  HANDPOSE_INLINE Row row(std::int32_t y) const {
    return {RowPlaces<V, 1>(plan_, 0, y), RowPlaces<V, kChroma>(plan_, 1, y)};
  }

  HANDPOSE_INLINE void sample(const Offsets& offsets, const Weights& weights, bool fetches,
                              typename V::Float* values) const {
    const typename V::Offsets luma = V::load_offsets(offsets.luma.at);
    if (fetches) luma_.fetch_ahead(luma);
    luma_.sample(luma, weights.luma, values);
    const typename V::Offsets chroma = V::load_offsets(offsets.chroma.at);
    if (fetches) first_chroma_.fetch_ahead(chroma);
    first_chroma_.sample(chroma, weights.chroma, values + 1);
    if (kPlanes == 3) {
      if (fetches) last_chroma_.fetch_ahead(chroma);
      last_chroma_.sample(chroma, weights.chroma, values + 2);
    }
    to_rgb<V>(to_rgb_, values);
  }

  bool readable(const Offsets& offsets) const {
    return luma_.readable(offsets.luma) && first_chroma_.readable(offsets.chroma) &&
           last_chroma_.readable(offsets.chroma);
  }

  void sample_carefully(const Offsets& offsets, const Weights& weights, typename V::Float* values) const {
    luma_.sample_carefully(offsets.luma, weights.luma, values);
    first_chroma_.sample_carefully(offsets.chroma, weights.chroma, values + 1);
    if (kPlanes == 3) last_chroma_.sample_carefully(offsets.chroma, weights.chroma, values + 2);
    to_rgb<V>(to_rgb_, values);
  }

 private:
  const PreprocessPlan& plan_;
  PlaneSampler<V, 1> luma_;
  PlaneSampler<V, kChroma> first_chroma_, last_chroma_;
  YuvToRgb to_rgb_;
};

// Plain columns of a row from x on, in so many blocks, kMost at most. Where from a position to the sample is a long way
// for one block, several go it side by side.
template <typename V, int kMost, typename Source, typename Writer>
HANDPOSE_INLINE void sample_blocks(const Source& source, const typename Source::Row& row, const Writer& writer,
                                   std::ptrdiff_t x, std::ptrdiff_t blocks, bool fetches) {
  typename Source::Offsets offsets[std::size_t{kMost}];
  typename Source::Weights weights[std::size_t{kMost}];
  for (std::ptrdiff_t i = 0; i < blocks; ++i) {
    weights[i] = row.locate(x + i * V::kBlock, offsets + i);
    // Else GCC makes several loops of this one, which compute much again.
    if (kMost > 1) __asm__ volatile("" : : : "memory");
  }
  for (std::ptrdiff_t i = 0; i < blocks; ++i, x += V::kBlock) {
    typename V::Float values[3];
    source.sample(offsets[i], weights[i], fetches, values);
    writer.write(x, V::kBlock, values);
  }
}

// Plain columns of a row, at least a block; what is less than a block at the end comes with some of the one before.
template <typename V, typename Source, typename Writer>
HANDPOSE_INLINE void sample_plain(const Source& source, const typename Source::Row& row, const Writer& writer,
                                  Columns columns, bool fetches) {
  constexpr std::ptrdiff_t kMost = V::kBlocksLocated;
  const std::ptrdiff_t last = columns.end - V::kBlock;
  std::ptrdiff_t x = columns.begin;
  while (x <= last) {
    const std::ptrdiff_t left = (columns.end - x) / V::kBlock, blocks = kMost == 1 || left > kMost ? kMost : left;
    sample_blocks<V, kMost>(source, row, writer, x, blocks, fetches);
    x += blocks * V::kBlock;
  }
  if (x < columns.end) sample_blocks<V, 1>(source, row, writer, last, 1, fetches);
}

// Any columns of row y. Nothing that sample_plain uses is given to it, so that GCC keeps that in registers.
template <typename V, typename Source, typename Writer>
HANDPOSE_NOINLINE void sample_edge(const PreprocessPlan& plan, const Source& source, std::int32_t y, Columns columns) {
  const Writer writer(plan, y, Source::kUnit);
  const typename Source::Row row = source.row(y);
  for (std::int32_t x = columns.begin; x < columns.end; x += V::kBlock) {
    typename Source::Offsets offsets;
    typename V::Float values[3];
    typename Source::Weights weights;
    if (plan.narrow) weights = row.locate_clamped(x, &offsets);
    if (plan.narrow && source.readable(offsets)) {
      source.sample(offsets, weights, false, values);
    } else {
      weights = row.locate_carefully(x, columns.end, &offsets);
      source.sample_carefully(offsets, weights, values);
    }
    writer.write(x, columns.end - x, values);
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
    const Source source(plan), source_of_edges(plan);
    Writer writer(plan, begin, Source::kUnit);
    for (std::int32_t y = begin; y < end; ++y, writer.next_row()) {
      const Columns inside = plan.inside[y], done = plan.done[y];
      const bool any_done = done.end > done.begin;
      Columns plain = any_done ? done : plan.plain[y];
      if (!any_done && plain.end - plain.begin < V::kBlock) plain = {inside.end, inside.end};
      if (plain.begin > inside.begin) {
        sample_edge<V, Source, Writer>(plan, source_of_edges, y, {inside.begin, plain.begin});
      }
      if (!any_done && plain.end > plain.begin) {
        sample_plain<V>(source, source.row(y), writer, plain, y % V::kFetchEvery == 0);
      }
      if (plain.end < inside.end) {
        sample_edge<V, Source, Writer>(plan, source_of_edges, y, {plain.end, inside.end});
      }
    }
  }
};

// A picture that does not fit goes to the portable rows, which give the same bits.
template <typename V>
void rotated_rows_of(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  if (!offsets_fit(plan)) return scalar::rotated_rows(plan, begin, end);
  run_with_writer<V>(plan.out, RotatedRows<V>{plan, begin, end});
}

}  // namespace
}  // namespace handpose
