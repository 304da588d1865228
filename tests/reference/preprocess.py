"""Preprocess in float64, written from docs/kernels.md: two weight matrices per plane, or a gather with rotation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}  # Kr, Kb
_RANGE = {"limited": (16.0, 255 / 219, 255 / 224), "full": (0.0, 1.0, 1.0)}  # y0, ky, kc


def invert_affine(affine: Any) -> np.ndarray:
    """The inverse of a 2x3 affine."""
    return np.linalg.inv(np.vstack([np.asarray(affine, dtype=np.float64), [0, 0, 1]]))[:2]


def keys(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Keys' cubic convolution kernel."""
    t = np.abs(distance)
    inner = (a + 2) * t**3 - (a + 3) * t**2 + 1
    outer = a * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t <= 1, inner, np.where(t < 2, outer, 0.0))


def axis_weights(coordinates: np.ndarray, size: int, step: float, filter: str) -> np.ndarray:
    """Weights (outputs, size) of the pixels of one axis for points already clamped to 0..size."""
    coordinates = np.asarray(coordinates, dtype=np.float64)
    if filter == "antialias":
        half_width = max(1.0, step)
        centres = np.arange(size) + 0.5
        weights = np.maximum(0.0, 1 - np.abs(centres[None, :] - coordinates[:, None]) / half_width)
        return weights / weights.sum(axis=1, keepdims=True)
    weights = np.zeros((len(coordinates), size))
    first = np.floor(coordinates - 0.5).astype(int)
    for tap in (0, 1) if filter == "linear" else (-1, 0, 1, 2):
        distance = coordinates - (first + tap + 0.5)
        value = 1 - np.abs(distance) if filter == "linear" else keys(distance)
        np.add.at(weights, (np.arange(len(first)), np.clip(first + tap, 0, size - 1)), value)
    return weights


def sample_separable(plane: np.ndarray, xs: np.ndarray, ys: np.ndarray, steps: Any, filter: str) -> np.ndarray:
    """Sample a plane (H, W, C) at the grid ys x xs; points are clamped to the plane first."""
    height, width = plane.shape[:2]
    across = axis_weights(np.clip(xs, 0, width), width, steps[0], filter)
    down = axis_weights(np.clip(ys, 0, height), height, steps[1], filter)
    return np.einsum("iy,yxc,jx->ijc", down, plane.astype(np.float64), across, optimize=True)


def sample_points(plane: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear samples of a plane (H, W, C) at points, clamped to the plane first."""
    height, width = plane.shape[:2]
    plane = plane.astype(np.float64)
    x, y = np.clip(x, 0, width) - 0.5, np.clip(y, 0, height) - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    left, right = np.clip(x0, 0, width - 1), np.clip(x0 + 1, 0, width - 1)
    top, bottom = np.clip(y0, 0, height - 1), np.clip(y0 + 1, 0, height - 1)
    above = plane[top, left] * (1 - fx) + plane[top, right] * fx
    below = plane[bottom, left] * (1 - fx) + plane[bottom, right] * fx
    return above * (1 - fy) + below * fy


def yuv_to_rgb(y: Any, u: Any, v: Any, color_matrix: str = "bt601", color_range: str = "limited") -> np.ndarray:
    """Convert Y, U, V of 0..255 to R, G, B of 0..255, last axis."""
    kr, kb = _LUMA[color_matrix]
    y0, ky, kc = _RANGE[color_range]
    luma = ky * (np.asarray(y, dtype=np.float64) - y0)
    red = luma + kc * 2 * (1 - kr) * (np.asarray(v, dtype=np.float64) - 128)
    blue = luma + kc * 2 * (1 - kb) * (np.asarray(u, dtype=np.float64) - 128)
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255)


def planes_of(image: Any, source_format: str) -> list[np.ndarray]:
    """The planes of an image, each (H, W, C)."""
    planes = image if source_format in ("nv12", "yuv420p") else (image,)
    return [plane if plane.ndim == 3 else plane[:, :, None] for plane in planes]


def samples(
    image: Any,
    size_hw: tuple[int, int],
    input_from_image: Any = None,
    *,
    source_format: str = "bgr24",
    filter: str = "linear",
) -> tuple[np.ndarray, np.ndarray]:
    """Exact samples (h, w, channels of all planes) before any rounding or conversion, and where they are inside."""
    planes = planes_of(image, source_format)
    height, width = planes[0].shape[:2]
    if input_from_image is None:
        input_from_image = [[size_hw[1] / width, 0, 0], [0, size_hw[0] / height, 0]]
    (a, b, c), (d, e, f) = invert_affine(input_from_image)
    rows, columns = np.arange(size_hw[0])[:, None] + 0.5, np.arange(size_hw[1])[None, :] + 0.5
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    spare = 1e-6 if b == 0 and d == 0 else 0.0  # for the rounding of affines
    inside = (x >= -spare) & (x <= width + spare) & (y >= -spare) & (y <= height + spare)
    x, y = np.clip(x, 0, width), np.clip(y, 0, height)
    sampled = []
    for number, plane in enumerate(planes):
        ratio = 1.0 if number == 0 else 0.5
        if b == 0 and d == 0:
            steps = abs(a) * ratio, abs(e) * ratio
            sampled.append(sample_separable(plane, x[0] * ratio, y[:, 0] * ratio, steps, filter))
        else:
            sampled.append(sample_points(plane, x * ratio, y * ratio))
    return np.concatenate(sampled, axis=2), inside


def rounded(sampled: np.ndarray, filter: str) -> np.ndarray:
    """What ``antialias`` and ``cubic`` make of the exact samples: whole grey levels, halves up."""
    return sampled if filter == "linear" else np.floor(np.clip(sampled, 0, 255) + 0.5)


def clear_of_halves(sampled: np.ndarray, margin: float) -> np.ndarray:
    """True (h, w) where rounding is certain although the samples may be off by ``margin``."""
    from_half = abs(sampled - np.floor(sampled) - 0.5)
    return ((from_half > margin) | (sampled < 0) | (sampled > 255)).all(axis=2)


def grey_levels(
    image: Any,
    size_hw: tuple[int, int],
    input_from_image: Any = None,
    *,
    source_format: str = "bgr24",
    filter: str = "linear",
    border: str = "constant",
    border_value: Any = 0.0,
    channel_order: str = "rgb",
    color_matrix: str = "bt601",
    color_range: str = "limited",
) -> np.ndarray:
    """The sampled picture (h, w, 3) in grey levels, before normalisation."""
    exact, inside = samples(image, size_hw, input_from_image, source_format=source_format, filter=filter)
    picture = rounded(exact, filter)
    if source_format in ("nv12", "yuv420p"):
        picture = yuv_to_rgb(picture[..., 0], picture[..., 1], picture[..., 2], color_matrix, color_range)
    elif source_format == "gray8":
        picture = np.repeat(picture, 3, axis=2)
    elif source_format == "bgr24":
        picture = picture[..., ::-1]
    if channel_order == "bgr":
        picture = picture[..., ::-1]
    if border == "constant":
        picture = np.where(inside[..., None], picture, np.asarray(border_value, dtype=np.float64))
    return picture


def preprocess(
    image: Any,
    size_hw: tuple[int, int],
    input_from_image: Any = None,
    *,
    scale: Any = 1 / 255,
    mean: Any = 0.0,
    std: Any = 1.0,
    layout: str = "NCHW",
    **options: Any,
) -> np.ndarray:
    """The float64 input (1, 3, h, w) or (1, h, w, 3)."""
    picture = grey_levels(image, size_hw, input_from_image, **options)
    scale, mean, std = (np.asarray(value, dtype=np.float64) for value in (scale, mean, std))
    value = (scale * picture - mean) / std
    return (value if layout == "NHWC" else value.transpose(2, 0, 1))[None]


def roi_affine(x: float, y: float, width: float, height: float, size_hw: tuple[int, int]) -> np.ndarray:
    """``input_from_image`` of an upright rectangle; a negative width or height flips."""
    scale_x, scale_y = size_hw[1] / width, size_hw[0] / height
    return np.array([[scale_x, 0, -x * scale_x], [0, scale_y, -y * scale_y]])


def rotation_affine(centre: Any, side: float, angle_rad: float, size_hw: tuple[int, int]) -> np.ndarray:
    """``input_from_image`` of a rotated square."""
    scale = min(size_hw) / side
    cos, sin = math.cos(angle_rad) * scale, math.sin(angle_rad) * scale
    linear = np.array([[cos, sin], [-sin, cos]])
    offset = np.array([size_hw[1] / 2, size_hw[0] / 2]) - linear @ np.asarray(centre, dtype=np.float64)
    return np.column_stack([linear, offset])
