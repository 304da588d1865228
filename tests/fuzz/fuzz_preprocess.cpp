// preprocess on every level: every format, filter, border, dtype and layout, and any affine that can be inverted.
#include <algorithm>

#include "kernels/preprocess.hpp"
#include "levels.hpp"
#include "pictures.hpp"

using namespace handpose;
using namespace handpose::fuzzing;

namespace {

constexpr std::size_t kMostOut = std::size_t{1} << 16;
constexpr std::size_t kMostWorkspace = std::size_t{1} << 19;

constexpr PixelFormat kFormats[] = {PixelFormat::kBgr24, PixelFormat::kRgb24, PixelFormat::kGray8, PixelFormat::kNv12,
                                    PixelFormat::kYuv420p};

// What the binding accepts for input_from_image, brought to image_from_input; false for the rest.
bool read_affine(FuzzInput* input, const ImageView& image, const TensorView& tensor, Affine* image_from_input) {
  const std::uint8_t kind = input->byte();
  Affine stretch;
  stretch.xx = static_cast<double>(image.width) / tensor.width;
  stretch.yy = static_cast<double>(image.height) / tensor.height;
  if (kind < 64) {
    *image_from_input = stretch;
    return true;
  }
  const bool upright = kind < 192;
  if (kind % 4 != 0) {  // a region in or round the image
    Affine region{stretch.xx * input->finite(2),  0, input->finite(2) * image.width, 0, stretch.yy * input->finite(2),
                  input->finite(2) * image.height};
    if (!upright) {
      region.xy = input->finite(1) * stretch.xx;
      region.yx = input->finite(1) * stretch.yy;
    }
    Affine inverse;
    return invert(region, &inverse) && invert(inverse, image_from_input);
  }
  Affine any{input->finite(2), 0, input->finite(100), 0, input->finite(2), input->finite(100)};
  if (!upright) {
    any.xy = input->finite(2);
    any.yx = input->finite(2);
  }
  return invert(any, image_from_input);
}

PreprocessParams read_params(FuzzInput* input) {
  PreprocessParams params;
  params.filter = input->one_of<Filter>(3);
  params.border = input->one_of<Border>(2);
  params.channel_order = input->one_of<ChannelOrder>(2);
  const auto matrix = input->one_of<ColorMatrix>(2);
  params.yuv = yuv_to_rgb(matrix, input->one_of<ColorRange>(2));
  const std::uint8_t plain = input->byte();
  const auto bounded = [&](float reach) {
    const float value = input->any_float(reach);
    return std::fabs(value) < 1e35f ? value : 0.0f;  // also where it is NaN
  };
  for (int c = 0; c < 3; ++c) {
    params.border_value[c] = static_cast<float>(input->byte()) * (plain % 2 == 0 ? 1.0f : 0.37f);
    params.scale[c] = plain < 128 ? 1.0f : bounded(2.0f);
    params.bias[c] = plain < 64 ? -0.0f : bounded(200.0f);
  }
  return params;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static GuardedPicture picture;
  static const Guarded out_block(kMostOut), workspace_block(kMostWorkspace);
  static std::uint8_t expected[kMostOut];

  FuzzInput input(data, size);
  PreprocessParams params = read_params(&input);
  TensorView tensor;
  tensor.dtype = input.one_of<DType>(3);
  tensor.layout = input.one_of<Layout>(2);
  tensor.width = input.width();
  tensor.height = input.height();
  picture.read(kFormats[input.choice(5)], &input);
  const ImageView image = picture.view();
  if (!read_affine(&input, image, tensor, &params.image_from_input)) return 0;
  if (!params.image_from_input.axis_aligned()) params.filter = Filter::kLinear;
  const std::uint8_t ends = input.byte();
  const auto pixels = static_cast<std::size_t>(tensor.width) * static_cast<std::size_t>(tensor.height);
  const std::size_t out_bytes = 3 * item_size(tensor.dtype) * pixels;
  // Anywhere in memory: results need not be aligned.
  const std::size_t shift = (ends & 24) == 0 ? ends >> 5 : 0;
  tensor.data = out_block.place(out_bytes + shift, (ends & 1) != 0) + ((ends & 1) != 0 ? 0 : shift);
  const std::size_t workspace_bytes = preprocess_workspace_bytes(image, params, tensor);
  if (!workspace_block.fits(workspace_bytes)) return 0;
  std::uint8_t* const workspace = workspace_block.place(workspace_bytes, (ends & 2) != 0);

  std::uint8_t noise = 0x5a;
  on_every_level(
      [&] {
        // Nothing may depend on what output and workspace held before.
        std::memset(tensor.data, noise, out_bytes);
        std::memset(workspace, noise, workspace_bytes);
        noise = static_cast<std::uint8_t>(noise ^ 0xa5);
        PreprocessTables tables;
        preprocess(image, params, tensor, workspace, &tables);
        if ((ends & 4) == 0) return;
        std::memset(tensor.data, noise, out_bytes);
        preprocess(image, params, tensor, workspace, &tables);  // with the tables of the call before
      },
      [&](bool defines) {
        if (defines) std::memcpy(expected, tensor.data, out_bytes);
        if (std::memcmp(expected, tensor.data, out_bytes) != 0) fail("preprocess: a level differs from scalar");
      });
  return 0;
}
