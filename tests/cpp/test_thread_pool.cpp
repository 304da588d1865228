#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "core/thread_pool.hpp"
#include "kernels/heatmap_peaks.hpp"
#include "kernels/preprocess.hpp"
#include "random_data.hpp"

using namespace handpose;
using handpose::testing::Picture;
using handpose::testing::Random;

namespace {

// Items that take long enough for helpers to come, and how often each was worked on.
struct Work {
  explicit Work(std::size_t items) : done(items) {}

  void operator()(std::int32_t slot, std::size_t begin, std::size_t end) const {
    const std::int32_t others = busy[slot].fetch_add(1);
    shared_slot = shared_slot || others != 0;
    const std::int32_t now = working.fetch_add(1) + 1;
    for (std::int32_t most = most_working; now > most && !most_working.compare_exchange_weak(most, now);) continue;
    std::this_thread::sleep_for(std::chrono::microseconds(20) * (end - begin));
    for (std::size_t i = begin; i < end; ++i) ++done[i];
    working.fetch_sub(1);
    busy[slot].fetch_sub(1);
  }

  bool every_item_once() const {
    for (const std::atomic<int>& times : done) {
      if (times != 1) return false;
    }
    return true;
  }

  mutable std::vector<std::atomic<int>> done;
  mutable std::atomic<std::int32_t> busy[kMostThreads] = {};
  mutable std::atomic<std::int32_t> working{0}, most_working{0};
  mutable std::atomic<bool> shared_slot{false};
};

constexpr double kBytesPerItem = 2e6;  // what a new Pace takes to last as long as an item of Work

Load load_of(std::size_t items, Pace* pace, std::size_t overlap = 0) {
  return {items, overlap, kBytesPerItem * static_cast<double>(items), pace};
}

void share(std::size_t items, std::int32_t threads, std::size_t overlap = 0) {
  Pace pace;
  const Work work(items);
  share_items(load_of(items, &pace, overlap), threads, work);
  CAPTURE(items);
  CAPTURE(overlap);
  CAPTURE(threads);
  CHECK(work.every_item_once());
  CHECK_FALSE(work.shared_slot);
  CHECK(work.most_working <= threads);
}

}  // namespace

TEST_CASE("every item is worked on once, by no more threads than asked for") {
  reserve_threads(5);
  for (const std::size_t items : std::vector<std::size_t>{1, 2, 3, 21, 31, 32, 33, 100, 1000}) {
    for (const std::int32_t threads : {1, 2, 3, 5, 8}) {
      for (const std::size_t overlap : std::vector<std::size_t>{0, 1, 5}) share(items, threads, overlap);
    }
  }
}

TEST_CASE("helpers come where there is enough to do") {
  reserve_threads(4);
  Pace pace;
  const Work work(2000);
  share_items(load_of(2000, &pace), 4, work);
  CHECK(work.most_working > 1);
}

TEST_CASE("each thread begins with a part of its own") {
  reserve_threads(2);
  Pace pace;
  std::atomic<std::size_t> first[2] = {{2000}, {2000}};
  share_items(load_of(2000, &pace), 2, [&](std::int32_t slot, std::size_t begin, std::size_t end) {
    if (first[slot] == 2000) first[slot] = begin;
    std::this_thread::sleep_for(std::chrono::microseconds(20) * (end - begin));
  });
  CHECK(first[0] == 0);
  CHECK(first[1] >= 1000);  // the caller may have taken some of them before it came
  CHECK(first[1] < 2000);
}

TEST_CASE("no helper comes where the pace says that there is too little to do, until calls have shown that it lasts") {
  reserve_threads(2);
  Pace pace;
  const Load load{2000, 0, 1e3, &pace};  // 10 ns, says the new pace; it takes 40 ms
  int calls = 0;
  for (bool helped = false; !helped && calls < 100; ++calls) {
    const Work work(2000);
    share_items(load, 2, work);
    helped = work.most_working > 1;
    CHECK(work.every_item_once());
  }
  CHECK(calls > 10);  // the pace doubles at most
  CHECK(calls < 20);
}

TEST_CASE("work that turns out to be short is left to the calling thread") {
  reserve_threads(2);
  Pace pace;
  const Load load{1000, 0, 1e6, &pace};
  while (pace.of(load.bytes) < std::chrono::milliseconds(10)) pace.learn(load.bytes, std::chrono::seconds(1));
  for (int call = 0; call < 100; ++call) {
    share_items(load, 2, [](std::int32_t, std::size_t, std::size_t) {});
    if (pace.of(load.bytes) < std::chrono::microseconds(50)) break;
  }
  CHECK(pace.of(load.bytes) < std::chrono::microseconds(50));
  std::atomic<bool> helped{false};
  share_items(load, 2, [&](std::int32_t slot, std::size_t begin, std::size_t end) {
    if (slot != 0 || begin != 0 || end != load.items) helped = true;
  });
  CHECK_FALSE(helped);
}

TEST_CASE("what is too little for a helper after a rest is enough where calls follow one another") {
  reserve_threads(2);
  const auto shared = [] {
    Pace pace;
    std::atomic<bool> in_parts{false};
    share_items({1000, 0, 8e6, &pace}, 2, [&](std::int32_t, std::size_t begin, std::size_t end) {  // 80 us, it says
      if (begin != 0 || end != 1000) in_parts = true;
    });
    return in_parts.load();
  };
  bool followed = false;
  for (int round = 0; round < 1000 && !followed; ++round) {  // the system may come between
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK_FALSE(shared());
    followed = shared();
  }
  CHECK(followed);
}

TEST_CASE("a pace falls at once but never to nothing, rises to twice at most, and is sure after a few calls") {
  Pace pace;
  const Pace::Seconds first = pace.of(1000);
  CHECK(pace.unsure());
  pace.learn(1000, std::chrono::seconds(1));
  CHECK(pace.of(1000) == 2 * first);
  pace.learn(1000, std::chrono::seconds(1));
  CHECK(pace.of(1000) == 4 * first);
  pace.learn(1000, 2 * first);
  CHECK(pace.of(1000) == 2 * first);
  pace.learn(1000, Pace::Seconds(0));  // as clocks say that tick seldom
  CHECK(pace.of(1000) == first);
  for (int i = 0; i < 20; ++i) pace.learn(1000, first);
  CHECK_FALSE(pace.unsure());
}

TEST_CASE("helpers run where the calling thread may, but not on its processor") {
  cpu_set_t callers;
  REQUIRE(sched_getaffinity(0, sizeof callers, &callers) == 0);
  if (CPU_COUNT(&callers) < 2) return;
  reserve_threads(2);
  Pace pace;
  for (int round = 0; round < 10; ++round) {
    std::atomic<int> helped{0}, elsewhere{0};
    share_items(load_of(2000, &pace), 2, [&](std::int32_t slot, std::size_t begin, std::size_t end) {
      std::this_thread::sleep_for(std::chrono::microseconds(20) * (end - begin));
      if (slot == 0) return;
      cpu_set_t own, both;
      if (sched_getaffinity(0, sizeof own, &own) != 0) return;
      CPU_AND(&both, &own, &callers);
      ++helped;
      if (CPU_EQUAL(&both, &own) && CPU_COUNT(&own) == CPU_COUNT(&callers) - 1) ++elsewhere;
    });
    CHECK(helped > 0);
    CHECK(elsewhere == helped);
  }
}

TEST_CASE("many threads share items at once") {
  reserve_threads(3);
  std::vector<std::thread> callers;
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([] {
      for (int round = 0; round < 10; ++round) share(50, 3);
    });
  }
  for (std::thread& caller : callers) caller.join();
}

#if !defined(__SANITIZE_THREAD__)  // which does not follow threads that a forked child starts
TEST_CASE("a forked child has helpers of its own") {
  reserve_threads(3);
  share(200, 3);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    Pace pace;
    const Work before(200);
    share_items(load_of(200, &pace), 3, before);  // alone: none has been reserved here
    reserve_threads(3);
    const Work after(2000);
    share_items(load_of(2000, &pace), 3, after);
    _exit(before.every_item_once() && after.every_item_once() && after.most_working > 1 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
#endif

TEST_CASE("preprocess gives the same bits for any number of threads") {
  reserve_threads(4);
  Random random(31);
  for (int round = 0; round < 60; ++round) {
    const auto format = static_cast<PixelFormat>(random.integer(0, 1) == 0 ? PixelFormat::kBgr24 : PixelFormat::kNv12);
    const Picture picture(format, random.integer(400, 1600), random.integer(300, 1000), &random);
    PreprocessParams params;
    params.filter = static_cast<Filter>(random.integer(0, 2));
    params.yuv = yuv_to_rgb(ColorMatrix::kBt709, ColorRange::kFull);
    TensorView tensor;
    tensor.height = random.integer(1, 900);
    tensor.width = random.integer(1, 900);
    Affine& a = params.image_from_input;
    a.xx = 1.4 * picture.view().width / tensor.width;
    a.yy = 1.4 * picture.view().height / tensor.height;
    a.x0 = random.real(-200, 0);
    a.y0 = random.real(-200, 0);
    if (random.integer(0, 2) == 0) {
      params.filter = Filter::kLinear;
      a.xy = random.real(-1, 1);
    }
    std::vector<float> alone(3 * static_cast<std::size_t>(tensor.height) * static_cast<std::size_t>(tensor.width));
    std::vector<float> shared(alone.size());
    for (std::vector<float>* result : {&alone, &shared}) {
      params.threads = result == &alone ? 1 : random.integer(2, 6);
      tensor.data = result->data();
      const std::size_t bytes = preprocess_workspace_bytes(picture.view(), params, tensor);
      const std::unique_ptr<void, decltype(&std::free)> workspace(std::aligned_alloc(64, bytes), &std::free);
      PreprocessTables tables;
      preprocess(picture.view(), params, tensor, workspace.get(), &tables);
    }
    CAPTURE(round);
    CHECK(alone == shared);
  }
}

TEST_CASE("heatmap_peaks gives the same bits for any number of threads") {
  reserve_threads(4);
  Random random(32);
  std::vector<float> values(std::size_t{60} * 21 * 64 * 64);
  for (float& value : values) value = static_cast<float>(random.real(-0.2, 1));
  HeatmapStack stack;
  stack.first = {reinterpret_cast<const std::uint8_t*>(values.data()), 64 * 4, 64, 64, false};
  stack.maps = 21;
  stack.batches = 60;
  stack.map_pitch_bytes = 64 * 64 * 4;
  stack.batch_pitch_bytes = 21 * stack.map_pitch_bytes;
  for (int method = 0; method < 4; ++method) {
    PeakParams params;
    params.method = static_cast<PeakMethod>(method);
    fill_blur(11, &params);
    std::vector<float> results[2];
    for (std::vector<float>& result : results) {
      params.threads = &result == results ? 1 : 3;
      result.resize(60 * 21 * 4);
      heatmap_peaks(stack, params, result.data(), result.data() + 2520, result.data() + 3780);
    }
    CAPTURE(method);
    CHECK(results[0] == results[1]);
  }
}
