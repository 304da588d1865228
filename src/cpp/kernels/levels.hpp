// The functions of a level, one namespace per level; one that a level does not define is not in its row of
// kernel_table.cpp either.
#pragma once

#include "heatmap_peaks.hpp"
#include "palette_map.hpp"
#include "preprocess.hpp"
#include "skeleton_draw.hpp"

// clang-format off
#define HANDPOSE_DECLARE_LEVEL(level)                                                                                  \
  namespace level {                                                                                                    \
  void prepare_linear(PreprocessPlan* plan);                                                                           \
  void prepare_taps(PreprocessPlan* plan);                                                                             \
  void linear_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end);                                  \
  void taps_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end);                                    \
  void rotated_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end);                                 \
  MapPeak find_peak(const HeatmapView& map);                                                                           \
  FirstMoments first_moments(const HeatmapView& map);                                                                  \
  SecondMoments second_moments(const HeatmapView& map, std::int32_t center_x, std::int32_t center_y);                  \
  void blur_around(const HeatmapView& map, const MapPeak& peak, const PeakParams& params, BlurredPatch* patch);        \
  void blend_rows(const Stroke& stroke, const RowSpans& rows, const Target* targets, std::size_t target_count);         \
  void palette_map_row(const std::uint8_t* bgr, std::int32_t width, const std::uint8_t* lut, std::uint8_t* out);       \
  void palette_map_changed_row(const std::uint8_t* bgr, std::int32_t width, const std::uint8_t* lut,                   \
                               std::uint8_t tolerance, std::uint8_t* held, std::uint8_t* out);                         \
  }
// clang-format on

namespace handpose {
HANDPOSE_DECLARE_LEVEL(scalar)
#if defined(__x86_64__)
HANDPOSE_DECLARE_LEVEL(avx2)
#if defined(HANDPOSE_AVX512)  // the compiler knows it
HANDPOSE_DECLARE_LEVEL(avx512)
#endif
#elif defined(__aarch64__)
HANDPOSE_DECLARE_LEVEL(neon)
#endif
}  // namespace handpose

#undef HANDPOSE_DECLARE_LEVEL
