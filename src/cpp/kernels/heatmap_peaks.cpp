// The part of heatmap_peaks that is the same on every level: what happens round a peak once it is found.
#include "heatmap_peaks.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "../core/half.hpp"
#include "../core/thread_pool.hpp"
#include "kernel_table.hpp"

namespace handpose {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Point {
  float x, y;
};

float value_at(const HeatmapView& map, std::int32_t x, std::int32_t y) {
  const std::uint8_t* row = map.data + y * map.pitch_bytes;
  return map.half ? float_from_half(reinterpret_cast<const std::uint16_t*>(row)[x])
                  : reinterpret_cast<const float*>(row)[x];
}

float step_towards(float before, float after) { return after > before ? 0.25f : after < before ? -0.25f : 0.0f; }

Point quarter_step(const HeatmapView& map, const MapPeak& peak) {
  Point step{0, 0};
  if (peak.x > 0 && peak.x < map.width - 1) {
    step.x = step_towards(value_at(map, peak.x - 1, peak.y), value_at(map, peak.x + 1, peak.y));
  }
  if (peak.y > 0 && peak.y < map.height - 1) {
    step.y = step_towards(value_at(map, peak.x, peak.y - 1), value_at(map, peak.x, peak.y + 1));
  }
  return step;
}

// ln(a / b), where nothing is below 1e-10. One logarithm of a quotient instead of two: in double it costs no accuracy.
double log_ratio(double a, double b) { return std::log(a / b); }

// Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020, equations 7 to 11.
Point dark_step(const KernelTable& kernels, const HeatmapView& map, const MapPeak& peak, const PeakParams& params) {
  if (peak.x < 2 || peak.x > map.width - 3 || peak.y < 2 || peak.y > map.height - 3) return {0, 0};
  BlurredPatch patch;
  kernels.blur_around(map, peak, params, &patch);
  const auto b = [&](int y, int x) { return std::max(static_cast<double>(patch.at[2 + y][2 + x]), 1e-10); };
  const double middle = b(0, 0) * b(0, 0);
  const double dx = log_ratio(b(0, 1), b(0, -1)) / 2;
  const double dy = log_ratio(b(1, 0), b(-1, 0)) / 2;
  const double dxx = log_ratio(b(0, 2) * b(0, -2), middle) / 4;
  const double dyy = log_ratio(b(2, 0) * b(-2, 0), middle) / 4;
  const double dxy = log_ratio(b(1, 1) * b(-1, -1), b(-1, 1) * b(1, -1)) / 4;
  const double determinant = dxx * dyy - dxy * dxy;
  if (!(dxx < 0 && determinant > 0)) return {0, 0};  // no maximum there
  const double step_x = -(dyy * dx - dxy * dy) / determinant;
  const double step_y = -(dxx * dy - dxy * dx) / determinant;
  if (!(std::fabs(step_x) <= 1 && std::fabs(step_y) <= 1)) return {0, 0};
  return {static_cast<float>(step_x), static_cast<float>(step_y)};
}

// Along one axis of the upsampled map: the coarse cell of a fine sample and the fraction within it.
struct FineSample {
  std::int32_t cell;
  double fraction;
};

FineSample fine_sample(std::int32_t fine, double coarse_per_fine, std::int32_t size) {
  const double position = std::min(std::max((fine + 0.5) * coarse_per_fine - 0.5, 0.0), size - 1.0);
  const auto cell = static_cast<std::int32_t>(position);
  return {cell, position - cell};
}

// NaN is the smallest number here, and infinities the largest and smallest finite ones, so that every interpolated
// value is finite.
double finite_at(const HeatmapView& map, std::int32_t x, std::int32_t y) {
  const float value = value_at(map, std::min(x, map.width - 1), std::min(y, map.height - 1));
  return value >= -FLT_MAX ? std::min(value, FLT_MAX) : -FLT_MAX;
}

struct FinePeak {
  std::int32_t x, y;
  double value;
};

// Searches one fine row in the cells from `cell_begin` up to `cell_end`; a cell whose corners all lie below the best
// value so far cannot hold a better one.
void search_cells(const HeatmapView& map, const PeakParams& params, std::int32_t fine_y, std::int32_t cell_begin,
                  std::int32_t cell_end, FinePeak* best) {
  const double step_x = static_cast<double>(map.width) / params.upsampled_width;
  const double step_y = static_cast<double>(map.height) / params.upsampled_height;
  const FineSample row = fine_sample(fine_y, step_y, map.height);
  double corners[4] = {};
  double most = 0;
  std::int32_t cell = -1;
  // The first fine column of a cell is (cell + 0.5) / step_x - 0.5 rounded up; one earlier is safe against rounding.
  const double from = cell_begin <= 0 ? 0.0 : std::max(0.0, std::ceil((cell_begin + 0.5) / step_x - 0.5) - 1);
  for (auto fine_x = static_cast<std::int32_t>(from); fine_x < params.upsampled_width; ++fine_x) {
    const FineSample column = fine_sample(fine_x, step_x, map.width);
    if (column.cell < cell_begin) continue;
    if (column.cell >= cell_end) return;
    if (column.cell != cell) {
      cell = column.cell;
      for (int k = 0; k < 4; ++k) corners[k] = finite_at(map, cell + (k & 1), row.cell + (k >> 1));
      most = std::max(std::max(corners[0], corners[1]), std::max(corners[2], corners[3]));
    }
    if (most < best->value) continue;
    const double upper = corners[0] + (corners[1] - corners[0]) * column.fraction;
    const double lower = corners[2] + (corners[3] - corners[2]) * column.fraction;
    const double value = upper + (lower - upper) * row.fraction;
    const bool earlier = fine_y < best->y || (fine_y == best->y && fine_x < best->x);
    if (value > best->value || (value == best->value && earlier)) *best = {fine_x, fine_y, value};
  }
}

FinePeak upsampled_peak(const HeatmapView& map, const MapPeak& peak, const PeakParams& params) {
  FinePeak best{0, 0, -std::numeric_limits<double>::infinity()};
  // Round the coarse peak first: what it gives rules out nearly every other cell.
  const double fine_per_coarse = static_cast<double>(params.upsampled_height) / map.height;
  const auto first = static_cast<std::int32_t>(std::max(0.0, std::floor((peak.y - 0.5) * fine_per_coarse)));
  const auto last =
      static_cast<std::int32_t>(std::min(params.upsampled_height - 1.0, std::ceil((peak.y + 1.5) * fine_per_coarse)));
  for (std::int32_t y = first; y <= last; ++y) search_cells(map, params, y, peak.x - 1, peak.x + 1, &best);
  for (std::int32_t y = 0; y < params.upsampled_height; ++y) search_cells(map, params, y, 0, map.width, &best);
  return best;
}

float spread_of(const KernelTable& kernels, const HeatmapView& map, const MapPeak& peak) {
  // About the peak rather than the origin: the squares stay small where the mass is, and nothing cancels.
  const SecondMoments m = kernels.second_moments(map, peak.x, peak.y);
  const double sum = m.sum;
  if (!(sum > 0) || !std::isfinite(m.squares) || !std::isfinite(sum)) return kNan;
  const double mean_x = m.x / sum;
  const double mean_y = m.y / sum;
  const double variance = m.squares / sum - mean_x * mean_x - mean_y * mean_y;
  return static_cast<float>(std::sqrt(std::max(variance, 0.0)));
}

Point centroid(const FirstMoments& m) {
  const double sum = m.sum;
  if (!(sum > 0) || !std::isfinite(sum) || !std::isfinite(m.x) || !std::isfinite(m.y)) return {kNan, kNan};
  return {static_cast<float>(m.x / sum + 0.5), static_cast<float>(m.y / sum + 0.5)};
}

// One map's results.
struct Decoded {
  Point point{kNan, kNan};
  float score = kNan;
  float spread = kNan;
};

Decoded decode_map(const KernelTable& kernels, const HeatmapView& map, const PeakParams& params, bool with_spread) {
  Decoded result;
  if (params.method == PeakMethod::kExpectation) {
    const FirstMoments m = kernels.first_moments(map);
    result.point = centroid(m);
    result.score = m.largest;
    if (m.largest > 0 && !with_spread) return result;  // the peak's place is of no interest
  }
  const MapPeak peak = kernels.find_peak(map);
  if (peak.x < 0) return {};
  result.score = peak.value;
  if (with_spread) result.spread = spread_of(kernels, map, peak);
  if (params.method == PeakMethod::kExpectation) return result;
  if (params.method == PeakMethod::kUpsampledArgmax) {
    const FinePeak fine = upsampled_peak(map, peak, params);
    result.point = {static_cast<float>((fine.x + 0.5) * map.width / params.upsampled_width),
                    static_cast<float>((fine.y + 0.5) * map.height / params.upsampled_height)};
    result.score = static_cast<float>(fine.value);
    return result;
  }
  Point step{0, 0};
  if (params.method == PeakMethod::kQuarter) step = quarter_step(map, peak);
  if (params.method == PeakMethod::kDark) step = dark_step(kernels, map, peak, params);
  result.point = {static_cast<float>(peak.x) + 0.5f + step.x, static_cast<float>(peak.y) + 0.5f + step.y};
  return result;
}

// Of every kind of call.
Pace& pace_of(Isa isa, const PeakParams& params, bool half, bool with_spreads) {
  static Pace paces[kIsaCount][kPeakMethodCount][2][2];
  return paces[static_cast<std::size_t>(isa)][static_cast<std::size_t>(params.method)][half ? 1 : 0]
              [with_spreads ? 1 : 0];
}

// Where a map is upsampled that is what takes the time.
double bytes_of(const HeatmapView& map, const PeakParams& params) {
  if (params.method == PeakMethod::kUpsampledArgmax) return 4.0 * params.upsampled_height * params.upsampled_width;
  return (map.half ? 2.0 : 4.0) * map.height * map.width;
}

}  // namespace

void fill_blur(std::int32_t taps, PeakParams* params) {
  const double sigma = 0.3 * ((taps - 1) * 0.5 - 1) + 0.8;
  double weights[kMostBlurTaps];
  double sum = 0;
  for (std::int32_t t = 0; t < taps; ++t) {
    const double d = t - taps / 2;
    weights[t] = std::exp(-d * d / (2 * sigma * sigma));
    sum += weights[t];
  }
  std::fill_n(params->blur, kBlurredSide - 1, 0.0f);
  for (std::int32_t t = 0; t < taps; ++t) {
    params->blur[kBlurredSide - 1 + t] = static_cast<float>(weights[t] / sum);
  }
  std::fill_n(params->blur + (kBlurredSide - 1) + taps, kBlurredSide - 1, 0.0f);
  params->blur_taps = taps;
}

void heatmap_peaks(const HeatmapStack& stack, const PeakParams& params, float* points, float* scores, float* spreads) {
  const KernelTable& kernels = active_kernels();
  const std::size_t maps = stack.batches * stack.maps;
  const Load load{maps, 0, static_cast<double>(maps) * bytes_of(stack.first, params),
                  &pace_of(kernels.isa, params, stack.first.half, spreads != nullptr)};
  share_items(load, params.threads, [&](std::int32_t, std::size_t begin, std::size_t end) {
    for (std::size_t at = begin; at < end; ++at) {
      HeatmapView map = stack.first;
      map.data += static_cast<std::ptrdiff_t>(at / stack.maps) * stack.batch_pitch_bytes +
                  static_cast<std::ptrdiff_t>(at % stack.maps) * stack.map_pitch_bytes;
      const Decoded decoded = decode_map(kernels, map, params, spreads != nullptr);
      points[2 * at] = decoded.point.x;
      points[2 * at + 1] = decoded.point.y;
      scores[at] = decoded.score;
      if (spreads != nullptr) spreads[at] = decoded.spread;
    }
  });
}

}  // namespace handpose
