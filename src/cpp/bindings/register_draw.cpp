// draw_skeleton: arguments -> views, then the kernel without the GIL.
#include <cmath>

#include "../kernels/skeleton_draw.hpp"
#include "array_args.hpp"
#include "register.hpp"

namespace handpose::bindings {
namespace {

constexpr const char* kFunction = "draw_skeleton";
constexpr const char* kMatrices[] = {"bt601", "bt709"};
constexpr const char* kRanges[] = {"limited", "full"};

template <typename T>
using Dense = py::array_t<T, py::array::c_style | py::array::forcecast>;

// Anything NumPy can make an array of `rows` (any number where negative) by `columns` (a vector where 0) of.
template <typename T>
Dense<T> read_table(py::handle value, py::ssize_t rows, py::ssize_t columns, const Subject& subject,
                    const char* expected) {
  auto table = Dense<T>::ensure(value);
  if (!table) {
    PyErr_Clear();
    throw DTypeError(subject.must(expected, describe(value)));
  }
  const bool fits = table.ndim() == (columns == 0 ? 1 : 2) && (rows < 0 || table.shape(0) == rows) &&
                    (columns == 0 || table.shape(1) == columns);
  if (!fits) throw ArgumentError(subject.must(expected, describe(table)));
  return table;
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
  const auto joints = read_table<float>(points, -1, 2, {kFunction, "points"}, "numbers of shape (K, 2)");
  const py::ssize_t count = joints.shape(0);
  SkeletonParams params;
  params.points = joints.data();
  params.joints = static_cast<std::size_t>(count);
  Dense<float> weights;
  if (!scores.is_none()) {
    weights = read_table<float>(scores, count, 0, {kFunction, "scores"}, "numbers of shape (K,), one per point");
    params.scores = weights.data();
  }
  const auto pairs = read_table<std::int32_t>(bones, -1, 2, {kFunction, "bones"}, "integers of shape (B, 2)");
  for (py::ssize_t i = 0; i < pairs.size(); ++i) {
    if (pairs.data()[i] < 0 || pairs.data()[i] >= count) {
      throw ArgumentError(Subject{kFunction, "bones"}.must("indices of points, 0 to " + std::to_string(count - 1),
                                                           std::to_string(pairs.data()[i])));
    }
  }
  const auto bone_rgb = read_table<std::uint8_t>(bone_colors, pairs.shape(0), 3, {kFunction, "bone_colors"},
                                                 "uint8 of shape (B, 3), RGB, one per bone");
  const auto joint_rgb = read_table<std::uint8_t>(joint_colors, count, 3, {kFunction, "joint_colors"},
                                                  "uint8 of shape (K, 3), RGB, one per point");
  params.bones = pairs.data();
  params.bone_count = static_cast<std::size_t>(pairs.shape(0));
  params.bone_colors = bone_rgb.data();
  params.joint_colors = joint_rgb.data();
  params.thickness = read_number(thickness, 0, 1e6, {kFunction, "thickness"}, "a number of pixels from 0 to 1e6");
  params.joint_radius =
      read_number(joint_radius, 0, 1e6, {kFunction, "joint_radius"}, "a number of pixels from 0 to 1e6");
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
