"""Cases of ``heatmap_peaks``; every peer returns points (N, K, 2) in continuous coordinates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..heatmap import heatmap_peaks
from . import references
from .cases import Case, Definition
from .data import heatmaps

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["definitions"]

SHAPES = ((1, 21, 128, 128), (1, 21, 64, 64), (8, 21, 128, 128))
#: Pixels: the bound of docs/kernels.md, "Precision"; for peers too.
TOLERANCE_PX = 1e-3
_REFERENCES = {
    "argmax": references.peak,
    "quarter": references.quarter,
    "dark": references.dark,
    "expectation": references.expectation,
}


def definitions() -> list[Definition]:
    """Return the cases of heatmap_peaks."""
    return [
        Definition(f"heatmap/{method}/{'x'.join(map(str, shape))}/{dtype}", partial(_case, method, shape, dtype))
        for shape in SHAPES
        for method in _REFERENCES
        for dtype in ("float32", "float16")
    ]


def _case(method: str, shape: tuple[int, int, int, int], dtype: str) -> Case:
    maps = heatmaps(shape, dtype)
    # Halves as whole numbers: NumPy reads those as fast as memory gives them, halves only one by one.
    plain = maps if dtype == "float32" else maps.view(np.int16)
    case = Case(maps.nbytes, lambda: plain.max(), error_unit="px")
    reference = _REFERENCES[method](maps)

    def error_of(points: Array) -> float:
        return float(abs(points - reference).max())

    case.add_ours(lambda: heatmap_peaks(maps, method=method)[0], error_of, TOLERANCE_PX)
    if dtype == "float16":
        whole = maps.astype(np.float32)
        ours = lambda: heatmap_peaks(whole, method=method)[0]  # noqa: E731
        case.add_own("ours in float32", ours, error_of, TOLERANCE_PX)
    for name, make in _peers(method, maps).items():
        case.add_peer(name, make, error_of, TOLERANCE_PX)
    largest = plain.max()
    case.add_peer("np.max, one read", lambda: plain.max, lambda value: float(abs(value - largest)), 0, kind="part")
    return case


def _peers(method: str, maps: Array) -> dict[str, Callable[[], Callable[[], Array]]]:
    """Return makers by name; float16 is brought to float32 first, where NumPy is many times faster."""

    def on_float32(decode: Callable[[Array], Array]) -> Callable[[], Callable[[], Array]]:
        if maps.dtype == np.float32:
            return lambda: lambda: decode(maps)
        return lambda: lambda: decode(maps.astype(np.float32))

    if method == "argmax":
        return {
            "NumPy argmax": on_float32(_numpy_argmax),
            "NumPy argmax, a loop": on_float32(_looped_argmax),
            "cv2 minMaxLoc, a loop": lambda: _opencv_argmax(on_float32(np.asarray)()),
        }
    if method == "quarter":
        return {"NumPy, a loop": on_float32(_looped_quarter)}
    if method == "dark":
        return {"cv2 blur and log of whole maps": lambda: _opencv_dark(on_float32(np.asarray)())}
    weights = _position_weights(maps.shape[2:])
    return {
        "NumPy, one product": on_float32(partial(_product_expectation, weights=weights)),
        "NumPy, normalised marginals": on_float32(_marginal_expectation),
    }


def _numpy_argmax(maps: Array) -> Array:
    flat = maps.reshape(*maps.shape[:2], -1)
    place = flat.argmax(axis=-1)
    np.take_along_axis(flat, place[..., None], axis=-1)  # the scores, which ours returns too
    return np.stack([place % maps.shape[3], place // maps.shape[3]], axis=-1) + np.float32(0.5)


def _looped_argmax(maps: Array) -> Array:
    points = np.empty((*maps.shape[:2], 2), np.float32)
    scores = np.empty(maps.shape[:2], np.float32)
    for index in np.ndindex(maps.shape[:2]):
        y, x = np.unravel_index(np.argmax(maps[index]), maps.shape[2:])
        points[index] = x, y
        scores[index] = maps[index][y, x]
    return points + np.float32(0.5)


def _looped_quarter(maps: Array) -> Array:
    """As pose libraries do it: all maxima at once, the shift joint by joint."""
    points = _numpy_argmax(maps)
    for index in np.ndindex(maps.shape[:2]):
        heatmap = maps[index]
        x, y = int(points[index][0]), int(points[index][1])
        if 0 < x < heatmap.shape[1] - 1 and 0 < y < heatmap.shape[0] - 1:
            difference = [heatmap[y, x + 1] - heatmap[y, x - 1], heatmap[y + 1, x] - heatmap[y - 1, x]]
            points[index] += np.sign(difference) * 0.25
    return points


def _opencv_argmax(maps: Callable[[], Array]) -> Callable[[], Array]:
    import cv2

    def run() -> Array:
        stack = maps()
        places = [[cv2.minMaxLoc(heatmap)[3] for heatmap in batch] for batch in stack]
        return np.asarray(np.array(places, np.float32) + 0.5)

    return run


def _opencv_dark(maps_of: Callable[[], Array], taps: int = 11) -> Callable[[], Array]:
    """DARK as pose libraries do it: every whole map blurred and its logarithm taken, then a step at the peak."""
    import cv2

    def run() -> Array:
        maps = maps_of()
        points = np.empty((*maps.shape[:2], 2), np.float32)
        for index in np.ndindex(maps.shape[:2]):
            y, x = np.unravel_index(int(maps[index].argmax()), maps.shape[2:])
            blurred = cv2.GaussianBlur(maps[index], (taps, taps), 0, borderType=cv2.BORDER_CONSTANT)
            log = np.log(np.maximum(blurred, 1e-10))
            gradient = np.array([log[y, x + 1] - log[y, x - 1], log[y + 1, x] - log[y - 1, x]]) / 2
            dxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
            dyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
            dxy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
            points[index] = np.array([x, y]) + 0.5 - np.linalg.solve(np.array([[dxx, dxy], [dxy, dyy]]), gradient)
        return points

    return run


def _position_weights(map_hw: tuple[int, ...]) -> Array:
    ys, xs = np.mgrid[: map_hw[0], : map_hw[1]].astype(np.float32) + np.float32(0.5)
    return np.stack([np.ones_like(xs), xs, ys], axis=-1).reshape(-1, 3)


def _product_expectation(maps: Array, weights: Array) -> Array:
    """One product with a matrix made beforehand: NumPy at its fastest."""
    sums = maps.reshape(maps.shape[0] * maps.shape[1], -1) @ weights
    return np.asarray((sums[:, 1:] / sums[:, :1]).reshape(*maps.shape[:2], 2))


def _marginal_expectation(maps: Array) -> Array:
    """Straightforward: normalised maps, their marginals, mean positions."""
    share = maps / maps.sum(axis=(2, 3), keepdims=True)
    x = (share.sum(axis=2) * np.arange(maps.shape[3], dtype=np.float32)).sum(axis=-1)
    y = (share.sum(axis=3) * np.arange(maps.shape[2], dtype=np.float32)).sum(axis=-1)
    return np.stack([x, y], axis=-1) + np.float32(0.5)
