"""Heatmaps to points."""

from __future__ import annotations

from typing import Any

from . import _native

__all__ = ["heatmap_peaks"]


def heatmap_peaks(
    heatmaps: Any,
    *,
    method: str = "argmax",
    upsampled_hw: tuple[int, int] | None = None,
    blur_kernel: int = 11,
    spreads: bool = False,
    out: tuple[Any, ...] | None = None,
    threads: int = 1,
) -> tuple[Any, ...]:
    """Find the peak of every heatmap.

    The rules, to the bit, and what comes out for NaN, infinite and constant maps are on the page "Kernels" of the
    documentation.

    Parameters
    ----------
    heatmaps : ndarray or buffer, float32 or float16, shape (K, H, W) or (N, K, H, W)
        Any pitch of rows, maps and batches; rows packed. Only read.
    method : {"argmax", "quarter", "dark", "expectation", "upsampled_argmax"}
        ``argmax``: centre of the first largest pixel. ``quarter``: moved a quarter pixel towards the larger neighbour.
        ``dark``: Taylor step on the logarithm of the blurred map (Zhang et al., CVPR 2020).
        ``expectation``: centroid of the positive values.
        ``upsampled_argmax``: first largest pixel of the map resized bilinearly to `upsampled_hw`.
    upsampled_hw : tuple of int, optional
        Height and width, at least the map's; with ``upsampled_argmax`` only.
    blur_kernel : int
        Taps of the Gaussian of ``dark``: odd, 3..31.
    spreads : bool
        Whether to return the spread of each map as well.
    out : tuple of float32 arrays or buffers, optional
        ``(points, scores)`` or ``(points, scores, spreads)`` to write into: C-contiguous, aligned, of the shapes
        below.
    threads : int
        At most so many threads, 1..64, share the maps of a call; a call that is too small to gain from it stays in one.
        The result does not depend on it.

    Returns
    -------
    points : ndarray, float32, shape (..., K, 2)
        x, y in pixels of the map, continuous: the centre of the first pixel is (0.5, 0.5).
    scores : ndarray, float32, shape (..., K)
        The largest value (interpolated for ``upsampled_argmax``).
    spreads : ndarray, float32, shape (..., K)
        Only with `spreads`: root mean square distance of the positive values from their centroid, in pixels.

    Raises
    ------
    ArgumentError
        For a wrong shape, memory layout, name or number.
    DTypeError
        For a wrong dtype or type.

    Notes
    -----
    Runs without the GIL. Identical bits on every ISA level.
    """
    return _native.heatmap_peaks(heatmaps, method, upsampled_hw, blur_kernel, spreads, out, threads)
