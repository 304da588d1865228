// palette_map: arguments -> views, then the kernel without the GIL.
#include "../kernels/palette_map.hpp"
#include "array_args.hpp"
#include "register.hpp"

namespace handpose::bindings {
namespace {

constexpr const char* kFunction = "palette_map";

py::object run_palette_map(py::handle image, py::handle lut, py::handle out) {
  const ImageView source = read_image(image, PixelFormat::kBgr24, {kFunction, "image"});
  const Memory table = read_memory(lut, {kFunction, "lut"});
  if (!table.is('u', 1) || table.shape != std::vector<py::ssize_t>{64, 64, 64} || !table.contiguous()) {
    throw ArgumentError(Subject{kFunction, "lut"}.must("C-contiguous uint8 of shape (64, 64, 64)", describe(lut)));
  }
  const std::vector<py::ssize_t> shape{source.height, source.width};
  py::object result = out.is_none() ? py::array_t<std::uint8_t>(shape) : py::reinterpret_borrow<py::object>(out);
  const Memory indices = read_memory(result, {kFunction, "out"});
  if (!indices.is('u', 1) || indices.shape != shape || !indices.contiguous() || !indices.writable) {
    throw ArgumentError(
        Subject{kFunction, "out"}.must("writable, C-contiguous uint8 of shape " + shape_text(shape), describe(out)));
  }
  if (overlaps(source, indices.data, indices.bytes())) {
    throw ArgumentError("palette_map: out must not share memory with image");
  }
  {
    const py::gil_scoped_release release;
    palette_map(source, table.data, indices.data);
  }
  return result;
}

}  // namespace

void register_palette(py::module_& module) { module.def("palette_map", &run_palette_map); }

}  // namespace handpose::bindings
