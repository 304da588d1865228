#include "array_args.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "../core/checked_math.hpp"
#include "../core/thread_pool.hpp"

namespace handpose::bindings {
namespace {

bool native_order(char byteorder) { return byteorder == '=' || byteorder == '|' || byteorder == '<'; }

void read_dtype(const py::dtype& dtype, Memory* memory) {
  memory->kind = native_order(dtype.byteorder()) ? dtype.kind() : '\0';
  memory->item_size = dtype.itemsize();
}

Memory memory_of_array(const py::array& array) {
  Memory memory;
  memory.data = static_cast<std::uint8_t*>(const_cast<void*>(array.data()));
  memory.shape.assign(array.shape(), array.shape() + array.ndim());
  memory.strides.assign(array.strides(), array.strides() + array.ndim());
  memory.writable = array.writeable();
  read_dtype(array.dtype(), &memory);
  return memory;
}

// Like hasattr of Python: an error other than AttributeError is the buffer's own and goes on to the caller.
bool has_attribute(py::handle value, const char* name) {
  const auto attribute = py::reinterpret_steal<py::object>(PyObject_GetAttrString(value.ptr(), name));
  if (attribute) return true;
  if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw py::error_already_set();
  PyErr_Clear();
  return false;
}

// An attribute of a buffer as a C++ value; DTypeError where it is something else.
template <typename T>
T read_attribute(py::handle buffer, const char* name, const char* expected, const Subject& subject) {
  const py::object value = buffer.attr(name);
  try {
    return value.cast<T>();
  } catch (const py::cast_error&) {
    throw DTypeError(subject.must(std::string("a buffer whose ") + name + " is " + expected, describe(value)));
  }
}

Memory memory_of_buffer(py::handle value, const Subject& subject) {
  if (has_attribute(value, "host_accessible") && !read_attribute<bool>(value, "host_accessible", "a bool", subject)) {
    throw ArgumentError(subject.must("memory that the CPU can reach", "a buffer whose host_accessible is False"));
  }
  Memory memory;
  const auto address = read_attribute<std::uintptr_t>(value, "address", "an address", subject);
  memory.data = reinterpret_cast<std::uint8_t*>(address);
  memory.shape = read_attribute<std::vector<py::ssize_t>>(value, "shape", "a tuple of integers", subject);
  memory.writable = true;
  read_dtype(read_dtype_object(value.attr("dtype"), subject), &memory);
  if (address == 0) throw ArgumentError(subject.must("memory with an address", "a buffer at address 0"));
  for (const py::ssize_t extent : memory.shape) {
    if (extent < 1) throw ArgumentError(subject.must("not empty", shape_text(memory.shape)));
  }
  if (memory.bytes() == 0) throw ArgumentError(subject.must("within the address space", shape_text(memory.shape)));
  memory.strides.resize(memory.shape.size());
  py::ssize_t stride = memory.item_size;
  for (std::size_t i = memory.shape.size(); i-- > 0; stride *= memory.shape[i]) memory.strides[i] = stride;
  return memory;
}

// One plane of uint8 with `channels` per pixel out of an array of shape (height, width[, channels]).
MutablePlane read_plane(py::handle value, int channels, const Subject& subject) {
  const Memory memory = read_memory(value, subject);
  const auto expected = [&] {
    return "uint8 with shape (H, W" + (channels == 1 ? "" : ", " + std::to_string(channels)) + ")";
  };
  if (!memory.is('u', 1)) throw DTypeError(subject.must(expected(), describe(value)));
  const std::size_t rank = channels == 1 ? 2 : 3;
  if (memory.shape.size() != rank || (rank == 3 && memory.shape[2] != channels)) {
    throw ArgumentError(subject.must(expected(), describe(value)));
  }
  if (memory.shape[0] > kMaxSide || memory.shape[1] > kMaxSide) {
    throw ArgumentError(subject.must("at most " + std::to_string(kMaxSide) + " pixels high and wide", describe(value)));
  }
  const bool packed = (memory.shape[1] == 1 || memory.strides[1] == channels) && (rank == 2 || memory.strides[2] == 1);
  if (!packed) {
    throw ArgumentError(subject.must("packed within each row (any pitch of rows): pass numpy.ascontiguousarray of it",
                                     describe(value) + " with strides " + shape_text(memory.strides)));
  }
  MutablePlane plane;
  plane.data = memory.data;
  plane.pitch_bytes = memory.shape[0] == 1 ? 0 : memory.strides[0];
  plane.height = static_cast<std::int32_t>(memory.shape[0]);
  plane.width = static_cast<std::int32_t>(memory.shape[1]);
  plane.channels = channels;
  return plane;
}

MutableImageView read_planes(py::handle value, PixelFormat format, const Subject& subject) {
  MutableImageView image;
  image.format = format;
  const int count = plane_count(format);
  if (count == 1) {
    image.planes[0] = read_plane(value, plane_channels(format, 0), subject);
  } else {
    const std::string expected = count == 2 ? "a tuple of planes (y, uv)" : "a tuple of planes (y, u, v)";
    if (!py::isinstance<py::tuple>(value) && !py::isinstance<py::list>(value)) {
      throw DTypeError(subject.must(expected, describe(value)));
    }
    const auto planes = py::reinterpret_borrow<py::sequence>(value);
    if (static_cast<int>(planes.size()) != count) throw ArgumentError(subject.must(expected, describe(value)));
    for (int i = 0; i < count; ++i) {
      const py::object plane = planes[static_cast<std::size_t>(i)];
      image.planes[i] = read_plane(plane, plane_channels(format, i), subject);
    }
    const std::int32_t chroma_h = (image.planes[0].height + 1) / 2;
    const std::int32_t chroma_w = (image.planes[0].width + 1) / 2;
    for (int i = 1; i < count; ++i) {
      if (image.planes[i].height == chroma_h && image.planes[i].width == chroma_w) continue;
      throw ArgumentError(subject.must(
          "planes whose chroma has half the size of luma, rounded up: (" + std::to_string(chroma_h) + ", " +
              std::to_string(chroma_w) + ")",
          "(" + std::to_string(image.planes[i].height) + ", " + std::to_string(image.planes[i].width) + ")"));
    }
  }
  image.height = image.planes[0].height;
  image.width = image.planes[0].width;
  return image;
}

void require_writable(py::handle value, const Subject& subject) {
  const auto require = [&](py::handle one) {
    if (!read_memory(one, subject).writable) throw ArgumentError(subject.must("writable", "a read-only array"));
  };
  if (py::isinstance<py::tuple>(value) || py::isinstance<py::list>(value)) {
    for (const py::handle plane : py::reinterpret_borrow<py::sequence>(value)) require(plane);
  } else {
    require(value);
  }
}

double read_finite(py::handle value, const Subject& subject, py::handle whole) {
  const char* const expected = "a finite number or three of them";
  double number = 0;
  try {
    number = value.cast<double>();
  } catch (const py::cast_error&) {
    throw DTypeError(subject.must(expected, describe(whole)));
  }
  if (!std::isfinite(number)) throw ArgumentError(subject.must(expected, describe(whole)));
  return number;
}

}  // namespace

bool Memory::contiguous() const {
  py::ssize_t expected = item_size;
  for (std::size_t i = shape.size(); i-- > 0; expected *= shape[i]) {
    if (shape[i] != 1 && strides[i] != expected) return false;
  }
  return true;
}

std::size_t Memory::bytes() const {
  CheckedSize size(static_cast<std::size_t>(item_size));
  for (const py::ssize_t extent : shape) size = size * static_cast<std::size_t>(extent);
  const bool fits = size.ok() && size.value() <= std::numeric_limits<std::size_t>::max() / 2;
  return fits ? size.value() : 0;
}

py::dtype read_dtype_object(py::handle value, const Subject& subject) {
  try {
    return py::dtype::from_args(py::reinterpret_borrow<py::object>(value));
  } catch (const py::error_already_set&) {
    throw DTypeError(subject.must("a dtype", describe(value)));
  }
}

bool overlap(const void* a, std::size_t a_bytes, const void* b, std::size_t b_bytes) {
  const auto a_first = reinterpret_cast<std::uintptr_t>(a);
  const auto b_first = reinterpret_cast<std::uintptr_t>(b);
  return a_first < b_first + b_bytes && b_first < a_first + a_bytes;
}

std::string shape_text(const std::vector<py::ssize_t>& shape) {
  return py::str(py::tuple(py::cast(shape))).cast<std::string>();
}

Memory read_memory(py::handle value, const Subject& subject) {
  Memory memory;
  if (py::isinstance<py::array>(value)) {
    memory = memory_of_array(py::reinterpret_borrow<py::array>(value));
  } else if (has_attribute(value, "address") && has_attribute(value, "shape") && has_attribute(value, "dtype")) {
    memory = memory_of_buffer(value, subject);
  } else {
    throw DTypeError(subject.must("a numpy array, or a buffer with address, shape and dtype", describe(value)));
  }
  for (const py::ssize_t extent : memory.shape) {
    if (extent < 1) throw ArgumentError(subject.must("not empty", shape_text(memory.shape)));
  }
  return memory;
}

ImageView read_image(py::handle value, PixelFormat format, const Subject& subject) {
  const MutableImageView image = read_planes(value, format, subject);
  ImageView view;
  view.format = image.format;
  view.width = image.width;
  view.height = image.height;
  for (int i = 0; i < 3; ++i) {
    const MutablePlane& plane = image.planes[i];
    view.planes[i] = {plane.data, plane.pitch_bytes, plane.width, plane.height, plane.channels};
  }
  return view;
}

MutableImageView read_writable_image(py::handle value, PixelFormat format, const Subject& subject) {
  const MutableImageView image = read_planes(value, format, subject);
  require_writable(value, subject);
  return image;
}

float* read_float_result(py::handle value, const std::vector<py::ssize_t>& shape, const Subject& subject) {
  const Memory memory = read_memory(value, subject);
  const auto expected = [&] { return "writable, aligned, C-contiguous float32 with shape " + shape_text(shape); };
  if (!memory.is('f', 4)) throw DTypeError(subject.must(expected(), describe(value)));
  if (memory.shape != shape || !memory.contiguous() || !memory.aligned() || !memory.writable) {
    throw ArgumentError(subject.must(expected(), describe(value)));
  }
  return reinterpret_cast<float*>(memory.data);
}

bool overlaps(const ImageView& image, const void* begin, std::size_t bytes) {
  const auto from = reinterpret_cast<std::uintptr_t>(begin);
  for (int i = 0; i < plane_count(image.format); ++i) {
    const Plane& plane = image.planes[i];
    auto first = reinterpret_cast<std::uintptr_t>(plane.row(0));
    auto last = reinterpret_cast<std::uintptr_t>(plane.row(plane.height - 1));
    if (last < first) std::swap(first, last);
    last += static_cast<std::uintptr_t>(plane.width) * static_cast<std::uintptr_t>(plane.channels);
    if (first < from + bytes && from < last) return true;
  }
  return false;
}

std::size_t read_choice(py::handle value, const char* const* names, std::size_t count, const Subject& subject) {
  if (PyUnicode_Check(value.ptr())) {
    py::ssize_t length = 0;  // the text may hold NUL characters
    const char* text = PyUnicode_AsUTF8AndSize(value.ptr(), &length);
    if (text == nullptr) PyErr_Clear();
    for (std::size_t i = 0; text != nullptr && i < count; ++i) {
      if (std::strlen(names[i]) == static_cast<std::size_t>(length) && std::strcmp(text, names[i]) == 0) return i;
    }
  }
  std::string expected = "one of ";
  for (std::size_t i = 0; i < count; ++i) expected += (i == 0 ? "'" : ", '") + std::string(names[i]) + "'";
  throw ArgumentError(subject.must(expected, describe(value)));
}

PixelFormat read_format(py::handle value, bool drawable, const Subject& subject) {
  // Pictures to read may be grey, pictures to draw on may have an alpha channel.
  constexpr const char* kSources[] = {"bgr24", "rgb24", "gray8", "nv12", "yuv420p"};
  constexpr const char* kTargets[] = {"bgr24", "rgb24", "bgra32", "nv12", "yuv420p"};
  constexpr PixelFormat kFormats[] = {PixelFormat::kBgr24, PixelFormat::kRgb24, PixelFormat::kGray8, PixelFormat::kNv12,
                                      PixelFormat::kYuv420p};
  const std::size_t index = read_choice(value, drawable ? kTargets : kSources, 5, subject);
  return drawable && index == 2 ? PixelFormat::kBgra32 : kFormats[index];
}

void read_triple(py::handle value, double triple[3], const Subject& subject) {
  // Everything that is not a sequence is taken for a number: Python's, NumPy's scalars, or nothing of use.
  if (PyFloat_Check(value.ptr()) || PySequence_Check(value.ptr()) == 0) {
    triple[0] = triple[1] = triple[2] = read_finite(value, subject, value);
    return;
  }
  const auto numbers = py::reinterpret_borrow<py::sequence>(value);
  if (PyUnicode_Check(value.ptr()) || numbers.size() != 3) {
    throw ArgumentError(subject.must("a finite number or three of them", describe(value)));
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const py::object number = numbers[i];
    triple[i] = read_finite(number, subject, value);
  }
}

std::int32_t read_threads(py::handle value, const Subject& subject) {
  const auto expected = [] { return "an integer from 1 to " + std::to_string(kMostThreads); };
  std::int64_t threads = 0;
  try {
    threads = value.cast<std::int64_t>();
  } catch (const py::cast_error&) {
    throw DTypeError(subject.must(expected(), describe(value)));
  }
  if (threads < 1 || threads > kMostThreads) throw ArgumentError(subject.must(expected(), describe(value)));
  reserve_threads(static_cast<std::int32_t>(threads));
  return static_cast<std::int32_t>(threads);
}

void read_size(py::handle value, std::int32_t* height, std::int32_t* width, const Subject& subject) {
  const auto expected = [] { return "(height, width), integers from 1 to " + std::to_string(kMaxSide); };
  std::vector<std::int64_t> size;
  try {
    size = value.cast<std::vector<std::int64_t>>();
  } catch (const py::cast_error&) {
    throw DTypeError(subject.must(expected(), describe(value)));
  }
  if (size.size() != 2 || size[0] < 1 || size[1] < 1 || size[0] > kMaxSide || size[1] > kMaxSide) {
    throw ArgumentError(subject.must(expected(), describe(value)));
  }
  *height = static_cast<std::int32_t>(size[0]);
  *width = static_cast<std::int32_t>(size[1]);
}

}  // namespace handpose::bindings
