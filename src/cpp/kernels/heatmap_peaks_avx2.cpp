#include "float8_avx2.hpp"
#include "lanes_of_float8.hpp"
#define HANDPOSE_LEVEL avx2
#include "heatmap_peaks_vector.hpp"
