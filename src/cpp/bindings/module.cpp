#include "errors.hpp"
#include "register.hpp"

PYBIND11_MODULE(_native, module) {
  namespace bindings = handpose::bindings;
  module.doc() = "The compiled kernels. Private: use the functions of handpose_native.";
  bindings::register_errors(module);
  bindings::register_build(module);
  bindings::register_isa(module);
  bindings::register_preprocess(module);
  bindings::register_heatmap(module);
  bindings::register_draw(module);
  bindings::register_palette(module);
}
