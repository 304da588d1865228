"""What every backend is: a model, and the memory it reads and writes, in slots."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["Backend", "HostBuffer", "InputBuffer", "TensorInfo", "images_of"]

#: A cache line of x86-64 and most aarch64 cores, and the widest vector register in use (AVX-512).
ALIGNMENT = 64


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of an opened model.

    Attributes
    ----------
    name : str
    shape : tuple of int
        All sizes fixed.
    dtype : numpy.dtype
    layout : {"NCHW", "NHWC"} or None
        Of an image input; None for everything else.
    normalises : bool
        Of an image input: whether the model takes grey levels 0..255 as they are and makes of them itself what its
        network needs, so that `scale`, `mean` and `std` are not for the caller to apply.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    layout: str | None = None
    normalises: bool = False


class InputBuffer(Protocol):
    """The memory of one input in one slot; ``hp.preprocess(out=...)`` takes it.

    Attributes
    ----------
    address : int
        Of the first byte; the memory is C-contiguous and stays where it is until the backend is closed.
    shape : tuple of int
    dtype : numpy.dtype
    array : ndarray
        C-contiguous, writable view of the memory.
    host_accessible : bool
        Whether the CPU may write behind `address`; False for memory that only a device reaches.
    """

    @property
    def address(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def array(self) -> NDArray[Any]: ...
    @property
    def host_accessible(self) -> bool: ...


class HostBuffer:
    """Zeroed host memory, aligned to 64 bytes, that is made once.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy dtype

    Attributes
    ----------
    address : int
        Of the first byte.
    shape : tuple of int
    dtype : numpy.dtype
    array : ndarray
        C-contiguous, writable view of the memory; keeps it alive.
    host_accessible : bool
        Always True.
    """

    host_accessible = True

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.shape = tuple(shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        size = math.prod(self.shape) * self.dtype.itemsize
        block = np.zeros(size + ALIGNMENT, dtype=np.uint8)
        offset = -block.ctypes.data % ALIGNMENT
        self.array: NDArray[Any] = np.ndarray(self.shape, self.dtype, buffer=block.data, offset=offset)
        self.address = int(block.ctypes.data) + offset


def images_of(outputs: tuple[NDArray[Any], ...], count: int) -> list[tuple[NDArray[Any], ...]]:
    """Return what a run on `count` images gave, image by image, each as of a batch of one; views."""
    return [outputs] if count == 1 else [tuple(one[i : i + 1] for one in outputs) for i in range(count)]


class Backend(ABC):
    """A loaded model with the memory it reads and writes.

    A slot is one frame in flight with memory of its own. Its life: write into ``input_buffer(slot)``, ``submit(slot)``,
    ``wait(slot)``, read the outputs. Runs begin in the order of submission. A slot is used by one thread at a time;
    different slots may be used by different threads.

    Attributes
    ----------
    slots : int
        Number of slots, named 0 to ``slots - 1``.
    inputs, outputs : tuple of TensorInfo
        In the model's order.
    device : str
        What runs the model, for reports.
    metadata : dict of str to str
        The model's own texts; empty where its format has none.
    max_batch : int
        How many images one run may take: more than 1 of an ``.om`` model with several batch sizes.

    Notes
    -----
    The rules of the slots are enforced here, once; a subclass fills the attributes and the four abstract methods.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    device: str
    metadata: dict[str, str]
    max_batch: int = 1

    def __init__(self, slots: int) -> None:
        if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
            raise ArgumentError(f"{type(self).__name__}: slots must be an integer of at least 1; got {slots!r}")
        self.slots = slots
        self._submitted = [False] * slots
        self._batch = [1] * slots
        self._closed = False
        self._selected_outputs: tuple[int, ...] | None = None

    def input_buffer(self, slot: int, index: int = 0, item: int = 0) -> InputBuffer:
        """Return the memory that the model reads in this slot.

        Parameters
        ----------
        slot : int
        index : int
            Which of `inputs`.
        item : int
            Which image of a batch; each has memory of its own, as of a batch of one.

        Returns
        -------
        InputBuffer
            The same object every time. Do not write into it between `submit` and `wait`.

        Raises
        ------
        ArgumentError
            For a slot or input that does not exist, or after `close`.
        """
        self._check("input_buffer", slot)
        if not 0 <= index < len(self.inputs):
            raise ArgumentError(f"input_buffer: index must be 0..{len(self.inputs) - 1}; got {index}")
        if not 0 <= item < self.max_batch:
            raise ArgumentError(f"input_buffer: item must be 0..{self.max_batch - 1}; got {item}")
        return self._item_buffer(slot, item) if item else self._buffer(slot, index)

    def set_constant(self, index: int, value: ArrayLike) -> None:
        """Write an input that is the same in every run, once, into every slot.

        Parameters
        ----------
        index : int
            Which of `inputs`.
        value : array_like
            Of the input's shape, or one that can be broadcast to it.

        Raises
        ------
        ArgumentError
            For an input that does not exist, or a value of another shape or out of the range of its dtype.
        """
        given = np.asarray(value)
        for slot in range(self.slots):
            buffer = self.input_buffer(slot, index)
            with np.errstate(all="ignore"):  # what does not fit is told below
                converted = given.astype(buffer.dtype) if given.dtype.kind in "biuf" else None
            fits = converted is not None and (buffer.dtype.kind == "f" or np.array_equal(converted, given))
            try:
                shaped = np.broadcast_to(converted if fits else (), buffer.shape)  # type: ignore[arg-type]
            except ValueError as error:
                raise ArgumentError(
                    f"set_constant: a value for input {self.inputs[index].name!r} must be {buffer.dtype} "
                    f"{buffer.shape} or fit it; got {given.dtype} {given.shape}"
                ) from error
            np.copyto(buffer.array, shaped)
        self._keep_constant(index)

    def select_outputs(self, indices: Iterable[int]) -> None:
        """Say which outputs are going to be read; what `wait` returns for the others is then undefined.

        Spares a copy of the others where outputs have to be fetched from a device. All are read unless said.

        Parameters
        ----------
        indices : iterable of int
            Which of `outputs`.
        """
        selected = tuple(sorted(set(indices)))
        if not all(0 <= index < len(self.outputs) for index in selected):
            raise ArgumentError(f"select_outputs: indices must be 0..{len(self.outputs) - 1}; got {selected}")
        self._selected_outputs = selected

    def submit(self, slot: int, count: int = 1) -> None:
        """Run the model on what the slot's input buffers hold. May return before the run is over.

        Parameters
        ----------
        slot : int
        count : int
            How many images there are, at most `max_batch`: so many results come out, one after another.

        Raises
        ------
        ArgumentError
            For a slot that does not exist or has not been waited for, for a wrong count, or after `close`.
        """
        self._check("submit", slot)
        if not 1 <= count <= self.max_batch:
            raise ArgumentError(f"submit: count must be 1..{self.max_batch}; got {count}")
        if self._submitted[slot]:
            raise ArgumentError(f"submit: slot {slot} is submitted already; wait for it first")
        self._batch[slot] = count
        self._start(slot)
        self._submitted[slot] = True

    def wait(self, slot: int) -> tuple[NDArray[Any], ...]:
        """Wait until the slot's run is over.

        Returns
        -------
        tuple of ndarray
            Views of the slot's output memory, in the order of `outputs`, valid until the slot is submitted again.

        Raises
        ------
        ArgumentError
            For a slot that does not exist or was not submitted, or after `close`.
        ModelError, DeviceError
            If the run failed; the slot can be submitted again.
        """
        self._check("wait", slot)
        if not self._submitted[slot]:
            raise ArgumentError(f"wait: slot {slot} has not been submitted")
        try:
            views = self._finish(slot)
        except Exception:  # not KeyboardInterrupt: then the run still goes on
            self._submitted[slot] = False
            raise
        self._submitted[slot] = False
        return views

    def close(self) -> None:
        """Let runs in progress end and release the model. May be called again."""
        if not self._closed:
            self._closed = True
            self._release()

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, method: str, slot: int) -> None:
        if self._closed:
            raise ArgumentError(f"{method}: the backend is closed")
        if not 0 <= slot < self.slots:
            raise ArgumentError(f"{method}: slot must be 0..{self.slots - 1}; got {slot}")

    def _keep_constant(self, index: int) -> None:  # noqa: B027 - nothing to do where runs read the buffers themselves
        """Note that an input will not change any more."""

    @abstractmethod
    def _buffer(self, slot: int, index: int) -> InputBuffer:
        """Return the input memory; arguments are checked."""

    def _item_buffer(self, slot: int, item: int) -> InputBuffer:
        """Return the memory of a further image, where `max_batch` is more than 1; arguments are checked."""
        raise NotImplementedError(f"{type(self).__name__} takes {self.max_batch} images but has no _item_buffer")

    @abstractmethod
    def _start(self, slot: int) -> None:
        """Start the run; the slot is idle."""

    @abstractmethod
    def _finish(self, slot: int) -> tuple[NDArray[Any], ...]:
        """Wait for the run and return the views, or raise what went wrong in it; the slot is submitted."""

    @abstractmethod
    def _release(self) -> None:
        """Give everything back; called once."""
