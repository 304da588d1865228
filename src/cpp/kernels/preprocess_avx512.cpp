// The rows of preprocess with AVX-512: F, BW, VL, VBMI and VNNI (Intel Ice Lake 2019, AMD Zen 4 2022 and newer).
#include "preprocess_avx512_taps.hpp"

namespace handpose {
namespace avx512 {
namespace {

// Of three channels AVX2 is as fast wherever one load does not hold the taps of four outputs; its own groups are fewer.
bool left_to_avx2(const PreprocessPlan& plan) {
  return plan.source.planes[0].channels == 3 && plan.x[0].group < Avx512::least_group(3);
}

}  // namespace

void prepare_linear(PreprocessPlan* plan) {
  prepare_linear_of<Avx512>(plan);
  if (left_to_avx2(*plan)) avx2::prepare_linear(plan);
}

void prepare_taps(PreprocessPlan* plan) { prepare_taps_of<Avx512Taps>(plan); }

void linear_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  if (left_to_avx2(plan)) return avx2::linear_rows(plan, begin, end);
  linear_rows_of<Avx512>(plan, begin, end);
}

void taps_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  taps_rows_of<Avx512Taps>(plan, begin, end);
}

void rotated_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  rotated_rows_of<Avx512>(plan, begin, end);
}

}  // namespace avx512
}  // namespace handpose
