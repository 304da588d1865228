"""Memory of a model's inputs and outputs on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ascend.memory import DeviceBlock

if TYPE_CHECKING:
    from contextlib import ExitStack

    from numpy.typing import NDArray

    from ..ascend.runtime import AclLibrary
    from .base import TensorInfo

__all__ = ["AclItem", "AclTensor"]


class AclTensor(DeviceBlock):
    """The memory of one input or output of a model in one slot.

    Parameters
    ----------
    library : AclLibrary
        With a context in this thread, now and when `keep` is closed.
    info : TensorInfo
    nbytes : int
        What the model asks for: as large as `info`, or larger where that is one of several batch sizes.
    keep : ExitStack
        Takes over the memory.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    array : ndarray
        View of what is at `address`; valid until the memory is given back.
    host_accessible : bool
        Always True.
    """

    host_accessible = True

    def __init__(self, library: AclLibrary, info: TensorInfo, nbytes: int, keep: ExitStack) -> None:
        super().__init__(library, nbytes, keep)
        self.shape, self.dtype = info.shape, info.dtype
        self.array: NDArray[Any] = np.ndarray(self.shape, self.dtype, buffer=memoryview(self.view()).cast("B"))

    def clear(self) -> None:
        """Write zeros: fresh memory holds anything."""
        np.frombuffer(self.view(), np.uint8).fill(0)

    def items(self, count: int) -> tuple[AclItem, ...]:
        """Return the first images of a batch, each with its memory in this one."""
        batch = self.batch(count)
        starts = range(self.address, self.address + batch.nbytes, self.array.nbytes)
        return tuple(AclItem(start, batch[i : i + 1]) for i, start in enumerate(starts))

    def batch(self, count: int, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
        """Return a view of so many images, or of results of another shape."""
        wanted = shape or (count, *self.shape[1:])
        return np.ndarray(wanted, self.dtype, buffer=memoryview(self.view()).cast("B"))


class AclItem:
    """The memory of one image of a batch; attributes as of :class:`~handpose_native.backends.InputBuffer`."""

    host_accessible = True

    def __init__(self, address: int, array: NDArray[Any]) -> None:
        self.address, self.array = address, array
        self.shape, self.dtype = array.shape, array.dtype
