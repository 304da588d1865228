"""The rules of docs/kernels.md in float64 NumPy: slow, and independent of the kernels and of every peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..skeleton import BONE_COLORS, HAND_BONES, JOINT_COLORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["dark", "drawn", "expectation", "peak", "quarter", "resized", "rgb_of_yuv", "rotated", "yuv_of_rgb"]

_KR, _KB = 0.299, 0.114  # ITU-R BT.601-7
_DARK_TAPS = 11


def resized(image: NDArray[np.generic], size_hw: tuple[int, int], filter: str) -> Array:
    """Stretch (H, W, C) to (h, w, C) with ``linear`` or ``antialias``, not rounded."""
    height, width, channels = image.shape
    down = _axis_weights(height, size_hw[0], filter)
    across = _axis_weights(width, size_hw[1], filter)
    rows = (down @ image.reshape(height, -1).astype(np.float64)).reshape(size_hw[0], width, channels)
    return np.asarray(across @ rows)


def _axis_weights(size: int, count: int, filter: str) -> Array:
    """Triangle round each output's centre. At the edge rescaling is the same as repeating the edge pixel."""
    step = size / count
    half = 1.0 if filter == "linear" else max(1.0, step)
    distance = abs((np.arange(count)[:, None] + 0.5) * step - (np.arange(size) + 0.5))
    weights = np.maximum(1 - distance / half, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def rotated(image: NDArray[np.uint8], image_from_input: Array, size_hw: tuple[int, int]) -> Array:
    """Sample bilinearly where every point of the input lies inside the image."""
    columns, rows = np.meshgrid(np.arange(size_hw[1]) + 0.5, np.arange(size_hw[0]) + 0.5)
    (a, b, c), (d, e, f) = image_from_input
    x, y = a * columns + b * rows + c - 0.5, d * columns + e * rows + f - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = (x - left)[..., None], (y - top)[..., None]
    return np.asarray(
        (image[top, left] * (1 - u) + image[top, left + 1] * u) * (1 - v)
        + (image[top + 1, left] * (1 - u) + image[top + 1, left + 1] * u) * v
    )


def rgb_of_yuv(yuv: Array) -> Array:
    """BT.601, limited range; (..., 3) in grey levels, clamped."""
    luma = (yuv[..., 0] - 16) * 255 / 219
    u, v = (yuv[..., 1] - 128) * 255 / 224, (yuv[..., 2] - 128) * 255 / 224
    red, blue = luma + 2 * (1 - _KR) * v, luma + 2 * (1 - _KB) * u
    green = (luma - _KR * red - _KB * blue) / (1 - _KR - _KB)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255)


def yuv_of_rgb(color: Sequence[float]) -> tuple[float, float, float]:
    """BT.601, limited range, rounded to whole levels."""
    red, green, blue = color
    luma = _KR * red + (1 - _KR - _KB) * green + _KB * blue
    u, v = (blue - luma) / (2 * (1 - _KB)), (red - luma) / (2 * (1 - _KR))
    levels = np.rint([16 + luma * 219 / 255, 128 + u * 224 / 255, 128 + v * 224 / 255])
    return float(levels[0]), float(levels[1]), float(levels[2])


def peak(maps: NDArray[np.generic]) -> Array:
    """Return the centres of the first largest pixels, (N, K, 2)."""
    place = maps.reshape(*maps.shape[:2], -1).argmax(axis=-1)
    return np.stack([place % maps.shape[3], place // maps.shape[3]], axis=-1) + 0.5


def quarter(maps: NDArray[np.generic]) -> Array:
    """Move the peaks, all away from the edges, a quarter pixel towards the larger neighbour along each axis."""
    points = peak(maps)
    for index in np.ndindex(maps.shape[:2]):
        m = maps[index].astype(np.float64)
        x, y = (points[index] - 0.5).astype(int)
        points[index] += 0.25 * np.sign([m[y, x + 1] - m[y, x - 1], m[y + 1, x] - m[y - 1, x]])
    return points


def dark(maps: NDArray[np.generic]) -> Array:
    """Zhang et al., CVPR 2020 (arXiv 1910.06278), with the whole map blurred; peaks away from the edges."""
    sigma = 0.3 * ((_DARK_TAPS - 1) / 2 - 1) + 0.8
    blurs = []
    for size in maps.shape[2:]:
        offsets = np.subtract.outer(np.arange(size), np.arange(size))
        taps = np.exp(-(np.arange(-(_DARK_TAPS // 2), _DARK_TAPS // 2 + 1) ** 2) / (2 * sigma**2)).sum()
        inside = abs(offsets) <= _DARK_TAPS // 2
        blurs.append(np.where(inside, np.exp(-(offsets**2) / (2 * sigma**2)) / taps, 0))
    logs = np.log(np.maximum(blurs[0] @ np.maximum(maps.astype(np.float64), 0) @ blurs[1].T, 1e-10))
    points = peak(maps)
    for index in np.ndindex(maps.shape[:2]):
        m = logs[index]
        x, y = (points[index] - 0.5).astype(int)
        gradient = np.array([m[y, x + 1] - m[y, x - 1], m[y + 1, x] - m[y - 1, x]]) / 2
        dxx = (m[y, x + 2] - 2 * m[y, x] + m[y, x - 2]) / 4
        dyy = (m[y + 2, x] - 2 * m[y, x] + m[y - 2, x]) / 4
        dxy = (m[y + 1, x + 1] - m[y + 1, x - 1] - m[y - 1, x + 1] + m[y - 1, x - 1]) / 4
        points[index] -= np.linalg.solve(np.array([[dxx, dxy], [dxy, dyy]]), gradient)
    return points


def expectation(maps: NDArray[np.generic]) -> Array:
    """Return the centroids of maps without negative pixels."""
    values = maps.astype(np.float64)
    total = values.sum(axis=(2, 3))
    x = (values.sum(axis=2) * (np.arange(maps.shape[3]) + 0.5)).sum(axis=-1)
    y = (values.sum(axis=3) * (np.arange(maps.shape[2]) + 0.5)).sum(axis=-1)
    return np.stack([x / total, y / total], axis=-1)


def drawn(
    plane: NDArray[np.uint8], points: NDArray[np.float32], thickness: float, joint_radius: float, channels: str
) -> NDArray[np.int64]:
    """Draw a hand of certain joints on an (H, W, C) plane; `channels`, letters of ``rgbyuv``, says what C is."""
    result = plane.astype(np.int64)
    figures = [(a, b, thickness / 2, color) for (a, b), color in zip(HAND_BONES, BONE_COLORS)]
    figures += [(joint, joint, joint_radius, color) for joint, color in enumerate(JOINT_COLORS)]
    for a, b, radius, rgb in figures:
        values = dict(zip("rgbyuv", [*rgb, *yuv_of_rgb(rgb)]))
        color = np.array([values[name] for name in channels], dtype=np.int64)
        start, end = points[a].astype(np.float64), points[b].astype(np.float64)
        low = np.maximum(np.floor(np.minimum(start, end) - radius - 2), 0).astype(int)
        high = np.ceil(np.maximum(start, end) + radius + 2).astype(int)
        box = result[low[1] : high[1], low[0] : high[0]]
        centres = np.stack(np.meshgrid(*(low[i] + np.arange(box.shape[1 - i]) + 0.5 for i in (0, 1))), axis=-1)
        along = end - start
        share = np.clip((centres - start) @ along / max(along @ along, 1e-12), 0, 1)
        distance = np.linalg.norm(centres - start - share[..., None] * along, axis=-1)
        alpha = np.rint(256 * np.clip(radius + 0.5 - distance, 0, 1)).astype(np.int64)[..., None]
        box += (color - box) * alpha + 128 >> 8
    return result
