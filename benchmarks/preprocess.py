"""preprocess beside OpenCV, Pillow and PyTorch: microseconds, one thread, one process.

    python benchmarks/preprocess.py [linear] [antialias] [cubic] [rotated] [yuv] [outputs] [cold] [call] [--rounds 60]

Answers are checked before anything is timed. Every round times all variants of a case, in shuffled order, each over a
few calls after one that is not counted; medians, and the median of each round's ratio to ours. Needs the extra test;
PyTorch takes part where it is installed.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

import handpose_native as hp

Variants = dict[str, Callable[[], Any]]
SIZES_HW = ((480, 640), (720, 1280), (1080, 1920))
INPUTS = (128, 224, 256)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
NORMALIZE = {"mean": MEAN, "std": STD}
SAMPLE_S = 0.002  # of calls in a row
LEVEL = 255 * STD[:, None, None]  # grey levels per unit of a normalised value


def measure(variants: Variants, rounds: int) -> dict[str, list[float]]:
    """Microseconds of every variant, round by round."""
    counts = {}
    for name, call in variants.items():
        call()
        began = time.perf_counter()
        call()
        counts[name] = max(1, int(SAMPLE_S / (time.perf_counter() - began)))
    times: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            call, count = variants[name], counts[name]
            call()
            began = time.perf_counter()
            for _ in range(count):
                call()
            times[name].append((time.perf_counter() - began) / count * 1e6)
    return times


def report(case: str, variants: Variants, rounds: int) -> None:
    times = measure(variants, rounds)
    ours = times["ours"]
    parts = [f"{case:<28}ours {statistics.median(ours):8.1f}"]
    for name, values in times.items():
        if name != "ours":
            ratio = statistics.median(value / own for value, own in zip(values, ours))
            parts.append(f"{name} {statistics.median(values):8.1f} ({ratio:.2f})")
    print("   ".join(parts), flush=True)


def on_scalar(call: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        with hp.isa("scalar"):
            return call()

    return run


def check(ours: np.ndarray, peer: np.ndarray, levels: float) -> None:
    """At most so many grey levels apart: ours is not rounded before the normalisation, the peers are."""
    difference = (abs(np.asarray(ours)[0] - np.asarray(peer)[0]) * LEVEL).max()
    if not difference <= levels:
        raise SystemExit(f"answers differ by {difference} grey levels")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def blob(size: int) -> Callable[[np.ndarray], np.ndarray]:
    """The fastest way of OpenCV: one call, one normalisation per channel."""
    params = cv2.dnn.Image2BlobParams()
    params.scalefactor = (*(1 / (255 * STD)), 0)
    params.size = (size, size)
    params.mean = (*(255 * MEAN), 0)
    params.swapRB = True
    params.ddepth = cv2.CV_32F
    return lambda image: cv2.dnn.blobFromImageWithParams(image, params)


def by_numpy(image: np.ndarray) -> np.ndarray:
    """What projects do after resizing."""
    scaled = image[..., ::-1].astype(np.float32) / 255
    normal = (scaled - MEAN.astype(np.float32)) / STD.astype(np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1))[None]


def torch_antialias(size: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """Resize of uint8 with antialiasing, then the normalisation, in PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    scale = torch.tensor(1 / (255 * STD), dtype=torch.float32)[:, None, None]
    bias = torch.tensor(-MEAN / STD, dtype=torch.float32)[:, None, None]

    def run(image: np.ndarray) -> np.ndarray:
        planes = torch.from_numpy(image).permute(2, 0, 1)[None]  # channels last: its fast way
        small = torch.nn.functional.interpolate(planes, size=(size, size), mode="bilinear", antialias=True)
        return (small.flip(1).float().mul_(scale).add_(bias)).contiguous().numpy()

    return run


def linear_cases(rounds: int) -> None:
    for (height, width), size in itertools.product(SIZES_HW, INPUTS):
        image, out, peer = noise(height, width), np.empty((1, 3, size, size), np.float32), blob(size)
        ours = lambda image=image, out=out: hp.preprocess(image, out=out, **NORMALIZE)  # noqa: E731
        check(ours(), peer(image), 1.01)
        variants = {
            "ours": ours,
            "cv2.dnn.blob": lambda image=image, peer=peer: peer(image),
            "cv2.resize + numpy": lambda image=image, size=size: by_numpy(cv2.resize(image, (size, size))),
            "scalar": on_scalar(ours),
        }
        report(f"linear {width}x{height} -> {size}", variants, rounds)


def antialias_cases(rounds: int) -> None:
    from PIL import Image

    for (height, width), size in itertools.product(SIZES_HW, INPUTS):
        image, out, peer = noise(height, width), np.empty((1, 3, size, size), np.float32), blob(size)
        ours = lambda image=image, out=out: hp.preprocess(image, out=out, filter="antialias", **NORMALIZE)  # noqa: E731

        def pillow(image: np.ndarray = image, size: int = size) -> np.ndarray:
            return by_numpy(np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)))

        def area(image: np.ndarray = image, size: int = size, peer: Any = peer) -> np.ndarray:
            return peer(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA))

        check(ours(), pillow(), 1.01)
        variants = {"ours": ours, "cv2 area + blob": area, "Pillow + numpy": pillow, "scalar": on_scalar(ours)}
        torch = torch_antialias(size)
        if torch is not None:
            check(ours(), torch(image), 1.01)
            variants["torch"] = lambda image=image, torch=torch: torch(image)
        report(f"antialias {width}x{height} -> {size}", variants, rounds)


def cubic_cases(rounds: int) -> None:
    size = 224
    for height, width in SIZES_HW:
        image, out, peer = noise(height, width), np.empty((1, 3, size, size), np.float32), blob(size)
        ours = lambda image=image, out=out: hp.preprocess(image, out=out, filter="cubic", **NORMALIZE)  # noqa: E731
        cubic = lambda image=image, peer=peer: peer(  # noqa: E731
            cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
        )
        check(ours(), cubic(), 1.01)
        report(f"cubic {width}x{height} -> {size}", {"ours": ours, "cv2 cubic + blob": cubic}, rounds)


def rotated_cases(rounds: int) -> None:
    size = 224
    for height, width in SIZES_HW:
        image = cv2.GaussianBlur(noise(height, width), (0, 0), 4)
        out, peer = np.empty((1, 3, size, size), np.float32), blob(size)
        roi = hp.Roi(width / 2, height / 2, height * 0.7, height * 0.7, 0.5)
        affine = hp.input_from_roi(roi, (size, size))
        # OpenCV counts from the centres of pixels.
        centres = affine.copy()
        centres[:, 2] += affine[:, :2] @ (0.5, 0.5) - 0.5
        ours = lambda image=image, out=out, affine=affine: hp.preprocess(  # noqa: E731
            image, out=out, input_from_image=affine, **NORMALIZE
        )

        def warp(image: np.ndarray = image, centres: np.ndarray = centres, peer: Any = peer) -> np.ndarray:
            return peer(cv2.warpAffine(image, centres, (size, size), flags=cv2.INTER_LINEAR))

        check(ours(), warp(), 2.0)  # warpAffine goes by 1/32 px
        report(f"rotated {width}x{height} -> {size}", {"ours": ours, "cv2.warpAffine + blob": warp}, rounds)


def yuv_cases(rounds: int) -> None:
    size = 224
    for (height, width), source_format in itertools.product(SIZES_HW, ("nv12", "yuv420p")):
        packed = np.random.default_rng(2).integers(0, 256, (height * 3 // 2, width), dtype=np.uint8)
        planes = hp.yuv_planes(packed, source_format)
        code = cv2.COLOR_YUV2BGR_NV12 if source_format == "nv12" else cv2.COLOR_YUV2BGR_I420
        out, bgr_out, peer = (
            np.empty((1, 3, size, size), np.float32),
            np.empty((1, 3, size, size), np.float32),
            blob(size),
        )
        image = noise(height, width)
        variants = {
            "ours": lambda planes=planes, out=out, kind=source_format: hp.preprocess(
                planes, out=out, source_format=kind, **NORMALIZE
            ),
            "ours from bgr24": lambda image=image, out=bgr_out: hp.preprocess(image, out=out, **NORMALIZE),
            "cv2.cvtColor + blob": lambda packed=packed, code=code, peer=peer: peer(cv2.cvtColor(packed, code)),
        }
        report(f"{source_format} {width}x{height} -> {size}", variants, rounds)


def output_cases(rounds: int) -> None:
    size = 224
    for height, width in SIZES_HW:
        image = noise(height, width)

        def call(dtype: str, layout: str, image: np.ndarray = image) -> Callable[[], Any]:
            shape = (1, 3, size, size) if layout == "NCHW" else (1, size, size, 3)
            out = np.empty(shape, dtype)
            return lambda: hp.preprocess(image, out=out, layout=layout)

        variants = {
            "ours": call("float32", "NCHW"),
            "float16": call("float16", "NCHW"),
            "uint8 NHWC": call("uint8", "NHWC"),
            "float32 NHWC": call("float32", "NHWC"),
        }
        report(f"outputs {width}x{height} -> {size}", variants, rounds)


def cold_cases(rounds: int) -> None:
    """Frames from a ring that no cache holds."""
    size = 224
    for height, width in SIZES_HW[1:]:
        frames = [noise(height, width) for _ in range(200_000_000 // (3 * height * width))]
        ring, out, peer = itertools.cycle(frames), np.empty((1, 3, size, size), np.float32), blob(size)
        variants = {
            "ours": lambda ring=ring, out=out: hp.preprocess(next(ring), out=out, **NORMALIZE),
            "cv2.dnn.blob": lambda ring=ring, peer=peer: peer(next(ring)),
        }
        report(f"cold {width}x{height} -> {size}", variants, rounds)


def call_cases(rounds: int) -> None:
    image, out = noise(8, 8), np.empty((1, 3, 8, 8), np.float32)
    rotation = hp.input_from_roi(hp.Roi(4, 4, 6, 6, 0.5), (8, 8))
    variants = {
        "ours": lambda: hp.preprocess(image, out=out),
        "rotated": lambda: hp.preprocess(image, out=out, input_from_image=rotation),
    }
    report("call, 8x8 -> 8", variants, rounds)


CASES = {
    "linear": linear_cases,
    "antialias": antialias_cases,
    "cubic": cubic_cases,
    "rotated": rotated_cases,
    "yuv": yuv_cases,
    "outputs": output_cases,
    "cold": cold_cases,
    "call": call_cases,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="all unless given")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{hp.active_isa()}, OpenCV {cv2.__version__}: microseconds, in brackets how many times ours")
    for name in options.cases or CASES:
        CASES[name](options.rounds)


if __name__ == "__main__":
    main()
