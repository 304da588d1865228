"""The intrinsics of a camera from its pictures of a checkerboard."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .camera import Intrinsics
from .errors import ArgumentError, VideoError, missing_dependency

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Calibration", "calibrate"]

logger = logging.getLogger(__name__)

#: Three views are what the equations need (Zhang, "A Flexible New Technique for Camera Calibration", PAMI 2000).
_MIN_VIEWS = 3

#: OpenCV counts the centre of the first pixel as (0, 0); this package as (0.5, 0.5).
_OURS_FROM_OPENCV = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Calibration:
    """What pictures of a board told.

    Attributes
    ----------
    intrinsics : Intrinsics
    error_px : float
        Root mean square distance between corners as seen and as the intrinsics say.
    errors_px : dict of str to float
        The same for each picture that was used, in the order given.
    unused : tuple of str
        Pictures in which the board was not found.
    """

    intrinsics: Intrinsics
    error_px: float
    errors_px: dict[str, float]
    unused: tuple[str, ...]


def calibrate(pictures: Sequence[str | os.PathLike[str]], *, squares: tuple[int, int], square_mm: float) -> Calibration:
    """Find the intrinsics and lens distortion of a camera.

    Parameters
    ----------
    pictures : sequence of path
        Image files of one size, at least three in which the whole board is seen; ten to twenty, tilted in different
        ways and all over the picture, are good.
    squares : tuple of int
        Squares of the board along its two sides, black and white ones counted; each at least 4, and not both equal.
    square_mm : float
        Side of a square. Only distances depend on it, none of the results does; positive.

    Returns
    -------
    Calibration

    Raises
    ------
    ArgumentError
        For a wrong board, or pictures of several sizes, or too few with the board.
    VideoError
        If a picture cannot be read.
    MissingDependencyError
        If OpenCV is not installed.
    """
    columns, rows = squares
    if min(columns, rows) < 4 or columns == rows:
        raise ArgumentError(
            "calibrate: squares must be two different numbers from 4, or the board looks the same when turned; "
            f"got {squares}"
        )
    if not square_mm > 0:
        raise ArgumentError(f"calibrate: square_mm must be positive; got {square_mm}")
    cv2 = _import_cv2()
    corners_wh = (columns - 1, rows - 1)
    found: dict[str, NDArray[np.float32]] = {}
    unused: list[str] = []
    image_hw: tuple[int, int] | None = None
    for picture in map(str, pictures):
        grey = cv2.imread(picture, cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise VideoError(f"calibrate: {picture} cannot be read as a picture")
        if image_hw not in (None, grey.shape):
            raise ArgumentError(
                f"calibrate: all pictures must have one size; {picture} has {grey.shape[1]} x {grey.shape[0]} pixels"
            )
        image_hw = grey.shape
        there, corners = cv2.findChessboardCornersSB(grey, corners_wh, flags=cv2.CALIB_CB_ACCURACY)
        if there:
            found[picture] = corners
        else:
            unused.append(picture)
            logger.warning("calibrate: no board of %d x %d squares in %s", columns, rows, picture)
    if len(found) < _MIN_VIEWS or image_hw is None:
        raise ArgumentError(
            f"calibrate: {_MIN_VIEWS} pictures with the whole board are needed at least; it was found in {len(found)} "
            f"of {len(found) + len(unused)}. A board of {columns} x {rows} squares has {columns - 1} x {rows - 1} "
            "corners inside; OpenCV's own board is named after these"
        )
    return _solve(cv2, found, tuple(unused), corners_wh, square_mm, image_hw)


def _solve(
    cv2: Any,
    found: dict[str, NDArray[np.float32]],
    unused: tuple[str, ...],
    corners_wh: tuple[int, int],
    square_mm: float,
    image_hw: tuple[int, int],
) -> Calibration:
    columns, rows = corners_wh
    board = np.zeros((rows * columns, 3), dtype=np.float32)
    board[:, :2] = np.mgrid[:columns, :rows].T.reshape(-1, 2) * square_mm
    # The sixth power of the radius is left out: boards seldom reach the corners, where it would be made up.
    error_px, matrix, distortion, turns, shifts = cv2.calibrateCamera(
        [board] * len(found), list(found.values()), image_hw[::-1], None, None, flags=cv2.CALIB_FIX_K3
    )
    errors_px = {}
    for (picture, corners), turn, shift in zip(found.items(), turns, shifts):
        expected, _ = cv2.projectPoints(board, turn, shift, matrix, distortion)
        distances = np.linalg.norm(expected.reshape(-1, 2) - corners.reshape(-1, 2), axis=1)
        errors_px[picture] = float(np.sqrt(np.mean(distances**2)))
    ours = _OURS_FROM_OPENCV @ matrix
    intrinsics = Intrinsics(ours, image_hw, tuple(np.ravel(distortion)[:5].tolist()))
    return Calibration(intrinsics, float(error_px), errors_px, unused)


def _import_cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise missing_dependency(error, "cv2", "to find checkerboards", "opencv-python") from error
    return cv2
