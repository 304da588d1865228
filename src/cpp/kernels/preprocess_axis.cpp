#include "preprocess_axis.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace handpose {
namespace {

constexpr std::int32_t kLinearBits = 14;
// Largest precision at which 255 * 64 * 2^bits, a whole column in 1/64 grey level, still fits 32 bits.
constexpr std::int32_t kMostBits = 17;
// Largest weight: 256 times one signed byte and another one.
constexpr std::int32_t kMostWeight = 127 * 256 + 127;
constexpr double kCubicA = -0.75;  // as cv2.INTER_CUBIC

double keys_cubic(double distance) {
  const double d = std::fabs(distance);
  if (d < 1) return ((kCubicA + 2) * d - (kCubicA + 3)) * d * d + 1;
  if (d < 2) return kCubicA * (((d - 5) * d + 8) * d - 4);
  return 0;
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
    const auto weight = static_cast<std::int16_t>(std::lrint(f * (1 << kLinearBits)));
    table->start[i] = start;
    table->weights[2 * i] = static_cast<std::int16_t>((1 << kLinearBits) - weight);
    table->weights[2 * i + 1] = weight;
    if (table->down != nullptr) table->down[i] = static_cast<std::int16_t>(std::min(std::lrint(f * 32768), 32767L));
  }
}

// After the last output: copies of it, so that a block may go on there.
void pad_axis(AxisTable* table) {
  if (table->begin == table->end) return;
  const std::int16_t* last = table->weights + static_cast<std::ptrdiff_t>(table->end - 1) * table->stride;
  for (std::int32_t i = table->end; i < table->end + kMostBlock; ++i) {
    table->start[i] = table->start[table->end - 1];
    std::copy(last, last + table->stride, table->weights + static_cast<std::ptrdiff_t>(i) * table->stride);
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
  // Never more than 2 * support rounded up; where rounding makes it one more, the last has no weight to speak of.
  const double high = std::min({std::floor(centre + support + 0.5), double(map.size), low + taps});
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
  while (largest * (1 << table->bits) > kMostWeight - taps && table->bits > kLinearBits) --table->bits;
  const double one = 1 << table->bits;
  for (std::int32_t i = table->begin; i < table->end; ++i) {
    const double centre = map.clamped_centre(i);
    double sum = 0;
    weigh_taps(map, filter, taps, centre, [&](std::int32_t, double w) { sum += w; });
    std::int16_t* weights = table->weights + static_cast<std::ptrdiff_t>(i) * table->stride;
    std::fill(weights, weights + table->stride, std::int16_t{0});
    table->start[i] = weigh_taps(map, filter, taps, centre, [&](std::int32_t k, double w) {
      weights[k] = static_cast<std::int16_t>(weights[k] + std::lrint(w / sum * one));
    });
    std::int32_t rest = 1 << table->bits;  // what rounding lost goes to the heaviest tap
    for (std::int32_t k = 0; k < taps; ++k) rest -= weights[k];
    std::int16_t* heaviest = std::max_element(weights, weights + taps);
    *heaviest = static_cast<std::int16_t>(*heaviest + rest);
  }
}

// The output after the group that begins with output i.
std::int32_t group_end(const AxisTable& table, std::int32_t i, std::int32_t group) {
  const std::int32_t unit = std::max(group, std::int32_t{8}), left = unit - (i - table.begin) % unit;
  return i + std::min(group, left);
}

}  // namespace

double AxisMap::clamped_centre(std::int32_t i) const { return std::min(std::max(centre(i), 0.0), extent * 0.5); }

std::int32_t axis_taps(Filter filter, const AxisMap& map) {
  double taps = 2;
  if (filter == Filter::kCubic) taps = 4;
  if (filter == Filter::kAntialias) taps = std::ceil(2 * std::max(1.0, std::fabs(map.scale)));  // see weigh_taps
  return static_cast<std::int32_t>(std::min<double>(taps, map.size));
}

std::int32_t axis_weight_stride(Filter filter, std::int32_t taps) {
  if (filter == Filter::kLinear) return 2;
  return taps <= 8 ? 8 : (taps + 15) / 16 * 16;  // so that vectors never reach the weights of the next output
}

void fill_axis(const AxisMap& map, const PreprocessParams& params, AxisTable* table) {
  find_inside(map, params.border, table);
  if (params.filter == Filter::kLinear) {
    fill_linear(map, table);
  } else {
    fill_taps(map, params.filter, table);
  }
  pad_axis(table);
}

bool group_fits(const AxisTable& table, std::int32_t channels, std::int32_t bytes, std::int32_t group) {
  for (std::int32_t i = table.begin; i < table.end;) {
    const std::int32_t first = i;
    i = group_end(table, i, group);
    if ((std::abs(table.start[i - 1] - table.start[first]) + 2) * channels > bytes) return false;
  }
  return true;
}

void fill_offsets(std::int32_t channels, AxisTable* table) {
  const std::int32_t blocks = (table->end - table->begin + kMostBlock - 1) / kMostBlock;
  for (std::int32_t i = table->begin; i < table->begin + blocks * kMostBlock;) {
    const std::int32_t first = i;
    i = group_end(*table, i, table->group);
    // A falling axis has the last tap lowest.
    const std::int32_t lower = std::min(table->start[first], table->start[i - 1]) * channels;
    for (std::int32_t k = first; k < i; ++k) {
      table->offsets[k] = lower;
      table->shifts[k] = static_cast<std::uint8_t>(table->start[k] * channels - lower);
    }
  }
}

}  // namespace handpose
