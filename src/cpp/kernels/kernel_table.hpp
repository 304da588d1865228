// One table of functions per level, and the one that is active.
#pragma once

#include <cstddef>

#include "../core/isa.hpp"
#include "levels.hpp"

namespace handpose {

struct KernelTable {
  Isa isa;
  // Once for new tables, before the rows, which threads may share.
  decltype(&scalar::prepare_linear) prepare_linear;
  decltype(&scalar::prepare_taps) prepare_taps;
  decltype(&scalar::linear_rows) linear_rows;
  decltype(&scalar::taps_rows) taps_rows;
  decltype(&scalar::rotated_rows) rotated_rows;
  decltype(&scalar::find_peak) find_peak;
  decltype(&scalar::first_moments) first_moments;
  decltype(&scalar::second_moments) second_moments;
  decltype(&scalar::blur_around) blur_around;
  decltype(&scalar::blend_rows) blend_rows;
  decltype(&scalar::palette_map_row) palette_map_row;
  decltype(&scalar::palette_map_changed_row) palette_map_changed_row;
};

// The levels that are compiled in and that this CPU has, slowest first; `count` receives how many.
const KernelTable* supported_kernels(std::size_t* count);

// The table in use: the fastest supported one unless activate_kernels has chosen another. Safe from any thread.
const KernelTable& active_kernels();

void activate_kernels(const KernelTable& table);

}  // namespace handpose
