"""GIF writers on the same frames, in turn: milliseconds per frame, PSNR, size.

    python benchmarks/gif_writers.py VIDEO [--frames 90] [--size 640x480] [--rounds 3]

Answers are checked before anything is timed: every writer's file is read back with FFmpeg and must hold every frame.
Needs the extras test and cpu.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import imageio
import numpy as np
from PIL import Image

from handpose_native import open_sink

Frames = list[np.ndarray]


def read_frames(path: str, count: int, size: tuple[int, int]) -> tuple[Frames, float]:
    with av.open(path) as container:
        rate = float(container.streams.video[0].average_rate)
        frames = []
        for frame in container.decode(video=0):
            frames.append(cv2.resize(frame.to_ndarray(format="bgr24"), size, interpolation=cv2.INTER_AREA))
            if len(frames) == count:
                break
    return frames, rate


def write_ours(path: Path, frames: Frames, rate: float) -> None:
    with open_sink(path, fps=rate) as sink:
        for index, frame in enumerate(frames):
            sink.write(frame, index / rate)


def write_imageio(path: Path, frames: Frames, rate: float) -> None:
    imageio.mimsave(path, [frame[..., ::-1] for frame in frames], duration=1000 / rate)


def write_pillow(path: Path, frames: Frames, rate: float) -> None:
    """Pillow at its fastest: the first frame's palette for all, no dither."""
    pictures = [Image.fromarray(frame[..., ::-1]) for frame in frames]
    palette = pictures[0].quantize(256, dither=Image.Dither.NONE)
    mapped = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    mapped[0].save(path, save_all=True, append_images=mapped[1:], duration=1000 / rate, loop=0)


WRITERS: dict[str, Callable[[Path, Frames, float], None]] = {
    "handpose_native": write_ours,
    "imageio.mimsave": write_imageio,
    "Pillow, one palette": write_pillow,
}


def check(path: Path, frames: Frames, rate: float) -> float:
    """Return the mean PSNR in dB over what is shown at each frame's time; Pillow and imageio merge equal frames."""
    with av.open(str(path)) as container:
        shown = [(float(f.pts * f.time_base), f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]
    values = []
    current = 0
    for index, frame in enumerate(frames):
        while current + 1 < len(shown) and shown[current + 1][0] <= index / rate + 0.006:
            current += 1
        error = np.mean((shown[current][1].astype(np.float64) - frame) ** 2)
        values.append(99.0 if error == 0 else 10 * np.log10(255**2 / error))
    return float(np.mean(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    frames, rate = read_frames(options.video, options.frames, (width, height))
    times: dict[str, list[float]] = {name: [] for name in WRITERS}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{index}.gif" for index, name in enumerate(WRITERS)}
        quality = {}
        for name, writer in WRITERS.items():
            writer(paths[name], frames, rate)
            quality[name] = check(paths[name], frames, rate)
        for _ in range(options.rounds):
            for name, writer in WRITERS.items():
                began = time.perf_counter()
                writer(paths[name], frames, rate)
                times[name].append((time.perf_counter() - began) * 1e3 / len(frames))
        print(f"{len(frames)} frames of {width}x{height}, {options.rounds} rounds in turn, medians")
        print(f"{'writer':<22}{'ms/frame':>10}{'ratio':>8}{'PSNR dB':>9}{'KiB/frame':>11}")
        ours = statistics.median(times["handpose_native"])
        for name, path in paths.items():
            ms = statistics.median(times[name])
            size = path.stat().st_size / 1024 / len(frames)
            print(f"{name:<22}{ms:>10.2f}{ms / ours:>8.1f}{quality[name]:>9.1f}{size:>11.1f}")


if __name__ == "__main__":
    main()
