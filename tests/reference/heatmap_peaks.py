"""Peaks of heatmaps in float64, one map at a time, written from docs/kernels.md."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

SMALLEST = float(np.finfo(np.float32).min)


class Peak(NamedTuple):
    """Point (x, y), score and spread of one map; ``margin``: how far the nearest yes-or-no rule was from tipping."""

    point: tuple[float, float]
    score: float
    spread: float
    margin: float = math.inf


def first_largest(heatmap: np.ndarray) -> tuple[int, int]:
    """(x, y) of the first of the largest pixels; NaN is passed over, also where the rest is minus infinity."""
    y, x = np.unravel_index(int(np.argmax(heatmap == np.nanmax(heatmap))), heatmap.shape)
    return int(x), int(y)


def centroid(heatmap: np.ndarray) -> tuple[tuple[float, float], float]:
    """Centroid and spread of the positive values."""
    weights = np.where(heatmap > 0, heatmap, 0.0)
    total = weights.sum()
    if not (total > 0) or not np.isfinite(total):
        return (math.nan, math.nan), math.nan
    height, width = heatmap.shape
    xs, ys = np.arange(width) + 0.5, np.arange(height) + 0.5
    x, y = float(weights.sum(axis=0) @ xs / total), float(weights.sum(axis=1) @ ys / total)
    squared = (xs[None, :] - x) ** 2 + (ys[:, None] - y) ** 2
    return (x, y), math.sqrt(float((weights * squared).sum() / total))


def gaussian_taps(count: int) -> np.ndarray:
    """The Gaussian that ``dark`` blurs with."""
    half = (count - 1) / 2
    sigma = 0.3 * (half - 1) + 0.8
    taps = np.exp(-((np.arange(count) - half) ** 2) / (2 * sigma**2))
    return taps / taps.sum()


def blurred(heatmap: np.ndarray, count: int) -> np.ndarray:
    """Blur with zeros beyond the map; NaN and negative pixels count as 0."""
    values = np.where(heatmap > 0, heatmap, 0.0)
    taps, half = gaussian_taps(count), count // 2
    padded = np.pad(values, half)
    height, width = values.shape
    down = sum(taps[k] * padded[k : k + height, :] for k in range(count))
    return sum(taps[k] * down[:, k : k + width] for k in range(count))


def quarter(heatmap: np.ndarray) -> Peak:
    x, y = first_largest(heatmap)
    height, width = heatmap.shape
    shift = [0.0, 0.0]
    for axis, (position, size, line) in enumerate(((x, width, heatmap[y]), (y, height, heatmap[:, x]))):
        if 0 < position < size - 1:
            before, after = line[position - 1], line[position + 1]
            shift[axis] = 0.25 * ((after > before) * 1.0 - (after < before) * 1.0)
    return Peak((x + 0.5 + shift[0], y + 0.5 + shift[1]), float(heatmap[y, x]), math.nan)


def dark(heatmap: np.ndarray, blur_kernel: int = 11) -> Peak:
    x, y = first_largest(heatmap)
    score, centre = float(heatmap[y, x]), (x + 0.5, y + 0.5)
    height, width = heatmap.shape
    if not (2 <= x <= width - 3 and 2 <= y <= height - 3):
        return Peak(centre, score, math.nan)
    with np.errstate(all="ignore"):
        log = np.log(np.maximum(blurred(heatmap, blur_kernel), 1e-10))
        gx, gy = (log[y, x + 1] - log[y, x - 1]) / 2, (log[y + 1, x] - log[y - 1, x]) / 2
        dxx = (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2]) / 4
        dyy = (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x]) / 4
        dxy = (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1]) / 4
        determinant = dxx * dyy - dxy * dxy
        step_x, step_y = -(dyy * gx - dxy * gy) / determinant, -(dxx * gy - dxy * gx) / determinant
    if not (dxx < 0 and determinant > 0):
        return Peak(centre, score, math.nan, min(abs(dxx), abs(determinant)))
    margin = min(abs(abs(step_x) - 1), abs(abs(step_y) - 1), -dxx, determinant)
    if not (abs(step_x) <= 1 and abs(step_y) <= 1):
        return Peak(centre, score, math.nan, margin)
    return Peak((centre[0] + step_x, centre[1] + step_y), score, math.nan, margin)


def upsampled(heatmap: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The map resized bilinearly, pixel centres aligned, edges repeated; NaN counts as the smallest finite float."""
    values = np.where(np.isnan(heatmap), SMALLEST, heatmap)
    lines = []
    for size, fine in zip(values.shape, size_hw):
        c = np.clip((np.arange(fine) + 0.5) * size / fine - 0.5, 0, size - 1)
        low = np.minimum(np.floor(c).astype(int), size - 1)
        lines.append((low, np.minimum(low + 1, size - 1), c - low))
    (y0, y1, fy), (x0, x1, fx) = lines
    across = values[:, x0] * (1 - fx) + values[:, x1] * fx
    return across[y0] * (1 - fy)[:, None] + across[y1] * fy[:, None]


def upsampled_argmax(heatmap: np.ndarray, size_hw: tuple[int, int]) -> Peak:
    fine = upsampled(heatmap, size_hw)
    x, y = first_largest(fine)
    height, width = heatmap.shape
    return Peak(((x + 0.5) * width / size_hw[1], (y + 0.5) * height / size_hw[0]), float(fine[y, x]), math.nan)


def peak(
    heatmap: np.ndarray, method: str, *, upsampled_hw: tuple[int, int] | None = None, blur_kernel: int = 11
) -> Peak:
    """Peak of one map (H, W) by any method."""
    heatmap = np.asarray(heatmap).astype(np.float64)
    if np.isnan(heatmap).all():
        return Peak((math.nan, math.nan), math.nan, math.nan)
    x, y = first_largest(heatmap)
    score = float(heatmap[y, x])
    point, spread = centroid(heatmap)
    if method == "argmax":
        return Peak((x + 0.5, y + 0.5), score, spread)
    if method == "expectation":
        return Peak(point, score, spread)
    if method == "quarter":
        return quarter(heatmap)._replace(spread=spread, score=score)
    if method == "dark":
        return dark(heatmap, blur_kernel)._replace(spread=spread, score=score)
    assert method == "upsampled_argmax"
    assert upsampled_hw is not None
    return upsampled_argmax(heatmap, upsampled_hw)._replace(spread=spread)


def peaks(
    heatmaps: np.ndarray, method: str, **options: object
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points, scores, spreads and margins of maps (..., H, W)."""
    lead = heatmaps.shape[:-2]
    found = [peak(one, method, **options) for one in heatmaps.reshape(-1, *heatmaps.shape[-2:])]  # type: ignore[arg-type]
    return (
        np.array([one.point for one in found]).reshape(*lead, 2),
        np.array([one.score for one in found]).reshape(lead),
        np.array([one.spread for one in found]).reshape(lead),
        np.array([one.margin for one in found]).reshape(lead),
    )
