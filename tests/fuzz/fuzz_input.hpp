// The bytes that a fuzzer chooses, read as the arguments of a call: sizes round the widths of vectors, numbers of every
// kind. After their end come random ones that follow from them, so that any bytes are a whole call.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

namespace handpose::fuzzing {

class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {
    for (std::size_t i = 0; i < size; ++i) state_ = (state_ ^ data[i]) * 1099511628211u;  // FNV-1a
  }

  std::uint8_t byte() { return at_ < end_ ? *at_++ : static_cast<std::uint8_t>(random() >> 24); }
  bool flag() { return (byte() & 1) != 0; }

  // A number from 0 to count - 1.
  std::int32_t choice(std::int32_t count) { return static_cast<std::int32_t>(bits<std::uint16_t>() % count); }

  template <typename Enum>
  Enum one_of(std::int32_t count) {
    return static_cast<Enum>(choice(count));
  }

  // The length of a row; lengths round multiples of the vectors' are likely.
  std::int32_t width() {
    constexpr std::int32_t kSizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49};
    const std::uint8_t b = byte();
    return b < 200 ? kSizes[b % 20] : 1 + 2 * (b - 200);
  }

  // How many rows: few, as they are all alike.
  std::int32_t height() {
    const std::uint8_t b = byte();
    return b < 224 ? 1 + b % 9 : 1 + (b - 224);
  }

  // Bytes between the rows.
  std::ptrdiff_t padding() {
    const std::uint8_t b = byte();
    return b < 96 ? 0 : b % 33;
  }

  template <typename Bits>
  Bits bits() {
    Bits value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<Bits>((value << 8) | byte());
    return value;
  }

  // Any float, also NaN and infinity: by its bits, from a list, or a plain number in [-reach, reach].
  float any_float(float reach) {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    constexpr float kInf = std::numeric_limits<float>::infinity();
    constexpr float kMost = std::numeric_limits<float>::max();
    constexpr float kHostile[] = {0.0f,  -0.0f,  1.0f,    -1.0f,    0.5f,     kInf,  -kInf, kNan,
                                  -kNan, 1e-45f, -1e-45f, 1.2e-38f, 65504.0f, 6e-8f, kMost, -kMost};
    const std::uint8_t kind = byte();
    if (kind < 64) return kHostile[kind % 16];
    if (kind < 96) return value_of<float>(bits<std::uint32_t>());
    return (static_cast<float>(bits<std::uint16_t>()) / 32768.0f - 1.0f) * reach;
  }

  // A finite double: of any size, or a plain number in [-reach, reach].
  double finite(double reach) {
    const std::uint8_t kind = byte();
    if (kind < 32) return static_cast<double>(kind % 8 - 4) * reach / 4;
    if (kind < 64) {
      const double value = value_of<double>(bits<std::uint64_t>());
      return std::isfinite(value) ? value : 0.0;
    }
    if (kind < 96) return std::ldexp(static_cast<double>(byte()) - 127.5, byte() - 128);
    return (static_cast<double>(bits<std::uint32_t>()) / 2147483648.0 - 1) * reach;
  }

  // Fills memory with noise, or with what is left of the bytes, again and again.
  void fill(std::uint8_t* data, std::size_t size) {
    const std::uint8_t kind = byte();
    const auto left = static_cast<std::size_t>(end_ - at_);
    if (kind < 64 && left > 0) {
      for (std::size_t i = 0; i < size; ++i) data[i] = at_[i % left];
      return;
    }
    const bool extremes = kind < 96;  // black and white
    for (std::size_t i = 0; i < size; i += 4) {
      std::uint32_t noise = random();
      if (extremes) noise = (noise & 0x01010101u) * 255u;
      std::memcpy(data + i, &noise, size - i < 4 ? size - i : 4);
    }
  }

 private:
  std::uint32_t random() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
    return static_cast<std::uint32_t>(state_ >> 32);
  }

  template <typename Value, typename Bits>
  static Value value_of(Bits bits) {
    Value value;
    static_assert(sizeof value == sizeof bits, "the bits of the value");
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::uint64_t state_ = 14695981039346656037u;
};

}  // namespace handpose::fuzzing
