"""Memory that the CPU and a device both work on: one block on a board, a pinned one and the card's own with a card."""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .runtime import AclLibrary

__all__ = ["DeviceBlock", "GrowingBlock"]

#: ``aclrtMemcpyKind``.
_HOST_TO_DEVICE, _DEVICE_TO_HOST = 1, 2
#: ``aclrtMemMallocPolicy``: huge pages where the block is large enough, as the documentation advises for models.
_HUGE_FIRST = 0
#: A cache line of the boards' cores, and what the runtime aligns to.
_ALIGNMENT = 64


class DeviceBlock:
    """A block of memory.

    Parameters
    ----------
    library : AclLibrary
        With a context in this thread, now and when `keep` is closed.
    nbytes : int
    keep : ExitStack
        Takes over the memory.
    media : bool
        Whether a media engine works on it (``acl.media.dvpp_malloc``) instead of a model (``acl.rt.malloc``).

    Attributes
    ----------
    address : int
        Where the CPU reads and writes: on a board (run mode RC) the very memory of the device, with a card (EP) pinned
        memory of the host. Aligned to 64 bytes.
    device_address : int
        Where the device reads and writes: the same on a board.
    nbytes : int

    Notes
    -----
    No block shares a cache line with another one: sizes are rounded up to whole lines, and blocks start on one.
    """

    def __init__(self, library: AclLibrary, nbytes: int, keep: ExitStack, *, media: bool = False) -> None:
        self._library, self.nbytes = library, nbytes
        lines = -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        if media:
            (self.device_address,) = library.values("media.dvpp_malloc", lines)
            keep.callback(library.status, "media.dvpp_free", self.device_address)
        else:
            (self.device_address,) = library.values("rt.malloc", lines, _HUGE_FIRST)
            keep.callback(library.status, "rt.free", self.device_address)
        if library.run_mode == "RC":
            self.address: int = self.device_address
        else:
            (pinned,) = library.values("rt.malloc_host", lines + _ALIGNMENT)
            keep.callback(library.status, "rt.free_host", pinned)
            self.address = -(-pinned // _ALIGNMENT) * _ALIGNMENT

    def view(self) -> Any:
        """Return a new buffer that shows the memory, and that everything made from it holds."""
        return (ctypes.c_ubyte * self.nbytes).from_address(self.address)

    def queue_upload(self, count: int, stream: int) -> None:
        """Queue the copy of the first bytes to the device; with a card only, as on a board they are there."""
        if self._library.run_mode == "EP":
            arguments = (self.device_address, self.nbytes, self.address, count)
            self._library.status("rt.memcpy_async", *arguments, _HOST_TO_DEVICE, stream)

    def upload(self, count: int, stream: int) -> None:
        """Copy the first bytes to the device as `queue_upload`, and wait for it."""
        if self._library.run_mode == "EP":
            self.queue_upload(count, stream)
            self._library.status("rt.synchronize_stream", stream)

    def queue_download(self, count: int, stream: int) -> None:
        """Queue the copy of the first bytes from the device; with a card only, as on a board they are there."""
        if self._library.run_mode == "EP":
            arguments = (self.address, self.nbytes, self.device_address, count)
            self._library.status("rt.memcpy_async", *arguments, _DEVICE_TO_HOST, stream)


class GrowingBlock:
    """A block for encoded pictures, made anew where one is larger than all before.

    Parameters as of :class:`DeviceBlock`, for media engines.

    Attributes
    ----------
    block : DeviceBlock
        The present one.
    """

    def __init__(self, library: AclLibrary, nbytes: int, keep: ExitStack) -> None:
        self._library = library
        self._present = ExitStack()
        keep.callback(lambda: self._present.close())
        self.block = DeviceBlock(library, nbytes, self._present, media=True)

    def write(self, data: Any) -> None:
        """Copy bytes to the beginning; the device must not be reading."""
        count = len(data)
        if count > self.block.nbytes:
            with ExitStack() as larger:
                self.block = DeviceBlock(self._library, 2 * count, larger, media=True)
                self._present, last = larger.pop_all(), self._present
            last.close()
        np.frombuffer(self.block.view(), np.uint8)[:count] = np.frombuffer(data, np.uint8)
