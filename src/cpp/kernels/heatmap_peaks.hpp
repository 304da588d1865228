// heatmap_peaks: heatmaps -> sub-pixel points and scores.
// The rules, to the bit, are in docs/kernels.md; tests/reference/heatmap_peaks.py restates them in float64.
#pragma once

#include <cstddef>
#include <cstdint>

namespace handpose {

enum class PeakMethod : std::uint8_t { kArgmax, kQuarter, kDark, kExpectation, kUpsampledArgmax };
constexpr int kPeakMethodCount = 5;

// One map of float32, or of float16 where `half` is set; rows packed, any pitch, aligned to the item size.
struct HeatmapView {
  const std::uint8_t* data = nullptr;
  std::ptrdiff_t pitch_bytes = 0;
  std::int32_t height = 0;
  std::int32_t width = 0;
  bool half = false;
};

// A stack of batches times maps of one size.
struct HeatmapStack {
  HeatmapView first;
  std::ptrdiff_t batch_pitch_bytes = 0;
  std::ptrdiff_t map_pitch_bytes = 0;
  std::size_t batches = 0;
  std::size_t maps = 0;
};

// The first of the largest values that are not NaN; x < 0 where all are.
struct MapPeak {
  std::int32_t x, y;
  float value;
};

// Sums over max(value, 0), NaN as 0: of the values, and of the values times column and row; and the largest of them.
struct FirstMoments {
  float sum, x, y, largest;
};

// The same about a centre: of the values, of the values times dx and dy, and times dx^2 + dy^2.
struct SecondMoments {
  float sum, x, y, squares;
};

// What sums run in: column mod 16. They are added in halves: lane i and i + 8, then i + 4, i + 2, i + 1.
constexpr std::int32_t kLanes = 16;

constexpr std::int32_t kMostBlurTaps = 31;

// Rows and columns on which dark needs the blurred map: the peak's and two on either side.
constexpr std::int32_t kBlurredSide = 5;

struct PeakParams {
  PeakMethod method = PeakMethod::kArgmax;
  std::int32_t upsampled_height = 0;  // upsampled_argmax: at least the map's size
  std::int32_t upsampled_width = 0;
  std::int32_t threads = 1;    // at most so many share a large stack, 1..kMostThreads
  std::int32_t blur_taps = 0;  // dark: odd, 3..kMostBlurTaps
  // The taps, which sum to 1, between zeros: a kernel that moves over kBlurredSide rows may read the same index for
  // all.
  float blur[kMostBlurTaps + 2 * (kBlurredSide - 1)] = {};

  const float* taps() const { return blur + (kBlurredSide - 1); }
};

// The blurred map round a peak; only the first kBlurredSide columns of a row are of use.
struct BlurredPatch {
  float at[kBlurredSide][8];
};

// Fills `blur` for `taps`, as cv2.getGaussianKernel(taps, 0) computes it for sizes above 7.
void fill_blur(std::int32_t taps, PeakParams* params);

// Writes x, y per map to `points`, one value per map to `scores` and, unless it is null, to `spreads`. Preconditions:
// sides 1..kMaxSide. Does not allocate, throw or fail.
void heatmap_peaks(const HeatmapStack& stack, const PeakParams& params, float* points, float* scores, float* spreads);

}  // namespace handpose
