// heatmap_peaks: arguments -> views, then the kernel without the GIL.
#include "../kernels/heatmap_peaks.hpp"
#include "array_args.hpp"
#include "register.hpp"

namespace handpose::bindings {
namespace {

constexpr const char* kFunction = "heatmap_peaks";
constexpr const char* kMethods[] = {"argmax", "quarter", "dark", "expectation", "upsampled_argmax"};

// `memory` is that of `value`.
HeatmapStack read_heatmaps(py::handle value, const Memory& memory, const Subject& subject) {
  const char* const expected = "float32 or float16 with shape (K, H, W) or (N, K, H, W)";
  if (!memory.is('f', 4) && !memory.is('f', 2)) throw DTypeError(subject.must(expected, describe(value)));
  const std::size_t rank = memory.shape.size();
  if (rank != 3 && rank != 4) throw ArgumentError(subject.must(expected, describe(value)));
  const std::size_t maps = rank - 3;  // axis of the maps
  const py::ssize_t height = memory.shape[maps + 1], width = memory.shape[maps + 2];
  if (height > kMaxSide || width > kMaxSide) {
    throw ArgumentError(subject.must("at most " + std::to_string(kMaxSide) + " pixels high and wide", describe(value)));
  }
  bool aligned = memory.aligned();
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

// Where the results go.
struct Results {
  py::tuple arrays;
  float* points;
  float* scores;
  float* spreads;  // null unless wanted
};

Results make_results(const std::vector<py::ssize_t>& per_point, const std::vector<py::ssize_t>& per_map,
                     bool with_spreads) {
  py::array_t<float> points(per_point), scores(per_map);
  Results results{py::tuple(), points.mutable_data(), scores.mutable_data(), nullptr};
  if (with_spreads) {
    py::array_t<float> spreads(per_map);
    results.spreads = spreads.mutable_data();
    results.arrays = py::make_tuple(std::move(points), std::move(scores), std::move(spreads));
  } else {
    results.arrays = py::make_tuple(std::move(points), std::move(scores));
  }
  return results;
}

Results read_results(py::handle out, const Memory& heatmaps, const std::vector<py::ssize_t>& per_point,
                     const std::vector<py::ssize_t>& per_map, bool with_spreads) {
  const char* const expected = with_spreads ? "a tuple (points, scores, spreads)" : "a tuple (points, scores)";
  const Subject subject{kFunction, "out"};
  if (!py::isinstance<py::tuple>(out)) throw DTypeError(subject.must(expected, describe(out)));
  Results results{py::reinterpret_borrow<py::tuple>(out), nullptr, nullptr, nullptr};
  if (results.arrays.size() != (with_spreads ? 3U : 2U)) throw ArgumentError(subject.must(expected, describe(out)));
  const py::object points = results.arrays[0], scores = results.arrays[1];
  results.points = read_float_result(points, per_point, {kFunction, "out[0]"});
  results.scores = read_float_result(scores, per_map, {kFunction, "out[1]"});
  if (with_spreads) {
    const py::object spreads = results.arrays[2];
    results.spreads = read_float_result(spreads, per_map, {kFunction, "out[2]"});
  }
  refuse_overlaps(heatmaps, results.arrays);
  return results;
}

py::tuple run_heatmap_peaks(py::handle heatmaps, py::handle method, py::handle upsampled_hw, py::handle blur_kernel,
                            bool with_spreads, py::handle out, py::handle threads) {
  const Subject subject{kFunction, "heatmaps"};
  const Memory memory = read_memory(heatmaps, subject);
  const HeatmapStack stack = read_heatmaps(heatmaps, memory, subject);
  PeakParams params = read_params(method, upsampled_hw, blur_kernel, stack.first);
  params.threads = read_threads(threads, {kFunction, "threads"});
  const std::vector<py::ssize_t> per_map(memory.shape.begin(), memory.shape.end() - 2);
  std::vector<py::ssize_t> per_point = per_map;
  per_point.push_back(2);
  const Results results = out.is_none() ? make_results(per_point, per_map, with_spreads)
                                        : read_results(out, memory, per_point, per_map, with_spreads);
  {
    const py::gil_scoped_release release;
    heatmap_peaks(stack, params, results.points, results.scores, results.spreads);
  }
  return results.arrays;
}

}  // namespace

void register_heatmap(py::module_& module) { module.def("heatmap_peaks", &run_heatmap_peaks); }

}  // namespace handpose::bindings
