// Y'CbCr to and from R'G'B', 8 bit: ITU-R BT.601-7 section 2.5 and BT.709-6 section 3.
#pragma once

namespace handpose {

enum class ColorMatrix : unsigned char { kBt601, kBt709 };
enum class ColorRange : unsigned char { kLimited, kFull };

// R = luma + r_v * v, G = luma + g_u * u + g_v * v, B = luma + b_u * u, with luma = (Y - offset) * scale, u = U - 128
// and v = V - 128.
struct YuvToRgb {
  float offset, scale, r_v, g_u, g_v, b_u;
};

struct LumaWeights {
  double red, blue;
};

constexpr LumaWeights luma_weights(ColorMatrix matrix) {
  return matrix == ColorMatrix::kBt601 ? LumaWeights{0.299, 0.114} : LumaWeights{0.2126, 0.0722};
}

inline YuvToRgb yuv_to_rgb(ColorMatrix matrix, ColorRange range) {
  const LumaWeights k = luma_weights(matrix);
  const double green = 1 - k.red - k.blue;
  const bool limited = range == ColorRange::kLimited;
  const double chroma = limited ? 255.0 / 224.0 : 1.0;
  return {limited ? 16.0f : 0.0f,
          static_cast<float>(limited ? 255.0 / 219.0 : 1.0),
          static_cast<float>(chroma * 2 * (1 - k.red)),
          static_cast<float>(-chroma * 2 * (1 - k.blue) * k.blue / green),
          static_cast<float>(-chroma * 2 * (1 - k.red) * k.red / green),
          static_cast<float>(chroma * 2 * (1 - k.blue))};
}

inline void yuv_from_rgb(ColorMatrix matrix, ColorRange range, const unsigned char rgb[3], unsigned char yuv[3]) {
  const LumaWeights k = luma_weights(matrix);
  const bool limited = range == ColorRange::kLimited;
  const double luma = k.red * rgb[0] + (1 - k.red - k.blue) * rgb[1] + k.blue * rgb[2];
  const double chroma = limited ? 224.0 / 255.0 : 1.0;
  const double values[3] = {limited ? 16 + luma * 219.0 / 255.0 : luma,
                            128 + chroma * (rgb[2] - luma) / (2 * (1 - k.blue)),
                            128 + chroma * (rgb[0] - luma) / (2 * (1 - k.red))};
  for (int i = 0; i < 3; ++i) {
    const double rounded = values[i] + 0.5;
    yuv[i] = static_cast<unsigned char>(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
  }
}

}  // namespace handpose
