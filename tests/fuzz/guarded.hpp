// Memory between pages that may not be touched: the first step outside ends the process.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace handpose::fuzzing {

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// One block, used again and again: what it holds ends at one fence or begins at the other.
class Guarded {
 public:
  explicit Guarded(std::size_t capacity) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    capacity_ = (capacity + page - 1) / page * page;
    void* const all = mmap(nullptr, capacity_ + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) fail("mmap failed");
    first_ = static_cast<std::uint8_t*>(all) + page;
    if (mprotect(all, page, PROT_NONE) != 0 || mprotect(first_ + capacity_, page, PROT_NONE) != 0) {
      fail("mprotect failed");
    }
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  bool fits(std::size_t bytes) const { return bytes <= capacity_; }

  // `bytes` bytes that end at the upper fence, or begin at the lower one.
  std::uint8_t* place(std::size_t bytes, bool at_end) const {
    if (!fits(bytes)) fail("a guarded block is too small");
    return at_end ? first_ + capacity_ - bytes : first_;
  }

  template <typename T>
  T* place_items(std::size_t count, bool at_end) const {
    return reinterpret_cast<T*>(place(count * sizeof(T), at_end));
  }

 private:
  std::uint8_t* first_;
  std::size_t capacity_;
};

}  // namespace handpose::fuzzing
