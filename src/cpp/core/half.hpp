// IEEE 754 binary16 to and from binary32, bit for bit what F16C and NEON do (round to nearest, ties to even).
#pragma once

#include <cstdint>
#include <cstring>

namespace handpose {

inline float float_from_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  const std::uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24, exact in float
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  std::uint32_t bits = 0;
  if (exponent == 31) {  // infinity, or NaN made quiet as the hardware does
    bits = sign | 0x7f800000u | (mantissa << 13) | (mantissa != 0 ? 0x400000u : 0u);
  } else {
    bits = sign | ((exponent + 112u) << 23) | (mantissa << 13);
  }
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline std::uint16_t half_from_float(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {  // NaN: keep the top of the payload, quiet
    return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  }
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65520 and above round to infinity
  if (magnitude < 0x33000001u) return sign;                                         // 2^-25 and below round to zero
  const std::uint32_t exponent = magnitude >> 23;
  // Bits that fall off: 13 for a normal result, more for a subnormal one.
  const std::uint32_t dropped = exponent > 112 ? 13 : 126 - exponent;
  std::uint32_t mantissa = exponent > 112 ? magnitude - (112u << 23) : ((magnitude & 0x7fffffu) | 0x800000u);
  const std::uint32_t rest = mantissa & ((1u << dropped) - 1);
  const std::uint32_t half = 1u << (dropped - 1);
  mantissa >>= dropped;
  if (rest > half || (rest == half && (mantissa & 1u) != 0)) ++mantissa;  // a carry into the exponent is right
  return static_cast<std::uint16_t>(sign | mantissa);
}

}  // namespace handpose
