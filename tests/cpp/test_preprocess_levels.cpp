// Every level gives the bits of "scalar", on random pictures, regions and formats.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "kernels/kernel_table.hpp"
#include "random_data.hpp"

using namespace handpose;
using handpose::testing::Picture;
using handpose::testing::Random;

namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

constexpr PixelFormat kFormats[] = {PixelFormat::kBgr24, PixelFormat::kRgb24, PixelFormat::kGray8, PixelFormat::kNv12,
                                    PixelFormat::kYuv420p};

struct Case {
  PreprocessParams params;
  TensorView tensor;
};

Case random_case(Random* random, const ImageView& image, std::int32_t longest) {
  Case c;
  c.tensor.height = random->integer(1, longest);
  c.tensor.width = random->integer(1, longest);
  c.tensor.dtype = static_cast<DType>(random->integer(0, 2));
  c.tensor.layout = static_cast<Layout>(random->integer(0, 1));
  PreprocessParams& params = c.params;
  params.filter = static_cast<Filter>(random->integer(0, 2));
  params.border = static_cast<Border>(random->integer(0, 1));
  params.channel_order = static_cast<ChannelOrder>(random->integer(0, 1));
  params.yuv =
      yuv_to_rgb(static_cast<ColorMatrix>(random->integer(0, 1)), static_cast<ColorRange>(random->integer(0, 1)));
  const bool plain = random->integer(0, 3) == 0;  // grey levels as they are
  for (int i = 0; i < 3; ++i) {
    params.border_value[i] = static_cast<float>(random->real(0, 255));
    params.scale[i] = plain ? 1.0f : static_cast<float>(random->real(-2, 2));
    const auto bias = static_cast<float>(random->real(-200, 200));
    params.bias[i] = plain || random->integer(0, 1) == 0 ? -0.0f : bias;
  }
  Affine& a = params.image_from_input;
  const auto sign = [&] { return random->integer(0, 4) == 0 ? -1.0 : 1.0; };
  if (random->integer(0, 2) == 0) {  // the whole image
    a.xx = static_cast<double>(image.width) / c.tensor.width;
    a.yy = static_cast<double>(image.height) / c.tensor.height;
  } else {
    const double scale = random->real(0.02, 3.0);
    a.xx = image.width * scale / c.tensor.width * sign();
    a.yy = image.height * scale / c.tensor.height * sign();
    a.x0 = random->real(-1.2, 1.2) * image.width;
    a.y0 = random->real(-1.2, 1.2) * image.height;
  }
  if (random->integer(0, 2) == 0) {
    params.filter = Filter::kLinear;
    a.xy = random->real(-1, 1) * a.xx;
    a.yx = random->real(-1, 1) * a.yy;
  }
  return c;
}

struct Workspace {
  explicit Workspace(std::size_t bytes) : memory(std::aligned_alloc(64, bytes)) {}

  std::unique_ptr<void, Free> memory;
  PreprocessTables tables;
};

// Runs preprocess on a level into memory of the exact size and gives the bytes back.
std::vector<std::uint8_t> run(const KernelTable& level, const ImageView& image, Case c, Workspace* workspace) {
  const auto bytes = 3 * item_size(c.tensor.dtype) * static_cast<std::size_t>(c.tensor.height) *
                     static_cast<std::size_t>(c.tensor.width);
  const std::unique_ptr<void, Free> out(std::malloc(bytes));
  std::memset(out.get(), 0xa5, bytes);
  c.tensor.data = out.get();
  activate_kernels(level);
  preprocess(image, c.params, c.tensor, workspace->memory.get(), &workspace->tables);
  const auto* first = static_cast<const std::uint8_t*>(out.get());
  return {first, first + bytes};
}

std::vector<std::uint8_t> run(const KernelTable& level, const ImageView& image, const Case& c) {
  Workspace workspace(preprocess_workspace_bytes(image, c.params, c.tensor));
  return run(level, image, c, &workspace);
}

void compare(std::uint32_t seed, int rounds, std::int32_t longest) {
  std::size_t count = 0;
  const KernelTable* const levels = supported_kernels(&count);
  Random random(seed);
  for (int round = 0; round < rounds; ++round) {
    const PixelFormat format = kFormats[random.integer(0, 4)];
    const Picture picture(format, random.integer(1, longest), random.integer(1, longest), &random);
    const Case c = random_case(&random, picture.view(), longest);
    const std::vector<std::uint8_t> expected = run(levels[0], picture.view(), c);
    for (std::size_t i = 1; i < count; ++i) {
      CAPTURE(round);
      CAPTURE(static_cast<int>(format));
      CAPTURE(static_cast<int>(c.params.filter));
      CAPTURE(isa_name(levels[i].isa));
      CHECK(run(levels[i], picture.view(), c) == expected);
    }
  }
  activate_kernels(levels[count - 1]);
}

}  // namespace

TEST_CASE("preprocess gives the same bits on every level: sizes round the widths of vectors") { compare(11, 6000, 40); }

TEST_CASE("preprocess gives the same bits on every level: larger pictures") { compare(12, 600, 300); }

// Where the taps of an output lie in a window of AVX-512 and that of its neighbour, and where they just do not; where
// those of four, three or single outputs lie in one of its loads.
TEST_CASE("preprocess gives the same bits on every level: reductions by 5 to 20 from three bytes") {
  std::size_t count = 0;
  const KernelTable* const levels = supported_kernels(&count);
  Random random(15);
  for (int round = 0; round < 2250; ++round) {
    const std::int32_t width = random.integer(1, 40);
    const Picture picture(random.integer(0, 1) == 0 ? PixelFormat::kBgr24 : PixelFormat::kRgb24,
                          random.integer(width * 5, width * 20), random.integer(1, 40), &random);
    Case c = random_case(&random, picture.view(), 20);
    c.tensor.width = width;
    constexpr Filter kFilters[] = {Filter::kAntialias, Filter::kCubic, Filter::kLinear};
    c.params.filter = kFilters[random.integer(0, 2)];
    Affine& a = c.params.image_from_input;
    a.xy = a.yx = 0;
    a.xx = random.integer(0, 1) == 0   ? static_cast<double>(picture.view().width) / width
           : random.integer(0, 1) == 0 ? random.real(5, 20)
                                       : random.integer(5, 20);
    if (random.integer(0, 2) == 0) a.x0 = 0;
    const std::vector<std::uint8_t> expected = run(levels[0], picture.view(), c);
    for (std::size_t i = 1; i < count; ++i) {
      CAPTURE(round);
      CAPTURE(a.xx);
      CAPTURE(isa_name(levels[i].isa));
      CHECK(run(levels[i], picture.view(), c) == expected);
    }
  }
  activate_kernels(levels[count - 1]);
}

// Wider than positions that 32 bits hold before they are clamped, and narrower, with steps of thousands of pixels.
TEST_CASE("rotated regions of wide pictures give the same bits on every level") {
  std::size_t count = 0;
  const KernelTable* const levels = supported_kernels(&count);
  Random random(14);
  for (int round = 0; round < 120; ++round) {
    const std::int32_t width = random.integer(0, 1) == 0 ? 20000 : 9000;
    const Picture picture(kFormats[random.integer(0, 4)], width, random.integer(3, 12), &random);
    Case c = random_case(&random, picture.view(), 60);
    c.params.filter = Filter::kLinear;
    Affine& a = c.params.image_from_input;
    if (round % 2 == 0) a.x0 = random.integer(0, 1) == 0 ? 0 : width - a.xx * c.tensor.width;
    a.xy = random.real(-1, 1);
    a.yx = random.real(-0.1, 0.1);
    const std::vector<std::uint8_t> expected = run(levels[0], picture.view(), c);
    for (std::size_t i = 1; i < count; ++i) {
      CAPTURE(round);
      CAPTURE(isa_name(levels[i].isa));
      CHECK(run(levels[i], picture.view(), c) == expected);
    }
  }
  activate_kernels(levels[count - 1]);
}

// Steps from a fraction of a sample to more than windows of AVX-512 hold, in any direction; regions inside, at the
// border and outside; some beyond the 32768th column, some in planes hardly wider than a window.
TEST_CASE("turned regions of planes give the same bits on every level") {
  std::size_t count = 0;
  const KernelTable* const levels = supported_kernels(&count);
  Random random(16);
  for (int round = 0; round < 3000; ++round) {
    const bool wide = round % 100 == 0, narrow = round % 3 == 1;
    const std::int32_t width = wide     ? random.integer(33000, 65535)
                               : narrow ? random.integer(15, 19)
                                        : random.integer(8, 160);
    const PixelFormat format = random.integer(0, 1) == 0 ? PixelFormat::kNv12 : PixelFormat::kYuv420p;
    const Picture picture(format, width, random.integer(8, 160), &random);
    const ImageView image = picture.view();
    Case c = random_case(&random, image, 80);
    c.params.filter = Filter::kLinear;
    c.params.threads = random.integer(1, 2);
    const double angle = narrow ? random.real(-0.1, 0.1) : random.real(-3.2, 3.2);
    const double step = narrow ? random.real(1, 3) : std::exp(random.real(std::log(0.1), std::log(9)));
    Affine& a = c.params.image_from_input;
    a.xx = step * std::cos(angle);
    a.yx = step * std::sin(angle);
    a.xy = -a.yx + (random.integer(0, 3) == 0 ? random.real(-1, 1) : 0);
    a.yy = a.xx * (narrow ? random.real(2, 4) : random.real(0.5, 1.5));
    // The middle of the output anywhere in the picture.
    const double x = wide ? width - random.real(0, 100) : random.real(0, width), y = random.real(0, image.height);
    a.x0 = x - a.xx * c.tensor.width / 2 - a.xy * c.tensor.height / 2;
    a.y0 = y - a.yx * c.tensor.width / 2 - a.yy * c.tensor.height / 2;
    const std::vector<std::uint8_t> expected = run(levels[0], image, c);
    for (std::size_t i = 1; i < count; ++i) {
      CAPTURE(round);
      CAPTURE(step);
      CAPTURE(angle);
      CAPTURE(isa_name(levels[i].isa));
      CHECK(run(levels[i], image, c) == expected);
    }
  }
  activate_kernels(levels[count - 1]);
}

TEST_CASE("tables kept from the call before change nothing") {
  std::size_t count = 0;
  const KernelTable* const levels = supported_kernels(&count);
  Random random(13);
  Workspace kept(std::size_t{1} << 20);
  for (int round = 0; round < 600; ++round) {
    const Picture picture(kFormats[random.integer(0, 4)], random.integer(1, 60), random.integer(1, 60), &random);
    const ImageView image = picture.view();
    Case c = random_case(&random, image, 60);
    for (int change = 0; change < 4; ++change) {  // nothing but one of the things that tables depend on
      REQUIRE(preprocess_workspace_bytes(image, c.params, c.tensor) <= std::size_t{1} << 20);
      const KernelTable& level = levels[random.integer(0, static_cast<std::int32_t>(count) - 1)];
      const KernelTable& other = levels[random.integer(0, static_cast<std::int32_t>(count) - 1)];
      CAPTURE(round);
      CAPTURE(change);
      CHECK(run(level, image, c, &kept) == run(level, image, c));
      CHECK(run(level, image, c, &kept) == run(level, image, c));
      CHECK(run(other, image, c, &kept) == run(level, image, c));
      if (change == 0) c.params.border = c.params.border == Border::kConstant ? Border::kReplicate : Border::kConstant;
      if (change == 1) c.tensor.width += 1;
      if (change == 2) (random.integer(0, 1) == 0 ? c.params.image_from_input.x0 : c.params.image_from_input.yy) += 0.7;
    }
  }
  activate_kernels(levels[count - 1]);
}
