// palette_map and palette_map_changed: arguments -> views, then the kernel without the GIL.
#include "../kernels/palette_map.hpp"
#include "array_args.hpp"
#include "register.hpp"

namespace handpose::bindings {
namespace {

constexpr const char* kFunction = "palette_map";

// C-contiguous bytes of a shape.
Memory read_bytes(py::handle value, const std::vector<py::ssize_t>& shape, bool writable, const Subject& subject) {
  const Memory memory = read_memory(value, subject);
  const auto expected = [&] {
    return std::string(writable ? "writable, " : "") + "C-contiguous uint8 of shape " + shape_text(shape);
  };
  if (!memory.is('u', 1)) throw DTypeError(subject.must(expected(), describe(value)));
  if (memory.shape != shape || !memory.contiguous() || (writable && !memory.writable)) {
    throw ArgumentError(subject.must(expected(), describe(value)));
  }
  return memory;
}

py::object run_palette_map(py::handle image, py::handle lut, py::handle out) {
  const ImageView source = read_image(image, PixelFormat::kBgr24, {kFunction, "image"});
  const Memory table = read_bytes(lut, {64, 64, 64}, false, {kFunction, "lut"});
  const std::vector<py::ssize_t> shape{source.height, source.width};
  py::object result = out.is_none() ? py::array_t<std::uint8_t>(shape) : py::reinterpret_borrow<py::object>(out);
  const Memory indices = read_bytes(result, shape, true, {kFunction, "out"});
  if (overlaps(source, indices.data, indices.bytes()) ||
      overlap(table.data, table.bytes(), indices.data, indices.bytes())) {
    throw ArgumentError("palette_map: out must not share memory with image or lut");
  }
  {
    const py::gil_scoped_release release;
    palette_map(source, table.data, indices.data);
  }
  return result;
}

void run_palette_map_changed(py::handle image, py::handle lut, std::uint8_t tolerance, py::handle held,
                             py::handle out) {
  constexpr const char* kChanged = "palette_map_changed";
  const ImageView source = read_image(image, PixelFormat::kBgr24, {kChanged, "image"});
  const Memory table = read_bytes(lut, {64, 64, 64}, false, {kChanged, "lut"});
  const Memory before = read_bytes(held, {source.height, source.width, 3}, true, {kChanged, "held"});
  const Memory indices = read_bytes(out, {source.height, source.width}, true, {kChanged, "out"});
  if (overlaps(source, before.data, before.bytes()) || overlaps(source, indices.data, indices.bytes()) ||
      overlap(table.data, table.bytes(), before.data, before.bytes()) ||
      overlap(table.data, table.bytes(), indices.data, indices.bytes()) ||
      overlap(before.data, before.bytes(), indices.data, indices.bytes())) {
    throw ArgumentError("palette_map_changed: held and out must share memory neither with image or lut nor each other");
  }
  const py::gil_scoped_release release;
  palette_map_changed(source, table.data, tolerance, before.data, indices.data);
}

}  // namespace

void register_palette(py::module_& module) {
  module.def("palette_map", &run_palette_map);
  module.def("palette_map_changed", &run_palette_map_changed);
}

}  // namespace handpose::bindings
