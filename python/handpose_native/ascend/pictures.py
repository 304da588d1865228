"""NV12 pictures that media engines write and the CPU reads in place, in memory that is used again and again."""

from __future__ import annotations

import logging
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeviceError
from ..picture import Picture
from .memory import DeviceBlock
from .runtime import Holdings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
__all__ = ["ConvertedPicture", "DevicePicture", "PictureBlock", "PicturePool", "align", "nv12_bytes"]

logger = logging.getLogger(__name__)

#: ``acldvppPixelFormat``: YUV420SP with U before V.
NV12 = 1


def align(size: int, step: int) -> int:
    """Return the next multiple of `step`."""
    return -(-size // step) * step


def nv12_bytes(stride: int, rows: int) -> int:
    """Return the size of an NV12 picture whose rows of luma begin `stride` bytes apart."""
    return stride * rows * 3 // 2


class PictureBlock:
    """Room for one picture, with its description.

    Parameters
    ----------
    index : int
        Which device.
    nbytes : int

    Attributes
    ----------
    device : int
    memory : DeviceBlock
    description : int
        Says where the memory is, its size, and NV12; widths, heights and strides are for others to set.
    """

    def __init__(self, index: int, nbytes: int) -> None:
        self.device = index
        self._holdings = Holdings()
        with self._holdings.made_on(index):
            library, keep = self._holdings.library, self._holdings.keep
            self._library = library
            self.memory = DeviceBlock(library, nbytes, keep, media=True)
            self.description = int(library.result("media.dvpp_create_pic_desc"))
            keep.callback(library.status, "media.dvpp_destroy_pic_desc", self.description)
            self.describe(data=self.memory.device_address, size=nbytes, format=NV12)

    def describe(self, **fields: int) -> None:
        """Set fields of the description, by ACL's names."""
        for name, value in fields.items():
            self._library.status(f"media.dvpp_set_pic_desc_{name}", self.description, value)

    def described(self, name: str) -> int:
        """Return a field of the description; one that is 0 is an error."""
        return int(self._library.result(f"media.dvpp_get_pic_desc_{name}", self.description))

    def code(self) -> int:
        """Return what the engine says of its last work on the picture; 0 is success."""
        return int(self._library.acl.media.dvpp_get_pic_desc_ret_code(self.description))

    def picture(self, memory: Any, width: int, height: int, *, matrix: str, full: bool) -> DevicePicture:
        """Return what an engine has written, laid out as the description says, on a view of `memory`."""
        stride, rows = self.described("width_stride"), self.described("height_stride")
        if stride < width or rows < height or nv12_bytes(stride, rows) > self.memory.nbytes:
            raise DeviceError(
                f"the media engine says that a picture of {width}x{height} has strides of {stride}x{rows}, which "
                f"does not fit its {self.memory.nbytes} bytes"
            )
        pixels = np.frombuffer(memory, np.uint8)
        luma = pixels[: stride * rows].reshape(rows, stride)[:height, :width]
        chroma = pixels[stride * rows : nv12_bytes(stride, rows)].reshape(rows // 2, stride)[: height // 2, :width]
        return DevicePicture((luma, chroma.reshape(height // 2, width // 2, 2)), self, matrix, full)

    def close(self) -> None:
        """Give everything back."""
        self._holdings.close()


class DevicePicture(Picture):
    """An NV12 picture in memory of the device, or with a card in a copy of it.

    The planes, and all views of them, keep the memory; it is used for another picture once the last of them is gone.

    Attributes
    ----------
    block : PictureBlock
        Where an engine of the device finds it.
    """

    __slots__ = ("block",)

    def __init__(self, planes: tuple[NDArray[np.uint8], ...], block: PictureBlock, matrix: str, full: bool) -> None:
        super().__init__(planes, "nv12", matrix, "full" if full else "limited")
        self.block = block


class ConvertedPicture(Picture):
    """A device's picture as BGR.

    Attributes
    ----------
    original : DevicePicture
        As it was decoded; what is drawn onto this one does not show in it.
    """

    __slots__ = ("original",)

    def __init__(self, original: DevicePicture) -> None:
        super().__init__((original.to_bgr(),), "bgr24")
        self.original = original


class PicturePool:
    """Blocks for pictures of up to one size, as many as are in use at once.

    One thread takes and lends; pictures may be let go of by any.

    Parameters
    ----------
    index : int
        Which device.
    nbytes : int
        Of each picture.
    """

    def __init__(self, index: int, nbytes: int) -> None:
        self.nbytes = nbytes
        self._index = index
        self._free: deque[PictureBlock] = deque()
        self._closed = False

    def take(self) -> PictureBlock:
        """Return a block that nobody uses, a new one where there is none."""
        try:
            return self._free.popleft()
        except IndexError:
            return PictureBlock(self._index, self.nbytes)

    def give_back(self, block: PictureBlock) -> None:
        """Take back a block that was taken and not lent."""
        self._free.append(block)
        if self._closed:
            self._close_free()

    def lend(self, block: PictureBlock, width: int, height: int, *, matrix: str, full: bool) -> DevicePicture:
        """Return the picture that an engine has written into a block, laid out as its description says.

        The block comes back by itself, also after `close`, when nothing shows its memory any more.
        """
        memory = block.memory.view()
        try:
            picture = block.picture(memory, width, height, matrix=matrix, full=full)
        except DeviceError:
            self.give_back(block)
            raise
        weakref.finalize(memory, self._come_back, block).atexit = False
        return picture

    def close(self) -> None:
        """Free the blocks; each of those that are lent, when it comes back."""
        self._closed = True
        self._close_free()

    def _come_back(self, block: PictureBlock) -> None:
        """Take back a block whose picture is gone; called by whichever thread let go of it, so must not raise."""
        try:
            self.give_back(block)
        except DeviceError as error:
            logger.warning("a picture of a media engine could not be freed: %s", error)

    def _close_free(self) -> None:
        for block in self._drained():
            block.close()

    def _drained(self) -> Iterator[PictureBlock]:
        """Yield each free block to one caller only."""
        while True:
            try:
                yield self._free.popleft()
            except IndexError:
                return
