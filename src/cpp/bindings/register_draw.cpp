// draw_skeleton: arguments -> views, then the kernel without the GIL.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

#include "../kernels/skeleton_draw.hpp"
#include "array_args.hpp"
#include "register.hpp"

namespace handpose::bindings {
namespace {

constexpr const char* kFunction = "draw_skeleton";
constexpr const char* kPixels = "a number of pixels from 0 to 1e6";
constexpr const char* kMatrices[] = {"bt601", "bt709"};
constexpr const char* kRanges[] = {"limited", "full"};

// A small table of numbers given as anything NumPy makes an array of, in the type the kernel wants: read in place where
// it is that already, else converted here and checked for range, where NumPy would wrap around.
template <typename Target, typename Wide>
class Table {
 public:
  // `rows` < 0: any number; `columns` 0: a vector.
  Table(py::handle value, py::ssize_t rows, py::ssize_t columns, const Subject& subject, const char* expected) {
    // `ensure` costs NumPy far more than the question whether there is anything to do.
    const auto array =
        py::isinstance<py::array>(value) ? py::reinterpret_borrow<py::array>(value) : py::array::ensure(value);
    if (!array || !convertible(array.dtype().kind())) throw DTypeError(subject.must(expected, describe(value)));
    const bool fits = array.ndim() == (columns == 0 ? 1 : 2) && (rows < 0 || array.shape(0) == rows) &&
                      (columns == 0 || array.shape(1) == columns);
    if (!fits) throw ArgumentError(subject.must(expected, describe(array)));
    rows_ = array.shape(0);
    const bool aligned = reinterpret_cast<std::uintptr_t>(array.data()) % alignof(Target) == 0;
    if (aligned && py::isinstance<py::array_t<Target, py::array::c_style>>(array)) {
      owner_ = array;
      data_ = static_cast<const Target*>(array.data());
      return;
    }
    const py::array_t<Wide, py::array::c_style | py::array::forcecast> wide(array);
    for (py::ssize_t i = 0; i < wide.size(); ++i) {
      const Wide number = wide.data()[i];
      if (std::is_integral<Target>::value && (number < static_cast<Wide>(std::numeric_limits<Target>::lowest()) ||
                                              number > static_cast<Wide>(std::numeric_limits<Target>::max()))) {
        throw ArgumentError(subject.must(expected, py::str(py::cast(number)).template cast<std::string>()));
      }
      converted_.push_back(narrowed(number));
    }
    data_ = converted_.data();
  }

  const Target* data() const { return data_; }
  py::ssize_t rows() const { return rows_; }

 private:
  static bool convertible(char kind) {
    return kind == 'i' || kind == 'u' || (!std::is_integral<Target>::value && kind == 'f');
  }

  static Target narrowed(Wide number) {
    // What float cannot hold is infinite for it: far outside any image.
    if (!std::is_integral<Target>::value && std::fabs(static_cast<double>(number)) > FLT_MAX) {
      return static_cast<Target>(number > 0 ? HUGE_VALF : -HUGE_VALF);
    }
    return static_cast<Target>(number);
  }

  py::object owner_;
  std::vector<Target> converted_;
  const Target* data_ = nullptr;
  py::ssize_t rows_ = 0;
};

// Bones of a fiftieth of the hand's extent look alike at any distance.
float suited_thickness(const float* points, py::ssize_t count) {
  float low[2] = {FLT_MAX, FLT_MAX}, high[2] = {-FLT_MAX, -FLT_MAX};
  for (py::ssize_t i = 0; i < count; ++i) {
    if (!std::isfinite(points[2 * i]) || !std::isfinite(points[2 * i + 1])) continue;
    for (int axis = 0; axis < 2; ++axis) {
      low[axis] = std::min(low[axis], points[2 * i + axis]);
      high[axis] = std::max(high[axis], points[2 * i + axis]);
    }
  }
  if (low[0] > high[0]) return 1.5f;
  const double extent = std::hypot(static_cast<double>(high[0]) - low[0], static_cast<double>(high[1]) - low[1]);
  return static_cast<float>(std::min(std::max(extent / 50, 1.5), 12.0));
}

float read_number(py::handle value, double low, double high, const Subject& subject, const char* expected) {
  double number = 0;
  try {
    number = value.cast<double>();
  } catch (const py::cast_error&) {
    throw DTypeError(subject.must(expected, describe(value)));
  }
  if (!(number >= low && number <= high)) throw ArgumentError(subject.must(expected, describe(value)));
  return static_cast<float>(number);
}

py::object run_draw_skeleton(py::handle image, py::handle points, py::handle scores, py::handle source_format,
                             py::handle bones, py::handle bone_colors, py::handle joint_colors, py::handle thickness,
                             py::handle joint_radius, py::handle min_score, py::handle opacity, py::handle color_matrix,
                             py::handle color_range) {
  const PixelFormat format = read_format(source_format, true, {kFunction, "source_format"});
  const MutableImageView target = read_writable_image(image, format, {kFunction, "image"});
  const Table<float, double> joints(points, -1, 2, {kFunction, "points"}, "numbers of shape (K, 2)");
  const py::ssize_t count = joints.rows();
  SkeletonParams params;
  params.points = joints.data();
  params.joints = static_cast<std::size_t>(count);
  std::optional<Table<float, double>> weights;
  if (!scores.is_none()) {
    weights.emplace(scores, count, 0, Subject{kFunction, "scores"}, "numbers of shape (K,), one per point");
    params.scores = weights->data();
  }
  const Table<std::int32_t, std::int64_t> pairs(bones, -1, 2, {kFunction, "bones"},
                                                "integers of shape (B, 2), indices of points");
  for (py::ssize_t i = 0; i < 2 * pairs.rows(); ++i) {
    if (pairs.data()[i] < 0 || pairs.data()[i] >= count) {
      throw ArgumentError(Subject{kFunction, "bones"}.must("indices of points, 0 to " + std::to_string(count - 1),
                                                           std::to_string(pairs.data()[i])));
    }
  }
  const Table<std::uint8_t, std::int64_t> bone_rgb(bone_colors, pairs.rows(), 3, {kFunction, "bone_colors"},
                                                   "RGB of shape (B, 3), one per bone, integers from 0 to 255");
  const Table<std::uint8_t, std::int64_t> joint_rgb(joint_colors, count, 3, {kFunction, "joint_colors"},
                                                    "RGB of shape (K, 3), one per point, integers from 0 to 255");
  params.bones = pairs.data();
  params.bone_count = static_cast<std::size_t>(pairs.rows());
  params.bone_colors = bone_rgb.data();
  params.joint_colors = joint_rgb.data();
  params.thickness = thickness.is_none() ? suited_thickness(joints.data(), count)
                                         : read_number(thickness, 0, 1e6, {kFunction, "thickness"}, kPixels);
  params.joint_radius = joint_radius.is_none()
                            ? 0.8f * params.thickness
                            : read_number(joint_radius, 0, 1e6, {kFunction, "joint_radius"}, kPixels);
  params.min_score = read_number(min_score, -1e30, 1e30, {kFunction, "min_score"}, "a number");
  params.opacity = read_number(opacity, 0, 1, {kFunction, "opacity"}, "a number from 0 to 1");
  params.color_matrix = read_name<ColorMatrix>(color_matrix, kMatrices, {kFunction, "color_matrix"});
  params.color_range = read_name<ColorRange>(color_range, kRanges, {kFunction, "color_range"});
  {
    const py::gil_scoped_release release;
    draw_skeleton(target, params);
  }
  return py::reinterpret_borrow<py::object>(image);
}

}  // namespace

void register_draw(py::module_& module) { module.def("draw_skeleton", &run_draw_skeleton); }

}  // namespace handpose::bindings
