"""Jitter of a still hand and lag of a moving one, for each setting of smoothing and for MediaPipe 0.10.21.

    python benchmarks/smoothing.py [--noise 4] [--environment build/peers/mediapipe]

A rendered hand that is still but for the sensor's noise gives the jitter: the standard deviation of its joints. The
same hand opening and closing gives the lag: the delay at which the smoothed joints fit those without smoothing best.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FPS = 30
STILL_FRAMES, SKIPPED = 150, 45
MODELS = {"lite": "hands-lite", "full": "hands-full"}


def noisy_still(noise: float) -> np.ndarray:
    from handpose_native.synthetic import render_clip

    rng = np.random.default_rng(0)
    picture = render_clip("still", frames=1, noise=0.0).images[0]
    frames = picture + rng.normal(0, noise, (STILL_FRAMES, *picture.shape)).astype(np.float32)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def ours(frames: np.ndarray, networks: str, smoothing: str) -> np.ndarray:
    import handpose_native as hp

    with hp.Pipeline(MODELS[networks], smoothing=smoothing) as pipe:
        return np.array([pipe(frame, time_s=index / FPS)[0].keypoints for index, frame in enumerate(frames)])


def work(options: argparse.Namespace) -> None:
    """Run MediaPipe on stored frames, in its own environment."""
    import cv2
    from mediapipe import solutions  # type: ignore[import-not-found]

    frames = np.load(options.frames)
    joints = []
    with solutions.hands.Hands(model_complexity=["lite", "full"].index(options.networks), max_num_hands=1) as hands:
        for frame in frames:
            (hand,) = hands.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).multi_hand_landmarks
            joints.append([(p.x * frame.shape[1], p.y * frame.shape[0]) for p in hand.landmark])
    np.save(options.joints, np.array(joints))


def theirs(python: Path, frames: np.ndarray, networks: str) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        stored, joints = Path(folder) / "frames.npy", Path(folder) / "joints.npy"
        np.save(stored, frames)
        command = [str(python), __file__, "--networks", networks, "--frames", str(stored), "--joints", str(joints)]
        subprocess.run(command, check=True, capture_output=True)
        result: np.ndarray = np.load(joints)
    return result


def jitter_px(joints: np.ndarray) -> float:
    return float(joints[SKIPPED:].std(axis=0).mean())


def lag_ms(plain: np.ndarray, smoothed: np.ndarray) -> float:
    """Return the delay at which the smoothed joints fit the plain ones best, to 1 ms."""
    times = np.arange(len(plain))
    flat, late = plain.reshape(len(plain), -1), smoothed.reshape(len(plain), -1)
    errors = []
    for delay in range(200):
        moved = np.stack([np.interp(times - delay * FPS / 1e3, times, column) for column in flat.T], axis=1)
        errors.append(float(((moved - late)[10:] ** 2).mean()))
    return float(np.argmin(errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", type=float, default=4.0, help="standard deviation of the noise, grey levels")
    parser.add_argument("--environment", type=Path, default=Path("build/peers/mediapipe"))
    for name in ("networks", "frames", "joints"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.joints:
        work(options)
        return
    from mediapipe_hands import make_environment

    from handpose_native.synthetic import render_clip

    python = make_environment(options.environment)
    still = noisy_still(options.noise)
    moving = render_clip("open_close", frames=90, noise=options.noise).images
    print(f"{'networks':<10}{'':<12}{'jitter px':>10}{'lag ms':>8}")
    for networks in MODELS:
        print(f"{networks:<10}{'MediaPipe':<12}{jitter_px(theirs(python, still, networks)):>10.3f}{'-':>8}")
        plain = ours(moving, networks, "off")
        for smoothing in ("off", "light", "strong"):
            jitter = jitter_px(ours(still, networks, smoothing))
            lag = lag_ms(plain, ours(moving, networks, smoothing))
            print(f"{networks:<10}{smoothing:<12}{jitter:>10.3f}{lag:>8.0f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
