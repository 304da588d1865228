"""The flesh round a skeleton: capsules whose radius runs linearly from one end to the other.

Those of the palm, the forearm and the roots of the fingers melt into each other; those of the fingers beyond meet
their neighbours with a sharp edge, so that fingers that touch stay apart.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .anatomy import DIGITS, FOREARM_MM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pose import Skeleton

__all__ = ["Flesh", "Part", "grow_flesh"]


class Part(IntEnum):
    """What a capsule is, for its colour."""

    PALM = 0
    PHALANX = 1
    FINGER_TIP = 2
    SLEEVE = 3


class Flesh(NamedTuple):
    """C capsules in millimetres; float64 unless said otherwise.

    Attributes
    ----------
    start, end : ndarray, shape (C, 3)
    start_radius, end_radius : ndarray, shape (C,)
    palmar : ndarray, shape (C, 3)
        Unit vectors out of the palm's side.
    melting : int
        That many come first and melt into each other.
    part : ndarray, int64, shape (C,)
        Values of :class:`Part`.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    start_radius: NDArray[np.float64]
    end_radius: NDArray[np.float64]
    palmar: NDArray[np.float64]
    melting: int
    part: NDArray[np.int64]


# Pads of the palm that do not move: start, end, radii. Bones lie on the back of the hand, the flesh in front of them.
_PADS = (
    ((-17.0, 7.0, 6.0), (-27.0, 51.0, 5.5), 13.0, 9.5),  # hypothenar, the little finger's side
    ((-7.0, 4.0, 3.0), (7.0, 4.0, 3.0), 14.5, 14.5),  # carpus
    ((-4.0, 22.0, 5.5), (-10.0, 59.0, 4.5), 11.0, 10.0),  # hollow of the palm
    ((6.0, 24.0, 5.5), (9.0, 62.0, 4.5), 11.0, 10.0),
    ((21.0, 78.0, 5.0), (4.0, 81.0, 4.5), 9.0, 9.5),  # pads below the fingers
    ((4.0, 81.0, 4.5), (-29.0, 65.0, 5.0), 9.5, 8.0),
)


def grow_flesh(skeleton: Skeleton, *, sleeve: bool = True) -> Flesh:
    """Return the capsules of a right hand in its own frame.

    Parameters
    ----------
    skeleton : Skeleton
        From :func:`pose_hand`.
    sleeve : bool
        Whether a sleeve covers the forearm from its middle.
    """
    rows: list[tuple[object, ...]] = []
    joints = skeleton.joints_mm
    palm_axis = np.array([0.0, 0.0, 1.0])

    def add(start, end, radii, palmar, *, melts=True, part=Part.PALM) -> None:  # type: ignore[no-untyped-def]
        rows.append((np.asarray(start, float), np.asarray(end, float), *radii, palmar, melts, part))

    for start, end, *radii in _PADS:
        add(start, end, radii, palm_axis)
    for number, digit in enumerate(DIGITS):
        bones = skeleton.bone_axes[number, : len(digit.lengths_mm)]
        at = np.array(digit.base_mm)
        last = len(bones) - 1
        for step, (axes, length) in enumerate(zip(bones, digit.lengths_mm)):
            radii = digit.radii_mm[step : step + 2]
            end = at + length * axes[1]
            root = step <= (0 if digit.name == "thumb" else 1)
            part = Part.PALM if step == 0 else Part.FINGER_TIP if step == last else Part.PHALANX
            stop = end + (digit.pulp_mm - radii[1]) * axes[1] if step == last else end
            add(at, stop, radii, axes[2], melts=root, part=part)
            if step == last:  # the pulp, which makes the tip fuller on the palmar side
                add(at + 0.45 * length * axes[1] + 1.6 * axes[2], stop - 1.5 * axes[1] + 1.2 * axes[2],
                    (radii[0] - 1.4, radii[1] - 0.4), axes[2], melts=False, part=part)
            at = end
    _add_webs(add, joints, skeleton)
    _add_forearm(add, skeleton.forearm_axes, sleeve)
    rows.sort(key=lambda row: not row[5])
    start, end, start_radius, end_radius, palmar, melts, part = zip(*rows)
    return Flesh(
        np.array(start), np.array(end), np.array(start_radius), np.array(end_radius), np.array(palmar),
        sum(melts), np.array(part, dtype=np.int64),
    )  # fmt: skip


def _add_webs(add, joints: NDArray[np.float64], skeleton: Skeleton) -> None:  # type: ignore[no-untyped-def]
    """Skin between the roots of the fingers, the ball of the thumb and the skin between thumb and index finger."""
    palm_axis = np.array([0.0, 0.0, 1.0])
    roots = [joints[k] + 9.0 * skeleton.bone_axes[number, 0, 1] for number, k in enumerate((5, 9, 13, 17), start=1)]
    for left, right in zip(roots, roots[1:]):
        add(left + 2.0 * palm_axis, right + 2.0 * palm_axis, (5.0, 5.0), palm_axis)
    saddle, thumb = joints[1], joints[2]
    ball = skeleton.bone_axes[0, 0]
    add(saddle + 2.0 * ball[2], thumb - 6.0 * ball[1] + 2.0 * ball[2], (13.0, 10.5), ball[2])
    middle = saddle + 0.55 * (thumb - saddle)
    add((10.0, 16.0, 8.0), 0.72 * middle + 0.28 * np.array([10.0, 42.0, 4.0]), (12.5, 11.0), palm_axis)
    index_root = np.array([22.0, 66.0, 2.0])
    for share, radius in ((0.35, 8.5), (0.62, 7.0), (0.86, 5.5)):
        add(saddle + share * (thumb - saddle), np.array([14.0, 26.0, 2.0]) * (1 - share) + index_root * share,
            (radius, radius), palm_axis)  # fmt: skip


def _add_forearm(add, axes: NDArray[np.float64], sleeve: bool) -> None:  # type: ignore[no-untyped-def]
    across, along, palmar = axes
    for side in (-1.0, 0.0, 1.0):
        wrist = side * 11.5 * across - 6.0 * along + 1.5 * palmar
        middle = side * 14.0 * across - 0.45 * FOREARM_MM * along
        elbow = side * 17.0 * across - FOREARM_MM * along
        add(wrist, middle, (15.5, 20.0), palmar)
        if sleeve:
            cuff = wrist + 0.72 * (middle - wrist)
            add(cuff, elbow, (24.5, 33.0), palmar, melts=False, part=Part.SLEEVE)
        else:
            add(middle, elbow, (20.0, 28.0), palmar)
