#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "core/affine.hpp"
#include "core/checked_math.hpp"
#include "core/half.hpp"
#include "kernels/kernel_table.hpp"

using namespace handpose;

TEST_CASE("every half survives the way to float and back") {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_half(half);
    if (std::isnan(value)) {
      CHECK(std::isnan(float_from_half(half_from_float(value))));
    } else {
      CHECK(half_from_float(value) == half);
    }
  }
}

TEST_CASE("floats between two halves round to the nearest, ties to even") {
  for (std::uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const auto low = static_cast<std::uint16_t>(bits);
    const auto high = static_cast<std::uint16_t>(bits + 1);
    const float a = float_from_half(low);
    const float b = float_from_half(high);
    const float middle = a + (b - a) / 2;  // exact: halves have 11 bits, floats 24
    CHECK(half_from_float(middle) == (bits % 2 == 0 ? low : high));
    CHECK(half_from_float(std::nextafter(middle, a)) == low);
    CHECK(half_from_float(std::nextafter(middle, b)) == high);
  }
}

TEST_CASE("halves at the ends of their range") {
  CHECK(half_from_float(65504.0f) == 0x7bff);
  CHECK(half_from_float(std::nextafter(65520.0f, 0.0f)) == 0x7bff);
  CHECK(half_from_float(65520.0f) == 0x7c00);
  CHECK(half_from_float(-std::numeric_limits<float>::infinity()) == 0xfc00);
  CHECK(half_from_float(0x1p-25f) == 0);
  CHECK(half_from_float(std::nextafter(0x1p-25f, 1.0f)) == 1);
  CHECK(half_from_float(-0.0f) == 0x8000);
}

TEST_CASE("sizes remember that they overflowed") {
  const std::size_t half_way = std::size_t{1} << 32;
  CHECK((CheckedSize(half_way) * (half_way - 1)).ok());
  CHECK_FALSE((CheckedSize(half_way) * half_way).ok());
  CHECK_FALSE((CheckedSize(half_way) * half_way * 0).ok());
  CHECK_FALSE((CheckedSize(~std::size_t{0}) + CheckedSize(1)).ok());
  CHECK_FALSE((CheckedSize(1) + CheckedSize(half_way) * half_way).ok());
  CHECK(CheckedSize(65).rounded_up(64).value() == 128);
  CHECK_FALSE(CheckedSize(~std::size_t{0}).rounded_up(64).ok());
}

TEST_CASE("affines invert, or say that they cannot") {
  const Affine affine{2, 1, 3, -1, 4, 5};
  Affine inverse;
  REQUIRE(invert(affine, &inverse));
  const double x = 7, y = -2;
  const double u = affine.xx * x + affine.xy * y + affine.x0;
  const double v = affine.yx * x + affine.yy * y + affine.y0;
  CHECK(inverse.xx * u + inverse.xy * v + inverse.x0 == doctest::Approx(x));
  CHECK(inverse.yx * u + inverse.yy * v + inverse.y0 == doctest::Approx(y));
  CHECK_FALSE(invert(Affine{1, 2, 0, 2, 4, 0}, &inverse));
  CHECK_FALSE(invert(Affine{1e-200, 0, 0, 0, 1e-200, 0}, &inverse));
}

TEST_CASE("the table starts with scalar and can be switched") {
  std::size_t count = 0;
  const KernelTable* tables = supported_kernels(&count);
  REQUIRE(count >= 1);
  CHECK(tables[0].isa == Isa::kScalar);
  for (std::size_t i = 0; i < count; ++i) {
    activate_kernels(tables[i]);
    CHECK(active_kernels().isa == tables[i].isa);
  }
}
