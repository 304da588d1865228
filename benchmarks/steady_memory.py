"""Resident memory of one process over many frames: it must stay where it was after the first few hundred.

    python benchmarks/steady_memory.py VIDEO [--model hands-lite] [--max-hands 2] [--frames 10000]

The video is opened again whenever it ends; hands are found and drawn, nothing is written. Exit code 1 where memory
grows by more than 5 MB after the first 500 frames.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import handpose_native as hp

WARM_UP_FRAMES = 500
ALLOWED_MB = 5.0


def repeated(path: str) -> Iterator[np.ndarray]:
    while True:
        with hp.open_source(path) as source:
            for frame in source:
                yield frame.image


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--model", default="hands-lite")
    parser.add_argument("--max-hands", type=int, default=2)
    parser.add_argument("--frames", type=int, default=10_000)
    options = parser.parse_args()
    after_warm_up, highest = 0.0, 0.0
    began = time.perf_counter()
    print(f"{'frames':>7}{'MB':>9}")
    with hp.Pipeline(options.model, max_hands=options.max_hands) as pipe:
        for count, result in enumerate(pipe.stream(itertools.islice(repeated(options.video), options.frames)), start=1):
            hp.draw_hands(result.frame, result.hands)
            if count == WARM_UP_FRAMES:
                after_warm_up = resident_mb()
            if count > WARM_UP_FRAMES and count % 100 == 0:
                highest = max(highest, resident_mb())
            if count % 1000 == 0 or count == WARM_UP_FRAMES:
                print(f"{count:>7}{resident_mb():>9.1f}", flush=True)
    growth = highest - after_warm_up
    print(f"at most {growth:.1f} MB more than after {WARM_UP_FRAMES} frames; {time.perf_counter() - began:.0f} s")
    return 0 if growth <= ALLOWED_MB else 1


if __name__ == "__main__":
    sys.exit(main())
