// heatmap_peaks: arguments -> views, then the kernel without the GIL.
#include "../kernels/heatmap_peaks.hpp"
#include "array_args.hpp"
#include "register.hpp"

namespace handpose::bindings {
namespace {

constexpr const char* kFunction = "heatmap_peaks";
constexpr const char* kMethods[] = {"argmax", "quarter", "dark", "expectation", "upsampled_argmax"};

HeatmapStack read_heatmaps(py::handle value) {
  const Subject subject{kFunction, "heatmaps"};
  const char* const expected = "float32 or float16 with shape (K, H, W) or (N, K, H, W)";
  const Memory memory = read_memory(value, subject);
  if (!memory.is('f', 4) && !memory.is('f', 2)) throw DTypeError(subject.must(expected, describe(value)));
  const std::size_t rank = memory.shape.size();
  if (rank != 3 && rank != 4) throw ArgumentError(subject.must(expected, describe(value)));
  const std::size_t maps = rank - 3;  // axis of the maps
  const py::ssize_t height = memory.shape[maps + 1], width = memory.shape[maps + 2];
  if (height > kMaxSide || width > kMaxSide) {
    throw ArgumentError(subject.must("at most " + std::to_string(kMaxSide) + " pixels high and wide", describe(value)));
  }
  bool aligned = reinterpret_cast<std::uintptr_t>(memory.data) % static_cast<std::uintptr_t>(memory.item_size) == 0;
  for (std::size_t i = 0; i + 1 < rank; ++i) aligned = aligned && memory.strides[i] % memory.item_size == 0;
  if (!aligned || (width != 1 && memory.strides[rank - 1] != memory.item_size)) {
    throw ArgumentError(subject.must("aligned and packed within each row: pass numpy.ascontiguousarray of it",
                                     describe(value) + " with strides " + shape_text(memory.strides)));
  }
  HeatmapStack stack;
  stack.first.data = memory.data;
  stack.first.pitch_bytes = height == 1 ? 0 : memory.strides[maps + 1];
  stack.first.height = static_cast<std::int32_t>(height);
  stack.first.width = static_cast<std::int32_t>(width);
  stack.first.half = memory.item_size == 2;
  stack.map_pitch_bytes = memory.strides[maps];
  stack.batch_pitch_bytes = rank == 4 ? memory.strides[0] : 0;
  stack.maps = static_cast<std::size_t>(memory.shape[maps]);
  stack.batches = rank == 4 ? static_cast<std::size_t>(memory.shape[0]) : 1;
  return stack;
}

PeakParams read_params(py::handle method, py::handle upsampled_hw, py::handle blur_kernel, const HeatmapView& map) {
  PeakParams params;
  params.method = read_name<PeakMethod>(method, kMethods, {kFunction, "method"});
  if (params.method == PeakMethod::kUpsampledArgmax) {
    const Subject subject{kFunction, "upsampled_hw"};
    if (upsampled_hw.is_none()) throw ArgumentError(subject.must("given for method 'upsampled_argmax'", "None"));
    read_size(upsampled_hw, &params.upsampled_height, &params.upsampled_width, subject);
    if (params.upsampled_height < map.height || params.upsampled_width < map.width) {
      throw ArgumentError(subject.must(
          "at least the size of the maps, (" + std::to_string(map.height) + ", " + std::to_string(map.width) + ")",
          describe(upsampled_hw)));
    }
  } else if (!upsampled_hw.is_none()) {
    throw ArgumentError("heatmap_peaks: upsampled_hw goes with method 'upsampled_argmax' only; got " +
                        describe(upsampled_hw));
  }
  const Subject subject{kFunction, "blur_kernel"};
  std::int64_t taps = 0;
  try {
    taps = blur_kernel.cast<std::int64_t>();
  } catch (const py::cast_error&) {
    throw DTypeError(subject.must("an odd integer from 3 to 31", describe(blur_kernel)));
  }
  if (taps < 3 || taps > kMostBlurTaps || taps % 2 == 0) {
    throw ArgumentError(subject.must("an odd integer from 3 to 31", describe(blur_kernel)));
  }
  if (params.method == PeakMethod::kDark) fill_blur(static_cast<std::int32_t>(taps), &params);
  return params;
}

// Results must lie apart from the heatmaps and from each other.
void refuse_overlaps(const Memory& heatmaps, const py::tuple& results) {
  const std::uint8_t* first = heatmaps.data;
  std::size_t span = static_cast<std::size_t>(heatmaps.item_size);
  for (std::size_t i = 0; i < heatmaps.shape.size(); ++i) {
    const py::ssize_t reach = (heatmaps.shape[i] - 1) * heatmaps.strides[i];
    if (reach < 0) first += reach;
    span += static_cast<std::size_t>(reach < 0 ? -reach : reach);
  }
  std::vector<Memory> parts;
  for (const py::handle result : results) {
    const Memory part = read_memory(result, {kFunction, "out"});
    bool apart = !overlap(first, span, part.data, part.bytes());
    for (const Memory& other : parts) apart = apart && !overlap(other.data, other.bytes(), part.data, part.bytes());
    if (!apart) throw ArgumentError("heatmap_peaks: out must not share memory with heatmaps or with itself");
    parts.push_back(part);
  }
}

py::tuple run_heatmap_peaks(py::handle heatmaps, py::handle method, py::handle upsampled_hw, py::handle blur_kernel,
                            bool with_spreads, py::handle out) {
  const HeatmapStack stack = read_heatmaps(heatmaps);
  const PeakParams params = read_params(method, upsampled_hw, blur_kernel, stack.first);
  const auto maps = static_cast<py::ssize_t>(stack.maps);
  std::vector<py::ssize_t> per_map{maps};
  if (py::len(heatmaps.attr("shape")) == 4) {
    per_map.insert(per_map.begin(), static_cast<py::ssize_t>(stack.batches));
  }
  std::vector<py::ssize_t> per_point = per_map;
  per_point.push_back(2);
  const std::size_t count = with_spreads ? 3 : 2;
  py::tuple results(count);
  if (out.is_none()) {
    results[0] = py::array_t<float>(per_point);
    for (std::size_t i = 1; i < count; ++i) results[i] = py::array_t<float>(per_map);
  } else {
    const char* const expected = with_spreads ? "a tuple (points, scores, spreads)" : "a tuple (points, scores)";
    const Subject subject{kFunction, "out"};
    if (!py::isinstance<py::tuple>(out)) throw DTypeError(subject.must(expected, describe(out)));
    results = py::reinterpret_borrow<py::tuple>(out);
    if (results.size() != count) throw ArgumentError(subject.must(expected, describe(out)));
  }
  const py::object points = results[0], scores = results[1];
  float* const points_at = read_float_result(points, per_point, {kFunction, "out[0]"});
  float* const scores_at = read_float_result(scores, per_map, {kFunction, "out[1]"});
  float* spreads_at = nullptr;
  if (with_spreads) {
    const py::object spreads = results[2];
    spreads_at = read_float_result(spreads, per_map, {kFunction, "out[2]"});
  }
  refuse_overlaps(read_memory(heatmaps, {kFunction, "heatmaps"}), results);
  {
    const py::gil_scoped_release release;
    heatmap_peaks(stack, params, points_at, scores_at, spreads_at);
  }
  return results;
}

}  // namespace

void register_heatmap(py::module_& module) { module.def("heatmap_peaks", &run_heatmap_peaks); }

}  // namespace handpose::bindings
