"""Poses of a hand as joint angles, and where they bring the joints."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ArgumentError
from .anatomy import DIGITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["POSES", "HandPose", "Skeleton", "pose_hand"]

_FINGER_LIMITS = ((-35.0, 35.0), (-35.0, 100.0), (-15.0, 120.0), (-15.0, 90.0))
_LIMITS = {
    "index": _FINGER_LIMITS,
    "middle": _FINGER_LIMITS,
    "ring": _FINGER_LIMITS,
    "little": _FINGER_LIMITS,
    "thumb": ((-10.0, 90.0), (-20.0, 75.0), (-30.0, 120.0), (-30.0, 80.0), (-40.0, 95.0)),
    "wrist": ((-80.0, 80.0), (-35.0, 35.0)),
}


@dataclass(frozen=True)
class HandPose:
    """The angles of the joints, in degrees. The default is a flat, open hand.

    Attributes
    ----------
    index, middle, ring, little : tuple of four floats
        Spread (towards the thumb's side, from the direction of the metacarpal bone), then flexion (towards the palm)
        of the metacarpophalangeal, proximal and distal interphalangeal joints.
    thumb : tuple of five floats
        The saddle joint: direction of the metacarpal bone in the plane of the palm (0 along the fingers, 90 straight
        away from them), its rise out of that plane (palmar abduction), its turn about its own length (0 the pulp faces
        along the palm, 90 out of it); then flexion of the metacarpophalangeal and the interphalangeal joint.
    wrist : tuple of two floats
        Flexion of the hand towards the palm's side and deviation towards the thumb's side. The forearm moves, the palm
        stays where it is placed.

    Raises
    ------
    ArgumentError
        If an angle is not finite or beyond what joints can do.
    """

    index: tuple[float, float, float, float] = (0.0, 0.0, 4.0, 3.0)
    middle: tuple[float, float, float, float] = (0.0, 0.0, 4.0, 3.0)
    ring: tuple[float, float, float, float] = (0.0, 0.0, 4.0, 3.0)
    little: tuple[float, float, float, float] = (0.0, 0.0, 4.0, 3.0)
    thumb: tuple[float, float, float, float, float] = (47.0, 24.0, 34.0, 8.0, 4.0)
    wrist: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name, limits in _LIMITS.items():
            angles = tuple(getattr(self, name))
            if len(angles) != len(limits):
                raise ArgumentError(f"HandPose: {name} must have {len(limits)} angles; got {angles}")
            for angle, (low, high) in zip(angles, limits):
                if not low <= angle <= high:  # NaN fails too
                    raise ArgumentError(f"HandPose: an angle of {name} must be in {low}..{high} degrees; got {angles}")

    def mixed(self, other: HandPose, share: float) -> HandPose:
        """Return the pose between this one (`share` 0) and `other` (1), linear in every angle.

        Raises
        ------
        ArgumentError
            If `share` is not in 0..1.
        """
        if not 0.0 <= share <= 1.0:
            raise ArgumentError(f"HandPose.mixed: share must be in 0..1; got {share}")
        angles = {
            f.name: tuple(a + share * (b - a) for a, b in zip(getattr(self, f.name), getattr(other, f.name)))
            for f in fields(self)
        }
        return HandPose(**angles)

    def with_wrist(self, flexion_deg: float, deviation_deg: float = 0.0) -> HandPose:
        """Return this pose with another wrist."""
        return replace(self, wrist=(flexion_deg, deviation_deg))


_BENT = (0.0, 86.0, 106.0, 72.0)
_ACROSS = (30.0, 42.0, 10.0, 52.0, 34.0)  # the thumb laid over flexed fingers

#: Named poses.
POSES: dict[str, HandPose] = {
    "open": HandPose(),
    "spread": HandPose(
        index=(8, -4, 2, 2),
        middle=(1, -4, 2, 2),
        ring=(-6, -4, 2, 2),
        little=(-13, -4, 2, 2),
        thumb=(58, 10, 25, 0, -4),
    ),
    "relaxed": HandPose(
        index=(0, 14, 18, 8),
        middle=(0, 18, 22, 10),
        ring=(0, 21, 24, 11),
        little=(0, 22, 24, 11),
        thumb=(40, 24, 36, 14, 14),
    ),
    "half_curled": HandPose(
        index=(0, 26, 42, 20),
        middle=(0, 29, 46, 22),
        ring=(0, 31, 46, 22),
        little=(0, 32, 42, 20),
        thumb=(38, 30, 42, 18, 18),
    ),
    "fist": HandPose(index=(-4, *_BENT[1:]), middle=_BENT, ring=(4, *_BENT[1:]), little=(8, *_BENT[1:]), thumb=_ACROSS),
    "point": HandPose(
        index=(0, 2, 5, 3), middle=_BENT, ring=(4, *_BENT[1:]), little=(8, *_BENT[1:]), thumb=(29, 43, 10, 55, 38)
    ),
    "victory": HandPose(
        index=(8, 0, 3, 2),
        middle=(-7, 0, 3, 2),
        ring=(4, *_BENT[1:]),
        little=(8, *_BENT[1:]),
        thumb=(27, 45, 8, 60, 44),
    ),
    "thumb_up": HandPose(
        index=(-4, *_BENT[1:]), middle=_BENT, ring=(4, *_BENT[1:]), little=(8, *_BENT[1:]), thumb=(70, 6, 20, -6, -14)
    ),
    "pinch": HandPose(
        index=(0, 44, 56, 36),
        middle=(0, 22, 26, 12),
        ring=(0, 14, 20, 10),
        little=(0, 10, 16, 8),
        thumb=(12, 22, 36, 10, 3),
    ),
}


class Skeleton(NamedTuple):
    """A posed right hand in its own frame.

    Attributes
    ----------
    joints_mm : ndarray, float64, shape (21, 3)
        In the order of :data:`handpose_native.JOINT_NAMES`.
    bone_axes : ndarray, float64, shape (5, 4, 3, 3)
        Per digit (thumb first) and bone from the palm out: the rows are the directions across (radial), along and out
        of the palmar side. The thumb has three bones; its last row is not used and holds zeros.
    forearm_axes : ndarray, float64, shape (3, 3)
        The same for the forearm, along pointing at the hand.
    """

    joints_mm: NDArray[np.float64]
    bone_axes: NDArray[np.float64]
    forearm_axes: NDArray[np.float64]


def pose_hand(pose: HandPose) -> Skeleton:
    """Return where a pose brings the joints of a right hand; lengths of bones never change."""
    joints = np.zeros((21, 3))
    axes = np.zeros((5, 4, 3, 3))
    for number, digit in enumerate(DIGITS):
        angles = np.radians(getattr(pose, digit.name))
        if digit.name == "thumb":
            bones, at = _thumb_axes(angles), np.array(digit.base_mm)
            joints[1] = at
        else:
            bones = _finger_axes(math.radians(digit.splay_deg), math.radians(digit.roll_deg), angles)
            at = np.array(digit.base_mm)
        axes[number, : len(bones)] = bones
        first = 5 - len(bones)  # a thumb's metacarpal bone ends in joint 2, a finger's in its first joint
        for step, (bone, length) in enumerate(zip(bones, digit.lengths_mm)):
            at = at + length * bone[1]
            joints[4 * number + first + step] = at
    flexion, deviation = np.radians(pose.wrist)
    forearm = _flexed(_spread(np.eye(3), -deviation), -flexion)
    return Skeleton(joints, axes, forearm)


def _finger_axes(splay: float, roll: float, angles: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    across, along, palmar = _spread(np.eye(3), splay)
    cos, sin = math.cos(roll), math.sin(roll)
    metacarpal = np.array([cos * across - sin * palmar, along, cos * palmar + sin * across])
    bones = [metacarpal, _flexed(_spread(metacarpal, angles[0]), angles[1])]
    for angle in angles[2:]:
        bones.append(_flexed(bones[-1], angle))
    return bones


def _thumb_axes(angles: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    (sin_a, sin_b, sin_c), (cos_a, cos_b, cos_c) = np.sin(angles[:3]), np.cos(angles[:3])
    along = np.array([sin_a * cos_b, cos_a * cos_b, sin_b])
    towards_palm = np.array([-cos_a, sin_a, 0.0])
    out_of_palm = np.array([-sin_a * sin_b, -cos_a * sin_b, cos_b])
    palmar = cos_c * towards_palm + sin_c * out_of_palm
    bones = [np.array([np.cross(along, palmar), along, palmar])]
    for angle in angles[3:]:
        bones.append(_flexed(bones[-1], angle))
    return bones


def _flexed(axes: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Turn about the axis across, the direction along towards the palmar one."""
    across, along, palmar = axes
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([across, cos * along + sin * palmar, cos * palmar - sin * along])


def _spread(axes: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Turn about the palmar axis, the direction along towards the one across."""
    across, along, palmar = axes
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * across - sin * along, cos * along + sin * across, palmar])
