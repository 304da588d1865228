"""heatmap_peaks, draw_skeleton and palette_map beside NumPy and OpenCV: microseconds, one thread, one process.

    python benchmarks/map_kernels.py [--rounds 300]

Answers are checked before anything is timed. Every round times all variants of a case once, in shuffled order; medians.
Needs the extra test.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy starts its threads

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

import handpose_native as hp

Variants = dict[str, Callable[[], Any]]
THUMB_TO_LITTLE = [(-60, 0.55), (-25, 0.8), (-5, 0.9), (12, 0.85), (32, 0.7)]  # degrees from upright, share of the size


def measure(variants: Variants, rounds: int) -> dict[str, float]:
    """Median microseconds of every variant."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants)
    for number in range(rounds + 10):
        random.shuffle(order)
        for name in order:
            began = time.perf_counter_ns()
            variants[name]()
            if number >= 10:
                times[name].append((time.perf_counter_ns() - began) / 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def on_scalar(call: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        with hp.isa("scalar"):
            return call()

    return run


def heatmaps_of(shape: tuple[int, int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Gaussian peaks away from the edges on a little noise."""
    height, width = shape[2:]
    ys, xs = np.mgrid[:height, :width] + 0.5
    x, y = (rng.uniform(0.15, 0.85, (*shape[:2], 1, 1)) * size for size in (width, height))
    peaks = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 2.0**2))
    return np.asarray(peaks + rng.uniform(0, 0.01, shape), dtype=np.float32)


def numpy_argmax(maps: np.ndarray) -> np.ndarray:
    flat = maps.reshape(*maps.shape[:2], -1)
    place = flat.argmax(axis=-1)
    np.take_along_axis(flat, place[..., None], axis=-1)  # the scores
    return np.stack([place % maps.shape[3], place // maps.shape[3]], axis=-1) + np.float32(0.5)


def opencv_dark(maps: np.ndarray, taps: int = 11) -> np.ndarray:
    """DARK as pose libraries do it: every whole map blurred and its logarithm taken, then a step at the peak."""
    points = np.empty((*maps.shape[:2], 2), np.float32)
    for index in np.ndindex(maps.shape[:2]):
        heatmap = maps[index]
        y, x = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
        blurred = cv2.GaussianBlur(heatmap, (taps, taps), 0, borderType=cv2.BORDER_CONSTANT)
        log = np.log(np.maximum(blurred, 1e-10))
        gradient = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
        dxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
        dyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
        dxy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
        points[index] = np.array([x, y]) + 0.5 - np.linalg.solve(np.array([[dxx, dxy], [dxy, dyy]]), gradient)
    return points


def numpy_expectation(maps: np.ndarray) -> np.ndarray:
    """Straightforward: normalised maps, their marginals, mean positions."""
    share = maps / maps.sum(axis=(2, 3), keepdims=True)
    x = (share.sum(axis=2) * np.arange(maps.shape[3], dtype=np.float32)).sum(axis=-1)
    y = (share.sum(axis=3) * np.arange(maps.shape[2], dtype=np.float32)).sum(axis=-1)
    return np.stack([x, y], axis=-1) + np.float32(0.5)


def matrix_expectation(maps: np.ndarray) -> Callable[[], np.ndarray]:
    """One product with a matrix made beforehand: NumPy at its fastest."""
    ys, xs = np.mgrid[: maps.shape[2], : maps.shape[3]].astype(np.float32) + np.float32(0.5)
    weights = np.stack([np.ones_like(xs), xs, ys], axis=-1).reshape(-1, 3)

    def run() -> np.ndarray:
        sums = maps.reshape(maps.shape[0] * maps.shape[1], -1) @ weights
        return (sums[:, 1:] / sums[:, :1]).reshape(*maps.shape[:2], 2)

    return run


def row(case: str, times: dict[str, float], ours: str, peer: str, bound: float | None = None) -> None:
    of_bound = "" if bound is None else f"{times[ours] / bound:>10.2f}"
    scalar = None if peer == "float32" else times.get("scalar")
    print(
        f"{case:<44}{peer:<24}{times[peer]:>9.1f}{times[ours]:>9.1f}{times[peer] / times[ours]:>8.1f}"
        f"{'' if scalar is None else f'{scalar:.1f}':>10}{of_bound}"
    )


def heatmap_case(shape: tuple[int, int, int, int], rounds: int, rng: np.random.Generator) -> None:
    maps = heatmaps_of(shape, rng)
    halves = maps.astype(np.float16)
    peers: dict[str, Variants] = {
        "argmax": {"numpy argmax": lambda: numpy_argmax(maps)},
        "quarter": {"numpy argmax": lambda: numpy_argmax(maps)},
        "dark": {"whole map blurred": lambda: opencv_dark(maps)},
        "expectation": {"one sgemm": matrix_expectation(maps), "marginals": lambda: numpy_expectation(maps)},
    }
    for method, others in peers.items():
        ours = hp.heatmap_peaks(maps, method=method)[0]
        for name, peer in others.items():
            tolerance = 0.26 if method == "quarter" else 2e-3
            assert abs(peer() - ours).max() <= tolerance, (method, name)
        variants: Variants = {
            "np.max": lambda: np.max(maps),
            "float32": lambda method=method: hp.heatmap_peaks(maps, method=method),
            "float16": lambda method=method: hp.heatmap_peaks(halves, method=method),
            "scalar": on_scalar(lambda method=method: hp.heatmap_peaks(maps, method=method)),
            **others,
        }
        times = measure(variants, rounds // 4 if method == "dark" or shape[0] > 1 else rounds)
        for name in others:
            row(f"heatmap_peaks {shape} {method}", times, "float32", name, times["np.max"])
        row("  float16 beside float32", times, "float16", "float32", times["np.max"])


def hand(width: int, height: int, size: float) -> np.ndarray:
    """21 joints of an open hand, `size` px high, in the middle of the picture."""
    points = [(0.0, 0.0)]
    for angle, length in THUMB_TO_LITTLE:
        for share in (0.35, 0.57, 0.78, 1.0):
            turned = np.radians(angle)
            points.append((np.sin(turned) * length * share, -np.cos(turned) * length * share))
    array = np.array(points)
    array -= (array.max(axis=0) + array.min(axis=0)) / 2
    array *= size / np.ptp(array[:, 1])
    return np.asarray(array + np.array([width, height]) / 2, dtype=np.float32)


def opencv_hand(image: np.ndarray, points: np.ndarray, thickness: int, radius: int) -> None:
    """One polyline per finger and a disc per joint, anti-aliased, in 1/16 px: the fewest calls that OpenCV needs."""
    shift = 4
    fixed = np.rint((points - 0.5) * (1 << shift)).astype(np.int32)
    for finger, joints in enumerate(hp.FINGERS.values()):
        color = hp.BONE_COLORS[4 * finger][::-1]
        cv2.polylines(image, [fixed[[0, *joints]]], False, color, thickness, cv2.LINE_AA, shift)
    for (x, y), color in zip(fixed.tolist(), hp.JOINT_COLORS):
        cv2.circle(image, (x, y), radius << shift, color[::-1], -1, cv2.LINE_AA, shift)


def drawing_case(width: int, height: int, size: float, thickness: int, rounds: int) -> None:
    points = hand(width, height, size)
    picture = np.full((height, width, 3), 90, np.uint8)
    targets: dict[str, Any] = {"bgr24": picture, "bgra32": np.full((height, width, 4), 90, np.uint8)}
    for name in ("nv12", "yuv420p"):
        targets[name] = hp.yuv_planes(np.full((height * 3 // 2, width), 90, np.uint8), name)

    def draw(name: str) -> Any:
        return hp.draw_skeleton(targets[name], points, source_format=name, thickness=thickness, joint_radius=4.0)

    peer = "polylines + circles"
    variants: Variants = {name: lambda name=name: draw(name) for name in targets}
    variants[peer] = lambda: opencv_hand(picture, points, thickness, 4)
    variants["scalar"] = on_scalar(variants["bgr24"])

    changed = []
    for name in ("bgr24", peer):
        picture[...] = 90
        variants[name]()
        changed.append((picture != 90).any(axis=2))
    assert (changed[0] & changed[1]).sum() > 0.6 * changed[0].sum(), "the drawings lie elsewhere"
    times = measure(variants, rounds)
    for name in targets:
        row(f"draw_skeleton {width}x{height} thickness {thickness} {name}", times, name, peer)
    yuv = [times[name] / times["bgr24"] for name in ("nv12", "yuv420p")]
    print(f"  nv12 and yuv420p beside bgr24: {yuv[0]:.2f} {yuv[1]:.2f}")


def palette_cases(rounds: int, rng: np.random.Generator) -> None:
    lut = rng.integers(0, 256, (64, 64, 64), dtype=np.uint8)
    picture = cv2.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    out = np.empty((480, 640), np.uint8)

    def indexing() -> np.ndarray:
        b, g, r = np.moveaxis(picture >> 2, 2, 0)
        return lut[r, g, b]

    assert np.array_equal(hp.palette_map(picture, lut, out), indexing())
    variants: Variants = {
        "numpy indexing": indexing,
        "palette_map": lambda: hp.palette_map(picture, lut, out),
        "scalar": on_scalar(lambda: hp.palette_map(picture, lut, out)),
    }
    row("palette_map 640x480", measure(variants, rounds), "palette_map", "numpy indexing")


def call_cases(rounds: int) -> None:
    """Calls that leave the kernel nothing to do: what is left is the way from Python and back."""
    one, picture = np.zeros((1, 1, 1), np.float32), np.zeros((64, 64, 3), np.uint8)
    away, lut = np.full((21, 2), -1e4, np.float32), np.zeros((64, 64, 64), np.uint8)
    variants: Variants = {
        "heatmap_peaks of one pixel": lambda: hp.heatmap_peaks(one),
        "draw_skeleton outside the picture": lambda: hp.draw_skeleton(picture, away, thickness=3, joint_radius=4),
        "palette_map of one pixel": lambda: hp.palette_map(picture[:1, :1], lut),
        "np.max of one pixel": lambda: np.max(one),
    }
    for name, value in measure(variants, rounds * 10).items():
        print(f"{name:<44}{value:>10.2f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    rng = np.random.default_rng(7)
    print(f"level {hp.active_isa()}, NumPy {np.__version__}, OpenCV {cv2.__version__}, {rounds} rounds; microseconds")
    print(f"{'case':<44}{'peer':<24}{'peer':>9}{'ours':>9}{'ratio':>8}{'scalar':>10}{'of np.max':>10}")
    for shape in ((1, 21, 128, 128), (1, 21, 64, 64), (8, 21, 128, 128)):
        heatmap_case(shape, rounds, rng)
    for width, height, size in ((640, 480, 200.0), (1920, 1080, 450.0)):
        for thickness in (2, 3, 4):
            drawing_case(width, height, size, thickness, rounds)
    palette_cases(rounds, rng)
    call_cases(rounds)


if __name__ == "__main__":
    main()
