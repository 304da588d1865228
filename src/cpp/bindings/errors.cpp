#include "errors.hpp"

namespace handpose::bindings {
namespace {

void raise(const char* name, const char* message) {
  const py::object type = py::module_::import("handpose_native.errors").attr(name);
  PyErr_SetString(type.ptr(), message);
}

void translate(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const ArgumentError& e) {
    raise("ArgumentError", e.what());
  } catch (const DTypeError& e) {
    raise("DTypeError", e.what());
  }
}

}  // namespace

std::string describe(py::handle value) {
  if (py::isinstance<py::array>(value)) {
    return py::str(value.attr("dtype")).cast<std::string>() + " " + py::str(value.attr("shape")).cast<std::string>();
  }
  constexpr py::ssize_t kLongest = 80;  // characters, not bytes
  const py::str text = py::repr(value);
  if (PyUnicode_GetLength(text.ptr()) <= kLongest) return text.cast<std::string>();
  const auto start = py::reinterpret_steal<py::str>(PyUnicode_Substring(text.ptr(), 0, kLongest));
  return start.cast<std::string>() + "...";
}

void register_errors(py::module_&) { py::register_local_exception_translator(translate); }

}  // namespace handpose::bindings
