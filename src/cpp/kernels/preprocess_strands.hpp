// How the filters "antialias" and "cubic" of preprocess sum along a row of a plane; see preprocess_taps.hpp.
//
// A vector of sums has V::kLanes lanes, and an instruction adds to each of them V::kLaneTaps weighted bytes picked from
// a window of so many bytes of the row. A strand is some neighbouring outputs that are summed so. Where all its taps
// lie close together a lane has an output of its own in one channel, and a strand fills a vector. Where they lie
// farther apart there are fewer outputs in a window: then the taps of each are shared among several lanes, the parts of
// its sum, and the strands of as many neighbours are added up into one vector, lane for lane of the result.
//
// Lanes of a strand: the first part of all outputs, channel by channel, then the second part of all. Or, where a level
// has V::kChannelLanes for what a strand takes from each of three channels, these one channel after the other, so that
// one load repeats the weights for all of them.
//
// Chained strands are of one output each, whose taps begin in a window of its own and end in that of its neighbour: a
// window is loaded and put in order once for both.
#pragma once

#include <cstdlib>

#include "preprocess_blocks.hpp"

namespace handpose {
namespace {

// How many outputs a vector of sums has.
inline std::int32_t vector_outputs(const TapStrands& strands) { return strands.parts * strands.outputs; }

inline std::int32_t vector_count(const AxisTable& axis) {
  const std::int32_t outputs = vector_outputs(axis.strands);
  return (axis.end - axis.begin + outputs - 1) / outputs;
}

// The taps of each output that one step of a strand takes.
template <typename V>
std::int32_t step_taps(const TapStrands& strands) {
  return V::kLaneTaps * strands.parts;
}

inline std::int32_t window_count(const TapStrands& strands) {
  return (strands.steps + strands.window_steps - 1) / strands.window_steps;
}

// What a lane of a strand is for; output is -1 where it has no use.
struct LaneUse {
  std::int32_t output, channel, part;
};

template <typename V>
LaneUse lane_use(const TapStrands& strands, std::int32_t channels, std::int32_t lane) {
  if constexpr (V::kChannelLanes > 0) {
    if (strands.apart) {
      const std::int32_t channel = lane / V::kChannelLanes, rest = lane % V::kChannelLanes;
      return {channel < channels ? rest % strands.outputs : -1, channel, rest / strands.outputs};
    }
  }
  const std::int32_t part_lanes = V::kLanes / strands.parts, rest = lane % part_lanes;
  return {rest / channels < strands.outputs ? rest / channels : -1, rest % channels, lane / part_lanes};
}

// Where the sum of an output of a vector is, in one channel.
template <typename V>
std::int32_t sum_lane(const TapStrands& strands, std::int32_t channels, std::int32_t output, std::int32_t channel) {
  if (strands.apart) return channel * V::kChannelLanes + output;
  const std::int32_t strand = output / strands.outputs;
  return strand * (V::kLanes / strands.parts) + output % strands.outputs * channels + channel;
}

// The largest distance between first taps of a strand.
inline std::int32_t widest_strand(const AxisTable& axis, std::int32_t outputs) {
  std::int32_t widest = 0;
  for (std::int32_t x = axis.begin; x < axis.end; x += outputs) {
    const std::int32_t span = std::abs(axis.start[x + outputs - 1] - axis.start[x]);
    widest = span > widest ? span : widest;
  }
  return widest;
}

// Sets the steps for strands of so many parts, outputs and bytes of a window; false where that is not possible.
template <typename V>
bool fit_strands(const AxisTable& axis, std::int32_t channels, TapStrands* strands) {
  const std::int32_t room = strands->window_bytes / channels - widest_strand(axis, strands->outputs);
  const std::int32_t fitting = room / step_taps<V>(*strands);
  const std::int32_t most_steps = fitting < V::kMostSteps ? fitting : V::kMostSteps;
  if (most_steps < 1) return false;
  strands->steps = (axis.taps + step_taps<V>(*strands) - 1) / step_taps<V>(*strands);
  strands->window_steps = most_steps;
  strands->window_steps = (strands->steps + window_count(*strands) - 1) / window_count(*strands);
  const std::int64_t bytes = std::int64_t{strands->steps} * V::step_weight_bytes(*strands);
  return bytes <= std::int64_t{(axis.taps + 15) / 16 * 16} * kStrandBytesPerTap * strands->outputs &&
         V::kLanes * 4 <= vector_outputs(*strands) * kSumBytesPerOutput;
}

// What one output costs, roughly: cycles of AVX-512 for a few rows.
inline double strand_cost(const TapStrands& s) {
  constexpr double kWindow = 8, kMerge = 5, kVector = 17;
  const double strand = s.steps * (s.window_bytes > 64 ? 5.5 : 4) + window_count(s) * kWindow;
  return (s.parts * strand + (s.parts - 1) * kMerge + kVector) / vector_outputs(s);
}

// Chooses the shape of the strands. The last one that is tried always fits: one output with the most parts.
template <typename V>
void choose_strands(AxisTable* axis, std::int32_t channels) {
  TapStrands& best = axis->strands;
  double least = -1;
  for (std::int32_t parts = 1; parts <= V::kMostParts && parts * channels <= V::kLanes; parts *= 2) {
    for (std::int32_t outputs = V::kLanes / parts / channels; outputs >= 1; --outputs) {
      for (std::int32_t bytes = V::kLeastWindow; bytes <= V::kMostWindow; bytes *= 2) {
        TapStrands tried = best;
        tried.parts = parts;
        tried.outputs = outputs;
        tried.apart = channels == 3 && vector_outputs(tried) == V::kChannelLanes;
        tried.window_bytes = bytes;
        if (!fit_strands<V>(*axis, channels, &tried) || (least >= 0 && strand_cost(tried) >= least)) continue;
        least = strand_cost(tried);
        best = tried;
      }
    }
  }
}

// Writes the places and the weights of the strand that begins with output x.
template <typename V>
void fill_strand(const AxisTable& axis, std::int32_t channels, std::int32_t x, std::int32_t base, unsigned char* places,
                 unsigned char* weights) {
  const TapStrands& strands = axis.strands;
  std::int32_t place[V::kLanes * V::kLaneTaps];
  for (std::int32_t i = 0; i < V::kLanes * V::kLaneTaps; ++i) {
    const LaneUse use = lane_use<V>(strands, channels, i / V::kLaneTaps);
    const std::int32_t tap = use.part * V::kLaneTaps + i % V::kLaneTaps;
    place[i] = use.output < 0 ? -1 : (axis.start[x + use.output] - base + tap) * channels + use.channel;
  }
  V::put_places(place, places);
  for (std::int32_t step = 0; step < strands.steps; ++step, weights += V::step_weight_bytes(strands)) {
    std::int16_t weight[V::kLanes * V::kLaneTaps];
    for (std::int32_t i = 0; i < V::kLanes * V::kLaneTaps; ++i) {
      const LaneUse use = lane_use<V>(strands, channels, i / V::kLaneTaps);
      const std::int32_t tap = (step * strands.parts + use.part) * V::kLaneTaps + i % V::kLaneTaps;
      const bool used = use.output >= 0 && tap < axis.taps;
      weight[i] =
          used ? axis.weights[static_cast<std::ptrdiff_t>(x + use.output) * axis.stride + tap] : std::int16_t{0};
    }
    V::put_weights(weight, strands, weights);
  }
}

// Which samples of a row an output has weights for.
struct UsedSamples {
  std::int32_t begin, end;
};

inline UsedSamples used_samples(const AxisTable& axis, std::int32_t x) {
  const std::int16_t* weights = axis.weights + static_cast<std::ptrdiff_t>(x) * axis.stride;
  std::int32_t first = 0, last = axis.taps - 1;
  while (first < last && weights[first] == 0) ++first;
  while (last > first && weights[last] == 0) --last;
  return {axis.start[x] + first, axis.start[x] + last + 1};
}

// The first sample of the window of output x, or of those that follow the last output.
template <typename V>
std::int32_t chained_window(const AxisTable& axis, std::int32_t x) {
  return x < axis.end ? used_samples(axis, x).begin : used_samples(axis, axis.end - 1).begin + V::kChainTaps;
}

// Whether the taps of every output lie in its window and the next one, and V::add_rows can round the sums. With fewer
// taps a strand of two outputs has less to do.
template <typename V>
bool can_be_chained(const AxisTable& axis, std::int32_t channels) {
  constexpr std::int32_t kLeastTaps = 25;
  if (channels != 3 || axis.taps < kLeastTaps || axis.bits < V::kLeastChainBits) return false;
  for (std::int32_t x = axis.begin; x < axis.end; ++x) {
    const UsedSamples own = used_samples(axis, x);
    const std::int32_t next = chained_window<V>(axis, x + 1);
    if (next <= own.begin || next > own.begin + V::kChainTaps || own.end > next + V::kChainTaps) return false;
  }
  return true;
}

// Writes the weights of the strand of output x, or zeros beyond the last one.
template <typename V>
void fill_chained_weights(const AxisTable& axis, std::int32_t channels, std::int32_t x, unsigned char* weights) {
  std::int16_t of_steps[2][V::kLanes * V::kLaneTaps] = {};
  if (x < axis.end) {
    const std::int16_t* own = axis.weights + static_cast<std::ptrdiff_t>(x) * axis.stride;
    const std::int32_t start = axis.start[x], end = used_samples(axis, x).end;
    const std::int32_t first = chained_window<V>(axis, x), next = chained_window<V>(axis, x + 1);
    for (std::int32_t i = 0; i < V::kLanes * V::kLaneTaps; ++i) {
      const LaneUse use = lane_use<V>(axis.strands, channels, i / V::kLaneTaps);
      const std::int32_t tap = use.part * V::kLaneTaps + i % V::kLaneTaps;
      if (use.output >= 0 && first + tap < next) of_steps[0][i] = own[first + tap - start];
      if (use.output >= 0 && next + tap < end) of_steps[1][i] = own[next + tap - start];
    }
  }
  for (const auto& step : of_steps) {
    V::put_weights(step, axis.strands, weights);
    weights += V::step_weight_bytes(axis.strands);
  }
}

template <typename V>
void fill_chained_strands(AxisTable* axis, std::int32_t channels) {
  TapStrands& strands = axis->strands;
  strands.parts = V::kMostParts;
  strands.outputs = 1;
  strands.apart = true;
  strands.steps = 2;
  strands.window_steps = 1;
  strands.window_bytes = V::kLeastWindow;
  std::int32_t place[V::kLanes * V::kLaneTaps];
  for (std::int32_t i = 0; i < V::kLanes * V::kLaneTaps; ++i) {
    const LaneUse use = lane_use<V>(strands, channels, i / V::kLaneTaps);
    place[i] = use.output < 0 ? -1 : (use.part * V::kLaneTaps + i % V::kLaneTaps) * channels + use.channel;
  }
  V::put_places(place, strands.places);
  const std::int32_t count = vector_count(*axis) * strands.parts;
  for (std::int32_t i = 0; i < count; ++i) {
    strands.offsets[i] = chained_window<V>(*axis, axis->begin + i) * channels;
    fill_chained_weights<V>(*axis, channels, axis->begin + i,
                            strands.weights + std::ptrdiff_t{2} * i * V::step_weight_bytes(strands));
  }
  strands.offsets[count] = chained_window<V>(*axis, axis->end) * channels;
  strands.reach = strands.offsets[count] + strands.window_bytes;
}

// Fills the strands of an x axis.
template <typename V>
void fill_strands(AxisTable* axis, std::int32_t channels) {
  TapStrands& strands = axis->strands;
  strands.chained = false;
  if (axis->begin == axis->end) return;
  if constexpr (V::kChainTaps > 0) {
    strands.chained = can_be_chained<V>(*axis, channels);
    if (strands.chained) return fill_chained_strands<V>(axis, channels);
  }
  choose_strands<V>(axis, channels);
  const std::int32_t last_window = (window_count(strands) - 1) * strands.window_steps * step_taps<V>(strands);
  strands.reach = 0;
  for (std::int32_t i = 0; i < vector_count(*axis) * strands.parts; ++i) {
    const std::int32_t x = axis->begin + i * strands.outputs;
    const std::int32_t first = axis->start[x], last = axis->start[x + strands.outputs - 1];
    const std::int32_t base = first < last ? first : last;
    strands.offsets[i] = base * channels;
    const std::int32_t end = (base + last_window) * channels + strands.window_bytes;
    strands.reach = end > strands.reach ? end : strands.reach;
    fill_strand<V>(*axis, channels, x, base, strands.places + static_cast<std::size_t>(i) * kPlacesBytes,
                   strands.weights + static_cast<std::ptrdiff_t>(i) * strands.steps * V::step_weight_bytes(strands));
  }
}

}  // namespace
}  // namespace handpose
