"""Peak memory of the whole job, video to GIF, for growing lengths: it must not grow.

    python benchmarks/memory.py VIDEO --model FILE [--spec NAME] [--roi X,Y,W,H] [--lengths 100,300,600,1200]

Each length is a process of its own; a video that is shorter is repeated.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import handpose_native as hp


def repeated(path: str, count: int) -> Iterator[np.ndarray]:
    def frames() -> Iterator[np.ndarray]:
        while True:
            with hp.open_source(path) as source:
                for frame in source:
                    yield frame.image

    yield from itertools.islice(frames(), count)


def one(options: argparse.Namespace) -> None:
    roi = tuple(float(part) for part in options.roi.split(",")) if options.roi else None
    with tempfile.TemporaryDirectory() as folder, hp.Pipeline(options.model, spec=options.spec, roi=roi) as pipe:
        pipe.run(repeated(options.video, options.length), Path(folder) / "out.gif")
    print(options.length, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--model", required=True)
    parser.add_argument("--spec")
    parser.add_argument("--roi")
    parser.add_argument("--lengths", default="100,300,600,1200")
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.length:
        one(options)
        return
    print(f"{'frames':>7}{'peak MiB':>10}")
    for length in options.lengths.split(","):
        result = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--length", length], capture_output=True, text=True, check=True
        )
        frames, peak = result.stdout.split()
        print(f"{frames:>7}{float(peak):>10.0f}")


if __name__ == "__main__":
    main()
