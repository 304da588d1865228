"""Frames, heatmaps and hands from seeded generators: the same on every machine."""

from __future__ import annotations

from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .references import resized

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["hand", "heatmaps", "last_level_cache_bytes", "memory_limit", "ring", "scene", "yuv_scene"]

_SEED = 20240607
#: Distance between the random colours that a scene is interpolated from: soft shapes, slopes of a few levels per pixel.
_GRID_PX = 40
_FINGERS = [(-60, 0.55), (-25, 0.8), (-5, 0.9), (12, 0.85), (32, 0.7)]  # degrees from upright, share of the hand's size
_UNKNOWN_CACHE_BYTES = 64 << 20


@lru_cache(maxsize=6)
def scene(width: int, height: int) -> NDArray[np.uint8]:
    """Return soft shapes with noise of 2 grey levels: uint8 (height, width, 3). Shared: only to be read."""
    rng = np.random.default_rng(_SEED)
    soft = _soft(rng, width, height, 3)
    return np.asarray(np.clip(soft + rng.normal(0, 2, soft.shape), 0, 255), dtype=np.uint8)


@lru_cache(maxsize=6)
def yuv_scene(width: int, height: int, source_format: str) -> NDArray[np.uint8]:
    """Return a packed 4:2:0 picture, uint8 (height * 3 / 2, width), of colours inside the RGB cube."""
    rng = np.random.default_rng(_SEED)
    luma = 90 + _soft(rng, width, height, 1)[..., 0] * 0.25
    chroma = 113 + _soft(rng, width // 2, height // 2, 2) * 0.12
    if source_format == "yuv420p":
        chroma = np.moveaxis(chroma, 2, 0)
    return np.asarray(np.rint(np.concatenate([luma, chroma.reshape(height // 2, width)])), dtype=np.uint8)


def _soft(rng: np.random.Generator, width: int, height: int, channels: int) -> NDArray[np.float64]:
    grid = rng.uniform(0, 255, (height // _GRID_PX + 2, width // _GRID_PX + 2, channels))
    return resized(grid, (height, width), "linear")


def ring(array: NDArray[np.uint8], view: Callable[[NDArray[np.uint8]], Any] = np.asarray) -> Callable[[], Any]:
    """Return a function that gives copies of an array in turn, together twice the last-level cache: each is in DRAM.

    `view` makes of each copy what is given: itself, or its planes.
    """
    number = max(2, -(-2 * last_level_cache_bytes() // array.nbytes))
    copies = [view(array.copy()) for _ in range(number)]
    turn = count()
    return lambda: copies[next(turn) % number]


def last_level_cache_bytes() -> int:
    """Return the size of the last-level cache as Linux tells it; 64 MiB where it does not."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text(encoding="ascii").strip()
        sizes.append(int(text[:-1]) << {"K": 10, "M": 20}[text[-1]] if text[-1] in "KM" else int(text))
    return max(sizes, default=_UNKNOWN_CACHE_BYTES)


def memory_limit(read_bytes: int, write_bytes: int) -> Callable[[], None]:
    """Return a function that reads and writes so many bytes (multiples of 4) as fast as NumPy can."""
    # Integers: NumPy's maximum of these is vectorised wherever any is, and has no NaN to care for. Ones: zeros
    # that nobody has written are one page again and again, which stays in the caches.
    source = np.ones(read_bytes // 4, np.int32)
    target = np.ones(write_bytes // 4, np.int32)

    def run() -> None:
        if source.size:
            source.max()
        if target.size:
            target.fill(1)

    return run


def heatmaps(shape: tuple[int, int, int, int], dtype: str) -> NDArray[np.floating]:
    """Return Gaussian peaks (sigma 2 px) away from the edges, on a little noise."""
    rng = np.random.default_rng(_SEED)
    height, width = shape[2:]
    ys, xs = np.mgrid[:height, :width] + 0.5
    x, y = (rng.uniform(0.15, 0.85, (*shape[:2], 1, 1)) * size for size in (width, height))
    peaks = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 2.0**2))
    return np.asarray(peaks + rng.uniform(0, 0.01, shape), dtype=dtype)


def hand(width: int, height: int, size: float) -> NDArray[np.float32]:
    """Return the 21 joints of an open hand, `size` px high, in the middle of the picture."""
    points = [(0.0, 0.0)]
    for angle, length in _FINGERS:
        for share in (0.35, 0.57, 0.78, 1.0):
            turned = np.radians(angle)
            points.append((np.sin(turned) * length * share, -np.cos(turned) * length * share))
    array = np.array(points)
    array -= (array.max(axis=0) + array.min(axis=0)) / 2
    array *= size / np.ptp(array[:, 1])
    return np.asarray(array + np.array([width, height]) / 2, dtype=np.float32)
