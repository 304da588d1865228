// Which levels there are and which one is in use.
#include <string>
#include <vector>

#include "../kernels/kernel_table.hpp"
#include "array_args.hpp"
#include "register.hpp"

namespace handpose::bindings {
namespace {

std::vector<std::string> isa_levels() {
  std::size_t count = 0;
  const KernelTable* tables = supported_kernels(&count);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.emplace_back(isa_name(tables[i].isa));
  return names;
}

std::string active_isa() { return isa_name(active_kernels().isa); }

void set_isa(py::handle level) {
  std::size_t count = 0;
  const KernelTable* tables = supported_kernels(&count);
  std::vector<const char*> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(isa_name(tables[i].isa));
  activate_kernels(tables[read_choice(level, names.data(), count, {"isa", "level"})]);
}

}  // namespace

void register_isa(py::module_& module) {
  module.def("isa_levels", &isa_levels);
  module.def("active_isa", &active_isa);
  module.def("set_isa", &set_isa, py::arg("level"));
}

}  // namespace handpose::bindings
