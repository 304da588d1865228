"""One-Euro filters on joints: still hands stay still, fast ones are not held back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SMOOTHING", "OneEuroFilter", "Smoothing"]


class Smoothing(NamedTuple):
    """How strongly joints are smoothed.

    Attributes
    ----------
    min_cutoff_hz : float
        Cut-off for a still joint: lower is steadier.
    beta : float
        By how many hertz the cut-off rises per hand size per second of speed: higher lags less.
    """

    min_cutoff_hz: float
    beta: float


#: Chosen by measurement: the page "Hands" of the documentation has jitter and lag of each.
SMOOTHING: dict[str, Smoothing | None] = {
    "off": None,
    "light": Smoothing(min_cutoff_hz=1.0, beta=16.0),
    "strong": Smoothing(min_cutoff_hz=0.5, beta=4.0),
}

#: Cut-off of the speed itself, as its authors set it.
_SPEED_CUTOFF_HZ = 1.0
#: What is taken for the time between two frames where their times do not tell.
_USUAL_STEP_S = 1.0 / 30.0


class OneEuroFilter:
    """Smooth points by their own speed.

    Parameters
    ----------
    smoothing : Smoothing

    Notes
    -----
    Casiez, Roussel and Vogel, "1 Euro Filter", CHI 2012: an exponential filter whose cut-off is
    ``min_cutoff + beta * |speed|``, the speed itself being filtered. Here the speed of a joint is the length of its
    velocity, in hand sizes per second, so that the same numbers serve near and far hands and all directions alike.
    """

    def __init__(self, smoothing: Smoothing) -> None:
        self._smoothing = smoothing
        self._time_s = 0.0
        self._step_s = _USUAL_STEP_S
        self._points: NDArray[np.float64] | None = None
        self._velocity: NDArray[np.float64] | None = None

    def __call__(self, points: NDArray[np.float32], time_s: float, size: float) -> NDArray[np.float32]:
        """Smooth the points of one frame.

        Parameters
        ----------
        points : ndarray, float32, shape (K, D)
        time_s : float
            Presentation time. Where it repeats or goes back, the last step is taken for the time that passed.
        size : float
            Of the hand, in the unit of the points, positive.

        Returns
        -------
        ndarray, float32, shape (K, D)
            New array.
        """
        if self._points is None or self._velocity is None:
            self._points = points.astype(np.float64)
            self._velocity = np.zeros_like(self._points)
            self._time_s = time_s
            return points.copy()
        if time_s > self._time_s:
            self._step_s = time_s - self._time_s
        self._time_s = time_s
        moved = (points - self._points) / self._step_s
        self._velocity += _weight(_SPEED_CUTOFF_HZ, self._step_s) * (moved - self._velocity)
        speed = np.sqrt((self._velocity**2).sum(axis=1, keepdims=True)) / size
        cutoff_hz = self._smoothing.min_cutoff_hz + self._smoothing.beta * speed
        self._points += (points - self._points) * (1.0 / (1.0 + 1.0 / (2.0 * math.pi * self._step_s * cutoff_hz)))
        return self._points.astype(np.float32)


def _weight(cutoff_hz: float, step_s: float) -> float:
    """Weight of the newest value in an exponential filter."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * step_s))
