// Sizes and offsets that cannot wrap: every size that comes from a caller goes through these.
#pragma once

#include <cstddef>

namespace handpose {

// A size that remembers whether any step that led to it overflowed.
class CheckedSize {
 public:
  constexpr explicit CheckedSize(std::size_t value) : value_(value) {}

  CheckedSize operator*(std::size_t factor) const {
    CheckedSize result = *this;
    result.failed_ |= __builtin_mul_overflow(value_, factor, &result.value_);
    return result;
  }

  CheckedSize operator+(CheckedSize other) const {
    CheckedSize result = *this;
    result.failed_ |= other.failed_ || __builtin_add_overflow(value_, other.value_, &result.value_);
    return result;
  }

  CheckedSize rounded_up(std::size_t multiple) const {
    const CheckedSize padded = *this + CheckedSize(multiple - 1);
    CheckedSize result(padded.value_ / multiple * multiple);
    result.failed_ = padded.failed_;
    return result;
  }

  constexpr bool ok() const { return !failed_; }
  constexpr std::size_t value() const { return value_; }

 private:
  std::size_t value_;
  bool failed_ = false;
};

}  // namespace handpose
