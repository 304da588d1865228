// The instruction-set levels that kernels are built for.
#pragma once

namespace handpose {

// Ordered from the slowest to the fastest of one architecture.
enum class Isa : unsigned char {
  kScalar,
  kAvx2,  // x86-64 with AVX2 and F16C (Intel Haswell 2013, AMD Excavator 2015 and newer)
  kNeon,  // every aarch64
};

constexpr const char* isa_name(Isa isa) { return isa == Isa::kAvx2 ? "avx2" : isa == Isa::kNeon ? "neon" : "scalar"; }

}  // namespace handpose
