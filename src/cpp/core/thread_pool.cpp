#include "thread_pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <thread>

namespace handpose {
namespace {

using Clock = std::chrono::steady_clock;

// A helper that sleeps takes 20 to 65 us to come, and its cache is cold: each has to save more than that. Where calls
// follow one another it is awake but for the first of them.
constexpr Pace::Seconds kWorthAHelper = std::chrono::microseconds(100);
constexpr Pace::Seconds kWorthOneAwake = std::chrono::microseconds(60);

// Of the calls of a thread that are too small for a helper one in so many is timed, lest a pace grows old. Prime: kinds
// of work that take turns are timed all.
constexpr std::uint32_t kTimedOneIn = 61;

// Ranges are short enough, and shorter still towards the end, for all to end at about the same time; but so many times
// longer than what they overlap.
constexpr std::size_t kRangesPerPart = 16, kOverlaps = 8;

// How long the last helper is awaited without sleeping: going to sleep and waking up take about as long. Calls follow
// one another where they come as soon; as long a helper looks out for a next one.
constexpr Clock::duration kAwake = std::chrono::microseconds(50);

// Items that one of the threads begins with, and the others go on with when they have done theirs: call by call a
// thread finds most of its data where it left them, in the caches nearest to its processor. Cores need not share one.
struct alignas(64) Part {
  std::atomic<std::size_t> next{0};  // the first item that nobody has taken
  std::size_t end = 0;
};

// One call of share_items, on the stack of its thread.
struct Job {
  Job(const Load& load, std::int32_t helpers_wanted, ShareWork function, const void* its_context)
      : work(function), context(its_context), items(load.items), wanted(helpers_wanted), shares(helpers_wanted + 1) {
    const auto count = static_cast<std::size_t>(shares);
    least = std::max(load.overlap * kOverlaps, std::size_t{1});
    most = load.overlap == 0 ? items / (count * kRangesPerPart) : items;
    for (std::size_t i = 0, begin = 0; i < count; ++i) {
      parts[i].next = begin;
      begin += items / count + (i < items % count ? 1 : 0);
      parts[i].end = begin;
    }
  }

  // Returns how many items it has worked on.
  std::size_t run_ranges(std::int32_t slot) {
    std::size_t done = 0;
    for (std::int32_t i = 0; i < shares; ++i) {
      Part& part = parts[(slot + i) % shares];
      for (std::size_t begin = part.next; begin < part.end; begin = part.next) {
        const std::size_t left = part.end - begin;
        const std::size_t share = i == 0 ? left - left / 4 : left / 2;  // less of another's: its thread may yet come
        const std::size_t end = begin + std::min(std::max(std::min(share, most), least), left);
        if (!part.next.compare_exchange_strong(begin, end)) continue;
        work(context, slot, begin, end);
        done += end - begin;
      }
    }
    return done;
  }

  bool all_taken() const {
    return std::all_of(parts, parts + shares, [](const Part& part) { return part.next >= part.end; });
  }

  const ShareWork work;
  const void* const context;
  const std::size_t items;
  std::size_t least, most;  // items of a range
  std::int32_t wanted;      // helpers that may still join; under the pool's lock
  const std::int32_t shares;
  std::int32_t slots = 1;      // handed out; under the pool's lock
  Job* after = nullptr;        // under the pool's lock
  Clock::time_point called{};  // when helpers were
  std::atomic<std::int32_t> helpers{0};
  Part parts[kMostThreads];
};

struct Helper {
  pthread_t thread{};
  sem_t called{};
  Helper* below = nullptr;  // in the stack of those that are idle, or of those about to be called
  int kept_off = -1;        // the processor that it may not run on
};

// On the processor of who calls it a helper is of no use, but the system may put it there: Linux does where the others
// look taken, as those of a virtual machine do while they rest.
void keep_off(int processor, Helper* helper) {
  if (helper->kept_off == processor) return;
  cpu_set_t allowed;
  if (processor < 0 || pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed) != 0) return;
  CPU_CLR(static_cast<std::size_t>(processor), &allowed);
  if (CPU_COUNT(&allowed) == 0) return;
  if (pthread_setaffinity_np(helper->thread, sizeof allowed, &allowed) == 0) helper->kept_off = processor;
}

class ThreadPool {
 public:
  void reserve(std::int32_t helpers) {
    if (started_ >= helpers) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    for (; started_ < helpers; ++started_) start();
  }

  // Learns the pace from what the calling thread does of the work on so many bytes.
  void run(Job* job, double bytes, Pace* pace) {
    job->called = Clock::now();
    call(add(job));
    const Clock::time_point from = Clock::now();
    const std::size_t done = job->run_ranges(0);
    const Clock::time_point until = Clock::now();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      Job** link = &first_;
      while (*link != job) link = &(*link)->after;
      *link = job->after;
    }
    while (job->helpers != 0 && Clock::now() < until + kAwake) continue;
    if (job->helpers != 0) {
      std::unique_lock<std::mutex> lock(mutex_);
      helpers_left_.wait(lock, [job] { return job->helpers == 0; });
    }
    if (done > 0) pace->learn(bytes * static_cast<double>(done) / static_cast<double>(job->items), until - from);
  }

 private:
  // Signals are for the threads of the program: helpers take none.
  void start() {
    auto helper = std::make_unique<Helper>();
    sem_init(&helper->called, 0, 0);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread thread([this, self = helper.get()] { help(self); });
      helper->thread = thread.native_handle();
      helper->below = idle_;
      idle_ = helper.release();
      thread.detach();
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  // Returns the helpers to call, which from now on belong to the caller.
  Helper* add(Job* job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    job->after = first_;
    first_ = job;
    Helper* called = nullptr;
    for (std::int32_t i = 0; i < job->wanted && idle_ != nullptr; ++i) {
      Helper* const helper = idle_;
      idle_ = helper->below;
      helper->below = called;
      called = helper;
    }
    return called;
  }

  static void call(Helper* helpers) {
    const int processor = helpers != nullptr ? sched_getcpu() : -1;
    while (helpers != nullptr) {
      Helper* const helper = helpers;
      helpers = helper->below;
      keep_off(processor, helper);
      sem_post(&helper->called);  // from here on it belongs to itself
    }
  }

  Job* job_to_join() const {
    Job* job = first_;
    while (job != nullptr && (job->wanted == 0 || job->all_taken())) job = job->after;
    return job;
  }

  [[noreturn]] void help(Helper* self) {
    Clock::time_point idle_from{};
    bool soon = false;  // whether the last job came soon after the one before
    for (;;) {
      await_call(self, soon ? idle_from + kAwake : idle_from);
      std::unique_lock<std::mutex> lock(mutex_);
      while (Job* const job = job_to_join()) {
        soon = job->called < idle_from + kAwake;
        --job->wanted;
        ++job->helpers;
        const std::int32_t slot = job->slots++;
        lock.unlock();
        job->run_ranges(slot);
        lock.lock();
        if (--job->helpers == 0) helpers_left_.notify_all();  // from here on the job may be gone
        idle_from = Clock::now();
      }
      self->below = idle_;
      idle_ = self;
    }
  }

  static void await_call(Helper* self, Clock::time_point sleep_from) {
    while (Clock::now() < sleep_from) {
      if (sem_trywait(&self->called) == 0) return;
      std::this_thread::yield();  // to any other that has something to do
    }
    while (sem_wait(&self->called) != 0) continue;
  }

  std::mutex mutex_;
  std::condition_variable helpers_left_;  // the last of a job has left it
  Job* first_ = nullptr;
  Helper* idle_ = nullptr;
  std::atomic<std::int32_t> started_{0};
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

void Pace::learn(double bytes, Seconds spent) {
  const double before = per_byte_.load(std::memory_order_relaxed);
  per_byte_.store(std::min(std::max(spent.count() / bytes, kFastest), 2 * before), std::memory_order_relaxed);
  const std::int32_t timed = timed_.load(std::memory_order_relaxed);
  if (timed < kEnough) timed_.store(timed + 1, std::memory_order_relaxed);
}

void share_items(const Load& load, std::int32_t threads, ShareWork work, const void* context) {
  ThreadPool* const helpers = pool;
  if (threads < 2 || load.items < 2 || helpers == nullptr) return work(context, 0, 0, load.items);
  thread_local std::uint32_t small_calls = 0;
  thread_local Clock::time_point idle_from{};
  const Pace::Seconds expected = load.pace->of(load.bytes);
  const bool small = expected < kWorthOneAwake;
  if (small && !load.pace->unsure() && ++small_calls % kTimedOneIn != 0) return work(context, 0, 0, load.items);
  const Clock::time_point from = Clock::now();
  const double worth = expected / (from < idle_from + kAwake ? kWorthOneAwake : kWorthAHelper);
  if (small || worth < 1) {
    work(context, 0, 0, load.items);
    idle_from = Clock::now();
    return load.pace->learn(load.bytes, idle_from - from);
  }
  Job job(load, static_cast<std::int32_t>(std::min(worth, threads - 1.0)), work, context);
  helpers->run(&job, load.bytes, load.pace);
  idle_from = Clock::now();
}

}  // namespace handpose
