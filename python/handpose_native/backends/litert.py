"""LiteRT on the CPU: ``.tflite`` models, written and read in the interpreter's own memory."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ModelError, missing_dependency
from .arguments import check_arguments, image_index, image_info, other_info
from .base import Backend, TensorInfo
from .runs import SlotRuns
from .stderr_lines import dropped_from_stderr
from .worker_threads import WorkerThreads

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LiteRtBackend", "TensorBuffer"]

#: Kinds of NumPy dtypes that a buffer can hold: all numbers and bool, but no strings.
_NUMERIC_KINDS = "biuf"
#: As MediaPipe, which made these networks of a few milliseconds, bounds its own choice
#: (mediapipe/calculators/tensor/inference_calculator_xnnpack.cc).
_MOST_THREADS = 4
#: Written when the first model of a process gets its memory; LiteRT has no switch for it that Python reaches.
_GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU."


class TensorBuffer:
    """The memory of one tensor of an interpreter.

    Parameters
    ----------
    interpreter : ai_edge_litert.interpreter.Interpreter
        Its tensors allocated; kept alive as long as the buffer or an array over it.
    index : int
        Of the tensor.

    Attributes
    ----------
    address : int
        Of the first byte.
    shape : tuple of int
    dtype : numpy.dtype
    array : ndarray
        C-contiguous, writable view of the memory.
    host_accessible : bool
        Always True.

    Raises
    ------
    ValueError
        From the interpreter, if the tensor has no memory before the first run.

    Notes
    -----
    ``Interpreter.invoke`` refuses to run while a view from ``Interpreter.tensor`` is alive. `array` is made from the
    address and so does not count as one.
    """

    host_accessible = True

    def __init__(self, interpreter: Any, index: int) -> None:
        self._view = interpreter.tensor(index)
        memory = _Memory(interpreter, self._view().__array_interface__)
        self.address: int = memory.__array_interface__["data"][0]
        self.array: NDArray[Any] = np.asarray(memory)
        self.shape: tuple[int, ...] = self.array.shape
        self.dtype: np.dtype[Any] = self.array.dtype

    def is_in_place(self) -> bool:
        """Tell whether the interpreter still has the tensor here, in this size; not while it runs."""
        try:
            view = self._view()
            address = ctypes.addressof(ctypes.c_char.from_buffer(view))  # a third of the time of view.ctypes.data
        except ValueError:  # no memory, or none of its size
            return False
        return address == self.address and view.shape == self.shape


class _Memory:
    """What an array over a tensor is based on: describes the memory to NumPy and keeps its owner alive."""

    def __init__(self, interpreter: Any, interface: dict[str, Any]) -> None:
        self._interpreter = interpreter
        self.__array_interface__ = interface


class _Slot(NamedTuple):
    interpreter: Any
    inputs: tuple[TensorBuffer, ...]
    outputs: tuple[TensorBuffer, ...]
    views: tuple[NDArray[Any], ...]


class LiteRtBackend(Backend):
    """Run a ``.tflite`` model with LiteRT on the CPU, through its default delegate XNNPACK.

    Parameters
    ----------
    path : str or path
        The model file.
    slots : int
        Frames in flight.
    threads : int, optional
        Threads inside one run; unless given, one per core that the process may use, at most 4.
    input_layout : {"NCHW", "NHWC"}, optional
        Needed only where it cannot be read from where the 3 colour channels stand.
    input_hw : tuple of int, optional
        Height and width; needed only where the model leaves them open.
    image_input : str or int, optional
        Which input is the image, where several could be.

    Raises
    ------
    ModelError
        If the file is no model that LiteRT loads and runs, or contradicts the arguments.
    ArgumentError
        For wrong `slots` or `threads`, or an unknown `input_layout`.
    MissingDependencyError
        If ai-edge-litert is not installed.

    Notes
    -----
    The batch of the image is 1 where the model leaves it open. The model is run on ones and on zeros
    when it is opened, which finds one that loads but does not run.

    Inputs and outputs are the tensors of the interpreter, so that nothing is copied before or after a run. LiteRT moves
    them where a size inside the model depends on data; that is looked for after each run, and is a ModelError. A tensor
    of a quantised model holds its stored numbers q, with the dtype of the model; q = real / scale + zero_point is the
    caller's to do. `metadata` is empty: LiteRT does not show that of the file.

    An interpreter runs one frame at a time, so that each slot has one, with threads and packed weights of its own.
    Runs happen as :class:`~handpose_native.backends.runs.SlotRuns` says; LiteRT releases the GIL.
    """

    _greeted = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        slots: int = 1,
        threads: int | None = None,
        input_layout: str | None = None,
        input_hw: tuple[int, int] | None = None,
        image_input: str | int | None = None,
    ) -> None:
        super().__init__(slots)
        check_arguments(type(self).__name__, threads, input_layout)
        self._file = Path(path)
        self._threads = threads or _default_threads()
        self._moved = False
        self.metadata = {}
        with WorkerThreads() as workers:
            interpreters = [self._load() for _ in range(slots)]
            self.inputs = self._describe_inputs(interpreters[0], input_layout, input_hw, image_input)
            self._slots = [self._make_slot(interpreter) for interpreter in interpreters]
        self.outputs = self._describe_outputs(self._slots[0])
        self.device = f"CPU, ai-edge-litert {_runtime_version()}, threads={self._threads}"
        self._runs = SlotRuns(slots, "litert", workers)

    def _load(self) -> Any:
        interpreter_class = _import_interpreter()
        try:
            return interpreter_class(model_path=str(self._file), num_threads=self._threads)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self._file}: LiteRT cannot load this file: {_one_line(error)}") from error

    def _describe_inputs(
        self, interpreter: Any, layout: str | None, input_hw: tuple[int, int] | None, image_input: str | int | None
    ) -> tuple[TensorInfo, ...]:
        declared = interpreter.get_input_details()
        if not declared:
            raise ModelError(f"{self._file}: the model has no input")
        image = image_index(self._file, [(one["name"], _declared(one)) for one in declared], image_input)
        return tuple(
            image_info(self._file, one["name"], _declared(one), self._dtype("input", one), layout, input_hw)
            if index == image
            else other_info(self._file, one["name"], _declared(one), self._dtype("input", one))
            for index, one in enumerate(declared)
        )

    def _make_slot(self, interpreter: Any) -> _Slot:
        try:
            for info, declared in zip(self.inputs, interpreter.get_input_details()):
                if info.shape != tuple(declared["shape"]):  # only where the model leaves sizes open
                    interpreter.resize_tensor_input(declared["index"], info.shape, strict=True)
            self._allocate(interpreter)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self._file}: LiteRT cannot prepare this model: {_one_line(error)}") from error
        inputs = tuple(self._buffer_of("input", interpreter, one) for one in interpreter.get_input_details())
        outputs = tuple(self._buffer_of("output", interpreter, one) for one in interpreter.get_output_details())
        slot = _Slot(interpreter, inputs, outputs, tuple(buffer.array for buffer in outputs))
        for buffer in inputs:
            buffer.array[...] = 0
        (image,) = (buffer for buffer, info in zip(inputs, self.inputs) if info.layout is not None)
        for value in (1, 0):
            image.array[...] = value
            self._invoke(slot, "the model loads but does not run")
        return slot

    @classmethod
    def _allocate(cls, interpreter: Any) -> None:
        if cls._greeted:
            interpreter.allocate_tensors()
            return
        with dropped_from_stderr(_GREETING):
            interpreter.allocate_tensors()
        cls._greeted = True

    def _buffer_of(self, kind: str, interpreter: Any, tensor: dict[str, Any]) -> TensorBuffer:
        self._dtype(kind, tensor)
        what = f"{self._file}: {kind} {tensor['name']!r} must have a size, known before the run"
        try:
            buffer = TensorBuffer(interpreter, tensor["index"])
        except ValueError as error:  # LiteRT allocates it in each run
            raise ModelError(f"{what}: {_one_line(error)}") from error
        if buffer.array.size == 0:
            raise ModelError(f"{what}; it has the shape {buffer.shape}")
        return buffer

    def _dtype(self, kind: str, tensor: dict[str, Any]) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(tensor["dtype"])
        if dtype.kind not in _NUMERIC_KINDS:
            raise ModelError(f"{self._file}: {kind} {tensor['name']!r} must be of numbers or bool; it is {dtype}")
        return dtype

    def _describe_outputs(self, slot: _Slot) -> tuple[TensorInfo, ...]:
        declared = slot.interpreter.get_output_details()
        return tuple(TensorInfo(one["name"], it.shape, it.dtype) for one, it in zip(declared, slot.outputs))

    def _buffer(self, slot: int, index: int) -> TensorBuffer:
        if self._moved:
            raise ModelError(f"{self._file}: the inputs have moved in an earlier run; open the model again")
        return self._slots[slot].inputs[index]

    def _start(self, slot: int) -> None:
        self._runs.start(slot, self._run)

    def _run(self, slot: int) -> None:
        self._invoke(self._slots[slot], f"the model failed on slot {slot}")

    def _invoke(self, slot: _Slot, failure: str) -> None:
        try:
            slot.interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self._file}: {failure}: {_one_line(error)}") from error
        finally:  # the old memory is gone where tensors have moved, so nobody may be sent there again
            moved = not all(buffer.is_in_place() for buffer in (*slot.inputs, *slot.outputs))
            self._moved = self._moved or moved
        if moved:
            raise ModelError(f"{self._file}: {failure}: sizes inside the model must not depend on data; they do")

    def _finish(self, slot: int) -> tuple[NDArray[Any], ...]:
        self._runs.wait(slot)
        return self._slots[slot].views

    def _release(self) -> None:
        self._runs.close()
        self._slots.clear()


def _import_interpreter() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise missing_dependency(error, "ai_edge_litert", "to run .tflite models", "handpose_native[cpu]") from error
    return Interpreter


def _runtime_version() -> str:
    import importlib.metadata

    return importlib.metadata.version("ai-edge-litert")


def _default_threads() -> int:
    return min(len(os.sched_getaffinity(0)), _MOST_THREADS)


def _declared(tensor: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape as the file has it: -1 for open sizes, which ``shape`` shows as 1."""
    return tuple(int(size) for size in tensor["shape_signature"])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
