// The instruction-set levels that kernels are built for.
#pragma once

namespace handpose {

// Ordered from the slowest to the fastest of one architecture.
enum class Isa : unsigned char {
  kScalar,
  kAvx2,    // x86-64 with AVX2 and F16C (Intel Haswell 2013, AMD Excavator 2015 and newer)
  kAvx512,  // x86-64 with F, BW, VL, VBMI and VNNI of AVX-512 (Intel Ice Lake 2019, AMD Zen 4 2022 and newer)
  kNeon,    // every aarch64
};
constexpr int kIsaCount = 4;

constexpr const char* isa_name(Isa isa) {
  constexpr const char* kNames[] = {"scalar", "avx2", "avx512", "neon"};
  return kNames[static_cast<unsigned char>(isa)];
}

}  // namespace handpose
