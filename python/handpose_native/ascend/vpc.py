"""VPC, the engine of an Ascend board that crops and scales pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ArgumentError, DeviceError
from .codes import describe_code
from .engines import PictureChannel, require_engine
from .pictures import ConvertedPicture, DevicePicture, PictureBlock, align, nv12_bytes
from .runtime import Holdings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..picture import Picture

__all__ = ["Area", "VpcCropper"]

#: Smallest (width, height), and largest width and height that come out (VPC, "Restrictions" of CANN 6.0 to 9.1); how
#: much smaller and larger pictures may become.
_SMALLEST, _LARGEST = (10, 6), 4096
_LEAST_SCALE, _MOST_SCALE = 1 / 32, 16
#: Strides of the 310, which all others take, too.
_STRIDE, _SMALLEST_STRIDE = 16, 32
#: Descriptions of areas that are kept.
_MOST_AREAS = 16


class Area(NamedTuple):
    """An upright rectangle in whole pixels, of even position and size.

    Attributes
    ----------
    left, top, right, bottom : int
        The last two are the first outside.
    """

    left: int
    top: int
    right: int
    bottom: int


class VpcCropper:
    """Bring areas of NV12 pictures to one size.

    Parameters
    ----------
    device : int
    size_hw : tuple of int
        Height and width of what comes out.

    Raises
    ------
    ArgumentError
        If VPC does not make pictures of that size.
    MissingDependencyError
        If there is no pyACL.
    DeviceError, DeviceMemoryError
        If the board or its version of CANN has no VPC, or it fails.
    """

    def __init__(self, device: int, size_hw: tuple[int, int]) -> None:
        self._height, self._width = size_hw
        sides = zip((self._width, self._height), _SMALLEST)
        if any(side % 2 or not least <= side <= _LARGEST for side, least in sides):
            raise ArgumentError(
                f"Pipeline: crop='vpc' is for inputs of even sides from {_SMALLEST[0]}x{_SMALLEST[1]} to "
                f"{_LARGEST}x{_LARGEST}; the model's is {self._width}x{self._height}"
            )
        self._device = device
        self._areas: dict[Area, int] = {}
        self._holdings = Holdings()
        with self._holdings.made_on(device):
            library, keep = self._holdings.library, self._holdings.keep
            self._library = library
            require_engine(library, "VPC")
            stride, rows = max(align(self._width, _STRIDE), _SMALLEST_STRIDE), self._height
            self._block = PictureBlock(device, nv12_bytes(stride, rows))
            keep.callback(self._block.close)
            self._block.describe(width=self._width, height=rows, width_stride=stride, height_stride=rows)
            keep.callback(self._forget_areas)
            self._resize = library.result("media.dvpp_create_resize_config")
            keep.callback(library.status, "media.dvpp_destroy_resize_config", self._resize)
            self._channel = PictureChannel(library, keep)

    def place(
        self, input_from_image: NDArray[np.float64], image_hw: tuple[int, int]
    ) -> tuple[Area, NDArray[np.float64]]:
        """Return the area nearest to what an affine asks for, and the affine that it stands for.

        Parameters
        ----------
        input_from_image : ndarray, float64, shape (2, 3)
        image_hw : tuple of int
            Height and width of the picture.

        Returns
        -------
        Area
        ndarray, float64, shape (2, 3)
            ``input_from_image``, at most one pixel of the image beside the one asked for.

        Raises
        ------
        ArgumentError
            If it rotates, reaches out of the picture, or scales too much.
        """
        (xx, xy, x0), (yx, yy, y0) = input_from_image.tolist()
        if xy or yx:
            raise ArgumentError("Pipeline: crop='vpc' is for regions that stand upright; this one is rotated")
        left, top = 2 * round(-x0 / xx / 2), 2 * round(-y0 / yy / 2)
        right, bottom = 2 * round((self._width - x0) / xx / 2), 2 * round((self._height - y0) / yy / 2)
        area = Area(left, top, right, bottom)
        height, width = image_hw
        if left < 0 or top < 0 or right > width or bottom > height:
            raise ArgumentError(
                f"Pipeline: crop='vpc' is for regions within the picture; the model's input shows {left},{top} to "
                f"{right},{bottom} of {width}x{height}: give another roi, or a spec with fit='stretch'"
            )
        scale_x, scale_y = self._width / max(right - left, 1), self._height / max(bottom - top, 1)
        if not all(_LEAST_SCALE <= scale <= _MOST_SCALE for scale in (scale_x, scale_y)):
            raise ArgumentError(
                f"Pipeline: VPC scales by {_LEAST_SCALE} to {_MOST_SCALE}; here by {scale_x:.4g} and {scale_y:.4g}"
            )
        return area, np.array([[scale_x, 0.0, -left * scale_x], [0.0, scale_y, -top * scale_y]])

    def crop(self, picture: Picture, area: Area) -> DevicePicture:
        """Return an area in the size that was asked for.

        Parameters
        ----------
        picture : Picture
            Decoded by a media engine, of the same device; as it was decoded, whatever has been drawn on a copy of it.
        area : Area

        Returns
        -------
        DevicePicture
            Valid until the next call.

        Raises
        ------
        ArgumentError
            For other pictures.
        DeviceError
            If VPC fails.
        """
        source = picture.original if isinstance(picture, ConvertedPicture) else picture
        if not isinstance(source, DevicePicture) or source.block.device != self._device:
            raise ArgumentError(
                f"Pipeline: crop='vpc' is for pictures that device {self._device} has decoded (decoder='ascend'), not "
                f"turned; got {picture.pixel_format} from elsewhere"
            )
        target = self._block
        with self._holdings.current():
            arguments = (source.block.description, target.description, self._described(area), self._resize)
            code = self._channel.fill(target, "dvpp_vpc_crop_resize_async", *arguments)
            if code:
                raise DeviceError(f"VPC: {describe_code(code)}", code)
            full = source.color_range == "full"
            memory = target.memory.view()
            return target.picture(memory, self._width, self._height, matrix=source.color_matrix, full=full)

    def close(self) -> None:
        """Give everything back. May be called again."""
        self._holdings.close()

    def _described(self, area: Area) -> int:
        """Return ACL's description of an area, made once for each of the last few."""
        if area not in self._areas:
            if len(self._areas) >= _MOST_AREAS:
                self._forget_areas()
            arguments = (area.left, area.right - 1, area.top, area.bottom - 1)
            self._areas[area] = self._library.result("media.dvpp_create_roi_config", *arguments)
        return self._areas[area]

    def _forget_areas(self) -> None:
        while self._areas:
            _, description = self._areas.popitem()
            self._library.status("media.dvpp_destroy_roi_config", description)
