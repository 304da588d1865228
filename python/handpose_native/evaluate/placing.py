"""Hands that are known about themselves, put before the camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .samples import PIXEL_CENTRE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["place_in_camera"]


def place_in_camera(world: ArrayLike, keypoints: ArrayLike, intrinsics: ArrayLike) -> NDArray[np.float64]:
    """Move a hand, without turning or scaling it, to where it is seen at its keypoints.

    Parameters
    ----------
    world : array_like, shape (K, 3)
        Metres about any origin, in the axes of the camera: x right, y down, z forward.
    keypoints : array_like, shape (K, 2)
        Continuous pixels.
    intrinsics : array_like, shape (3, 3)
        Without skew; of coordinates that count pixel centres as whole numbers.

    Returns
    -------
    ndarray, float64, shape (K, 3)
        Metres in the camera's frame.

    Notes
    -----
    With m = K^-1 (u, v, 1), a joint X moved by t is seen at (u, v) where m_x (X_z + t_z) = X_x + t_x, and so for y:
    linear in t, solved by least squares over all joints.
    """
    joints, camera = np.asarray(world, np.float64), np.asarray(intrinsics, np.float64)
    seen = (np.asarray(keypoints, np.float64) - PIXEL_CENTRE - camera[:2, 2]) / np.diagonal(camera)[:2]
    factors = np.zeros((len(joints), 2, 3))
    factors[:, 0, 0] = factors[:, 1, 1] = 1.0
    factors[:, :, 2] = -seen
    wanted = seen * joints[:, 2:] - joints[:, :2]
    move, *_ = np.linalg.lstsq(factors.reshape(-1, 3), wanted.reshape(-1), rcond=None)
    return np.asarray(joints + move)
