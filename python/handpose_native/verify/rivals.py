"""Where a map could have its peak, if each of its values were off by what a precision allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..export.graph import linear_upsampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..models import ModelSpec

__all__ = ["SUBPIXEL_METHODS", "PeakPlaces", "peak_places"]

#: Methods that take the largest pixel; a centroid moves little by little, and has no rivals.
_PEAK_METHODS = ("argmax", "quarter", "dark", "upsampled_argmax")
#: Those that then move within it.
SUBPIXEL_METHODS = ("quarter", "dark")


class PeakPlaces(NamedTuple):
    """Pixels that could be the largest of their map.

    Attributes
    ----------
    places : sequence of ndarray, float64, shape (n, 2)
        For each joint, in this package's order: x, y in pixels of the input, without what a method adds within a pixel;
        none for a map of NaN.
    several : ndarray, bool, shape (21,)
        Whether they are several separate peaks.
    """

    places: Sequence[NDArray[np.float64]]
    several: NDArray[np.bool_]


def peak_places(spec: ModelSpec, maps: NDArray[Any], input_hw: tuple[int, int], error: float) -> PeakPlaces | None:
    """Return the pixels that could be the largest of each map, in pixels of the input.

    If no value is off by more than `error`, a pixel that is lower than the largest by more than twice that cannot be
    the largest in the other form; any other can.

    Parameters
    ----------
    spec : ModelSpec
    maps : ndarray, shape (21, h, w)
        In the model's order of joints.
    input_hw : tuple of int
    error : float
        Not negative.

    Returns
    -------
    PeakPlaces or None
        None where the largest pixel does not decide.
    """
    import cv2

    if spec.family != "heatmap" or spec.method not in _PEAK_METHODS:
        return None
    map_hw, fine = maps.shape[1:], maps.astype(np.float64)
    if spec.upsampled_hw is not None:
        tall, wide = (linear_upsampling(size, up) for size, up in zip(map_hw, spec.upsampled_hw))
        fine = tall @ fine @ wide.T
    # A place in the fine map, its pixel's centre at 0.5, as the decoder brings it to the input.
    scale = np.array([input_hw[1] / fine.shape[2], input_hw[0] / fine.shape[1]])
    shift = (spec.peak_offset_px - 0.5) * np.array([input_hw[1] / map_hw[1], input_hw[0] / map_hw[0]])
    places, several = [], []
    for one in fine[np.argsort(spec.joint_order)]:
        could_be = one >= one.max() - 2.0 * error
        rows, columns = np.nonzero(could_be)
        places.append((np.column_stack([columns, rows]) + 0.5) * scale + shift)
        several.append(cv2.connectedComponents(could_be.astype(np.uint8))[0] > 2)  # one of them is all the rest
    return PeakPlaces(places, np.array(several))
