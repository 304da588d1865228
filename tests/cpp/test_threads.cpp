// All kernels from several threads at once, as pipelines call them: inputs are shared and only read, outputs are apart.
// Says nothing by itself but that the results are those of one thread; built with HANDPOSE_SANITIZE_THREADS it also
// shows races.
#include <doctest/doctest.h>
