"""ONNX Runtime on the CPU: ``.onnx`` models, bound to fixed memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ModelError, missing_dependency
from .arguments import check_arguments, image_index, image_info, other_info
from .base import Backend, HostBuffer, TensorInfo
from .runs import SlotRuns
from .worker_threads import WorkerThreads

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OnnxRuntimeBackend", "import_onnxruntime"]

#: ONNX Runtime's names of the element types that NumPy has, too (onnxruntime/core/framework/data_types.cc).
_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(uint16)": np.dtype(np.uint16),
    "tensor(int16)": np.dtype(np.int16),
    "tensor(uint32)": np.dtype(np.uint32),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(uint64)": np.dtype(np.uint64),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(bool)": np.dtype(np.bool_),
}
#: Fatal only: errors of ONNX Runtime also come as exceptions, and its own lines would spoil the terminal.
_LOG_SEVERITY = 4
#: Whether its threads spin where they have nothing to do. Between runs never (UNet on two cores, GIF written: 1.6 times
#: the frames per second at 0.75 of the CPU time). Within a run, where it waits for no other: see `eager`.
_SPINNING = {False: {"session.intra_op.allow_spinning": "0"}, True: {"session.force_spinning_stop": "1"}}


class _Slot(NamedTuple):
    binding: Any
    inputs: tuple[HostBuffer, ...]
    outputs: tuple[HostBuffer, ...]
    views: tuple[NDArray[Any], ...]


class OnnxRuntimeBackend(Backend):
    """Run an ``.onnx`` model with ONNX Runtime's CPU execution provider.

    Parameters
    ----------
    path : str or path
        The model file.
    slots : int
        Frames in flight.
    threads : int, optional
        Threads inside one run; ONNX Runtime's own choice (one per core) unless given.
    eager : bool
        True: within a run, threads that wait for others spin instead of sleeping. A network of many small layers is
        faster by that where it is what everything waits for, and slower where encoding needs the cores too (two cores,
        hand landmarks 1.2 times the frames per second, UNet 1.08 times, but 0.92 times with GIF written).
    input_layout : {"NCHW", "NHWC"}, optional
        Needed only where it cannot be read from where the 3 colour channels stand.
    input_hw : tuple of int, optional
        Height and width; needed only where the model leaves them open.
    image_input : str or int, optional
        Which input is the image, where several could be.

    Raises
    ------
    ModelError
        If the file is no model that ONNX Runtime loads and runs, or contradicts the arguments.
    ArgumentError
        For wrong `slots` or `threads`, or an unknown `input_layout`.
    MissingDependencyError
        If onnxruntime is not installed.

    Notes
    -----
    The batch of the image is 1 where the model leaves it open. The model is run once on zeros when it
    is opened: this gives the real shapes of the outputs, also where the file leaves them open, and finds a model that
    loads but does not run.

    Inputs and outputs are bound once per slot, by address, so that a run neither allocates nor copies them.

    Runs happen as :class:`~handpose_native.backends.runs.SlotRuns` says; ONNX Runtime releases the GIL.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        slots: int = 1,
        threads: int | None = None,
        eager: bool = False,
        input_layout: str | None = None,
        input_hw: tuple[int, int] | None = None,
        image_input: str | int | None = None,
    ) -> None:
        super().__init__(slots)
        check_arguments(type(self).__name__, threads, input_layout)
        file = Path(path)
        self._file = file
        with WorkerThreads() as workers:
            self._session = _load(file, threads, eager)
        declared = self._session.get_inputs()
        if not declared:
            raise ModelError(f"{file}: the model has no input")
        image = image_index(file, [(one.name, one.shape) for one in declared], image_input)
        self.inputs = tuple(
            image_info(file, one.name, one.shape, _dtype(file, "input", one), input_layout, input_hw)
            if index == image
            else other_info(file, one.name, one.shape, _dtype(file, "input", one))
            for index, one in enumerate(declared)
        )
        self.outputs = self._try_out()
        meta = self._session.get_modelmeta()
        self.metadata = dict(meta.custom_metadata_map)
        self.device = f"CPU, {_describe_runtime()}" + ("" if threads is None else f", threads={threads}")
        self._slots = [self._make_slot() for _ in range(slots)]
        self._runs = SlotRuns(slots, "onnxruntime", workers)

    def _try_out(self) -> tuple[TensorInfo, ...]:
        declared = self._session.get_outputs()
        dtypes = [_dtype(self._file, "output", one) for one in declared]
        zeros = {info.name: np.zeros(info.shape, info.dtype) for info in self.inputs}
        try:
            results = self._session.run(None, zeros)
        except Exception as error:  # ONNX Runtime's exceptions have no public class in common
            raise ModelError(f"{self._file}: the model loads but does not run: {_one_line(error)}") from error
        return tuple(TensorInfo(one.name, got.shape, dtype) for one, got, dtype in zip(declared, results, dtypes))

    def _make_slot(self) -> _Slot:
        binding = self._session.io_binding()
        inputs = tuple(HostBuffer(info.shape, info.dtype) for info in self.inputs)
        outputs = tuple(HostBuffer(info.shape, info.dtype) for info in self.outputs)
        for info, buffer in zip(self.inputs, inputs):
            binding.bind_input(info.name, "cpu", 0, buffer.dtype.type, buffer.shape, buffer.address)
        for info, buffer in zip(self.outputs, outputs):
            binding.bind_output(info.name, "cpu", 0, buffer.dtype.type, buffer.shape, buffer.address)
        return _Slot(binding, inputs, outputs, tuple(buffer.array for buffer in outputs))

    def _buffer(self, slot: int, index: int) -> HostBuffer:
        return self._slots[slot].inputs[index]

    def _start(self, slot: int) -> None:
        self._runs.start(slot, self._run)

    def _run(self, slot: int) -> None:
        try:
            self._session.run_with_iobinding(self._slots[slot].binding)
        except Exception as error:
            raise ModelError(f"{self._file}: the model failed on slot {slot}: {_one_line(error)}") from error

    def _finish(self, slot: int) -> tuple[NDArray[Any], ...]:
        self._runs.wait(slot)
        return self._slots[slot].views

    def _release(self) -> None:
        self._runs.close()
        self._slots.clear()
        del self._session


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without its telemetry, unless ``ORT_DISABLE_TELEMETRY`` is set already.

    Its wheels since 1.29 send what they run to Microsoft otherwise, with a thread, sockets and a database in the user's
    cache folder. The variable counts only while the module is imported first (its Privacy.md; pull request 29843).

    Raises
    ------
    MissingDependencyError
        Without onnxruntime.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_dependency(error, "onnxruntime", "to run .onnx models", "handpose_native[cpu]") from error
    return onnxruntime


def _describe_runtime() -> str:
    return f"onnxruntime {import_onnxruntime().__version__}"


def _load(file: Path, threads: int | None, eager: bool) -> Any:
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: ONNX Runtime's own choice
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_SEVERITY
    for key, value in _SPINNING[eager].items():
        options.add_session_config_entry(key, value)
    try:
        return runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no public class in common
        raise ModelError(f"{file}: ONNX Runtime cannot load this file: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _dtype(file: Path, kind: str, tensor: Any) -> np.dtype[Any]:
    if tensor.type not in _DTYPES:
        known = ", ".join(_DTYPES)
        raise ModelError(f"{file}: {kind} {tensor.name!r} must have one of the types {known}; it is {tensor.type}")
    return _DTYPES[tensor.type]
