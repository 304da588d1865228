// The rows of preprocess with AVX-512: F, BW, VL, VBMI and VNNI (Intel Ice Lake 2019, AMD Zen 4 2022 and newer).
#include "preprocess_avx2.hpp"
#include "preprocess_avx512_taps.hpp"
#include "preprocess_avx512_tiles.hpp"

namespace handpose {
namespace avx512 {
namespace {

// AVX2 is as fast where every output has a load of its own.
bool groups_pay(const PreprocessPlan& plan) { return group_of<Avx512>(plan.x[0], plan.source.planes[0].channels) > 1; }

// So is it of a single step for each sum where a vector has no more than three outputs of three channels.
bool strands_pay(const PreprocessPlan& plan) {
  const TapStrands& strands = plan.x[0].strands;
  return plan.source.planes[0].channels != 3 || strands.steps > 1 || vector_outputs(strands) > 3;
}

}  // namespace

void prepare_linear(PreprocessPlan* plan) {
  if (!groups_pay(*plan)) return avx2::prepare_linear(plan);
  prepare_linear_of<Avx512>(plan);
}

void prepare_taps(PreprocessPlan* plan) {
  prepare_taps_of<Avx512Taps>(plan);
  if (!strands_pay(*plan)) avx2::prepare_taps(plan);
}

void linear_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  if (plan.x[0].group_bytes < Avx512::kLoadBytes) return avx2::linear_rows(plan, begin, end);
  linear_rows_of<Avx512>(plan, begin, end);
}

void taps_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  if (plan.x[0].strands.window_bytes < Avx512Taps::kLeastWindow) return avx2::taps_rows(plan, begin, end);
  taps_rows_of<Avx512Taps>(plan, begin, end);
}

// Of what lies apart in several planes; in one plane AVX2 is as fast.
void rotated_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  if (plane_count(plan.source.format) > 1 && offsets_fit(plan)) {
    const RotatedTiles tiles(plan, begin, end);
    if (tiles.pay()) run_with_writer<Avx512>(plan.out, tiles);
  }
  avx2::rotated_rows(plan, begin, end);
}

}  // namespace avx512
}  // namespace handpose
