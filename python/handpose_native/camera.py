"""How a camera sees: its intrinsics, and where they come from."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .errors import ArgumentError, DTypeError, ModelError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["DEFAULT_FIELD_OF_VIEW_DEG", "Intrinsics"]

#: Across the longer side of the picture, where nothing is known: webcams and phones have 55 to 75 degrees.
DEFAULT_FIELD_OF_VIEW_DEG = 65.0

#: Steps in which lens distortion is undone at most, and the change, in lengths of the focal length, that ends them: far
#: less than a pixel. Each step divides the error by ten and more for the lenses of webcams.
_UNDISTORT_STEPS, _UNDISTORTED = 20, 1e-8


@dataclass(frozen=True)
class Intrinsics:
    """What takes directions in front of a camera to pixels of its pictures.

    Attributes
    ----------
    matrix : tuple of three tuples of three floats
        K: ``[fx, s, cx], [0, fy, cy], [0, 0, 1]`` in pixels. The centre of the picture's first pixel is (0.5, 0.5), as
        everywhere in this package; OpenCV counts it as (0, 0), so that its cx and cy are half a pixel less. Whatever
        NumPy makes a (3, 3) array of can be given.
    image_hw : tuple of int or None
        Height and width of the pictures that K is for. A picture of another size with the same aspect is seen as the
        same view, larger or smaller. None: K is taken for any picture.
    distortion : tuple of float
        Of the lens, in OpenCV's order: k1, k2, p1, p2, k3 (Brown's model); none or five.

    Raises
    ------
    ArgumentError
        For values that no camera has.
    DTypeError
        If they are not numbers.
    """

    #: Version of the JSON form.
    SCHEMA: ClassVar[int] = 1

    matrix: tuple[tuple[float, float, float], ...]
    image_hw: tuple[int, int] | None = None
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        matrix = _numbers("matrix", self.matrix)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise ArgumentError(f"Intrinsics: matrix must be finite with shape (3, 3); got {self.matrix!r}")
        if not (matrix[0, 0] > 0 and matrix[1, 1] > 0 and matrix[1, 0] == 0 and matrix[2].tolist() == [0, 0, 1]):
            raise ArgumentError(
                "Intrinsics: matrix must be [fx, s, cx], [0, fy, cy], [0, 0, 1] with positive fx and fy; "
                f"got {matrix.tolist()}"
            )
        object.__setattr__(self, "matrix", tuple(tuple(row) for row in matrix.tolist()))
        if self.image_hw is not None:
            size = tuple(self.image_hw)
            if len(size) != 2 or not all(isinstance(one, int) and one >= 1 for one in size):
                raise ArgumentError(f"Intrinsics: image_hw must be (height, width) or None; got {self.image_hw!r}")
            object.__setattr__(self, "image_hw", size)
        distortion = _numbers("distortion", self.distortion)
        if distortion.shape not in ((0,), (5,)) or not np.isfinite(distortion).all():
            raise ArgumentError(f"Intrinsics: distortion must be none or five numbers; got {self.distortion!r}")
        object.__setattr__(self, "distortion", tuple(distortion.tolist()))

    @classmethod
    def from_field_of_view(cls, image_hw: tuple[int, int], degrees: float = DEFAULT_FIELD_OF_VIEW_DEG) -> Intrinsics:
        """Return those of a camera with square pixels that looks through the middle of the picture.

        Parameters
        ----------
        image_hw : tuple of int
            Height and width of the picture in pixels.
        degrees : float
            Angle that the longer side of the picture covers, between 0 and 180.
        """
        if not 0 < degrees < 180:
            raise ArgumentError(f"Intrinsics: the field of view must be between 0 and 180 degrees; got {degrees}")
        height, width = image_hw
        focal_px = max(height, width) / 2 / math.tan(math.radians(degrees) / 2)
        return cls(((focal_px, 0.0, width / 2), (0.0, focal_px, height / 2), (0.0, 0.0, 1.0)), (height, width))

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Intrinsics:
        """Read what :meth:`to_json`, or ``handpose-native calibrate``, wrote.

        Raises
        ------
        ModelError
            If the file cannot be read or does not hold intrinsics.
        """
        where = os.fspath(path)
        try:
            values: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelError(f"{where}: the intrinsics cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ModelError(f"{where}: the intrinsics are not JSON: {error}") from error
        if not isinstance(values, dict) or values.get("schema") != cls.SCHEMA or "matrix" not in values:
            raise ModelError(f'{where}: not intrinsics: expected an object with "schema": {cls.SCHEMA} and "matrix"')
        size = values.get("image_hw")
        try:
            return cls(values["matrix"], None if size is None else tuple(size), values.get("distortion", ()))
        except (ArgumentError, TypeError) as error:
            raise ModelError(f"{where}: {error}") from error

    def to_json(self, path: str | os.PathLike[str], **facts: Any) -> None:
        """Write a file that :meth:`from_json` reads.

        Parameters
        ----------
        path : str or path
        **facts
            Further values to keep in the file, such as the error of a calibration; they are not read back.

        Raises
        ------
        ModelError
            If the file cannot be written.
        """
        values = {
            "schema": self.SCHEMA,
            "matrix": [list(row) for row in self.matrix],
            "image_hw": None if self.image_hw is None else list(self.image_hw),
            "distortion": list(self.distortion),
            "pixel_centres_at": 0.5,
            **facts,
        }
        try:
            Path(path).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ModelError(f"{os.fspath(path)}: the intrinsics cannot be written: {error.strerror}") from error

    def for_image(self, image_hw: tuple[int, int]) -> Intrinsics:
        """Return those for pictures of another size that show the same view.

        Raises
        ------
        ArgumentError
            If the aspect differs by more than rounding a side to whole pixels explains.
        """
        if self.image_hw is None or self.image_hw == tuple(image_hw):
            return self
        (height, width), (new_height, new_width) = self.image_hw, image_hw
        scale_x, scale_y = new_width / width, new_height / height
        if abs(scale_x * height - new_height) > 1 and abs(scale_y * width - new_width) > 1:
            raise ArgumentError(
                f"Intrinsics: they are for pictures of {width} x {height}; one of {new_width} x {new_height} shows "
                "another part of the view: calibrate at this size"
            )
        scaled = np.diag([scale_x, scale_y, 1.0]) @ np.array(self.matrix)
        return Intrinsics(scaled, tuple(image_hw), self.distortion)  # type: ignore[arg-type]

    def moved(self, a_from_image: ArrayLike) -> NDArray[np.float64]:
        """Return K for another picture of which the image's pixels are an affine map: a crop, resized or turned.

        Parameters
        ----------
        a_from_image : array_like, shape (2, 3)
            As :func:`handpose_native.input_from_roi` gives it.

        Returns
        -------
        ndarray, float64, shape (3, 3)
            Takes directions to pixels of a. Lens distortion, which is in pixels of the image, is not part of it.
        """
        affine = np.vstack([np.asarray(a_from_image, dtype=np.float64), [0.0, 0.0, 1.0]])
        moved: NDArray[np.float64] = affine @ np.array(self.matrix)
        return moved

    def directions(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return where the lines of sight of pixels meet the plane one unit before the camera.

        The inverse of K in closed form; then lens distortion is undone, step by step.

        Parameters
        ----------
        points : array_like, shape (..., 2)
            x, y in pixels of the image.

        Returns
        -------
        ndarray, float64, shape (..., 2)
            X / Z and Y / Z: X to the right, Y down, Z forward.
        """
        (fx, skew, cx), (_, fy, cy), _ = self.matrix
        points = np.asarray(points, dtype=np.float64)
        y = (points[..., 1] - cy) / fy
        seen = np.stack([(points[..., 0] - cx - skew * y) / fx, y], axis=-1)
        if not any(self.distortion):
            return seen
        straight = seen
        for _ in range(_UNDISTORT_STEPS):
            factor, shift = self._distort(straight)
            before, straight = straight, (seen - shift) / factor
            if np.abs(straight - before).max(initial=0.0) < _UNDISTORTED:
                break
        return straight

    def _distort(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the lens multiplies points with, and what it adds."""
        k1, k2, p1, p2, k3 = self.distortion
        x, y = points[..., 0], points[..., 1]
        square = x * x + y * y
        factor = 1 + square * (k1 + square * (k2 + square * k3))
        shift = [2 * p1 * x * y + p2 * (square + 2 * x * x), p1 * (square + 2 * y * y) + 2 * p2 * x * y]
        return factor[..., None], np.stack(shift, axis=-1)


def _numbers(field: str, value: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DTypeError(f"Intrinsics: {field} must be numbers; got {value!r}") from None
