"""JPEGD, the engine of an Ascend board that decodes JPEGs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DeviceError, VideoError
from .codes import JPEG_NOT_SUPPORTED, describe_code
from .engines import PictureChannel, require_engine
from .memory import GrowingBlock
from .pictures import PicturePool, align, nv12_bytes
from .runtime import Holdings

if TYPE_CHECKING:
    from .pictures import DevicePicture, PictureBlock

__all__ = ["JpegDecoder"]

#: Smallest and largest side (JPEGD, "Functions and Restrictions" of CANN 5.0 to 8.0).
_SMALLEST, _LARGEST = 32, 8192
#: Strides that pictures come out with (same page): of the 310, and of all later ones.
_STRIDE_310, _STRIDE, _ROWS = 128, 64, 16
_FIRST_INPUT = 1 << 18


class JpegDecoder:
    """Decode JPEGs, one after another.

    Parameters
    ----------
    name : str
        Of where they come from, for messages.
    device : int

    Attributes
    ----------
    failure : str
        Why the last one that could not be decoded could not; empty before.

    Raises
    ------
    MissingDependencyError
        If there is no pyACL.
    DeviceError, DeviceMemoryError
        If the board or its version of CANN has no JPEGD, or it fails.

    Notes
    -----
    JPEGs are of the full range and BT.601, as JFIF has it; JPEGD leaves both as they are.
    """

    def __init__(self, name: str, device: int) -> None:
        self.failure = ""
        self._name, self._device = name, device
        self._pool: PicturePool | None = None
        self._size = (0, 0)
        self._holdings = Holdings()
        with self._holdings.made_on(device):
            library, keep = self._holdings.library, self._holdings.keep
            self._library = library
            require_engine(library, "JPEGD")
            self._stride = _STRIDE_310 if library.soc == "Ascend310" else _STRIDE
            keep.callback(self._close_pool)
            self._input = GrowingBlock(library, _FIRST_INPUT, keep)
            self._channel = PictureChannel(library, keep)

    def decode(self, data: Any) -> DevicePicture | None:
        """Decode one.

        Returns
        -------
        DevicePicture or None
            None for a damaged one; `failure` says why.

        Raises
        ------
        VideoError
            If JPEGD does not decode such JPEGs at all.
        DeviceError, DeviceMemoryError
            If it fails.
        """
        with self._holdings.current():
            self._input.write(data)
            source = self._input.block
            try:
                width, height, _ = self._library.values("media.dvpp_jpeg_get_image_info", source.address, len(data))
            except DeviceError as error:
                self.failure = str(error)
                return None
            self._prepare(width, height)
            assert self._pool is not None
            block = self._pool.take()
            try:
                code = self._run(block, len(data))
            except DeviceError:
                self._pool.give_back(block)
                raise
            if code:
                self._pool.give_back(block)
                self.failure = f"JPEGD: {describe_code(code)}"
                if code == JPEG_NOT_SUPPORTED:
                    raise VideoError(f"{self._name}: {self.failure}: read it without decoder='ascend'")
                return None
            return self._pool.lend(block, width, height, matrix="bt601", full=True)

    def close(self) -> None:
        """Give everything back but the pictures that are in use. May be called again."""
        self._holdings.close()

    def _prepare(self, width: int, height: int) -> None:
        """Have room for pictures of a size, once for as long as it stays the same."""
        if self._size == (width, height):
            return
        if not (min(width, height) >= _SMALLEST and max(width, height) <= _LARGEST) or width % 2 or height % 2:
            raise VideoError(
                f"{self._name}: JPEGD decodes pictures of even sides from {_SMALLEST} to {_LARGEST}; this is "
                f"{width}x{height}: read it without decoder='ascend'"
            )
        self._close_pool()
        # Room for either stride, because documents disagree about that of the 310B.
        self._pool = PicturePool(self._device, nv12_bytes(align(width, _STRIDE_310), align(height, _ROWS)))
        self._size = (width, height)

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _run(self, block: PictureBlock, count: int) -> int:
        """Decode what is in the input block; return what JPEGD says."""
        (width, height), source = self._size, self._input.block
        strides = {"width_stride": align(width, self._stride), "height_stride": align(height, _ROWS)}
        source.upload(count, self._channel.stream)
        block.describe(width=width, height=height, **strides)
        arguments = (source.device_address, count, block.description)
        return self._channel.fill(block, "dvpp_jpeg_decode_async", *arguments)
