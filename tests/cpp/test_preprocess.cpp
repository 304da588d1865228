#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>

#include "kernels/preprocess.hpp"
#include "random_data.hpp"

using namespace handpose;
using handpose::testing::Picture;
using handpose::testing::Random;

namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Runs preprocess into memory of the exact size and gives the bytes back.
std::vector<std::uint8_t> run(const ImageView& image, const PreprocessParams& params, TensorView tensor) {
  const std::size_t bytes =
      3 * item_size(tensor.dtype) * static_cast<std::size_t>(tensor.height) * static_cast<std::size_t>(tensor.width);
  const std::size_t workspace_bytes = preprocess_workspace_bytes(image, params, tensor);
  REQUIRE(workspace_bytes > 0);
  REQUIRE(workspace_bytes % 64 == 0);
  const std::unique_ptr<void, Free> workspace(std::aligned_alloc(64, workspace_bytes));
  const std::unique_ptr<void, Free> out(std::malloc(bytes));
  std::memset(out.get(), 0xa5, bytes);
  tensor.data = out.get();
  PreprocessTables tables;
  preprocess(image, params, tensor, workspace.get(), &tables);
  const auto* first = static_cast<const std::uint8_t*>(out.get());
  return {first, first + bytes};
}

Affine random_affine(Random* random, const ImageView& image, const TensorView& tensor, bool rotated) {
  const double scale = random->real(0.05, 3.0);
  Affine affine;
  affine.xx = image.width * scale / tensor.width * (random->integer(0, 4) == 0 ? -1 : 1);
  affine.yy = image.height * scale / tensor.height * (random->integer(0, 4) == 0 ? -1 : 1);
  affine.x0 = random->real(-1.5, 1.5) * image.width;
  affine.y0 = random->real(-1.5, 1.5) * image.height;
  if (rotated) {
    affine.xy = random->real(-1, 1) * affine.xx;
    affine.yx = random->real(-1, 1) * affine.yy;
  }
  return affine;
}

}  // namespace

TEST_CASE("preprocess stays within its memory, whatever the sizes, formats and regions") {
  constexpr PixelFormat kFormats[] = {PixelFormat::kBgr24, PixelFormat::kRgb24, PixelFormat::kGray8, PixelFormat::kNv12,
                                      PixelFormat::kYuv420p};
  Random random(1);
  for (int round = 0; round < 3000; ++round) {
    const PixelFormat format = kFormats[random.integer(0, 4)];
    const Picture picture(format, random.integer(1, 40), random.integer(1, 40), &random);
    TensorView tensor;
    tensor.height = random.integer(1, 35);
    tensor.width = random.integer(1, 35);
    tensor.dtype = static_cast<DType>(random.integer(0, 2));
    tensor.layout = static_cast<Layout>(random.integer(0, 1));
    PreprocessParams params;
    params.filter = static_cast<Filter>(random.integer(0, 2));
    params.border = static_cast<Border>(random.integer(0, 1));
    params.channel_order = static_cast<ChannelOrder>(random.integer(0, 1));
    params.yuv = yuv_to_rgb(ColorMatrix::kBt709, ColorRange::kLimited);
    const bool rotated = params.filter == Filter::kLinear && random.integer(0, 1) == 0;
    params.image_from_input = random_affine(&random, picture.view(), tensor, rotated);
    run(picture.view(), params, tensor);
  }
}

TEST_CASE("preprocess takes affines at the ends of the number range") {
  Random random(2);
  const Picture picture(PixelFormat::kBgr24, 7, 5, &random);
  TensorView tensor;
  tensor.height = tensor.width = 4;
  for (const double size : {1e-300, 1e-30, 1e9, 1e30, 1e300}) {
    for (const double offset : {0.0, -1e9, 1e300, -1e300}) {
      for (int filter = 0; filter < 3; ++filter) {
        for (int border = 0; border < 2; ++border) {
          PreprocessParams params;
          params.filter = static_cast<Filter>(filter);
          params.border = static_cast<Border>(border);
          params.image_from_input = {size, 0, offset, 0, -size, offset};
          run(picture.view(), params, tensor);
          if (params.filter != Filter::kLinear) continue;
          params.image_from_input.xy = size;
          run(picture.view(), params, tensor);
        }
      }
    }
  }
}

TEST_CASE("the identity copies bytes") {
  Random random(3);
  const Picture picture(PixelFormat::kRgb24, 13, 9, &random);
  TensorView tensor;
  tensor.height = 9;
  tensor.width = 13;
  tensor.dtype = DType::kUint8;
  tensor.layout = Layout::kNhwc;
  for (int filter = 0; filter < 3; ++filter) {
    PreprocessParams params;
    params.filter = static_cast<Filter>(filter);
    const std::vector<std::uint8_t> bytes = run(picture.view(), params, tensor);
    for (std::int32_t y = 0; y < 9; ++y) {
      CHECK(std::memcmp(bytes.data() + y * 39, picture.view().planes[0].row(y), 39) == 0);
    }
  }
}
