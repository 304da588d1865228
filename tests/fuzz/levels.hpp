// Runs a kernel on every level of this machine and compares with "scalar".
#pragma once

#include "kernels/kernel_table.hpp"

namespace handpose::fuzzing {

// Calls run() on level 0, which defines the result, and then same(run on the level) for each other level.
template <typename Run, typename Compare>
void on_every_level(const Run& run, const Compare& compare) {
  std::size_t count = 0;
  const KernelTable* const levels = supported_kernels(&count);
  for (std::size_t level = 0; level < count; ++level) {
    activate_kernels(levels[level]);
    run();
    compare(level == 0);
  }
}

}  // namespace handpose::fuzzing
