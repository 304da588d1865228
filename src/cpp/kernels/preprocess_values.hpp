// What every level shares about single values: how one is written, and which channel a component becomes.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../core/half.hpp"
#include "preprocess.hpp"

namespace handpose {

static inline float clamp_level(float value) { return value > 0.0f ? (value < 255.0f ? value : 255.0f) : 0.0f; }

// The conversion for values in `unit` grey levels, a power of two.
static inline YuvToRgb yuv_in_units(const YuvToRgb& k, float unit) {
  return {k.scale * unit, k.r_v * unit, k.g_u * unit, k.g_v * unit, k.b_u * unit, k.red, k.green, k.blue};
}

// Writes a normalised value as item `at` of memory of `dtype`, which need not be aligned.
static inline void store_value(void* data, DType dtype, std::size_t at, float value) {
  unsigned char* const item = static_cast<unsigned char*>(data) + at * item_size(dtype);
  if (dtype == DType::kFloat32) {
    std::memcpy(item, &value, sizeof value);
  } else if (dtype == DType::kFloat16) {
    const std::uint16_t half = half_from_float(value);
    std::memcpy(item, &half, sizeof half);
  } else {
    *item = static_cast<std::uint8_t>(std::lrint(clamp_level(value)));
  }
}

// Whether the components of the source (YUV: after the conversion to R, G, B) are the output channels in reverse.
static inline bool channels_reversed(const PreprocessPlan& plan) {
  if (plan.source.format == PixelFormat::kGray8) return false;
  return (plan.source.format == PixelFormat::kBgr24) == (plan.params.channel_order == ChannelOrder::kRgb);
}

}  // namespace handpose
