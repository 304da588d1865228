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
    from collections.abc import Iterator

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
    ((-17.0, 7.0, 6.0), (-27.0, 51.0, 5.5), (13.0, 9.5)),  # hypothenar, the little finger's side
    ((-7.0, 4.0, 3.0), (7.0, 4.0, 3.0), (14.5, 14.5)),  # carpus
    ((-4.0, 22.0, 5.5), (-10.0, 59.0, 4.5), (11.0, 10.0)),  # hollow of the palm
    ((6.0, 24.0, 5.5), (9.0, 62.0, 4.5), (11.0, 10.0)),
    ((21.0, 78.0, 5.0), (4.0, 81.0, 4.5), (9.0, 9.5)),  # pads below the fingers
    ((4.0, 81.0, 4.5), (-29.0, 65.0, 5.0), (9.5, 8.0)),
)


class _Capsule(NamedTuple):
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    radii: tuple[float, float]
    palmar: NDArray[np.float64]
    melts: bool = True
    part: Part = Part.PALM


_PALM_AXIS = np.array([0.0, 0.0, 1.0])


def grow_flesh(skeleton: Skeleton, *, sleeve: bool = True) -> Flesh:
    """Return the capsules of a right hand in its own frame.

    Parameters
    ----------
    skeleton : Skeleton
        From :func:`pose_hand`.
    sleeve : bool
        Whether a sleeve covers the forearm from its middle.
    """
    capsules = [_Capsule(np.array(start), np.array(end), radii, _PALM_AXIS) for start, end, radii in _PADS]
    for number in range(len(DIGITS)):
        capsules += _digit(number, skeleton)
    capsules += [*_webs(skeleton), *_ball(skeleton), *_forearm(skeleton.forearm_axes, sleeve)]
    capsules.sort(key=lambda capsule: not capsule.melts)
    return Flesh(
        start=np.array([capsule.start for capsule in capsules]),
        end=np.array([capsule.end for capsule in capsules]),
        start_radius=np.array([capsule.radii[0] for capsule in capsules]),
        end_radius=np.array([capsule.radii[1] for capsule in capsules]),
        palmar=np.array([capsule.palmar for capsule in capsules]),
        melting=sum(capsule.melts for capsule in capsules),
        part=np.array([capsule.part for capsule in capsules], dtype=np.int64),
    )


def _digit(number: int, skeleton: Skeleton) -> Iterator[_Capsule]:
    """One capsule for each bone, and one more for the pulp, which makes the tip fuller on the palm's side."""
    digit = DIGITS[number]
    last = len(digit.lengths_mm) - 1
    roots = 0 if digit.name == "thumb" else 1  # the bones up to this one melt into the palm
    start = np.array(digit.base_mm)
    for step, length in enumerate(digit.lengths_mm):
        _, along, palmar = skeleton.bone_axes[number, step]
        end = start + length * along
        first, second = digit.radii_mm[step : step + 2]
        if step < last:
            part = Part.PHALANX if step else Part.PALM
            yield _Capsule(start, end, (first, second), palmar, step <= roots, part)
        else:
            tip = end + (digit.pulp_mm - second) * along
            yield _Capsule(start, tip, (first, second), palmar, False, Part.FINGER_TIP)
            pulp = start + 0.45 * length * along + 1.6 * palmar
            pulp_end = tip - 1.5 * along + 1.2 * palmar
            yield _Capsule(pulp, pulp_end, (first - 1.4, second - 0.4), palmar, False, Part.FINGER_TIP)
        start = end


def _webs(skeleton: Skeleton) -> Iterator[_Capsule]:
    """Skin between the roots of the fingers."""
    roots = [
        skeleton.joints_mm[4 * number + 1] + 9.0 * skeleton.bone_axes[number, 0, 1] + 2.0 * _PALM_AXIS
        for number in range(1, 5)
    ]
    for one, other in zip(roots, roots[1:]):
        yield _Capsule(one, other, (5.0, 5.0), _PALM_AXIS)


def _ball(skeleton: Skeleton) -> Iterator[_Capsule]:
    """The ball of the thumb, and the skin between thumb and index finger."""
    saddle, thumb = skeleton.joints_mm[1], skeleton.joints_mm[2]
    _, along, palmar = skeleton.bone_axes[0, 0]
    yield _Capsule(saddle + 2.0 * palmar, thumb - 6.0 * along + 2.0 * palmar, (13.0, 10.5), palmar)
    middle = saddle + 0.55 * (thumb - saddle)
    inner = 0.72 * middle + 0.28 * np.array([10.0, 42.0, 4.0])
    yield _Capsule(np.array([10.0, 16.0, 8.0]), inner, (12.5, 11.0), _PALM_AXIS)
    palm_begin, palm_end = np.array([14.0, 26.0, 2.0]), np.array([22.0, 66.0, 2.0])  # along the index finger's bone
    for share, radius in ((0.35, 8.5), (0.62, 7.0), (0.86, 5.5)):
        on_thumb = saddle + share * (thumb - saddle)
        on_palm = palm_begin + share * (palm_end - palm_begin)
        yield _Capsule(on_thumb, on_palm, (radius, radius), _PALM_AXIS)


def _forearm(axes: NDArray[np.float64], sleeve: bool) -> Iterator[_Capsule]:
    across, along, palmar = axes
    for side in (-1.0, 0.0, 1.0):
        wrist = side * 11.5 * across - 6.0 * along + 1.5 * palmar
        middle = side * 14.0 * across - 0.45 * FOREARM_MM * along
        elbow = side * 17.0 * across - FOREARM_MM * along
        yield _Capsule(wrist, middle, (15.5, 20.0), palmar)
        if sleeve:
            cuff = wrist + 0.72 * (middle - wrist)
            yield _Capsule(cuff, elbow, (24.5, 33.0), palmar, False, Part.SLEEVE)
        else:
            yield _Capsule(middle, elbow, (20.0, 28.0), palmar)
