#include "thread_pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

namespace handpose {
namespace {

using Clock = std::chrono::steady_clock;

// A helper that sleeps takes 20 to 50 us to come, and its cache is cold: each has to save more than that.
constexpr std::chrono::duration<double> kWorthAHelper = std::chrono::microseconds(100);

// Ranges are short enough for all to end at about the same time.
constexpr std::size_t kRangesPerThread = 16;

// How long the last helper is awaited without sleeping: going to sleep and waking up take about as long.
constexpr Clock::duration kAwake = std::chrono::microseconds(50);

// One call of share_items, on the stack of its thread. What is left of the items are two runs, with those in between
// that were done first.
struct Job {
  ShareWork work;
  const void* context;
  std::size_t step;                  // items of a range, and of the middle
  std::size_t middle;                // items before the middle
  std::size_t left;                  // items before and after it
  std::int32_t wanted;               // helpers that may still join; under the pool's lock
  std::int32_t slots = 1;            // handed out; under the pool's lock
  Job* after = nullptr;              // under the pool's lock
  std::atomic<std::size_t> next{0};  // the first of `left` that nobody has taken
  std::atomic<std::int32_t> helpers{0};

  void run(std::int32_t slot, std::size_t begin, std::size_t end) const {
    if (begin < middle) work(context, slot, begin, std::min(end, middle));
    if (end > middle) work(context, slot, std::max(begin, middle) + step, end + step);
  }

  void run_ranges(std::int32_t slot) {
    for (;;) {
      const std::size_t begin = next.fetch_add(step);
      if (begin >= left) return;
      run(slot, begin, std::min(begin + step, left));
    }
  }
};

class ThreadPool {
 public:
  void reserve(std::int32_t helpers) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (; started_ < helpers; ++started_) start();
  }

  void run(Job* job) {
    const std::int32_t wanted = job->wanted;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      job->after = first_;
      first_ = job;
    }
    for (std::int32_t i = 0; i < wanted; ++i) job_there_.notify_one();
    job->run_ranges(0);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      Job** link = &first_;
      while (*link != job) link = &(*link)->after;
      *link = job->after;
    }
    const Clock::time_point sleep_from = Clock::now() + kAwake;
    while (job->helpers != 0 && Clock::now() < sleep_from) continue;
    if (job->helpers == 0) return;
    std::unique_lock<std::mutex> lock(mutex_);
    helpers_left_.wait(lock, [job] { return job->helpers == 0; });
  }

 private:
  // Signals are for the threads of the program: helpers take none.
  void start() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([this] { help(); }).detach();
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  Job* job_to_join() const {
    Job* job = first_;
    while (job != nullptr && (job->wanted == 0 || job->next >= job->left)) job = job->after;
    return job;
  }

  [[noreturn]] void help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      Job* job = nullptr;
      job_there_.wait(lock, [&] { return (job = job_to_join()) != nullptr; });
      --job->wanted;
      ++job->helpers;
      const std::int32_t slot = job->slots++;
      lock.unlock();
      job->run_ranges(slot);
      lock.lock();
      if (--job->helpers == 0) helpers_left_.notify_all();  // from here on the job may be gone
    }
  }

  std::mutex mutex_;
  std::condition_variable job_there_;     // one that may be joined
  std::condition_variable helpers_left_;  // the last of a job has left it
  Job* first_ = nullptr;
  std::int32_t started_ = 0;
};

std::atomic<ThreadPool*> pool{nullptr};

// Never deleted: helpers sleep in it when the process ends. A forked child has none of the threads, and what it has of
// the pool may be locked: it gets a new one.
ThreadPool* make_pool() {
  static const bool made = [] {
    pool = new ThreadPool;
    return pthread_atfork(nullptr, nullptr, [] { pool = new ThreadPool; }) == 0;
  }();
  static_cast<void>(made);
  return pool;
}

}  // namespace

void reserve_threads(std::int32_t threads) {
  if (threads > 1) make_pool()->reserve(threads - 1);
}

void share_items(std::size_t items, std::int32_t threads, ShareWork work, const void* context) {
  ThreadPool* const helpers = pool;
  if (threads < 2 || items < 2 || helpers == nullptr) return work(context, 0, 0, items);
  const std::size_t step = std::max(items / (static_cast<std::size_t>(threads) * kRangesPerThread), std::size_t{1});
  // How long the work takes shows in a range from its middle: the first may be all border.
  Job job{work, context, step, (items - step) / 2, items - step, 0};
  const Clock::time_point begun = Clock::now();
  work(context, 0, job.middle, job.middle + step);
  const std::chrono::duration<double> spent = Clock::now() - begun;
  const double worth = spent / kWorthAHelper * (static_cast<double>(job.left) / static_cast<double>(step));
  job.wanted = static_cast<std::int32_t>(std::min(worth, threads - 1.0));
  if (job.wanted < 1) return job.run(0, 0, job.left);
  helpers->run(&job);
}

}  // namespace handpose
