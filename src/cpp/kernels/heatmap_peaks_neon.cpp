#include "float8_neon.hpp"
#include "lanes_of_float8.hpp"
#define HANDPOSE_LEVEL neon
#include "heatmap_peaks_vector.hpp"
