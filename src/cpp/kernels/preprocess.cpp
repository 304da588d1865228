// The part of preprocess that is the same on every level: tables of an axis, and the loop over rows.
#include "preprocess.hpp"

#include <algorithm>
#include <cmath>

#include "../core/checked_math.hpp"
#include "kernel_table.hpp"

namespace handpose {
namespace {

constexpr std::int32_t kLinearBits = 14;
// Largest precision at which 255 * 64 * 2^bits, a whole row in 1/64 grey level, still fits 32 bits.
constexpr std::int32_t kMostBits = 17;
// A centre on the image's edge is inside, also where the affine's rounding has moved it a little; in pixels.
constexpr double kEdgeTolerance = 1e-6;
constexpr double kCubicA = -0.75;  // as cv2.INTER_CUBIC

double keys_cubic(double distance) {
  const double d = std::fabs(distance);
  if (d < 1) return ((kCubicA + 2) * d - (kCubicA + 3)) * d * d + 1;
  if (d < 2) return kCubicA * (((d - 5) * d + 8) * d - 4);
  return 0;
}

// One axis of the map from input to a plane: centre of output i at (i + 0.5) * scale + offset, in samples of the plane.
struct AxisMap {
  double scale, offset;
  std::int32_t size;    // of the plane
  std::int32_t extent;  // of the whole image on the same axis, in the plane's samples times two
  std::int32_t outputs;
  double tolerance;  // in the plane's samples, so that all planes agree on what is inside

  double centre(std::int32_t i) const { return (i + 0.5) * scale + offset; }
  double clamped_centre(std::int32_t i) const { return std::min(std::max(centre(i), 0.0), extent * 0.5); }
};

std::int32_t taps_of(Filter filter, double scale, std::int32_t size) {
  double taps = 2;
  if (filter == Filter::kCubic) taps = 4;
  if (filter == Filter::kAntialias) taps = 2 * std::ceil(std::max(1.0, std::fabs(scale))) + 1;
  return static_cast<std::int32_t>(std::min<double>(taps, size));
}

void find_inside(const AxisMap& map, Border border, AxisTable* table) {
  table->begin = 0;
  table->end = map.outputs;
  if (border == Border::kReplicate) return;
  const auto inside = [&](std::int32_t i) {
    return map.centre(i) >= -map.tolerance && map.centre(i) <= map.extent * 0.5 + map.tolerance;
  };
  while (table->begin < table->end && !inside(table->begin)) ++table->begin;
  while (table->begin < table->end && !inside(table->end - 1)) --table->end;
}

void fill_linear(const AxisMap& map, AxisTable* table) {
  table->bits = kLinearBits;
  for (std::int32_t i = table->begin; i < table->end; ++i) {
    const double position = std::min(std::max(map.clamped_centre(i) - 0.5, 0.0), map.size - 1.0);
    const std::int32_t start = std::min(static_cast<std::int32_t>(position), std::max(map.size - 2, 0));
    const double f = position - start;
    table->start[i] = start;
    table->fractions[2 * i] = static_cast<float>(1 - f) * 0x1p-14f;
    table->fractions[2 * i + 1] = static_cast<float>(f) * 0x1p-14f;
    const auto weight = static_cast<std::int16_t>(std::lrint(f * (1 << kLinearBits)));
    table->weights[table->taps * i] = static_cast<std::int16_t>((1 << kLinearBits) - weight);
    if (table->taps == 2) table->weights[2 * i + 1] = weight;
  }
}

// The weights of one output before rounding: calls use(k, w) for taps k of the table's window, several times for one k
// where taps beyond the edge fall on it. Returns the start of the window.
template <typename Use>
std::int32_t weigh_taps(const AxisMap& map, Filter filter, std::int32_t taps, double centre, const Use& use) {
  if (filter == Filter::kCubic) {
    const double position = centre - 0.5;
    const double base = std::floor(position);
    const std::int32_t start = static_cast<std::int32_t>(std::min(std::max(base - 1, 0.0), double(map.size - taps)));
    for (int k = -1; k <= 2; ++k) {
      const double at = std::min(std::max(base + k, 0.0), map.size - 1.0);
      use(static_cast<std::int32_t>(at) - start, keys_cubic(position - (base + k)));
    }
    return start;
  }
  // Pillow's rule: the taps whose centres lie within the support, rounded outwards, cut at the edges.
  const double support = std::max(1.0, std::fabs(map.scale));
  const double low = std::max(std::floor(centre - support + 0.5), 0.0);
  const double high = std::min(std::floor(centre + support + 0.5), double(map.size));
  const auto start = static_cast<std::int32_t>(std::min(low, double(map.size - taps)));
  for (auto at = static_cast<std::int32_t>(low); at < static_cast<std::int32_t>(high); ++at) {
    use(at - start, std::max(0.0, 1 - std::fabs(at + 0.5 - centre) / support));
  }
  return start;
}

void fill_taps(const AxisMap& map, Filter filter, AxisTable* table) {
  const std::int32_t taps = table->taps;
  double largest = 1;
  if (filter == Filter::kAntialias) {
    largest = 0;
    for (std::int32_t i = table->begin; i < table->end; ++i) {
      double sum = 0, top = 0;
      weigh_taps(map, filter, taps, map.clamped_centre(i), [&](std::int32_t, double w) {
        sum += w;
        top = std::max(top, w);
      });
      largest = std::max(largest, top / sum);
    }
  }
  table->bits = kMostBits;
  while (largest * (1 << table->bits) > 32767 - taps && table->bits > kLinearBits) --table->bits;
  const double one = 1 << table->bits;
  for (std::int32_t i = table->begin; i < table->end; ++i) {
    const double centre = map.clamped_centre(i);
    double sum = 0;
    weigh_taps(map, filter, taps, centre, [&](std::int32_t, double w) { sum += w; });
    std::int16_t* weights = table->weights + static_cast<std::ptrdiff_t>(i) * taps;
    std::fill(weights, weights + taps, std::int16_t{0});
    table->start[i] = weigh_taps(map, filter, taps, centre, [&](std::int32_t k, double w) {
      weights[k] = static_cast<std::int16_t>(weights[k] + std::lrint(w / sum * one));
    });
    std::int32_t rest = 1 << table->bits;  // what rounding lost goes to the heaviest tap
    for (std::int32_t k = 0; k < taps; ++k) rest -= weights[k];
    std::int16_t* heaviest = std::max_element(weights, weights + taps);
    *heaviest = static_cast<std::int16_t>(*heaviest + rest);
  }
}

void fill_axis(const AxisMap& map, const PreprocessParams& params, AxisTable* table) {
  find_inside(map, params.border, table);
  if (params.filter == Filter::kLinear) {
    fill_linear(map, table);
  } else {
    fill_taps(map, params.filter, table);
  }
}

// A plane's axis maps: chroma planes have half the coordinates.
AxisMap axis_map(const ImageView& source, const PreprocessParams& params, const TensorView& out, int plane,
                 bool vertical) {
  const Affine& a = params.image_from_input;
  const double half = plane == 0 ? 1 : 0.5;
  const Plane& pixels = source.planes[plane];
  const std::int32_t extent = (vertical ? source.height : source.width) * (plane == 0 ? 2 : 1);
  return {(vertical ? a.yy : a.xx) * half,         (vertical ? a.y0 : a.x0) * half,
          vertical ? pixels.height : pixels.width, extent,
          vertical ? out.height : out.width,       kEdgeTolerance * half};
}

constexpr std::size_t kAlign = 64;

// Hands out the workspace piece by piece; without memory it only counts.
class Arena {
 public:
  explicit Arena(void* memory) : memory_(static_cast<unsigned char*>(memory)) {}

  template <typename T>
  T* take(std::size_t rows, std::size_t columns = 1) {
    T* const piece = memory_ != nullptr ? reinterpret_cast<T*>(memory_ + used_.value()) : nullptr;
    used_ = used_ + (CheckedSize(sizeof(T)) * rows * columns).rounded_up(kAlign);
    return piece;
  }

  std::size_t used() const { return used_.ok() ? used_.value() : 0; }

 private:
  unsigned char* memory_;
  CheckedSize used_{0};
};

void take_axis(Arena* arena, const AxisMap& map, Filter filter, AxisTable* table) {
  const auto outputs = static_cast<std::size_t>(map.outputs);
  table->taps = taps_of(filter, map.scale, map.size);
  table->start = arena->take<std::int32_t>(outputs);
  table->weights = arena->take<std::int16_t>(outputs, static_cast<std::size_t>(table->taps));
  table->fractions = filter == Filter::kLinear ? arena->take<float>(outputs, 2) : nullptr;
}

// Lays the plan out in the arena; the tables are filled by the caller.
void take_plan(Arena* arena, PreprocessPlan* plan) {
  for (float*& row : plan->levels) row = arena->take<float>(static_cast<std::size_t>(plan->out.width));
  for (float*& row : plan->border_levels) row = arena->take<float>(static_cast<std::size_t>(plan->out.width));
  if (!plan->params.image_from_input.axis_aligned()) return;
  for (int plane = 0; plane < (is_yuv(plan->source.format) ? 2 : 1); ++plane) {
    const PreprocessParams& params = plan->params;
    take_axis(arena, axis_map(plan->source, params, plan->out, plane, false), params.filter, &plan->x[plane]);
    take_axis(arena, axis_map(plan->source, params, plan->out, plane, true), params.filter, &plan->y[plane]);
  }
  if (plan->params.filter != Filter::kLinear) {
    plan->reduced = arena->take<std::int16_t>(static_cast<std::size_t>(plan->source.width), 3);
  }
}

}  // namespace

std::size_t preprocess_workspace_bytes(const ImageView& source, const PreprocessParams& params, const TensorView& out) {
  PreprocessPlan plan{source, params, out, {}, {}, nullptr, {}, {}};
  Arena arena(nullptr);
  take_plan(&arena, &plan);
  return arena.used();
}

void preprocess(const ImageView& source, const PreprocessParams& params, const TensorView& out, void* workspace) {
  const KernelTable& kernels = active_kernels();
  PreprocessPlan plan{source, params, out, {}, {}, nullptr, {}, {}};
  Arena arena(workspace);
  take_plan(&arena, &plan);
  if (!params.image_from_input.axis_aligned()) {
    for (std::int32_t y = 0; y < out.height; ++y) kernels.rotated_row(plan, y);
    return;
  }
  for (int plane = 0; plane < (is_yuv(source.format) ? 2 : 1); ++plane) {
    fill_axis(axis_map(source, params, out, plane, false), params, &plan.x[plane]);
    fill_axis(axis_map(source, params, out, plane, true), params, &plan.y[plane]);
  }
  for (int c = 0; c < 3; ++c) {  // columns outside the image keep the border in every row
    std::fill(plan.levels[c], plan.levels[c] + out.width, params.border_value[c]);
    std::fill(plan.border_levels[c], plan.border_levels[c] + out.width, params.border_value[c]);
  }
  const auto sample_row = params.filter == Filter::kLinear ? kernels.linear_row : kernels.taps_row;
  for (std::int32_t y = 0; y < out.height; ++y) {
    if (y >= plan.y[0].begin && y < plan.y[0].end && plan.x[0].begin < plan.x[0].end) {
      sample_row(plan, y);
    } else {
      kernels.write_row(plan, y, plan.border_levels);
    }
  }
}

}  // namespace handpose
