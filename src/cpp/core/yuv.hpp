// Y'CbCr to and from R'G'B', 8 bit: ITU-R BT.601-7 section 2.5 and BT.709-6 section 3.
#pragma once

namespace handpose {

enum class ColorMatrix : unsigned char { kBt601, kBt709 };
enum class ColorRange : unsigned char { kLimited, kFull };

// R = scale * Y + (r_v * V + red), G = (scale * Y + (g_u * U + green)) + g_v * V, B = scale * Y + (b_u * U + blue).
struct YuvToRgb {
  float scale, r_v, g_u, g_v, b_u;
  float red, green, blue;
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
  const double scale = limited ? 255.0 / 219.0 : 1.0, black = limited ? -16 * scale : 0.0;
  const double r_v = chroma * 2 * (1 - k.red), b_u = chroma * 2 * (1 - k.blue);
  const double g_u = -b_u * k.blue / green, g_v = -r_v * k.red / green;
  const auto f = [](double value) { return static_cast<float>(value); };
  return {f(scale),
          f(r_v),
          f(g_u),
          f(g_v),
          f(b_u),
          f(black - 128 * r_v),
          f(black - 128 * (g_u + g_v)),
          f(black - 128 * b_u)};
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
