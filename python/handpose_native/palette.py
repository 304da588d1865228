"""Pixels to palette indices, for the GIF writer."""

from __future__ import annotations

from typing import Any

from . import _native

__all__ = ["palette_map"]


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
