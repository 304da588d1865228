#include "float8_neon.hpp"
#define HANDPOSE_LEVEL neon
#include "heatmap_peaks_vector.hpp"
