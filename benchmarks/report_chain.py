"""The whole job with the UNet, video in and GIF out, against the chain that one writes in Python without this package.

    python benchmarks/report_chain.py VIDEO --model unet.onnx [--roi X,Y,SIDE] [--size 1280x720] [--frames 200]

The peer is the chain of most scripts and notebooks: OpenCV reads, Pillow crops and resizes, NumPy normalises, ONNX
Runtime runs with its default threads, NumPy takes the expectation of each map, OpenCV draws, and `imageio.mimsave`
writes all frames at the end. Both run in turn as processes of their own; loading the network is not timed. Their joints
are compared first. Needs the extras test and cpu.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MEAN, STD = (0.3950, 0.4323, 0.2954), (0.1966, 0.1734, 0.1836)
#: Median distance of both chains' joints in pixels, above which nothing is compared: they would not do the same work.
AGREEMENT_PX = 2.0

Job = Callable[[], list[np.ndarray]]


def ours(options: argparse.Namespace) -> Job:
    import handpose_native as hp

    x, y, side = options.roi
    pipe = hp.Pipeline(options.model, spec="unet", roi=(x, y, side, side), min_presence=0.0)
    joints: list[np.ndarray] = []

    def job() -> list[np.ndarray]:
        def keep(result: hp.FrameResult) -> None:
            joints.append(result.hands[0].keypoints)

        pipe.run(options.video, options.output, max_frames=options.frames, on_frame=keep)
        return joints

    return job


def naive(options: argparse.Namespace) -> Job:
    import cv2
    import imageio
    import onnxruntime
    from PIL import Image

    from handpose_native.skeleton import HAND_BONES

    session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
    (image_input,) = session.get_inputs()
    x, y, side = options.roi

    def joints_of(frame: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).crop((x, y, x + side, y + side))
        pixels = np.asarray(picture.resize((128, 128), Image.Resampling.BILINEAR), np.float32) / 255
        normalised = (pixels - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        maps = session.run(None, {image_input.name: normalised.transpose(2, 0, 1)[None]})[0][0]
        points = []
        for heatmap in maps:
            weights = heatmap / heatmap.sum()
            points.append(((weights.sum(0) * np.arange(128)).sum(), (weights.sum(1) * np.arange(128)).sum()))
        return np.array(points) / 128 * side + (x, y)

    def job() -> list[np.ndarray]:
        video, rate, found, drawn = cv2.VideoCapture(options.video), 30.0, [], []
        for _ in range(options.frames):
            read, frame = video.read()
            if not read:
                break
            points = joints_of(frame)
            found.append(points)
            pixels = [(round(px), round(py)) for px, py in points]
            for start, end in HAND_BONES:
                cv2.line(frame, pixels[start], pixels[end], (0, 255, 0), 3)
            for pixel in pixels:
                cv2.circle(frame, pixel, 4, (0, 0, 255), -1)
            drawn.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        imageio.mimsave(options.output, drawn, duration=1000 / rate)
        return found

    return job


WORKERS: dict[str, Callable[[argparse.Namespace], Job]] = {"handpose_native": ours, "naive chain": naive}


def work(options: argparse.Namespace) -> None:
    """Run one of the two and print its figures as JSON."""
    job = WORKERS[options.worker](options)
    began, cpu = time.perf_counter(), time.process_time()
    joints = job()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    np.save(options.joints, np.stack(joints))
    figures = {
        "fps": len(joints) / wall_s,
        "cpu_ms": cpu_s / len(joints) * 1e3,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "kib": Path(options.output).stat().st_size / 1024 / len(joints),
    }
    print(json.dumps(figures))


def run_worker(worker: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    joints = folder / f"{worker}.npy"
    command = [sys.executable, __file__, options.video, "--model", options.model, "--worker", worker]
    command += ["--joints", str(joints), "--output", str(folder / "out.gif"), "--frames", str(options.frames)]
    command += ["--roi", ",".join(str(number) for number in options.roi)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if done.returncode:
        raise SystemExit(f"{worker} failed:\n{done.stderr[-2000:]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "joints": np.load(joints)}


def scaled(options: argparse.Namespace, folder: Path) -> tuple[str, tuple[int, int, int]]:
    """Return the middle of the video in another size, as H.264 made here, and the region there."""
    import cv2

    import handpose_native as hp

    width, height = (int(number) for number in options.size.split("x"))
    x, y, side = options.roi
    path = folder / f"{options.size}.mp4"
    with hp.open_source(options.video) as source:
        scale = max(width / source.info.width, height / source.info.height)
        left, top = (source.info.width - width / scale) / 2, (source.info.height - height / scale) / 2
        roi = (round((x - left) * scale), round((y - top) * scale), round(side * scale))
        if scale == 1.0 and left == top == 0.0:
            return options.video, roi
        affine = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        with hp.open_sink(path, fps=source.info.fps) as sink:
            for frame, _ in zip(source, range(options.frames)):
                picture = cv2.warpAffine(frame.image, affine, (width, height), flags=cv2.INTER_AREA)
                sink.write(picture, frame.pts_s)
    return str(path), roi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--model", required=True, metavar="FILE", help="the UNet as .onnx")
    parser.add_argument("--roi", default="420,0,600", help="a square round the hand; 420,0,600")
    parser.add_argument("--size", default="1280x720", help="of the frames; the region goes along; 1280x720")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    for name in ("worker", "joints", "output"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.roi = tuple(int(number) for number in options.roi.split(","))
    if options.worker:
        work(options)
        return
    with tempfile.TemporaryDirectory() as name:
        compare(Path(name), options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Run both in turn and print a line for each."""
    options.video, options.roi = scaled(options, folder)
    runs: dict[str, list[dict[str, Any]]] = {worker: [] for worker in WORKERS}
    for _ in range(options.rounds):
        for worker in WORKERS:
            runs[worker].append(run_worker(worker, folder, options))
    a, b = (runs[worker][0]["joints"] for worker in WORKERS)
    distance = float(np.median(np.linalg.norm(a - b, axis=2)))
    if len(a) != len(b) or not distance <= AGREEMENT_PX:
        raise SystemExit(f"{len(a)} and {len(b)} frames, joints {distance:.2f} px apart; nothing is compared")
    print(
        f"{len(a)} frames of {options.size}, {options.rounds} rounds in turn, medians; joints {distance:.2f} px apart"
    )
    print(f"{'chain':<18}{'fps':>8}{'ratio':>8}{'CPU ms':>9}{'peak MiB':>10}{'KiB/frame':>11}")
    ours_fps = statistics.median(run["fps"] for run in runs["handpose_native"])
    for worker, done in runs.items():
        fps, cpu, mib, kib = (statistics.median(run[key] for run in done) for key in ("fps", "cpu_ms", "mib", "kib"))
        print(f"{worker:<18}{fps:>8.1f}{ours_fps / fps:>8.2f}{cpu:>9.1f}{mib:>10.0f}{kib:>11.1f}")


if __name__ == "__main__":
    main()
