"""Pixels to palette indices, for the GIF writer."""

from __future__ import annotations

from typing import Any

from . import _native
from .errors import ArgumentError

__all__ = ["palette_map", "palette_map_changed"]


def palette_map(image: Any, lut: Any, out: Any = None) -> Any:
    """Look every pixel up in a table of colours.

    Parameters
    ----------
    image : ndarray, uint8, shape (H, W, 3)
        BGR; any row pitch. Only read.
    lut : ndarray, uint8, shape (64, 64, 64)
        Palette index by the upper six bits of red, green and blue.
    out : ndarray or buffer, uint8, shape (H, W), optional
        C-contiguous memory to write into.

    Returns
    -------
    ndarray, uint8, shape (H, W), or `out`
        A new array, or the very object given as `out`.
    """
    return _native.palette_map(image, lut, out)


def palette_map_changed(image: Any, lut: Any, tolerance: int, held: Any, out: Any) -> None:
    """Look only those pixels up that differ from what they were when they were last looked up.

    A pixel keeps its index while no channel of it is farther than `tolerance` from `held`; else its colour goes into
    `held` and its index into `out`. What is shown therefore never lags behind by more than the tolerance.

    Parameters
    ----------
    image : ndarray, uint8, shape (H, W, 3)
        BGR; any row pitch. Only read.
    lut : ndarray, uint8, shape (64, 64, 64)
        As for `palette_map`.
    tolerance : int
        0 to 255 grey levels.
    held : ndarray or buffer, uint8, shape (H, W, 3)
        C-contiguous; BGR that `out` stands for. Changed.
    out : ndarray or buffer, uint8, shape (H, W)
        C-contiguous indices of the picture before. Changed.

    Raises
    ------
    DTypeError, ArgumentError
        For memory of another type or shape, or that is shared among the arguments, or another tolerance.
    """
    if not isinstance(tolerance, int) or not 0 <= tolerance <= 255:
        raise ArgumentError(f"palette_map_changed: tolerance must be an int from 0 to 255; got {tolerance!r}")
    _native.palette_map_changed(image, lut, tolerance, held, out)
