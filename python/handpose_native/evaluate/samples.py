"""The nouns of a data set: hands in pictures, and where their joints truly are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..camera import Intrinsics

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["PIXEL_CENTRE", "Dataset", "Sample"]

#: Data sets count pixel centres as whole numbers, as OpenCV and Matplotlib do; this package counts from the corners.
PIXEL_CENTRE = 0.5


@dataclass(frozen=True)
class Sample:
    """One annotated hand.

    Attributes
    ----------
    image : Path
        The picture it is in; others may be in the same one.
    keypoints : ndarray, float64, shape (21, 2), or None
        x, y in continuous pixels: the centre of the first pixel is (0.5, 0.5). None where the truth is not published.
    visible : ndarray, bool, shape (21,)
        Which joints are annotated.
    box_xywh : tuple of float or None
        The annotated box: left, top, width, height in pixels; None where there is none.
    handedness : {"left", "right"} or None
        Of the person.
    joints_m : ndarray, float64, shape (21, 3), or None
        In metres, in the camera's frame: x right, y down, z forward.
    intrinsics : ndarray, float64, shape (3, 3), or None
        Of the camera, for coordinates that count pixel centres as whole numbers.
    hand_scale_m : float or None
        Metres from the base of the middle finger to its next joint, where the data set tells them beside the truth.
    """

    image: Path
    keypoints: NDArray[np.float64] | None
    visible: NDArray[np.bool_] = field(default_factory=lambda: np.ones(21, bool))
    box_xywh: tuple[float, float, float, float] | None = None
    handedness: str | None = None
    joints_m: NDArray[np.float64] | None = None
    intrinsics: NDArray[np.float64] | None = None
    hand_scale_m: float | None = None

    @property
    def camera(self) -> Intrinsics | None:
        """`intrinsics` for coordinates as this package counts them; None where they are not known."""
        if self.intrinsics is None:
            return None
        matrix = self.intrinsics.copy()
        matrix[:2, 2] += PIXEL_CENTRE
        return Intrinsics(matrix)  # type: ignore[arg-type]

    @property
    def hand_box(self) -> tuple[float, float, float, float] | None:
        """The upright box round the annotated joints, as `box_xywh`; None without any."""
        if self.keypoints is None or not self.visible.any():
            return None
        points = self.keypoints[self.visible]
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return float(left), float(top), float(right - left), float(bottom - top)


@dataclass(frozen=True)
class Dataset:
    """Annotated hands, in the order of the data set's own files.

    Attributes
    ----------
    name : str
        For reports.
    samples : tuple of Sample
    whole_pictures : bool
        Whether every picture is one hand's crop already, so that a model that looks at a region is given all of it.
    """

    name: str
    samples: tuple[Sample, ...]
    whole_pictures: bool = False
