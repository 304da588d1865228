"""Hands drawn onto pictures, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _native
from .picture import Picture
from .skeleton import BONE_COLORS, HAND_BONES, JOINT_COLORS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from .types import Hand

__all__ = ["draw_hands", "draw_skeleton"]

_BONES = np.array(HAND_BONES, dtype=np.int32)
_BONE_COLORS = np.array(BONE_COLORS, dtype=np.uint8)
_JOINT_COLORS = np.array(JOINT_COLORS, dtype=np.uint8)


def draw_skeleton(
    image: Any,
    points: ArrayLike,
    scores: ArrayLike | None = None,
    *,
    source_format: str = "bgr24",
    bones: ArrayLike = _BONES,
    bone_colors: ArrayLike = _BONE_COLORS,
    joint_colors: ArrayLike = _JOINT_COLORS,
    thickness: float | None = None,
    joint_radius: float | None = None,
    min_score: float = 0.0,
    opacity: float = 1.0,
    color_matrix: str = "bt601",
    color_range: str = "limited",
) -> Any:
    """Draw anti-aliased bones and joints onto an image, in place.

    The rules, to the bit, are on the page "Kernels" of the documentation.

    Parameters
    ----------
    image : Picture, ndarray, uint8, or tuple of planes
        A picture states its own `source_format`, `color_matrix` and `color_range`. An array is (H, W, 3), or (H, W, 4)
        for ``bgra32``; planes are of ``nv12`` and ``yuv420p``. Writable; changed in place.
    points : array_like, float32, shape (K, 2)
        x, y in continuous pixels of the image; may lie outside. One that is not finite is left out with its bones.
    scores : array_like, float32, shape (K,), optional
        0..1: how strongly each joint shows. NaN means unknown and shows fully.
    source_format : {"bgr24", "rgb24", "bgra32", "nv12", "yuv420p"}
    bones : array_like, int32, shape (B, 2)
        Pairs of indices of points.
    bone_colors, joint_colors : array_like, uint8, shapes (B, 3) and (K, 3)
        RGB. By finger unless given.
    thickness : float, optional
        Of the bones in pixels; 1/50 of the points' extent, within 1.5 to 12, unless given.
    joint_radius : float, optional
        In pixels; 0.8 times the thickness unless given.
    min_score : float
        Joints with a lower score are left out, with their bones.
    opacity : float, 0..1
    color_matrix : {"bt601", "bt709"}
        Of nv12 and yuv420p images.
    color_range : {"limited", "full"}
        Of nv12 and yuv420p images.

    Returns
    -------
    Picture, ndarray or tuple
        `image` itself.

    Raises
    ------
    ArgumentError
        For a wrong shape, memory layout, name or number, and for a read-only image.
    DTypeError
        For a wrong dtype or type.
    """
    target = image
    if isinstance(image, Picture):
        source_format, color_matrix, color_range = image.pixel_format, image.color_matrix, image.color_range
        target = image.data
    _native.draw_skeleton(
        target, points, scores, source_format, bones, bone_colors, joint_colors, thickness, joint_radius,
        min_score, opacity, color_matrix, color_range,
    )  # fmt: skip
    return image


def draw_hands(image: Any, hands: Iterable[Hand], **style: Any) -> Any:
    """Draw every hand onto an image, in place.

    Parameters
    ----------
    image : Picture, ndarray, uint8, or tuple of planes
        As for :func:`draw_skeleton`.
    hands : iterable of Hand
    **style
        Further arguments of :func:`draw_skeleton`.

    Returns
    -------
    Picture, ndarray or tuple
        `image` itself.
    """
    for hand in hands:
        draw_skeleton(image, hand.keypoints, hand.scores, **style)
    return image
