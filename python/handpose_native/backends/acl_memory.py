"""Memory that the CPU and the NPU both work on: one block on a board, a pinned one and the card's own with a card."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import ALIGNMENT

if TYPE_CHECKING:
    from contextlib import ExitStack

    from numpy.typing import NDArray

    from .acl_runtime import AclLibrary
    from .base import TensorInfo

__all__ = ["AclTensor"]

#: ``aclrtMemMallocPolicy``: huge pages where the block is large enough, as the documentation advises for models.
_HUGE_FIRST = 0


class AclTensor:
    """The memory of one input or output of a model in one slot.

    Parameters
    ----------
    library : AclLibrary
        With a context in this thread, now and when `resources` are closed.
    info : TensorInfo
    nbytes : int
        What the model asks for: as large as `info`, or larger where that is one of several batch sizes.
    resources : ExitStack
        Takes over the memory.

    Attributes
    ----------
    address : int
        Where the CPU reads and writes: on a board (run mode RC) the very memory of the device, with a card (EP) pinned
        memory of the host. Aligned to 64 bytes.
    device_address : int
        Where the model reads and writes: the same on a board.
    nbytes : int
    shape : tuple of int
    dtype : numpy.dtype
    array : ndarray
        View of what is at `address`; valid until the memory is given back.
    host_accessible : bool
        Always True.

    Notes
    -----
    No block shares a cache line with another one: sizes are rounded up to whole lines, and blocks start on one.
    """

    host_accessible = True

    def __init__(self, library: AclLibrary, info: TensorInfo, nbytes: int, resources: ExitStack) -> None:
        self.shape, self.dtype, self.nbytes = info.shape, info.dtype, nbytes
        lines = -(-nbytes // ALIGNMENT) * ALIGNMENT
        (self.device_address,) = library.values("rt.malloc", lines, _HUGE_FIRST)
        resources.callback(library.status, "rt.free", self.device_address)
        if library.run_mode == "RC":
            self.address: int = self.device_address
        else:
            (pinned,) = library.values("rt.malloc_host", lines + ALIGNMENT)
            resources.callback(library.status, "rt.free_host", pinned)
            self.address = -(-pinned // ALIGNMENT) * ALIGNMENT
        memory = (ctypes.c_ubyte * nbytes).from_address(self.address)
        self.array: NDArray[Any] = np.ndarray(self.shape, self.dtype, buffer=memoryview(memory).cast("B"))

    def clear(self) -> None:
        """Write zeros: fresh memory holds anything."""
        self.array.fill(0)
