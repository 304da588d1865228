// heatmap_peaks on every level: any pitches, of which some run backwards, and any values.
#include <algorithm>

#include "core/half.hpp"
#include "fuzz_input.hpp"
#include "guarded.hpp"
#include "kernels/heatmap_peaks.hpp"
#include "levels.hpp"

using namespace handpose;
using namespace handpose::fuzzing;

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 17;
constexpr std::size_t kMostMaps = 6;

// Maps, rows and values as the input says; false where they take too much memory.
bool read_stack(FuzzInput* input, const Guarded& block, HeatmapStack* stack) {
  HeatmapView& map = stack->first;
  map.half = input->flag();
  map.width = input->width();
  map.height = input->height();
  stack->maps = static_cast<std::size_t>(input->choice(3) + 1);
  stack->batches = static_cast<std::size_t>(input->choice(2) + 1);
  const std::ptrdiff_t item = map.half ? 2 : 4;
  const std::uint8_t how = input->byte();
  const std::ptrdiff_t row = item * map.width;
  const std::ptrdiff_t pitches[3] = {row + item * input->padding(), 0, 0};
  const std::ptrdiff_t map_pitch = pitches[0] * map.height + item * input->padding();
  const std::ptrdiff_t batch_pitch = (how & 2) != 0 ? 0 : map_pitch * static_cast<std::ptrdiff_t>(stack->maps);
  const std::ptrdiff_t to_last[3] = {pitches[0] * (map.height - 1),
                                     map_pitch * static_cast<std::ptrdiff_t>(stack->maps - 1),
                                     batch_pitch * static_cast<std::ptrdiff_t>(stack->batches - 1)};
  const auto bytes = static_cast<std::size_t>(to_last[0] + to_last[1] + to_last[2] + row);
  if (!block.fits(bytes)) return false;
  std::uint8_t* const memory = block.place(bytes, (how & 1) != 0);
  const bool backwards[3] = {(how & 12) == 12, (how & 48) == 48, (how & 192) == 192};
  map.data =
      memory + (backwards[0] ? to_last[0] : 0) + (backwards[1] ? to_last[1] : 0) + (backwards[2] ? to_last[2] : 0);
  map.pitch_bytes = backwards[0] ? -pitches[0] : pitches[0];
  stack->map_pitch_bytes = backwards[1] ? -map_pitch : map_pitch;
  stack->batch_pitch_bytes = backwards[2] ? -batch_pitch : batch_pitch;
  // Values: from a few of the input's own, or any bits.
  constexpr std::int32_t kKinds = 16;
  float values[kKinds];
  const bool any_bits = input->byte() < 32;
  for (float& value : values) value = any_bits ? 0.0f : input->any_float(1.0f);
  input->fill(memory, bytes);
  if (any_bits) return true;
  for (std::size_t at = 0; at < bytes; at += static_cast<std::size_t>(item)) {
    const float value = values[memory[at] % kKinds];
    const std::uint16_t half = half_from_float(value);
    std::memcpy(memory + at, map.half ? static_cast<const void*>(&half) : &value, static_cast<std::size_t>(item));
  }
  return true;
}

PeakParams read_params(FuzzInput* input, const HeatmapView& map) {
  PeakParams params;
  params.method = input->one_of<PeakMethod>(5);
  params.upsampled_height = map.height + input->byte() % 20;
  params.upsampled_width = map.width + input->byte() % 40;
  if (params.method == PeakMethod::kDark) fill_blur(3 + 2 * input->choice(15), &params);
  return params;
}

// Which NaN it is does not matter, and differs between processors.
void copy_results(const float* from, std::size_t count, float* to) {
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = from[i] == from[i] ? from[i] : std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Guarded block(kMostBytes), points_block(8 * kMostMaps), scores_block(4 * kMostMaps),
      spreads_block(4 * kMostMaps);

  FuzzInput input(data, size);
  HeatmapStack stack;
  if (!read_stack(&input, block, &stack)) return 0;
  const PeakParams params = read_params(&input, stack.first);
  const std::uint8_t ends = input.byte();
  const std::size_t maps = stack.maps * stack.batches;
  auto* const points = points_block.place_items<float>(2 * maps, (ends & 1) != 0);
  auto* const scores = scores_block.place_items<float>(maps, (ends & 2) != 0);
  auto* const spreads = (ends & 4) != 0 ? spreads_block.place_items<float>(maps, (ends & 8) != 0) : nullptr;

  float expected[4 * kMostMaps] = {};
  on_every_level([&] { heatmap_peaks(stack, params, points, scores, spreads); },
                 [&](bool defines) {
                   float results[4 * kMostMaps] = {};
                   copy_results(points, 2 * maps, results);
                   copy_results(scores, maps, results + 2 * maps);
                   if (spreads != nullptr) copy_results(spreads, maps, results + 3 * maps);
                   if (defines) std::memcpy(expected, results, sizeof expected);
                   if (std::memcmp(expected, results, sizeof expected) != 0) {
                     fail("heatmap_peaks: a level differs from scalar");
                   }
                 });
  return 0;
}
