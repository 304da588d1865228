// Threads that help with the work of one call. They start when they are first needed, sleep between calls and live as
// long as the process; a forked child starts its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace handpose {

// Most threads that may share a call.
constexpr std::int32_t kMostThreads = 64;

// Makes sure that calls of `threads` threads find enough of them, the calling one included. Throws std::system_error
// where the system gives no more.
void reserve_threads(std::int32_t threads);

// Works on the items begin .. end - 1. No two calls with the same `slot` run at the same time.
using ShareWork = void (*)(const void* context, std::int32_t slot, std::size_t begin, std::size_t end);

// How fast one kind of work goes in one thread, as its latest calls have shown: a kernel on one level, with what else
// its time for a byte depends on. Any number of threads may use it.
class Pace {
 public:
  using Seconds = std::chrono::duration<double>;

  constexpr Pace() = default;

  // How long work on so many bytes takes.
  Seconds of(double bytes) const { return Seconds(bytes * per_byte_.load(std::memory_order_relaxed)); }

  // Whether too few calls were timed to rely on.
  bool unsure() const { return timed_.load(std::memory_order_relaxed) < kEnough; }

  // Work on so many bytes took so long: longer, it may be, because the system interrupted it.
  void learn(double bytes, Seconds spent);

 private:
  static constexpr std::int32_t kEnough = 16;
  static constexpr double kFastest = 1e-11;  // no thread reads or writes a byte in much less; clocks may see none pass

  std::atomic<double> per_byte_{kFastest};
  std::atomic<std::int32_t> timed_{0};
};

// The work of a call.
struct Load {
  std::size_t items;
  std::size_t overlap;  // what a range takes longer for not being part of another one, in items
  double bytes;         // about what it reads and writes, or any other measure of its size that goes with `pace`
  Pace* pace;
};

// Calls `work` on ranges that together are the items 0 .. items - 1, each in one range: in the calling thread, and,
// where there is enough to do, in up to threads - 1 others as far as they have been reserved and are free. Slots are
// below `threads`. Returns when all is done. Who takes which range is left to chance: items must not depend on each
// other. Does not allocate or throw; any number of threads may call.
void share_items(const Load& load, std::int32_t threads, ShareWork work, const void* context);

// The same for a function object (slot, begin, end).
template <typename Function>
void share_items(const Load& load, std::int32_t threads, const Function& function) {
  const ShareWork work = [](const void* context, std::int32_t slot, std::size_t begin, std::size_t end) {
    (*static_cast<const Function*>(context))(slot, begin, end);
  };
  share_items(load, threads, work, &function);
}

}  // namespace handpose
