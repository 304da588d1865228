"""Resident memory of one process over many frames: it must stay where it was after the first few hundred.

    python benchmarks/steady_memory.py VIDEO [--model hands-lite] [--max-hands 2] [--frames 10000]

The video is repeated, without encoding it again, in a temporary file of that length; hands are found and drawn, nothing
is written. Exit code 1 where memory grows by more than 5 MB after the first 500 frames.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import av

import handpose_native as hp

WARM_UP_FRAMES = 500
ALLOWED_MB = 5.0


def lengthen(path: str, frames: int, target: Path) -> None:
    """Write at least so many frames by copying the packets of a video again and again."""
    with av.open(str(target), "w") as out:
        stream, written, offset = None, 0, 0
        while written < frames:
            with av.open(path) as video:
                source = video.streams.video[0]
                stream = stream or out.add_stream_from_template(source)
                for packet in video.demux(source):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    out.mux(packet)
                    written += 1
                offset += source.duration


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
    with tempfile.TemporaryDirectory() as folder, hp.Pipeline(options.model, max_hands=options.max_hands) as pipe:
        video = Path(folder) / "long.mp4"
        lengthen(options.video, options.frames, video)
        for count, result in enumerate(pipe.stream(video, max_frames=options.frames), start=1):
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
