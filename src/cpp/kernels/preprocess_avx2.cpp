// The rows of preprocess with AVX2 and F16C.
#include "preprocess_avx2_taps.hpp"

namespace handpose {
namespace avx2 {

void prepare_linear(PreprocessPlan* plan) { prepare_linear_of<Avx2>(plan); }

void prepare_taps(PreprocessPlan* plan) { prepare_taps_of<Avx2Taps>(plan); }

void linear_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  linear_rows_of<Avx2>(plan, begin, end);
}

void taps_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  taps_rows_of<Avx2Taps>(plan, begin, end);
}

void rotated_rows(const PreprocessPlan& plan, std::int32_t begin, std::int32_t end) {
  rotated_rows_of<Avx2>(plan, begin, end);
}

}  // namespace avx2
}  // namespace handpose
