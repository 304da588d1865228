#include "kernel_table.hpp"

#include <atomic>

namespace handpose {
namespace {

constexpr KernelTable kTables[] = {
    {Isa::kScalar, scalar::linear_row, scalar::taps_row, scalar::rotated_row, scalar::write_row, scalar::find_peak,
     scalar::first_moments, scalar::second_moments, scalar::blend_span, scalar::palette_map_row},
};

std::atomic<const KernelTable*> active_table{nullptr};

}  // namespace

const KernelTable* supported_kernels(std::size_t* count) {
  *count = sizeof kTables / sizeof kTables[0];
  return kTables;
}

const KernelTable& active_kernels() {
  const KernelTable* table = active_table.load(std::memory_order_relaxed);
  if (table == nullptr) {
    std::size_t count = 0;
    const KernelTable* supported = supported_kernels(&count);
    table = &supported[count - 1];
    active_table.store(table, std::memory_order_relaxed);
  }
  return *table;
}

void activate_kernels(const KernelTable& table) { active_table.store(&table, std::memory_order_relaxed); }

}  // namespace handpose
