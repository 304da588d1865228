"""Kernels on memory between forbidden pages, run by tests/unit/test_memory_safety.py in a process of its own.

``python -m tests.reference.guard_pages KERNEL ROUNDS`` ends with 0, or dies at the first byte touched outside.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import numpy as np
from tests.reference.arrays import FILTERS, SOURCE_FORMATS, join, plane_shapes
from tests.reference.preprocess import roi_affine, rotation_affine

PAGE = mmap.PAGESIZE
PROT_NONE = 0
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Fenced:
    """Memory whose first page and last page may not be touched; arrays end at one fence or begin at the other."""

    def __init__(self, capacity: int) -> None:
        self.pages = -(-capacity // PAGE)
        self.map = mmap.mmap(-1, (self.pages + 2) * PAGE)
        self.all = np.frombuffer(self.map, np.uint8)
        address = self.all.ctypes.data
        for fence in (address, address + (self.pages + 1) * PAGE):
            if _libc.mprotect(fence, PAGE, PROT_NONE) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")

    def view(self, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...] | None, at_end: bool) -> np.ndarray:
        """An array of positive strides that touches a fence with its first or its last byte."""
        dtype = np.dtype(dtype)
        if strides is None:
            strides = tuple(int(np.prod(shape[axis + 1 :])) * dtype.itemsize for axis in range(len(shape)))
        extent = sum((size - 1) * stride for size, stride in zip(shape, strides)) + dtype.itemsize
        assert extent <= self.pages * PAGE
        start = PAGE + self.pages * PAGE - extent if at_end else PAGE
        return np.ndarray(shape, dtype, self.map, start, strides)


class Fences:
    """One fenced block per array of a call, reused from round to round."""

    def __init__(self, count: int, capacity: int) -> None:
        self.blocks = [Fenced(capacity) for _ in range(count)]

    def planes(self, rng: np.random.Generator, source_format: str, height: int, width: int) -> Any:
        """A random picture, each plane at its own fences, with a random pitch and direction of rows."""
        at_end, views = bool(rng.integers(2)), []
        for block, shape in zip(self.blocks, plane_shapes(source_format, height, width)):
            row = int(np.prod(shape[1:]))
            pitch = row + int(rng.choice([0, 0, 1, 13]))
            inner = (shape[2], 1) if len(shape) == 3 else (1,)
            view = block.view(shape, np.uint8, (pitch, *inner), at_end)
            view[...] = rng.integers(0, 256, shape, dtype=np.uint8)
            views.append(view[::-1] if rng.integers(3) == 0 else view)
        return join(views)


def size_of(rng: np.random.Generator, largest: int = 70) -> int:
    return int(rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, int(rng.integers(1, largest))]))


def affine_of(rng: np.random.Generator, height: int, width: int, size_hw: tuple[int, int], rotated: bool) -> np.ndarray:
    """Regions of all kinds: inside, crossing, far outside, mirrored, tiny, huge."""
    u = rng.uniform
    reach = float(rng.choice([0.5, 1, 3, 1e4, 1e8]))
    zoom = float(rng.choice([1e-3, 0.1, 0.5, 1, 2, 50]))
    x, y = u(-reach, reach) * width, u(-reach, reach) * height
    if rotated:
        return rotation_affine((width / 2 + x, height / 2 + y), zoom * (width + height), u(-7, 7), size_hw)
    sign_x, sign_y = rng.choice([-1, 1], 2)
    return roi_affine(x, y, sign_x * zoom * width, sign_y * zoom * height, size_hw)


def preprocess(hp: Any, rng: np.random.Generator, rounds: int) -> None:
    sources, target = Fences(3, 80 * 400), Fenced(80 * 80 * 3 * 4)
    for _ in range(rounds):
        source_format = str(rng.choice(SOURCE_FORMATS))
        height, width, size_hw = size_of(rng), size_of(rng), (size_of(rng), size_of(rng))
        image = sources.planes(rng, source_format, height, width)
        rotated = bool(rng.integers(2))
        affine = affine_of(rng, height, width, size_hw, rotated) if rng.integers(4) else None
        layout = str(rng.choice(["NCHW", "NHWC"]))
        shape = (3, *size_hw) if layout == "NCHW" else (*size_hw, 3)
        out = target.view(shape, rng.choice(["f4", "f2", "u1"]), None, bool(rng.integers(2)))
        hp.preprocess(
            image, input_from_image=affine, source_format=source_format, layout=layout, out=out,
            filter="linear" if rotated and affine is not None else str(rng.choice(FILTERS)),
            border=str(rng.choice(["constant", "replicate"])),
        )  # fmt: skip


def heatmap_peaks(hp: Any, rng: np.random.Generator, rounds: int) -> None:
    source, targets = Fenced(3 * 80 * 100 * 4), [Fenced(PAGE) for _ in range(3)]
    for _ in range(rounds):
        count, height, width = int(rng.integers(1, 4)), size_of(rng), size_of(rng)
        dtype = np.dtype(str(rng.choice(["f4", "f2"])))
        pitch = (width + int(rng.choice([0, 0, 1, 7]))) * dtype.itemsize
        at_end = bool(rng.integers(2))
        maps = source.view((count, height, width), dtype, (pitch * height, pitch, dtype.itemsize), at_end)
        maps[...] = rng.standard_normal(maps.shape)
        if rng.integers(3) == 0:
            maps[rng.random(maps.shape) < 0.3] = rng.choice([np.nan, np.inf, -np.inf])
        method = str(rng.choice(["argmax", "quarter", "dark", "expectation", "upsampled_argmax"]))
        size_hw = (height + int(rng.integers(60)), width + int(rng.integers(60)))
        shapes = (count, 2), (count,), (count,)
        out = tuple(block.view(shape, np.float32, None, at_end) for block, shape in zip(targets, shapes))
        hp.heatmap_peaks(
            maps, method=method, upsampled_hw=size_hw if method == "upsampled_argmax" else None,
            blur_kernel=int(rng.integers(1, 16)) * 2 + 1, spreads=True, out=out,
        )  # fmt: skip


def draw_skeleton(hp: Any, rng: np.random.Generator, rounds: int) -> None:
    sources = Fences(3, 80 * 400)
    for _ in range(rounds):
        source_format = str(rng.choice(["bgr24", "rgb24", "bgra32", "nv12", "yuv420p"]))
        height, width = size_of(rng), size_of(rng)
        image = sources.planes(rng, source_format, height, width)
        reach = float(rng.choice([1, 1, 1.5, 3, 1e4, 1e9, 3e36]))
        points = (rng.uniform(-reach, reach, (21, 2)) + 0.5) * (width, height)
        points[rng.random(points.shape) < 0.02] = rng.choice([np.nan, np.inf])
        hp.draw_skeleton(
            image, points.astype(np.float32), rng.random(21), source_format=source_format,
            thickness=float(rng.choice([0, 0.3, 1, 3, 40, 1e4])), joint_radius=float(rng.choice([0, 1, 2.5, 30, 1e4])),
        )  # fmt: skip


def palette_map(hp: Any, rng: np.random.Generator, rounds: int) -> None:
    sources, target, before, table = Fences(1, 80 * 400), Fenced(80 * 80), Fenced(80 * 240), Fenced(1 << 18)
    lut = table.view((64, 64, 64), np.uint8, None, True)
    for _ in range(rounds):
        height, width = size_of(rng), size_of(rng)
        image = sources.planes(rng, "bgr24", height, width)
        image[rng.random((height, width)) < 0.2] = 255
        out = target.view((height, width), np.uint8, None, bool(rng.integers(2)))
        hp.palette_map(image, lut, out)
        held = before.view((height, width, 3), np.uint8, None, bool(rng.integers(2)))
        held[...] = image
        held[rng.random((height, width)) < 0.02] ^= 16
        hp.palette.palette_map_changed(image, lut, int(rng.integers(20)), held, out)


def touch_fence() -> None:
    """Read one byte too far: shows that the fences hold."""
    block = Fenced(PAGE)
    ctypes.string_at(block.view((16,), np.uint8, None, True).ctypes.data, 17)


def main() -> None:
    import faulthandler

    import handpose_native as hp

    faulthandler.enable()
    if sys.argv[1] == "touch_fence":
        touch_fence()
        return
    for level in hp.isa_levels():
        with hp.isa(level), np.errstate(all="ignore"):
            globals()[sys.argv[1]](hp, np.random.default_rng(11), int(sys.argv[2]))


if __name__ == "__main__":
    main()
