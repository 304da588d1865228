// Python arrays and buffers -> views of the core. All checks of memory, shape and dtype are made here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "../core/image_view.hpp"
#include "../core/tensor_view.hpp"
#include "errors.hpp"
#include "pybind.hpp"

namespace handpose::bindings {

// Memory of a NumPy array, or of any object with `address`, `shape` and `dtype` (C-contiguous; `host_accessible` may
// forbid).
struct Memory {
  std::uint8_t* data = nullptr;
  std::vector<py::ssize_t> shape;
  std::vector<py::ssize_t> strides;  // bytes
  char kind = 0;                     // as numpy.dtype.kind; 0 where the byte order is foreign
  py::ssize_t item_size = 0;
  bool writable = false;
  std::string text;  // for messages: dtype and shape

  bool is(char wanted_kind, py::ssize_t wanted_size) const { return kind == wanted_kind && item_size == wanted_size; }
  bool contiguous() const;
  bool aligned() const { return reinterpret_cast<std::uintptr_t>(data) % static_cast<std::uintptr_t>(item_size) == 0; }
  std::size_t bytes() const;  // of all items; 0 where that is more than there can be
};

// Reads the memory behind `value`; DTypeError where it is neither an array nor a buffer, ArgumentError where it is
// empty or cannot be reached by the CPU.
Memory read_memory(py::handle value, const Subject& subject);

// A whole picture in `format`: an array, or a tuple of planes for nv12 and yuv420p.
ImageView read_image(py::handle value, PixelFormat format, const Subject& subject);
MutableImageView read_writable_image(py::handle value, PixelFormat format, const Subject& subject);

// A dense, writable result of `shape`, of float32.
float* read_float_result(py::handle value, const std::vector<py::ssize_t>& shape, const Subject& subject);

// Whether any byte of the image lies within [begin, begin + bytes).
bool overlaps(const ImageView& image, const void* begin, std::size_t bytes);

// Whether two blocks of memory share a byte.
bool overlap(const void* a, std::size_t a_bytes, const void* b, std::size_t b_bytes);

// Anything numpy.dtype takes; DTypeError for the rest.
py::dtype read_dtype_object(py::handle value, const Subject& subject);

// One of a few names -> the enum value at its place.
template <typename Enum, std::size_t N>
Enum read_name(py::handle value, const char* const (&names)[N], const Subject& subject);

// A pixel format that can be read, or drawn on.
PixelFormat read_format(py::handle value, bool drawable, const Subject& subject);

std::string shape_text(const std::vector<py::ssize_t>& shape);

// The index of `value` among names; ArgumentError that lists them where it is none.
std::size_t read_choice(py::handle value, const char* const* names, std::size_t count, const Subject& subject);

template <typename Enum, std::size_t N>
Enum read_name(py::handle value, const char* const (&names)[N], const Subject& subject) {
  return static_cast<Enum>(read_choice(value, names, N, subject));
}

// A finite number, or three of them: one per channel.
void read_triple(py::handle value, double triple[3], const Subject& subject);

// How many threads may share a call, 1 to kMostThreads; makes sure that there are so many.
std::int32_t read_threads(py::handle value, const Subject& subject);

// A positive (height, width), each at most kMaxSide.
void read_size(py::handle value, std::int32_t* height, std::int32_t* width, const Subject& subject);

}  // namespace handpose::bindings
