"""Skeleton drawing in float64 over whole planes, one figure after the other, written from docs/kernels.md."""

from __future__ import annotations

from typing import Any

import numpy as np

_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}  # Kr, Kb
_RANGE = {"limited": (16.0, 255 / 219, 255 / 224), "full": (0.0, 1.0, 1.0)}  # y0, ky, kc


def rgb_to_yuv(color: Any, color_matrix: str = "bt601", color_range: str = "limited") -> tuple[int, int, int]:
    """The 8 bit Y, U, V of an RGB colour: the inverse of the conversion of ``preprocess``."""
    kr, kb = _LUMA[color_matrix]
    y0, ky, kc = _RANGE[color_range]
    red, green, blue = (float(value) for value in color)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    y = y0 + luma / ky
    u = 128 + (blue - luma) / (2 * (1 - kb)) / kc
    v = 128 + (red - luma) / (2 * (1 - kr)) / kc
    y, u, v = (int(np.clip(np.rint(value), 0, 255)) for value in (y, u, v))
    return y, u, v


def distances(shape_hw: tuple[int, int], start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance of every pixel's centre from a segment."""
    x = np.arange(shape_hw[1])[None, :] + 0.5
    y = np.arange(shape_hw[0])[:, None] + 0.5
    direction = end - start
    length2 = float(direction @ direction)
    t = ((x - start[0]) * direction[0] + (y - start[1]) * direction[1]) / length2 if length2 > 0 else 0.0 * (x + y)
    t = np.clip(t, 0, 1)
    return np.hypot(x - start[0] - t * direction[0], y - start[1] - t * direction[1])


def paint(plane: np.ndarray, colors: Any, start: np.ndarray, end: np.ndarray, radius: float, opacity: float) -> None:
    """Blend one capsule into a plane (H, W, C), in place."""
    coverage = np.clip(radius + 0.5 - distances(plane.shape[:2], start, end), 0, 1)
    a = np.rint(256 * coverage * opacity).astype(np.int64)[..., None]
    p = plane.astype(np.int64)
    plane[...] = p + (((np.asarray(colors, dtype=np.int64) - p) * a + 128) >> 8)


def draw_skeleton(
    image: Any,
    points: Any,
    scores: Any = None,
    *,
    source_format: str,
    bones: Any,
    bone_colors: Any,
    joint_colors: Any,
    thickness: float,
    joint_radius: float,
    min_score: float = 0.0,
    opacity: float = 1.0,
    color_matrix: str = "bt601",
    color_range: str = "limited",
) -> None:
    """Draw in place on an array, or on a tuple of planes."""
    points = np.asarray(points, dtype=np.float32).astype(np.float64)
    scores = np.ones(len(points)) if scores is None else np.asarray(scores, dtype=np.float32).astype(np.float64)
    shown = np.isfinite(points).all(axis=1) & ~(scores < min_score)
    strength = np.where(np.isnan(scores), 1.0, np.clip(scores, 0, 1))
    figures = [
        (color, points[i], points[j], thickness / 2, min(strength[i], strength[j]))
        for (i, j), color in zip(bones, bone_colors)
        if shown[i] and shown[j]
    ]
    figures += [
        (joint_colors[k], points[k], points[k], joint_radius, strength[k]) for k in range(len(points)) if shown[k]
    ]
    for color, start, end, radius, fade in figures:
        if source_format in ("nv12", "yuv420p"):
            y, u, v = rgb_to_yuv(color, color_matrix, color_range)
            paint(image[0][:, :, None], [y], start, end, radius, opacity * fade)
            chroma = [(image[1], [u, v])] if source_format == "nv12" else [(image[1], [u]), (image[2], [v])]
            for plane, colors in chroma:
                whole = plane if plane.ndim == 3 else plane[:, :, None]
                paint(whole, colors, start / 2, end / 2, radius / 2, opacity * fade)
        else:
            rgb = [int(value) for value in color]
            colors = {"rgb24": rgb, "bgr24": rgb[::-1], "bgra32": [*rgb[::-1], 255]}[source_format]
            paint(image, colors, start, end, radius, opacity * fade)
