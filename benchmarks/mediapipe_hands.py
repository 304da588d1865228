"""The default pipeline against MediaPipe 0.10.21 `solutions.Hands`: same clip, networks and CPUs, drawing included.

    python benchmarks/mediapipe_hands.py VIDEO [--mp4] [--rounds 5] [--frames N] [--environment build/peers/mediapipe]
                                         [--exported PREFIX]

Installs the peer into an environment of its own, runs all cases of both in turn as processes of their own, checks that
their joints agree, and prints frames per second, CPU time and peak memory. The share is that of the frames per second
which the CPU time allows: the machine's cores by CPU seconds per frame. Importing packages and loading the networks is
not timed, opening the video is.
Ours are the networks as published, run by LiteRT, or with --exported those in the folders PREFIX-lite and PREFIX-full,
made by `handpose-native export hands-lite -o PREFIX-lite` and so on, run by ONNX Runtime.
Nothing is written, or with --mp4 the drawn video by both: ours as H.264, the peer's by cv2.VideoWriter as mp4v, as its
users do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

PEER = "mediapipe==0.10.21"
#: Networks, and how many hands are allowed.
CASES = (("lite", 1), ("full", 1), ("lite", 2), ("full", 2))
#: Median distance of the joints of both, in pixels, above which nothing is compared: they would not do the same work.
AGREEMENT_PX = 1.0


def ours(options: argparse.Namespace) -> Iterator[list[np.ndarray]]:
    import av  # noqa: F401  (else it is imported when the video is opened)

    import handpose_native as hp

    networks = f"hands-{options.networks}" if options.exported is None else f"{options.exported}-{options.networks}"
    with hp.Pipeline(networks, max_hands=options.hands) as pipe:
        yield []
        if options.mp4:
            joints: list[list[np.ndarray]] = []

            def keep(result: hp.FrameResult) -> None:
                joints.append([hand.keypoints for hand in result.hands])

            pipe.run(options.video, f"{options.joints}.mp4", max_frames=options.frames, on_frame=keep)
            yield from joints
            return
        for result in pipe.stream(options.video, max_frames=options.frames, planes=True):
            hp.draw_hands(result.picture, result.hands)
            yield [hand.keypoints for hand in result.hands]


def mediapipe(options: argparse.Namespace) -> Iterator[list[np.ndarray]]:
    import cv2
    from mediapipe import solutions  # type: ignore[import-not-found]

    complexity = {"lite": 0, "full": 1}[options.networks]
    with solutions.hands.Hands(model_complexity=complexity, max_num_hands=options.hands) as hands:
        yield []
        video = cv2.VideoCapture(options.video)
        size = int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
        writer = None
        if options.mp4:
            codec = cv2.VideoWriter_fourcc(*"mp4v")
            writer = cv2.VideoWriter(f"{options.joints}.mp4", codec, video.get(cv2.CAP_PROP_FPS), size)
        for _ in range(options.frames or sys.maxsize):
            read, frame = video.read()
            if not read:
                break
            found = hands.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).multi_hand_landmarks or []
            for hand in found:
                solutions.drawing_utils.draw_landmarks(
                    frame,
                    hand,
                    solutions.hands.HAND_CONNECTIONS,
                    solutions.drawing_styles.get_default_hand_landmarks_style(),
                    solutions.drawing_styles.get_default_hand_connections_style(),
                )
            if writer is not None:
                writer.write(frame)
            yield [np.array([(p.x * size[0], p.y * size[1]) for p in hand.landmark], np.float32) for hand in found]
        if writer is not None:
            writer.release()


WORKERS = {"handpose_native": ours, "mediapipe": mediapipe}


def work(options: argparse.Namespace) -> None:
    """Run one of the two and print its figures as JSON."""
    frames = WORKERS[options.worker](options)
    next(frames)  # the networks are loaded
    began, cpu = time.perf_counter(), time.process_time()
    joints = list(frames)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    first = [hands[0] if hands else np.full((21, 2), np.nan, np.float32) for hands in joints]
    np.save(options.joints, np.stack(first))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"frames": len(joints), "fps": len(joints) / wall_s, "cpu_ms": cpu_s / len(joints) * 1e3, "mib": peak_mib}
    print(json.dumps(figures))


def make_environment(folder: Path) -> Path:
    """Return the Python of an environment that has the peer, made on first use."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    installed = subprocess.run([str(python), "-c", "import mediapipe"], capture_output=True, check=False)
    if installed.returncode:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PEER], check=True)
    return python


def run_worker(python: Path, worker: str, case: tuple[str, int], options: argparse.Namespace) -> dict[str, Any]:
    joints = options.environment / f"joints_{worker}.npy"
    command = [str(python), __file__, options.video, "--worker", worker, "--joints", str(joints)]
    command += ["--networks", case[0], "--hands", str(case[1])]
    command += ["--exported", options.exported] if options.exported else []
    command += ["--frames", str(options.frames)] if options.frames else []
    command += ["--mp4"] if options.mp4 else []
    quiet = {**os.environ, "GLOG_minloglevel": "3", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    if done.returncode:
        raise SystemExit(f"{worker} failed:\n{done.stderr[-2000:]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "joints": np.load(joints)}


def measure(python: Path, options: argparse.Namespace) -> dict[tuple[str, int], dict[str, list[dict[str, Any]]]]:
    """Run all cases of both, round after round, so that a machine that slows down for a while does so for all."""
    pythons = {"handpose_native": Path(sys.executable), "mediapipe": python}
    runs: dict[tuple[str, int], dict[str, list[dict[str, Any]]]] = {
        case: {worker: [] for worker in WORKERS} for case in CASES
    }
    for _ in range(options.rounds):
        for case in CASES:
            for worker in WORKERS:
                runs[case][worker].append(run_worker(pythons[worker], worker, case, options))
    return runs


def compare(case: tuple[str, int], runs: dict[str, list[dict[str, Any]]]) -> None:
    """Print the line of a case; its ratio of frames per second is the median of the rounds' ratios."""
    a, b = (runs[worker][0]["joints"] for worker in WORKERS)
    if len(a) != len(b):
        raise SystemExit(f"{case}: {len(a)} and {len(b)} frames")
    distance = float(np.nanmedian(np.linalg.norm(a - b, axis=2)))
    if not distance <= AGREEMENT_PX:
        raise SystemExit(f"{case}: the joints of both differ by {distance:.2f} px; nothing is compared")
    medians = {
        worker: {key: statistics.median(run[key] for run in done) for key in ("fps", "cpu_ms", "mib")}
        for worker, done in runs.items()
    }
    ours_, theirs = medians["handpose_native"], medians["mediapipe"]
    ratio = statistics.median(one["fps"] / other["fps"] for one, other in zip(*runs.values()))
    share = ours_["fps"] * ours_["cpu_ms"] / 1e3 / len(os.sched_getaffinity(0))
    print(
        f"{case[0]:<9}{case[1]:>5}"
        f"{ours_['fps']:>9.0f}{theirs['fps']:>9.0f}{ratio:>7.2f}{share:>7.0%}"
        f"{ours_['cpu_ms']:>9.1f}{theirs['cpu_ms']:>9.1f}{ours_['mib']:>8.0f}{theirs['mib']:>7.0f}"
        f"{ours_['mib'] / theirs['mib']:>7.2f}{distance:>11.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--mp4", action="store_true", help="both write the drawn video")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--environment", type=Path, default=Path("build/peers/mediapipe"))
    parser.add_argument("--exported", metavar="PREFIX", help="networks from PREFIX-lite and PREFIX-full instead")
    for name in ("worker", "joints", "networks"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    parser.add_argument("--hands", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    runs = measure(make_environment(options.environment), options)
    print(f"{'':14}{'frames per second':^32}{'CPU ms/frame':^18}{'peak MiB':^22}{'joints apart':>11}")
    print(f"{'networks':<9}{'hands':>5}{'ours':>9}{'peer':>9}{'ratio':>7}{'share':>7}{'ours':>9}{'peer':>9}", end="")
    print(f"{'ours':>8}{'peer':>7}{'ratio':>7}{'px':>11}")
    for case, of_case in runs.items():
        compare(case, of_case)


if __name__ == "__main__":
    main()
