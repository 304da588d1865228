// preprocess: arguments -> views, then the kernel without the GIL.
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "../core/checked_math.hpp"
#include "../kernels/preprocess.hpp"
#include "array_args.hpp"
#include "register.hpp"

namespace handpose::bindings {
namespace {

constexpr const char* kFunction = "preprocess";
constexpr const char* kFilters[] = {"linear", "antialias", "cubic"};
constexpr const char* kBorders[] = {"constant", "replicate"};
constexpr const char* kOrders[] = {"rgb", "bgr"};
constexpr const char* kLayouts[] = {"NCHW", "NHWC"};
constexpr const char* kMatrices[] = {"bt601", "bt709"};
constexpr const char* kRanges[] = {"limited", "full"};

DType read_dtype(const py::dtype& dtype, const Subject& subject) {
  const char order = dtype.byteorder();
  if (order != '>' && dtype.kind() == 'f' && dtype.itemsize() == 4) return DType::kFloat32;
  if (order != '>' && dtype.kind() == 'f' && dtype.itemsize() == 2) return DType::kFloat16;
  if (dtype.kind() == 'u' && dtype.itemsize() == 1) return DType::kUint8;
  throw DTypeError(subject.must("float32, float16 or uint8", py::str(dtype).cast<std::string>()));
}

// (1, 3, h, w) or (3, h, w), NHWC likewise -> height and width.
bool read_extents(const std::vector<py::ssize_t>& shape, Layout layout, TensorView* out) {
  const std::size_t lead = shape.size() == 4 ? 1 : 0;
  if (shape.size() - lead != 3 || (lead == 1 && shape[0] != 1)) return false;
  const bool planar = layout == Layout::kNchw;
  const py::ssize_t height = shape[lead + (planar ? 1 : 0)];
  const py::ssize_t width = shape[lead + (planar ? 2 : 1)];
  if (shape[lead + (planar ? 0 : 2)] != 3 || height > kMaxSide || width > kMaxSide) return false;
  out->height = static_cast<std::int32_t>(height);
  out->width = static_cast<std::int32_t>(width);
  return true;
}

// The tensor to fill: in `out` where it is given, else in a new array; the object to return with it.
std::pair<TensorView, py::object> read_output(py::handle out, py::handle size_hw, Layout layout, py::handle dtype) {
  TensorView tensor;
  tensor.layout = layout;
  if (!size_hw.is_none()) read_size(size_hw, &tensor.height, &tensor.width, {kFunction, "size_hw"});
  if (out.is_none()) {
    if (size_hw.is_none()) throw ArgumentError("preprocess: size_hw must be given where out is not");
    const Subject subject{kFunction, "dtype"};
    const py::dtype wanted = dtype.is_none() ? py::dtype::of<float>() : read_dtype_object(dtype, subject);
    tensor.dtype = read_dtype(wanted, {kFunction, "dtype"});
    const py::ssize_t h = tensor.height, w = tensor.width;
    py::array array(
        wanted, layout == Layout::kNchw ? std::vector<py::ssize_t>{1, 3, h, w} : std::vector<py::ssize_t>{1, h, w, 3});
    tensor.data = array.mutable_data();
    return {tensor, std::move(array)};
  }
  const Subject subject{kFunction, "out"};
  const Memory memory = read_memory(out, subject);
  const bool real = memory.is('f', 4) || memory.is('f', 2);
  if (!real && !memory.is('u', 1)) throw DTypeError(subject.must("float32, float16 or uint8", describe(out)));
  tensor.dtype = memory.is('u', 1) ? DType::kUint8 : memory.item_size == 2 ? DType::kFloat16 : DType::kFloat32;
  const Subject asked_dtype{kFunction, "dtype"};
  if (!dtype.is_none() && read_dtype(read_dtype_object(dtype, asked_dtype), asked_dtype) != tensor.dtype) {
    throw DTypeError(subject.must("of the dtype asked for, " + describe(dtype), describe(out)));
  }
  const TensorView asked = tensor;
  if (!read_extents(memory.shape, layout, &tensor)) {
    throw ArgumentError(subject.must(layout == Layout::kNchw ? "of shape (1, 3, h, w) or (3, h, w) for layout NCHW"
                                                             : "of shape (1, h, w, 3) or (h, w, 3) for layout NHWC",
                                     shape_text(memory.shape)));
  }
  if (!size_hw.is_none() && (asked.height != tensor.height || asked.width != tensor.width)) {
    throw ArgumentError(subject.must("of the size asked for, " + describe(size_hw), shape_text(memory.shape)));
  }
  if (!memory.contiguous()) throw ArgumentError(subject.must("C-contiguous", "strides " + shape_text(memory.strides)));
  if (!memory.writable) throw ArgumentError(subject.must("writable", "a read-only array"));
  tensor.data = memory.data;
  return {tensor, py::reinterpret_borrow<py::object>(out)};
}

// input_from_image, or None for the whole image stretched over the input -> image_from_input.
Affine read_affine(py::handle value, const ImageView& image, const TensorView& tensor, Filter filter) {
  if (value.is_none()) {
    Affine stretch;
    stretch.xx = static_cast<double>(image.width) / tensor.width;
    stretch.yy = static_cast<double>(image.height) / tensor.height;
    return stretch;
  }
  const Subject subject{kFunction, "input_from_image"};
  const auto matrix = py::array_t<double, py::array::c_style | py::array::forcecast>::ensure(value);
  if (!matrix) {
    PyErr_Clear();
    throw DTypeError(subject.must("a 2x3 matrix of numbers", describe(value)));
  }
  if (matrix.ndim() != 2 || matrix.shape(0) != 2 || matrix.shape(1) != 3) {
    throw ArgumentError(subject.must("of shape (2, 3)", describe(value)));
  }
  const double* m = matrix.data();
  for (int i = 0; i < 6; ++i) {
    if (!std::isfinite(m[i])) throw ArgumentError(subject.must("finite", describe(py::repr(value))));
  }
  const Affine input_from_image{m[0], m[1], m[2], m[3], m[4], m[5]};
  Affine image_from_input;
  if (!invert(input_from_image, &image_from_input)) {
    throw ArgumentError(subject.must("invertible", describe(py::repr(value))));
  }
  if (filter != Filter::kLinear && !image_from_input.axis_aligned()) {
    throw ArgumentError("preprocess: filter must be 'linear' where input_from_image rotates or shears; got '" +
                        std::string(kFilters[static_cast<int>(filter)]) + "'");
  }
  return image_from_input;
}

// value = (scale * x - mean) / std, as one multiplication and one addition per channel.
void read_normalization(py::handle scale, py::handle mean, py::handle std, DType dtype, PreprocessParams* params) {
  double factor[3], means[3], stds[3];
  factor[0] = factor[1] = factor[2] = dtype == DType::kUint8 ? 1.0 : 1.0 / 255.0;
  if (!scale.is_none()) read_triple(scale, factor, {kFunction, "scale"});
  read_triple(mean, means, {kFunction, "mean"});
  read_triple(std, stds, {kFunction, "std"});
  for (int c = 0; c < 3; ++c) {
    if (!(stds[c] > 0)) throw ArgumentError(Subject{kFunction, "std"}.must("positive", describe(std)));
    const double gain = factor[c] / stds[c];
    const double bias = -means[c] / stds[c];
    // Bounded so that no finite grey level overflows float32.
    if (!(std::fabs(gain) < 1e35 && std::fabs(bias) < 1e35)) {
      throw ArgumentError("preprocess: scale / std and mean / std must be below 1e35; got scale " + describe(scale) +
                          ", mean " + describe(mean) + ", std " + describe(std));
    }
    params->scale[c] = static_cast<float>(gain);
    params->bias[c] = static_cast<float>(bias);
  }
}

// Working memory of a thread; it only grows, so a steady stream of frames allocates nothing.
class Workspace {
 public:
  void reserve(std::size_t bytes) {
    if (bytes <= capacity_) return;
    memory_.reset();
    capacity_ = 0;
    tables_ = {};
    const CheckedSize size = CheckedSize(bytes).rounded_up(64);
    memory_.reset(size.ok() ? std::aligned_alloc(64, size.value()) : nullptr);
    if (memory_ == nullptr) throw std::bad_alloc();
    capacity_ = size.value();
  }

  void* memory() const { return memory_.get(); }
  PreprocessTables* tables() { return &tables_; }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  std::unique_ptr<void, Free> memory_;
  std::size_t capacity_ = 0;
  PreprocessTables tables_;
};

py::object run_preprocess(py::handle image, py::handle size_hw, py::handle input_from_image, py::handle source_format,
                          py::handle filter, py::handle border, py::handle border_value, py::handle channel_order,
                          py::handle scale, py::handle mean, py::handle std, py::handle layout, py::handle dtype,
                          py::handle color_matrix, py::handle color_range, py::handle out, py::handle threads) {
  const PixelFormat format = read_format(source_format, false, {kFunction, "source_format"});
  const ImageView source = read_image(image, format, {kFunction, "image"});
  const auto order = read_name<Layout>(layout, kLayouts, {kFunction, "layout"});
  PreprocessParams params;
  params.filter = read_name<Filter>(filter, kFilters, {kFunction, "filter"});
  params.border = read_name<Border>(border, kBorders, {kFunction, "border"});
  params.channel_order = read_name<ChannelOrder>(channel_order, kOrders, {kFunction, "channel_order"});
  params.yuv = yuv_to_rgb(read_name<ColorMatrix>(color_matrix, kMatrices, {kFunction, "color_matrix"}),
                          read_name<ColorRange>(color_range, kRanges, {kFunction, "color_range"}));
  double border_levels[3];
  read_triple(border_value, border_levels, {kFunction, "border_value"});
  for (int c = 0; c < 3; ++c) {
    if (border_levels[c] < 0 || border_levels[c] > 255) {
      throw ArgumentError(Subject{kFunction, "border_value"}.must("grey levels from 0 to 255", describe(border_value)));
    }
    params.border_value[c] = static_cast<float>(border_levels[c]);
  }
  const auto [tensor, result] = read_output(out, size_hw, order, dtype);
  params.image_from_input = read_affine(input_from_image, source, tensor, params.filter);
  read_normalization(scale, mean, std, tensor.dtype, &params);
  const CheckedSize bytes = CheckedSize(3 * item_size(tensor.dtype)) * static_cast<std::size_t>(tensor.height) *
                            static_cast<std::size_t>(tensor.width);
  if (overlaps(source, tensor.data, bytes.value())) {
    throw ArgumentError("preprocess: out must not share memory with image");
  }
  params.threads = read_threads(threads, {kFunction, "threads"});
  const std::size_t workspace_bytes = preprocess_workspace_bytes(source, params, tensor);
  if (workspace_bytes == 0) throw std::bad_alloc();
  thread_local Workspace workspace;
  workspace.reserve(workspace_bytes);
  {
    const py::gil_scoped_release release;
    preprocess(source, params, tensor, workspace.memory(), workspace.tables());
  }
  return result;
}

}  // namespace

void register_preprocess(py::module_& module) { module.def("preprocess", &run_preprocess); }

}  // namespace handpose::bindings
