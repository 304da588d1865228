// Non-owning view of a model's input of three channels, dense and in order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace handpose {

enum class DType : std::uint8_t { kUint8, kFloat16, kFloat32 };
enum class Layout : std::uint8_t { kNchw, kNhwc };

constexpr std::size_t item_size(DType dtype) { return dtype == DType::kUint8 ? 1 : dtype == DType::kFloat16 ? 2 : 4; }

struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  Layout layout = Layout::kNchw;
  std::int32_t height = 0;
  std::int32_t width = 0;
};

}  // namespace handpose
