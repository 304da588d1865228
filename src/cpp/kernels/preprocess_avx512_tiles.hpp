// Rotated and sheared regions of nv12 and yuv420p with AVX-512 in tiles of 4 x 4 outputs. Their taps lie close together
// in a plane, so that a few loads of its rows, a window, hold those of all 16. Included by preprocess_avx512.cpp.
#pragma once

#include <algorithm>

#include "preprocess_avx512.hpp"

namespace handpose {
namespace {

constexpr std::int32_t kTileSide = 4;
constexpr std::int32_t kTilesAtOnce = 16;  // side by side
// So far on from a tile its columns are fetched: beyond the next tile, and the corners of its windows beyond it.
constexpr std::int32_t kTileRowsAhead = 13;
constexpr std::int32_t kStripColumns = kTileSide * kTilesAtOnce;

// The taps of so many neighbouring rows of a tile come from one window, which has so many rows of so many bytes of the
// plane. The first that holds them all is taken; they become slower.
struct Window {
  std::int32_t outputs, rows, row_bytes;
};
constexpr Window kWindows[] = {{4, 8, 8}, {4, 8, 16}, {4, 12, 16}, {2, 8, 16}, {4, 16, 16}, {2, 12, 16}};
constexpr int kWindowCount = 6, kApart = kWindowCount;  // kApart: none, each output has loads of its own

// How many loads a tile takes in one plane.
constexpr int window_loads(int window) {
  return window == kApart ? 2 * Avx512::kBlock : kWindows[window].rows * kTileSide / kWindows[window].outputs;
}

inline int window_of(const Plane& plane, const PositionAxis& across, const PositionAxis& down) {
  for (int i = 0; i < kWindowCount; ++i) {
    const Window& window = kWindows[i];
    // From the lowest to the highest position, with rounding of both; round these lie two taps.
    const auto samples = [&](const PositionAxis& axis) {
      const double of_columns = (kTileSide - 1) * std::fabs(axis.per_column);
      const double of_rows = (window.outputs - 1) * std::fabs(axis.per_row);
      return std::floor((of_columns + of_rows + 4) / (1 << kPositionBits)) + 3;
    };
    // Windows lie between the first and the last row, so that no load reaches beyond the plane.
    const bool inside = plane.height >= window.rows + 2 && plane.width * plane.channels >= window.row_bytes;
    if (inside && samples(across) * plane.channels <= window.row_bytes && samples(down) <= window.rows) return i;
  }
  return kApart;
}

// What the tiles of all rows have in common in one plane, or in both planes of chroma.
struct TiledPlane {
  TiledPlane(const PreprocessPlan& plan, int plane)
      : pixels(plan.source.planes[plane]),
        across(plan.across[plane]),
        down(plan.down[plane]),
        window(window_of(pixels, across, down)),
        dense(std::fabs(down.per_column) > 0.6 * kOneSample) {
    for (int i = 0; i < kTileSide; ++i) {
      ahead[i] = samples_ahead(down, i, pixels.height) * pixels.pitch_bytes +
                 samples_ahead(across, i, pixels.width) * pixels.channels;
    }
  }

  // From the first sample of a tile's first window to that of column i, kTileRowsAhead rows on: about, `most` at most.
  std::ptrdiff_t samples_ahead(const PositionAxis& axis, int i, std::int32_t most) const {
    double samples = axis.per_column * i + axis.per_row * kTileRowsAhead;
    if (window != kApart) {  // its first sample is that of the lowest position
      samples -= std::min(axis.per_column * (kTileSide - 1), 0.0);
      samples -= std::min(axis.per_row * (kWindows[window].outputs - 1), 0.0);
    }
    return static_cast<std::ptrdiff_t>(bounded(samples / kOneSample, most));
  }

  // Fetches what is new in later tiles, by the place of a tile's first window: of every column or of every second one,
  // as all lie in other rows of the plane or not.
  HANDPOSE_INLINE void fetch_ahead(const std::uint8_t* from) const {
    // As a number, because it may lie outside the plane, where fetching does nothing.
    const auto base = reinterpret_cast<std::uintptr_t>(from);
    const auto fetch = [&](int i) {
      __builtin_prefetch(reinterpret_cast<const void*>(base + static_cast<std::uintptr_t>(ahead[i])));
    };
    fetch(0);
    fetch(2);
    if (!dense) return;
    fetch(1);
    fetch(3);
  }

  const Plane& pixels;
  const PositionAxis& across;
  const PositionAxis& down;
  int window;
  bool dense;
  std::ptrdiff_t ahead[kTileSide];
};

// The places of the tiles of four rows there.
struct TileRows {
  TileRows(const TiledPlane& plane, std::int32_t y) : across(plane.across, y), down(plane.down, y) {}

  struct Axis {
    Axis(const PositionAxis& axis, std::int32_t y) : of_columns(axis.of_columns) {
      std::int32_t of_rows[kTileSide];
      for (std::int32_t i = 0; i < kTileSide; ++i) {
        of_rows[i] = static_cast<std::int32_t>(position_of_row(axis, y + i));
      }
      rows = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
                                      _mm512_castsi128_si512(_mm_loadu_si128(reinterpret_cast<__m128i*>(of_rows))));
      const bool rows_fall = axis.per_row < 0;
      lowest = of_rows[rows_fall ? kTileSide - 1 : 0];
      for (int i = 0; i < 2; ++i) lowest_of_two[i] = of_rows[2 * i + (rows_fall ? 1 : 0)];
      lowest_column = axis.per_column < 0 ? kTileSide - 1 : 0;
    }

    // Of all outputs of the tile from column x on.
    HANDPOSE_INLINE __m512i positions(std::ptrdiff_t x) const {
      const auto* const columns = reinterpret_cast<const __m128i*>(of_columns + x);
      return _mm512_add_epi32(_mm512_broadcast_i32x4(_mm_loadu_si128(columns)), rows);
    }
    // The first sample of a tile, of which a row gives so much. Positions rise or fall with the columns. What columns
    // and rows give are the lower halves of it, their sum is not negative and fits 32 bits.
    HANDPOSE_INLINE std::int32_t first_sample(std::ptrdiff_t x, std::int32_t of_row) const {
      const auto of_column = static_cast<std::uint32_t>(of_columns[x + lowest_column]);
      return static_cast<std::int32_t>((of_column + static_cast<std::uint32_t>(of_row)) >> kPositionBits);
    }

    const std::int32_t* of_columns;
    __m512i rows;
    std::int32_t lowest, lowest_of_two[2];  // what all rows, and two at a time, give least
    std::ptrdiff_t lowest_column;
  };

  Axis across, down;
};

// Rows of a plane from a place on.
template <int kRows, int kRowBytes>
struct LoadedRows {
  static constexpr int kRegisters = kRows * kRowBytes / 64;

  HANDPOSE_INLINE LoadedRows(const std::uint8_t* from, std::ptrdiff_t pitch) {
    for (int i = 0; i < kRegisters; ++i) bytes[i] = load(from + i * (kRows / kRegisters) * pitch, pitch);
  }

  // Of the words that `which` names the lower halves: the bytes at these places. Upper halves become zero.
  HANDPOSE_INLINE __m512i words(__m512i places, __mmask64 which) const {
    if constexpr (kRegisters == 1) {
      return _mm512_maskz_permutexvar_epi8(which, places, bytes[0]);
    } else {
      const __m512i first = _mm512_maskz_permutex2var_epi8(which, bytes[0], places, bytes[1]);
      if constexpr (kRegisters == 2) return first;
      const __mmask64 beyond = _mm512_movepi8_mask(places) & which;
      if constexpr (kRegisters == 3) return _mm512_mask_permutexvar_epi8(first, beyond, places, bytes[2]);
      return _mm512_mask_blend_epi8(beyond, first,
                                    _mm512_permutex2var_epi8(bytes[kRegisters - 2], places, bytes[kRegisters - 1]));
    }
  }

  HANDPOSE_INLINE static __m512i load(const std::uint8_t* row, std::ptrdiff_t pitch) {
    if (kRowBytes == 8) {
      const std::uint8_t* const fourth = row + 4 * pitch;
      const __m256i low = from_lanes(load8(row, row + pitch), load8(row + 2 * pitch, row + 3 * pitch));
      const __m256i high = from_lanes(load8(fourth, fourth + pitch), load8(fourth + 2 * pitch, fourth + 3 * pitch));
      return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }
    const __m256i low = from_lanes(load16(row), load16(row + pitch));
    const __m256i high = from_lanes(load16(row + 2 * pitch), load16(row + 3 * pitch));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

  __m512i bytes[std::size_t{kRegisters}];
};

// Where the windows of a tile begin, one or two of them, and where in them the first taps of its outputs lie.
template <int kWindow, int kChannels>
struct TileWindows {
  static constexpr Window kSize = kWindows[kWindow];
  static constexpr int kCount = kTileSide / kSize.outputs;

  HANDPOSE_INLINE TileWindows(const Plane& pixels, const TileRows& rows, std::ptrdiff_t x, __m512i across,
                              __m512i down) {
    constexpr int kRowBits = kSize.row_bytes == 8 ? 3 : 4;
    const std::int32_t last = pixels.height - 1 - kSize.rows;
    __m512i begin{};
    for (int i = 0; i < kCount; ++i) {
      const std::int32_t column =
          rows.across.first_sample(x, kCount == 1 ? rows.across.lowest : rows.across.lowest_of_two[i]);
      const std::int32_t first = rows.down.first_sample(x, kCount == 1 ? rows.down.lowest : rows.down.lowest_of_two[i]);
      const std::int32_t row = std::min(first, last);
      offsets[i] = row * pixels.pitch_bytes + column * kChannels;
      const std::int32_t bytes = (row << kRowBits) + column * kChannels;
      begin = i == 0 ? _mm512_set1_epi32(bytes) : _mm512_mask_set1_epi32(begin, 0xff00, bytes);
    }
    const __m512i places = _mm512_add_epi32(_mm512_slli_epi32(_mm512_srli_epi32(down, kPositionBits), kRowBits),
                                            _mm512_slli_epi32(_mm512_srli_epi32(across, kPositionBits), kChannels - 1));
    // In the first byte of both words of an output.
    taps = _mm512_shuffle_epi8(_mm512_sub_epi32(places, begin),
                               _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0x00000000));
  }

  // The samples of a plane: channel c to sums[c].
  HANDPOSE_INLINE void sample(const std::uint8_t* plane, std::ptrdiff_t pitch, const BlockWeights<Avx512>& weights,
                              __m512i* sums) const {
    using Rows = LoadedRows<kSize.rows, kSize.row_bytes>;
    constexpr __mmask64 kLower = 0x5555555555555555, kOfFirst = kCount == 1 ? kLower : kLower >> 32;
    const Rows first(plane + offsets[0], pitch), last(plane + offsets[kCount - 1], pitch);
    const auto words = [&](__m512i places) {
      const __m512i of_first = first.words(places, kOfFirst);
      return kCount == 1 ? of_first : _mm512_or_si512(of_first, last.words(places, kLower & ~kOfFirst));
    };
    for (int c = 0; c < kChannels; ++c) {
      const __m512i above = _mm512_add_epi8(taps, _mm512_set1_epi32((kChannels + c) << 16 | c));
      const __m512i below = _mm512_add_epi8(above, _mm512_set1_epi8(kSize.row_bytes));
      sums[c] = _mm512_dpwssd_epi32(_mm512_madd_epi16(words(above), weights.above), words(below), weights.below);
    }
  }

  std::ptrdiff_t offsets[std::size_t{kCount}];
  __m512i taps;
};

// The samples of so many tiles side by side in planes with what `plane` and `rows` say: 16 values of a tile one after
// the other, those of the first channel or plane to values[0].
template <int kChannels, int kPlanes, int kWindow>
HANDPOSE_NOINLINE void sample_tiles(const TiledPlane& of_plane, const TileRows& of_rows,
                                    const std::uint8_t* const* planes, std::ptrdiff_t x, std::int32_t tiles,
                                    float* const* values) {
  const TiledPlane plane = of_plane;  // copies may stay in registers
  const TileRows rows = of_rows;
  const std::ptrdiff_t pitch = plane.pixels.pitch_bytes;
  for (std::ptrdiff_t i = 0; i < tiles; ++i, x += kTileSide) {
    const __m512i across = rows.across.positions(x), down = rows.down.positions(x);
    const BlockWeights<Avx512> weights =
        weigh_rows<Avx512>(Avx512::second_weights(across), Avx512::second_shares(down));
    __m512i sums[2];
    if constexpr (kWindow == kApart) {
      alignas(64) std::int32_t offsets[Avx512::kBlock];
      _mm512_store_si512(offsets, Avx512::offsets<kChannels>(across, down, static_cast<std::int32_t>(pitch)));
      for (int p = 0; p < kPlanes; ++p) {
        plane.fetch_ahead(planes[p] + offsets[0]);
        Avx512::sample_apart<kChannels>(planes[p], planes[p] + pitch, offsets, weights, sums + p);
      }
    } else {
      const TileWindows<kWindow, kChannels> windows(plane.pixels, rows, x, across, down);
      for (int p = 0; p < kPlanes; ++p) {
        plane.fetch_ahead(planes[p] + windows.offsets[0]);
        windows.sample(planes[p], pitch, weights, sums + p);
      }
    }
    for (int k = 0; k < kPlanes * kChannels; ++k) {
      _mm512_store_ps(values[k] + Avx512::kBlock * i, _mm512_cvtepi32_ps(sums[k]));
    }
  }
}

using SampleTiles = void (*)(const TiledPlane&, const TileRows&, const std::uint8_t* const*, std::ptrdiff_t,
                             std::int32_t, float* const*);

template <int kChannels, int kPlanes>
SampleTiles sampler_of(int window) {
  static constexpr SampleTiles kSamplers[] = {
      sample_tiles<kChannels, kPlanes, 0>,     sample_tiles<kChannels, kPlanes, 1>, sample_tiles<kChannels, kPlanes, 2>,
      sample_tiles<kChannels, kPlanes, 3>,     sample_tiles<kChannels, kPlanes, 4>, sample_tiles<kChannels, kPlanes, 5>,
      sample_tiles<kChannels, kPlanes, kApart>};
  return kSamplers[window];
}

// Four values of each of four tiles side by side: a block of a row.
HANDPOSE_INLINE __m512 row_of_tiles(const float* tiles) {
  const auto quarter = [&](int tile) { return _mm_castps_si128(_mm_load_ps(tiles + Avx512::kBlock * tile)); };
  const __m256i low = from_lanes(quarter(0), quarter(1)), high = from_lanes(quarter(2), quarter(3));
  return _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
}

// Samples what is plain in four rows each, in whole tiles, and says so in plan.done.
class RotatedTiles {
 public:
  RotatedTiles(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end)
      : plan_(plan), luma_(plan, 0), chroma_(plan, 1), begin_(begin), end_(end) {}

  // Whether that is faster: where windows save three loads of ten.
  bool pay() const {
    const int chroma_planes = plane_count(plan_.source.format) - 1;
    const int loads = window_loads(luma_.window) + chroma_planes * window_loads(chroma_.window);
    return 10 * loads <= 7 * (1 + chroma_planes) * window_loads(kApart);
  }

  template <typename Writer>
  void with_writer() const {
    const bool interleaved = plan_.source.format == PixelFormat::kNv12;
    const SampleTiles luma = sampler_of<1, 1>(luma_.window);
    const SampleTiles chroma = interleaved ? sampler_of<2, 1>(chroma_.window) : sampler_of<1, 2>(chroma_.window);
    const std::uint8_t* const planes[3] = {plan_.source.planes[0].data, plan_.source.planes[1].data,
                                           plan_.source.planes[2].data};
    alignas(64) float values[3][kTilesAtOnce * Avx512::kBlock]{};
    float* const of_luma[] = {values[0]};
    float* const of_chroma[] = {values[1], values[2]};
    for (std::int32_t y = begin_; y + kTileSide <= end_; y += kTileSide) {
      const Columns columns = common_columns(y);
      if (columns.end <= columns.begin) continue;
      const TileRows luma_rows(luma_, y), chroma_rows(chroma_, y);
      const Writer writers[kTileSide] = {
          {plan_, y, 1.0f}, {plan_, y + 1, 1.0f}, {plan_, y + 2, 1.0f}, {plan_, y + 3, 1.0f}};
      for (std::int32_t x = columns.begin; x < columns.end; x += kStripColumns) {
        const std::int32_t count = std::min(columns.end - x, kStripColumns);
        luma(luma_, luma_rows, planes, x, count / kTileSide, of_luma);
        chroma(chroma_, chroma_rows, planes + 1, x, count / kTileSide, of_chroma);
        write_tiles(writers, values, x, count);
      }
    }
  }

 private:
  // The columns that are plain in all rows of a tile, whole tiles of them; marks them as done.
  Columns common_columns(std::int32_t y) const {
    Columns columns = plan_.plain[y];
    for (std::int32_t i = 1; i < kTileSide; ++i) {
      columns.begin = std::max(columns.begin, plan_.plain[y + i].begin);
      columns.end = std::min(columns.end, plan_.plain[y + i].end);
    }
    if (columns.end - columns.begin < kTileSide) return {columns.begin, columns.begin};
    columns.end -= (columns.end - columns.begin) % kTileSide;
    for (std::int32_t i = 0; i < kTileSide; ++i) plan_.done[y + i] = columns;
    return columns;
  }

  template <typename Writer>
  HANDPOSE_INLINE void write_tiles(const Writer* writers, const float (*values)[kTilesAtOnce * Avx512::kBlock],
                                   std::int32_t x, std::int32_t count) const {
    const YuvToRgb to_grey_levels = yuv_in_units(plan_.params.yuv, kPerSum);
    for (std::int32_t r = 0; r < kTileSide; ++r) {
      for (std::int32_t i = 0; i < count; i += Avx512::kBlock) {
        const std::int32_t at = kTileSide * i + kTileSide * r;
        __m512 rgb[3] = {row_of_tiles(values[0] + at), row_of_tiles(values[1] + at), row_of_tiles(values[2] + at)};
        to_rgb<Avx512>(to_grey_levels, rgb);
        writers[r].write(x + i, count - i, rgb);
      }
    }
  }

  const PreprocessPlan& plan_;
  TiledPlane luma_, chroma_;
  std::int32_t begin_, end_;
};

}  // namespace
}  // namespace handpose
