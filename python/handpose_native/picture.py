"""A picture in its own pixel format: what decoders give, kernels read and encoders take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _native
from .errors import ArgumentError, DTypeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Picture", "check_image"]

#: Planes of each format that a whole picture may have.
_PLANES = {"bgr24": 1, "nv12": 2, "yuv420p": 3}


class Picture:
    """One picture, in one plane or several.

    Kernels take it as it is: ``hp.preprocess(picture, ...)`` reads its planes, ``hp.draw_hands(picture, hands)`` draws
    onto them.

    Parameters
    ----------
    planes : sequence of ndarray, uint8
        ``bgr24``: one of shape (H, W, 3). ``yuv420p``: y of shape (H, W), u and v of half the size, rounded up;
        ``nv12``: y, and uv of shape (H/2, W/2, 2). Rows of any pitch. Kept, not copied.
    pixel_format : {"bgr24", "nv12", "yuv420p"}
        As FFmpeg names them.
    color_matrix : {"bt601", "bt709"}
        Of the YUV formats.
    color_range : {"limited", "full"}
        Of the YUV formats.

    Raises
    ------
    DTypeError, ArgumentError
        If the planes are not as above; the kernels check the rest.
    """

    __slots__ = ("_bgr", "color_matrix", "color_range", "height", "pixel_format", "planes", "width")

    def __init__(
        self,
        planes: tuple[NDArray[np.uint8], ...],
        pixel_format: str,
        color_matrix: str = "bt601",
        color_range: str = "limited",
    ) -> None:
        if pixel_format not in _PLANES:
            raise ArgumentError(f"Picture: pixel_format must be one of {', '.join(_PLANES)}; got {pixel_format!r}")
        if len(planes) != _PLANES[pixel_format]:
            raise ArgumentError(f"Picture: {pixel_format} has {_PLANES[pixel_format]} planes; got {len(planes)}")
        self.planes = tuple(planes)
        self.pixel_format = pixel_format
        self.color_matrix = color_matrix
        self.color_range = color_range
        self.height, self.width = self.planes[0].shape[:2]
        self._bgr = self.planes[0] if pixel_format == "bgr24" else None

    @classmethod
    def from_bgr(cls, image: object) -> Picture:
        """Take an array as a picture, without a copy.

        Parameters
        ----------
        image : ndarray, uint8, shape (H, W, 3)

        Raises
        ------
        DTypeError, ArgumentError
            If it is no such array with at least one pixel.
        """
        return cls((check_image("Picture.from_bgr", "image", image),), "bgr24")

    @property
    def data(self) -> Any:
        """What the kernels take: the array of ``bgr24``, the tuple of planes of the others."""
        return self.planes[0] if len(self.planes) == 1 else self.planes

    def to_bgr(self) -> NDArray[np.uint8]:
        """Return the picture as BGR.

        Returns
        -------
        ndarray, uint8, shape (H, W, 3)
            The one plane of ``bgr24``; else converted at the first call and kept: what is drawn onto the planes
            afterwards does not show in it, nor the other way round.
        """
        if self._bgr is None:
            self._bgr = self._converted()
        return self._bgr

    def _converted(self) -> NDArray[np.uint8]:
        bgr: NDArray[np.uint8] = _native.preprocess(
            self.data, (self.height, self.width), None, self.pixel_format, "linear", "replicate", 0.0, "bgr",
            None, 0.0, 1.0, "NHWC", "uint8", self.color_matrix, self.color_range, None, 1,
        )[0]  # fmt: skip
        return bgr


def check_image(function: str, argument: str, image: object) -> NDArray[np.uint8]:
    """Return `image`, or raise unless it is a uint8 array of shape (H, W, 3) with at least one pixel."""
    if not isinstance(image, np.ndarray):
        raise DTypeError(f"{function}: {argument} must be a NumPy array; got {type(image).__name__}")
    if image.dtype != np.uint8:
        raise DTypeError(f"{function}: {argument} must have dtype uint8; got {image.dtype}")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ArgumentError(f"{function}: {argument} must have shape (H, W, 3), BGR; got {image.shape}")
    return image
