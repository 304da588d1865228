"""From joints in the picture and their relative depths to joints in metres.

The 2.5D representation of Iqbal et al., "Hand Pose Estimation via Latent 2.5D Heatmap Regression", ECCV 2018: a picture
and depths relative to the wrist, in lengths of a bone, say where the joints are once the length of that bone is known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["HAND_SCALE_M", "REFERENCE_BONE", "reconstruct_world"]

#: The bone whose length is the unit of depths: from the base of the middle finger to its next joint.
REFERENCE_BONE = (9, 10)

#: Length of that bone in an adult: 44.63 mm is the mean of 66 (Buryanov and Kotiuk, International Journal of Morphology
#: 28(3), 2010, pp. 755-758).
HAND_SCALE_M = 0.04463


def reconstruct_world(
    directions: ArrayLike, depths: ArrayLike, hand_scale_m: float = HAND_SCALE_M
) -> NDArray[np.float32] | None:
    """Place a hand before the camera.

    The depth z of the wrist is chosen so that the reference bone has length 1: with directions p and depths d, joints
    are at (z + d) (p, 1), which makes a quadratic equation of z. Its larger solution is taken, as in the paper. The
    other one is behind the camera, unless the bone points nearly at it: then both distances fit what is seen, and the
    hand may in truth be at the nearer one.

    Parameters
    ----------
    directions : array_like, shape (21, 2)
        X / Z and Y / Z of each joint: see :meth:`Intrinsics.directions`.
    depths : array_like, shape (21,)
        How much farther than the wrist each joint is, in lengths of the reference bone; the wrist's own is 0.
    hand_scale_m : float
        Length of the reference bone in metres, positive.

    Returns
    -------
    ndarray, float32, shape (21, 3), or None
        Metres in the frame of the camera: x to the right, y down, z forward. New array. None where no hand looks like
        that: the two ends of the bone are on one line of sight, so that its length says nothing of the distance; their
        depths differ so much that the bone is longer than 1 at any distance (a negative discriminant); a joint would be
        at or behind the camera; or a value is not finite.

    Raises
    ------
    ArgumentError
        For wrong shapes, or a scale that is not positive.

    Notes
    -----
    The authors of the hourglass networks put pixels in the place of directions, halve the linear coefficient and take
    the imaginary part of the root, so that their results differ from these.
    """
    p, d = np.asarray(directions, dtype=np.float64), np.asarray(depths, dtype=np.float64)
    if p.shape != (21, 2) or d.shape != (21,):
        raise ArgumentError(
            f"reconstruct_world: directions must have shape (21, 2) and depths (21,); got {p.shape} and {d.shape}"
        )
    if not (math.isfinite(hand_scale_m) and hand_scale_m > 0):
        raise ArgumentError(f"reconstruct_world: hand_scale_m must be positive; got {hand_scale_m}")
    if not (np.isfinite(p).all() and np.isfinite(d).all()):
        return None
    wrist = _wrist_depth(p[list(REFERENCE_BONE)], d[list(REFERENCE_BONE)])
    if wrist is None or not (wrist + d > 0).all():
        return None
    z = wrist + d
    world = np.column_stack([p * z[:, None], z]) * hand_scale_m
    result: NDArray[np.float32] = world.astype(np.float32)
    return result


def _wrist_depth(p: NDArray[np.float64], d: NDArray[np.float64]) -> float | None:
    """Solve a z^2 + b z + c = 0 for the larger z; `p` (2, 2) and `d` (2,) are of the bone's ends."""
    across = p[0] - p[1]
    at_wrist = p[0] * d[0] - p[1] * d[1]  # what separates the ends sideways if the wrist's own depth is 0
    a = float(across @ across)
    b = float(2 * (across @ at_wrist))
    c = float(at_wrist @ at_wrist + (d[0] - d[1]) ** 2 - 1)
    discriminant = b * b - 4 * a * c
    if a == 0.0 or discriminant < 0.0:
        return None
    # The sum of two numbers of one sign, so that nothing cancels; the product of the solutions is c / a.
    q = -0.5 * (b + math.copysign(math.sqrt(discriminant), b))
    solutions = [q / a, c / q] if q != 0.0 else [0.0]
    larger = max(solutions)
    return larger if math.isfinite(larger) else None
