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
  constexpr std::size_t kLongest = 80;
  std::string text = py::repr(value).cast<std::string>();
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

void register_errors(py::module_&) { py::register_local_exception_translator(translate); }

}  // namespace handpose::bindings
