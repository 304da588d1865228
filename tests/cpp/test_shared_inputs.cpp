// All kernels from several threads at once, as pipelines call them: inputs are shared and only read, outputs are apart,
// and the level is changed meanwhile. The results must be those of one thread; built with -fsanitize=thread, it also
// shows where memory is shared that should not be.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "kernels/heatmap_peaks.hpp"
#include "kernels/kernel_table.hpp"
#include "kernels/palette_map.hpp"
#include "kernels/preprocess.hpp"
#include "kernels/skeleton_draw.hpp"
#include "random_data.hpp"

using namespace handpose;
using handpose::testing::Picture;
using handpose::testing::Random;

namespace {

constexpr std::int32_t kWidth = 70, kHeight = 54, kInput = 32, kMaps = 3;
constexpr PixelFormat kFormats[] = {PixelFormat::kBgr24, PixelFormat::kNv12, PixelFormat::kYuv420p};
constexpr Filter kFilters[] = {Filter::kLinear, Filter::kAntialias, Filter::kCubic};
constexpr std::int32_t kBones[] = {0, 1, 1, 2};
constexpr std::uint8_t kColors[] = {255, 0, 10, 20, 255, 30, 1, 2, 255};
constexpr float kPoints[] = {5, 5, 40.5f, 30, 66, 12.25f};

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// What all threads read.
struct Inputs {
  Inputs() : random(31), lut(64 * 64 * 64), maps(kMaps * kInput * kInput) {
    for (std::uint8_t& index : lut) index = random.byte();
    for (float& value : maps) value = static_cast<float>(random.real(-0.2, 1.0));
    for (const PixelFormat format : kFormats) pictures.emplace_back(format, kWidth, kHeight, &random);
    fill_blur(5, &peaks);
    peaks.method = PeakMethod::kDark;
  }

  Random random;
  std::vector<std::uint8_t> lut;
  std::vector<float> maps;
  std::vector<Picture> pictures;
  PeakParams peaks;
};

void append(std::vector<std::uint8_t>* out, const void* data, std::size_t bytes) {
  const auto* const from = static_cast<const std::uint8_t*>(data);
  out->insert(out->end(), from, from + bytes);
}

void preprocess_all(const Inputs& inputs, std::vector<std::uint8_t>* out) {
  for (const Picture& picture : inputs.pictures) {
    for (int turned = 0; turned < 4; ++turned) {
      PreprocessParams params;
      params.filter = turned == 3 ? Filter::kLinear : kFilters[turned];
      params.yuv = yuv_to_rgb(ColorMatrix::kBt709, ColorRange::kLimited);
      params.image_from_input.xx = params.image_from_input.yy = 1.7;
      if (turned == 3) params.image_from_input.xy = params.image_from_input.yx = 0.4;
      std::vector<float> values(3 * kInput * kInput);
      TensorView tensor;
      tensor.data = reinterpret_cast<unsigned char*>(values.data());
      tensor.height = tensor.width = kInput;
      tensor.dtype = DType::kFloat32;
      tensor.layout = Layout::kNchw;
      const std::size_t bytes = preprocess_workspace_bytes(picture.view(), params, tensor);
      const std::unique_ptr<void, Free> workspace(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
      PreprocessTables tables;
      for (int frame = 0; frame < 2; ++frame) preprocess(picture.view(), params, tensor, workspace.get(), &tables);
      append(out, values.data(), values.size() * sizeof(float));
    }
  }
}

void find_peaks(const Inputs& inputs, std::vector<std::uint8_t>* out) {
  HeatmapStack stack;
  stack.first = {reinterpret_cast<const std::uint8_t*>(inputs.maps.data()), kInput * sizeof(float), kInput, kInput,
                 false};
  stack.map_pitch_bytes = static_cast<std::ptrdiff_t>(kInput * kInput * sizeof(float));
  stack.batches = 1;
  stack.maps = kMaps;
  float points[2 * kMaps], scores[kMaps], spreads[kMaps];
  heatmap_peaks(stack, inputs.peaks, points, scores, spreads);
  append(out, points, sizeof points);
  append(out, scores, sizeof scores);
  append(out, spreads, sizeof spreads);
}

// On pictures of its own, of the same content in every thread.
void draw_and_map(const Inputs& inputs, std::vector<std::uint8_t>* out) {
  SkeletonParams params;
  params.points = kPoints;
  params.joints = 3;
  params.bones = kBones;
  params.bone_count = 2;
  params.bone_colors = params.joint_colors = kColors;
  params.thickness = params.joint_radius = 3;
  Random random(32);
  for (const PixelFormat format : kFormats) {
    const Picture picture(format, kWidth, kHeight, &random);
    draw_skeleton(picture.writable(), params);
    for (int i = 0; i < plane_count(format); ++i) {
      const MutablePlane& plane = picture.writable().planes[i];
      for (std::int32_t y = 0; y < plane.height; ++y) {
        append(out, plane.row(y), static_cast<std::size_t>(plane.width * plane.channels));
      }
    }
  }
  std::vector<std::uint8_t> indices(kWidth * kHeight), held(3 * kWidth * kHeight, 100);
  palette_map(inputs.pictures[0].view(), inputs.lut.data(), indices.data());
  append(out, indices.data(), indices.size());
  palette_map_changed(inputs.pictures[0].view(), inputs.lut.data(), 9, held.data(), indices.data());
  append(out, indices.data(), indices.size());
}

std::vector<std::uint8_t> results_of(const Inputs& inputs) {
  std::vector<std::uint8_t> out;
  preprocess_all(inputs, &out);
  find_peaks(inputs, &out);
  draw_and_map(inputs, &out);
  return out;
}

}  // namespace

TEST_CASE("several threads at once get what one gets, also while the level changes") {
  constexpr int kThreads = 4, kRounds = 40;
  const Inputs inputs;
  std::size_t count = 0;
  const KernelTable* const levels = supported_kernels(&count);
  const std::vector<std::uint8_t> expected = results_of(inputs);
  std::atomic<int> wrong{0}, at_work{kThreads};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) wrong += results_of(inputs) != expected;
      --at_work;
    });
  }
  for (std::size_t level = 0; at_work != 0; ++level) {
    activate_kernels(levels[level % count]);
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  activate_kernels(levels[count - 1]);
  CHECK(wrong == 0);
}
