"""Affine maps between images and model inputs.

Image coordinates are continuous: the centre of pixel (0, 0) is (0.5, 0.5) and x = W is the right edge. An affine is a
float64 array of shape (2, 3) named ``a_from_b``; it takes points of b to points of a. Sizes are (height, width).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .errors import ArgumentError, DTypeError
from .types import Roi

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["compose", "input_from_roi", "invert", "letterbox", "stretch", "transform_points"]


def stretch(image_hw: tuple[int, int], input_hw: tuple[int, int]) -> NDArray[np.float64]:
    """Return ``input_from_image`` that stretches the whole image over the input.

    Parameters
    ----------
    image_hw, input_hw : tuple of int
        Sizes (height, width) in pixels, positive.

    Returns
    -------
    ndarray, float64, shape (2, 3)
    """
    (image_h, image_w), (input_h, input_w) = _size("stretch", image_hw), _size("stretch", input_hw)
    return np.array([[input_w / image_w, 0.0, 0.0], [0.0, input_h / image_h, 0.0]])


def letterbox(image_hw: tuple[int, int], input_hw: tuple[int, int]) -> NDArray[np.float64]:
    """Return ``input_from_image`` that fits the whole image, centred, keeping its aspect.

    Parameters
    ----------
    image_hw, input_hw : tuple of int
        Sizes (height, width) in pixels, positive.

    Returns
    -------
    ndarray, float64, shape (2, 3)
    """
    image_h, image_w = _size("letterbox", image_hw)
    return input_from_roi(Roi(image_w / 2, image_h / 2, image_w, image_h), input_hw, fit="letterbox")


def input_from_roi(roi: Roi, input_hw: tuple[int, int], *, fit: str = "stretch") -> NDArray[np.float64]:
    """Return the affine that brings a region of the image onto the model's input.

    Parameters
    ----------
    roi : Roi
        Region in continuous image coordinates, pixels; may lie partly or wholly outside the image.
    input_hw : tuple of int
        Size (height, width) of the input in pixels.
    fit : {"stretch", "letterbox"}
        Whether the region fills the input, or keeps its aspect and is centred.

    Returns
    -------
    ndarray, float64, shape (2, 3)
        ``input_from_image``.
    """
    input_h, input_w = _size("input_from_roi", input_hw)
    scale_x, scale_y = input_w / roi.width, input_h / roi.height
    if fit == "letterbox":
        scale_x = scale_y = min(scale_x, scale_y)
    elif fit != "stretch":
        raise ArgumentError(f"input_from_roi: fit must be 'stretch' or 'letterbox'; got {fit!r}")
    cos, sin = (math.cos(roi.angle_rad), math.sin(roi.angle_rad)) if roi.angle_rad else (1.0, 0.0)
    # Plain numbers, because this and invert run for every hand of every frame.
    xx, xy, yx, yy = scale_x * cos, scale_x * sin, -scale_y * sin, scale_y * cos
    x0 = input_w / 2 - (xx * roi.center_x + xy * roi.center_y)
    y0 = input_h / 2 - (yx * roi.center_x + yy * roi.center_y)
    return np.array([[xx, xy, x0], [yx, yy, y0]])


def invert(a_from_b: ArrayLike) -> NDArray[np.float64]:
    """Return ``b_from_a``.

    Raises
    ------
    ArgumentError
        If the affine is not finite, not of shape (2, 3) or cannot be inverted.
    DTypeError
        If it is not made of numbers.
    """
    affine = _affine("invert", "a_from_b", a_from_b)
    (a, b, c), (d, e, f) = affine.tolist()
    determinant = a * e - b * d
    if determinant == 0.0 or not math.isfinite(1.0 / determinant):
        raise ArgumentError(f"invert: a_from_b cannot be inverted; got {affine.tolist()}")
    xx, xy, yx, yy = e / determinant, -b / determinant, -d / determinant, a / determinant
    return np.array([[xx, xy, -(xx * c + xy * f)], [yx, yy, -(yx * c + yy * f)]])


def compose(a_from_b: ArrayLike, b_from_c: ArrayLike) -> NDArray[np.float64]:
    """Return ``a_from_c``, which does ``b_from_c`` first."""
    left, right = _affine("compose", "a_from_b", a_from_b), _affine("compose", "b_from_c", b_from_c)
    linear = left[:, :2] @ right[:, :2]
    return np.column_stack([linear, left[:, :2] @ right[:, 2] + left[:, 2]])


def transform_points(a_from_b: ArrayLike, points: ArrayLike) -> NDArray[np.float32]:
    """Take points of b to a.

    Parameters
    ----------
    a_from_b : array_like, shape (2, 3)
    points : array_like, shape (..., 2)
        x, y in the coordinates of b.

    Returns
    -------
    ndarray, float32, shape (..., 2)
        New array.
    """
    affine = _affine("transform_points", "a_from_b", a_from_b)
    array = _numbers("transform_points", "points", points)
    if array.shape[-1:] != (2,):
        raise ArgumentError(f"transform_points: points must have shape (..., 2); got {array.shape}")
    moved = array @ affine[:, :2].T + affine[:, 2]
    return moved.astype(np.float32)


def _numbers(function: str, argument: str, value: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DTypeError(f"{function}: {argument} must be an array of numbers; got {value!r}") from None


def _affine(function: str, argument: str, value: ArrayLike) -> NDArray[np.float64]:
    affine = _numbers(function, argument, value)
    if affine.shape != (2, 3) or not np.isfinite(affine).all():
        raise ArgumentError(f"{function}: {argument} must be finite with shape (2, 3); got {value!r}")
    return affine


def _size(function: str, size_hw: tuple[int, int]) -> tuple[int, int]:
    if len(size_hw) != 2 or min(size_hw) < 1:
        raise ArgumentError(f"{function}: sizes must be (height, width), both at least 1; got {size_hw!r}")
    return size_hw
