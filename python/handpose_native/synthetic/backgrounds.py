"""What is behind the hands: seeded pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BACKGROUNDS", "make_background"]

#: Names of backgrounds: one colour, a gradient of two, soft coloured noise, a blurred room.
BACKGROUNDS = ("plain", "gradient", "noise", "room")


def make_background(name: str, size_hw: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """Paint a background.

    Parameters
    ----------
    name : str
        One of :data:`BACKGROUNDS`.
    size_hw : tuple of int
        Height and width in pixels.
    seed : int
        The same seed gives the same picture.

    Returns
    -------
    ndarray, uint8, shape (H, W, 3)
        BGR, new.
    """
    painters = {"plain": _plain, "gradient": _gradient, "noise": _noise, "room": _room}
    if name not in painters:
        raise ArgumentError(f"make_background: name must be one of {', '.join(BACKGROUNDS)}; got {name!r}")
    painted = painters[name](size_hw, np.random.default_rng([seed, BACKGROUNDS.index(name)]))
    return np.clip(painted + 0.5, 0, 255).astype(np.uint8)


def _color(rng: np.random.Generator) -> NDArray[np.float64]:
    """A muted colour, from dark to light."""
    return np.asarray(np.clip(rng.uniform(35, 215) + rng.normal(0, 22, 3), 0, 255))


def _plain(size_hw: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    return np.broadcast_to(_color(rng), (*size_hw, 3))


def _gradient(size_hw: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    one, other = _color(rng), _color(rng)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.meshgrid(np.linspace(-1, 1, size_hw[0]), np.linspace(-1, 1, size_hw[1]), indexing="ij")
    share = 0.5 + 0.35 * (np.cos(angle) * x + np.sin(angle) * y)
    return np.asarray(one + share[..., None] * (other - one))


def _noise(size_hw: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    picture = np.zeros((*size_hw, 3)) + _color(rng)
    for cells, strength in ((3, 38.0), (7, 26.0), (19, 16.0), (53, 9.0)):
        picture += strength * _enlarged(rng.normal(0, 1, (cells, cells + cells // 3, 3)), size_hw)
    return picture


def _room(size_hw: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """A wall and a floor with boxes on them, out of focus: painted small, then enlarged."""
    height, width = 60, 80
    small = np.zeros((height, width, 3)) + _color(rng)
    small[int(rng.uniform(0.6, 0.8) * height) :] = _color(rng)
    for _ in range(int(rng.integers(5, 11))):
        h, w = int(rng.integers(6, 28)), int(rng.integers(6, 24))
        y, x = int(rng.integers(0, height - 4)), int(rng.integers(0, width - 4))
        small[y : y + h, x : x + w] = _color(rng)
    for axis in (0, 1, 0, 1):
        small = (np.roll(small, 1, axis) + small + np.roll(small, -1, axis)) / 3
    return _enlarged(small, size_hw) + rng.normal(0, 1.5, (*size_hw, 3))


def _enlarged(small: NDArray[np.float64], size_hw: tuple[int, int]) -> NDArray[np.float64]:
    """Enlarge linearly, corner to corner."""
    for axis, size in enumerate(size_hw):
        at = np.linspace(0, small.shape[axis] - 1, size)
        low = np.minimum(at.astype(np.intp), small.shape[axis] - 2)
        share = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        small = np.take(small, low, axis) * (1 - share) + np.take(small, low + 1, axis) * share
    return small
