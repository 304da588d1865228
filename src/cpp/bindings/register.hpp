// One function per category of bindings, each in its own file.
#pragma once

#include "pybind.hpp"

namespace handpose::bindings {

void register_build(py::module_& module);
void register_draw(py::module_& module);
void register_heatmap(py::module_& module);
void register_isa(py::module_& module);
void register_palette(py::module_& module);
void register_preprocess(py::module_& module);

}  // namespace handpose::bindings
