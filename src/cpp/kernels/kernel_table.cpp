#include "kernel_table.hpp"

#include <atomic>

namespace handpose {
namespace {

// A level may leave a function out and name a lower level's here, which gives the same bits.
constexpr KernelTable kTables[] = {
    {Isa::kScalar, scalar::prepare_linear, scalar::prepare_taps, scalar::linear_rows, scalar::taps_rows,
     scalar::rotated_rows, scalar::find_peak, scalar::first_moments, scalar::second_moments, scalar::blur_around,
     scalar::blend_rows, scalar::palette_map_row, scalar::palette_map_changed_row},
#if defined(__x86_64__)
    {Isa::kAvx2, avx2::prepare_linear, avx2::prepare_taps, avx2::linear_rows, avx2::taps_rows, avx2::rotated_rows,
     avx2::find_peak, avx2::first_moments, avx2::second_moments, avx2::blur_around, avx2::blend_rows,
     avx2::palette_map_row, avx2::palette_map_changed_row},
#if defined(HANDPOSE_AVX512)
    {Isa::kAvx512, avx512::prepare_linear, avx512::prepare_taps, avx512::linear_rows, avx512::taps_rows,
     avx512::rotated_rows, avx2::find_peak, avx512::first_moments, avx512::second_moments, avx2::blur_around,
     avx2::blend_rows, avx2::palette_map_row, avx2::palette_map_changed_row},
#endif
#elif defined(__aarch64__)
    {Isa::kNeon, neon::prepare_linear, neon::prepare_taps, neon::linear_rows, neon::taps_rows, neon::rotated_rows,
     neon::find_peak, neon::first_moments, neon::second_moments, neon::blur_around, neon::blend_rows,
     neon::palette_map_row, neon::palette_map_changed_row},
#endif
};

bool cpu_has(Isa isa) {
#if defined(__x86_64__)
  // GCC 7 to 10 do not know the name "f16c" here; every CPU with AVX2 has it (Haswell and Excavator brought both).
  if (isa == Isa::kAvx2) return __builtin_cpu_supports("avx2") != 0;
  // Each is true only where the operating system keeps the registers too.
#if defined(HANDPOSE_AVX512)
  if (isa == Isa::kAvx512) {
    return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
           __builtin_cpu_supports("avx512vbmi") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
  }
#endif
#endif
  return isa == Isa::kScalar || isa == Isa::kNeon;
}

std::atomic<const KernelTable*> active_table{nullptr};

}  // namespace

const KernelTable* supported_kernels(std::size_t* count) {
  std::size_t supported = 0;
  for (const KernelTable& table : kTables) supported += cpu_has(table.isa) ? 1U : 0U;
  *count = supported;
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
