// kLanes floats as two Float8, for levels whose vectors hold eight or fewer. Included after the level's Float8.
#pragma once

#include <cstdint>

namespace handpose {
namespace {

struct Lanes {
  Float8 low, high;
};

inline Lanes zero_lanes() { return {zero8(), zero8()}; }
inline Lanes all_lanes(float value) { return {all(value), all(value)}; }
inline Lanes load_lanes(const float* from) { return {load8(from), load8(from + 8)}; }
inline Lanes load_lanes(const std::uint16_t* halves) { return {load8(halves), load8(halves + 8)}; }
inline Lanes lanes_of(Half16 halves) { return {low8(halves), high8(halves)}; }

inline Lanes operator+(Lanes a, Lanes b) { return {a.low + b.low, a.high + b.high}; }
inline Lanes operator-(Lanes a, Lanes b) { return {a.low - b.low, a.high - b.high}; }
inline Lanes operator*(Lanes a, Lanes b) { return {a.low * b.low, a.high * b.high}; }
inline Lanes larger(Lanes a, Lanes b) { return {larger(a.low, b.low), larger(a.high, b.high)}; }
inline float largest_lane(Lanes a) { return largest_lane(larger(a.low, a.high)); }
inline float sum_of_lanes(Lanes a) { return sum_of_lanes(a.low + a.high); }

// Their bits.
struct LaneBits {
  Bits8 low, high;
};

inline LaneBits bits_of(Lanes a) { return {bits_of(a.low), bits_of(a.high)}; }
inline Lanes lanes_of(LaneBits a) { return {float8_of(a.low), float8_of(a.high)}; }
inline LaneBits larger(LaneBits a, LaneBits b) { return {larger(a.low, b.low), larger(a.high, b.high)}; }
inline bool any_nan(LaneBits a) { return any_nan(larger(a.low, a.high)); }

}  // namespace
}  // namespace handpose
