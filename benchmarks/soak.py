"""One run of very many frames: memory, file descriptors and threads must stay what they were, and speed too.

    python benchmarks/soak.py VIDEO [--model hands-lite] [--frames 200000] [--write] [--json FILE]

The video is opened again whenever it ends, as one endless source of one pipeline. Hands are found and drawn; with
--write the pictures and keypoints are also written, into a temporary folder. The first tenth is warm-up (Arrow takes
60 MB with the first row group of a table, after 16,384 frames). Exit code 1 where, after it,

- resident memory is ever more than 10 MB above that at its end;
- there are ever more file descriptors or threads than there were at most before its end. Of threads the fewest at any
  frame of a window count: those that convert pictures live on until the last picture of a round is written;
- the processor time per frame of the last quarter (median over windows) is more than 3 % above that of the first.

Processor time, because the clock also tells what else the machine did; frames per second are told beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import handpose_native as hp

ALLOWED_MB, ALLOWED_SLOWDOWN = 10.0, 0.03
WINDOWS = 100


class LoopedSource(hp.Source):
    """A video that begins again when it ends; its times go on."""

    def __init__(self, path: str) -> None:
        with hp.open_source(path) as source:
            super().__init__(replace(source.info, frame_count=None))
        self._path = path

    def _frames(self) -> Iterator[hp.Frame]:
        index, start_s, step_s = 0, 0.0, float(1 / (self.info.fps or 30))
        while True:
            with hp.open_source(self._path) as source:
                source.planes_wanted = self.planes_wanted
                for frame in source:
                    last_s = start_s + frame.pts_s
                    yield hp.Frame(index, last_s, frame.picture)
                    index += 1
            start_s = last_s + step_s

    def _release(self) -> None:
        return


@dataclass
class Sample:
    """The process at the end of a window; `threads`: the fewest within it."""

    frames: int
    seconds: float
    cpu_s: float
    resident_mb: float
    descriptors: int
    threads: int


def count_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - the least work


def sample(frames: int, threads: int) -> Sample:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Sample(
        frames,
        time.perf_counter(),
        time.process_time(),
        pages * resource.getpagesize() / 1e6,
        len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - the fewest descriptors of its own
        threads,
    )


def soak(
    video: str, model: str, frames: int, *, write: bool = False, tell: Any = None, **options: Any
) -> dict[str, Any]:
    """Run it and judge; returns what the JSON holds."""
    window = max(frames // WINDOWS, 1)
    samples: list[Sample] = []
    count = itertools.count(1)
    threads: list[int] = []

    def on_frame(_: hp.FrameResult) -> None:
        number = next(count)
        threads.append(count_threads())
        if number % window == 0:
            samples.append(sample(number, min(threads)))
            threads.clear()
            if tell is not None:
                tell(samples)

    with tempfile.TemporaryDirectory() as name, hp.Pipeline(model, **options) as pipe:
        folder = Path(name)
        sinks: list[Any] = [folder / "out.mp4"] if write else [NoSink()]
        keypoints = [folder / "out.jsonl", folder / "out.parquet"] if write else None
        report = pipe.run(LoopedSource(video), sinks, keypoints=keypoints, max_frames=frames, on_frame=on_frame)
    return judge(samples, report, threading.active_count())


class NoSink(hp.Sink):
    """Takes pictures that were drawn on, and does nothing with them."""

    takes_planes = True

    def __init__(self) -> None:
        super().__init__("nowhere")

    def _write(self, picture: hp.Picture, pts_s: float) -> bool:
        return True

    def _finish(self) -> None:
        return


def judge(samples: list[Sample], report: hp.RunReport, threads_left: int = 1) -> dict[str, Any]:
    """Set the time after warm-up against it; `threads_left` are Python's, after the run."""
    warm_up = max(len(samples) // 10, 1)
    before, after = samples[:warm_up], samples[warm_up:]
    cpu_ms = [1e3 * (b.cpu_s - a.cpu_s) / (b.frames - a.frames) for a, b in zip(samples[warm_up - 1 :], after)]
    quarter = max(len(cpu_ms) // 4, 1)
    first_ms, last_ms = statistics.median(cpu_ms[:quarter]), statistics.median(cpu_ms[-quarter:])
    seconds = samples[-1].seconds - samples[warm_up - 1].seconds
    figures = {
        "growth_mb": max(one.resident_mb for one in after) - before[-1].resident_mb,
        "descriptors": [max(one.descriptors for one in side) for side in (before, after)],
        "threads": [max(one.threads for one in side) for side in (before, after)],
        "cpu_ms_first_quarter": first_ms,
        "cpu_ms_last_quarter": last_ms,
        "slowdown": last_ms / first_ms - 1,
        "fps": (samples[-1].frames - samples[warm_up - 1].frames) / seconds,
    }
    problems = []
    if figures["growth_mb"] > ALLOWED_MB:
        problems.append(f"memory grew by {figures['growth_mb']:.1f} MB")
    for what in ("descriptors", "threads"):
        if figures[what][1] > figures[what][0]:
            problems.append(f"{what}: {figures[what][1]} instead of {figures[what][0]}")
    if figures["slowdown"] > ALLOWED_SLOWDOWN:
        problems.append(f"frames take {figures['slowdown']:.1%} more processor time")
    if report.frames != samples[-1].frames or threads_left > 1:
        problems.append(f"{report.frames} frames counted, {threads_left} Python threads at the end")
    return {
        "source": report.source,
        "model": report.model,
        "frames": report.frames,
        "frames_with_hands": report.frames_with_hands,
        **figures,
        "problems": problems,
        "samples": [asdict(one) for one in samples],
        "report": report.to_dict(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--model", default="hands-lite")
    parser.add_argument("--max-hands", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--write", action="store_true", help="also write out.mp4, out.jsonl and out.parquet")
    parser.add_argument("--json", help="write all figures there")
    options = parser.parse_args()

    def tell(samples: list[Sample]) -> None:
        if len(samples) > 1 and len(samples) % 10:
            return
        last = samples[-1]
        print(
            f"{last.frames:>8}{last.resident_mb:>9.1f}{last.descriptors:>5}{last.threads:>5}"
            f"{1e3 * last.cpu_s / last.frames:>9.2f}",
            flush=True,
        )

    print(f"{'frames':>8}{'MB':>9}{'fds':>5}{'thr':>5}{'cpu ms':>9}")
    result = soak(
        options.video,
        options.model,
        options.frames,
        write=options.write,
        tell=tell,
        max_hands=options.max_hands,
        threads=options.threads,
    )
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(
        f"{result['frames']} frames at {result['fps']:.1f} fps, hands in {result['frames_with_hands']}; after warm-up: "
        f"memory +{result['growth_mb']:.1f} MB, descriptors {result['descriptors']}, threads {result['threads']}, "
        f"processor time per frame {result['cpu_ms_first_quarter']:.2f} to {result['cpu_ms_last_quarter']:.2f} ms "
        f"({result['slowdown']:+.1%})"
    )
    for problem in result["problems"]:
        print(f"wrong: {problem}", file=sys.stderr)
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
