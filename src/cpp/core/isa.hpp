// The instruction-set levels that kernels are built for.
#pragma once

namespace handpose {

// Ordered from the slowest to the fastest.
enum class Isa : unsigned char { kScalar };

constexpr const char* isa_name(Isa) { return "scalar"; }

}  // namespace handpose
