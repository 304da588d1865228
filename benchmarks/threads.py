"""``threads=2`` against one thread: calls in a row and calls after a rest, beside what two threads can read and write.

    python benchmarks/threads.py [PATTERN] [--rounds 60]

Each answer by two threads is first compared with that by one, bit by bit. Then every round times all ways of a case,
in shuffled order. "In a row" are ten calls or more that follow one another, after 3 ms of them that are not timed;
"rested" is a single call after 3 ms of sleep, as in a program that waits for frames. One thread is timed twice in every
round, as if it were two ways: "again" is how many times as fast the second is, with the middle half of all rounds
behind it, and shows what the figures before it are worth. "Apart" is what the machine gives: how many times as many
calls two threads make, each on a processor of its own and with its own data, than one. The limit is the time in which
such two threads read the input (NumPy's maximum) and write the output (its fill), a half each, and do nothing else.

Rounds in which other programs, or the host of a virtual machine, had a tenth of the processors' time are left out, and
made again, up to twice as many as asked for: "left out" says how many, and what was taken of the ones that count.
"""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

import handpose_native as hp
from handpose_native.bench.data import heatmaps, memory_limit, scene

PICTURES = [
    ("antialias", (3840, 2160), (224, 224)),
    ("antialias", (3840, 2160), (640, 640)),
    ("antialias", (1920, 1080), (640, 640)),
    ("antialias", (1920, 1080), (224, 224)),
    ("antialias", (1280, 720), (640, 640)),
    ("antialias", (1280, 720), (224, 224)),
    ("linear", (3840, 2160), (1920, 1080)),
    ("linear", (3840, 2160), (640, 640)),
    ("linear", (1280, 720), (224, 224)),
]
HEATMAPS = [
    ("argmax", (8, 21, 128, 128)),
    ("argmax", (16, 21, 128, 128)),
    ("argmax", (32, 21, 128, 128)),
    ("expectation", (8, 21, 128, 128)),
    ("expectation", (16, 21, 128, 128)),
    ("expectation", (64, 21, 64, 64)),
    ("expectation", (32, 21, 128, 128)),
    ("expectation", (1, 21, 128, 128)),
    ("argmax", (1, 21, 64, 64)),
]
COLUMNS = [
    *("work", "one, us", "two", "times", "again", "rested: one", "two", "times", "again"),
    *("apart", "of the limit of two", "left out"),
]
REST_S = 3e-3
LEAST_CALLS = 10
MOST_TAKEN, LEAST_ROUNDS = 0.1, 4
SAMPLE_S, LIMIT_SAMPLE_S = 4e-4, 8e-3  # threads of Python begin and end with some 50 us between them
#: What takes one thread less is small: two are not to be slower.
LARGE_S = 6e-5


@dataclass
class Work:
    """One call by so many threads; its result; the bytes that it has to read and write."""

    name: str
    call: Callable[[int], Any]
    result: list[np.ndarray]
    read_bytes: int
    write_bytes: int


def picture_work(filter: str, size: tuple[int, int], input_size: tuple[int, int]) -> Work:
    image = scene(*size).copy()
    out = np.empty((1, 3, *input_size[::-1]), np.float32)
    rows = min(2 * input_size[1], size[1]) if filter == "linear" else size[1]
    name = f"{filter}, {size[0]}x{size[1]} to {input_size[0]}x{input_size[1]}"
    call = partial(hp.preprocess, image, filter=filter, out=out)
    return Work(name, lambda threads: call(threads=threads), [out], rows * size[0] * 3, out.nbytes)


def heatmap_work(method: str, shape: tuple[int, int, int, int]) -> Work:
    maps = heatmaps(shape, "float32")
    out = (np.empty((*shape[:2], 2), np.float32), np.empty(shape[:2], np.float32))
    call = partial(hp.heatmap_peaks, maps, method=method, out=out)
    name = f"{method}, {'x'.join(map(str, shape))}"
    return Work(name, lambda threads: call(threads=threads), list(out), maps.nbytes, 0)


def check(work: Work) -> None:
    answers = []
    for threads in (1, 2):
        for array in work.result:
            array.fill(np.nan)
        work.call(threads)
        answers.append([array.tobytes() for array in work.result])
    if answers[0] != answers[1]:
        raise SystemExit(f"{work.name}: two threads give another answer")


def in_a_row(work: Work, threads: int, calls: int) -> float:
    """Return microseconds per call, once the data are back in the caches and helpers and clocks awake."""
    began = time.perf_counter()
    while time.perf_counter() < began + REST_S:
        work.call(threads)
    began = time.perf_counter()
    for _ in range(calls):
        work.call(threads)
    return (time.perf_counter() - began) / calls * 1e6


def rested(work: Work, threads: int) -> float:
    time.sleep(REST_S)
    began = time.perf_counter()
    work.call(threads)
    return (time.perf_counter() - began) * 1e6


def at_once(calls: int, *functions: Callable[[], Any]) -> float:
    """Return the microseconds per call in which threads call each its own function, on a processor of its own."""
    start, ends = threading.Barrier(len(functions) + 1), []

    def run(processor: int, function: Callable[[], Any]) -> None:
        os.sched_setaffinity(0, {processor})  # of this thread
        function()
        start.wait()
        for _ in range(calls):
            function()
        ends.append(time.perf_counter())

    processors = sorted(os.sched_getaffinity(0))
    threads = [threading.Thread(target=run, args=pair) for pair in zip(processors, functions)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return (max(ends) - began) / calls * 1e6


def busy_elsewhere_s() -> float:
    """Return how long processors have not been for this program: not idle, or kept by the host."""
    ticks = Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=6)
    idle = (int(ticks[4]) + int(ticks[5])) / os.sysconf("SC_CLK_TCK")
    of_all = time.monotonic() * (os.cpu_count() or 1)
    return of_all - idle - time.process_time()


def measure(work: Work, twin: Work, rounds: int) -> None:
    duration_s = in_a_row(work, 1, 5) / 1e6
    calls = max(LEAST_CALLS, round(SAMPLE_S / duration_s))
    ways: dict[str, Callable[[], float]] = {}
    for name, threads in (("one", 1), ("again", 1), ("two", 2)):
        ways[name] = partial(in_a_row, work, threads, calls)
        ways[f"{name}, rested"] = partial(rested, work, threads)
    if duration_s >= LARGE_S:
        calls = max(1, round(LIMIT_SAMPLE_S / duration_s))
        ways["apart"] = partial(at_once, calls, partial(work.call, 1), partial(twin.call, 1))
        halves = [memory_limit(work.read_bytes // 8 * 4, work.write_bytes // 8 * 4) for _ in range(2)]
        ways["limit"] = partial(at_once, calls, *halves)
    kept: list[dict[str, float]] = []
    taken: list[float] = []
    tries = 0
    while len(kept) < rounds and tries < 3 * rounds:
        tries += 1
        began, elsewhere = time.monotonic(), busy_elsewhere_s()
        times = {name: ways[name]() for name in random.sample(sorted(ways), len(ways))}
        spent = (time.monotonic() - began) * (os.cpu_count() or 1)
        share = max(busy_elsewhere_s() - elsewhere, 0) / spent
        if share < MOST_TAKEN:
            kept.append(times)
            taken.append(share)
    print(row_of(work.name, kept, f"{tries - len(kept)}; {100 * fmean(taken or [0]):.1f} %"), flush=True)


def row_of(name: str, rounds: list[dict[str, float]], left_out: str) -> str:
    if len(rounds) < LEAST_ROUNDS:
        return f"| {name} {'| ' * (len(COLUMNS) - 1)}| {left_out} |"

    def ratios(first: str, second: str) -> list[float]:
        return sorted(times[first] / times[second] for times in rounds)

    row = [name]
    for rest in ("", ", rested"):
        row += [f"{median(times[way + rest] for times in rounds):.1f}" for way in ("one", "two")]
        again = ratios(f"one{rest}", f"again{rest}")
        quarter = len(again) // 4
        row.append(f"**{median(ratios(f'one{rest}', f'two{rest}')):.2f}**")
        row.append(f"{median(again):.2f} ({again[quarter]:.2f}-{again[-1 - quarter]:.2f})")
    if "apart" in rounds[0]:
        row += [f"{2 * median(ratios('one', 'apart')):.2f}", f"{100 * median(ratios('limit', 'two')):.0f} %"]
    else:
        row += ["", ""]
    return f"| {' | '.join([*row, left_out])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="*", help="of names, for instance 'argmax*'")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    makers = [partial(picture_work, *case) for case in PICTURES] + [partial(heatmap_work, *case) for case in HEATMAPS]
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for make in makers:
        work = make()
        if fnmatchcase(work.name, f"*{options.pattern}*"):
            check(work)
            measure(work, make(), options.rounds)


if __name__ == "__main__":
    main()
