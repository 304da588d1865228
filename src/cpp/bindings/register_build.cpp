// Facts of the build, for show_config and bug reports.
#include "register.hpp"

namespace handpose::bindings {

void register_build(py::module_& module) {
#if defined(__clang__)
  module.attr("COMPILER") = "clang " __clang_version__;
#else
  module.attr("COMPILER") = "gcc " __VERSION__;
#endif
  module.attr("VERSION") = HANDPOSE_VERSION;
  module.attr("FLAGS") = HANDPOSE_FLAGS;
  module.attr("PYBIND11_VERSION") = PYBIND11_TOSTRING(PYBIND11_VERSION_MAJOR) "." PYBIND11_TOSTRING(
      PYBIND11_VERSION_MINOR) "." PYBIND11_TOSTRING(PYBIND11_VERSION_PATCH);
#if defined(__aarch64__)
  module.attr("ARCHITECTURE") = "aarch64";
#elif defined(__x86_64__)
  module.attr("ARCHITECTURE") = "x86-64";
#else
  module.attr("ARCHITECTURE") = "other";
#endif
#if defined(NDEBUG)
  module.attr("DEBUG") = false;
#else
  module.attr("DEBUG") = true;
#endif
}

}  // namespace handpose::bindings
