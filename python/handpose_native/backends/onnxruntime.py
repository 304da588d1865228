"""ONNX Runtime on the CPU: ``.onnx`` models, bound to fixed memory."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, ModelError, missing_dependency
from .base import Backend, HostBuffer, TensorInfo

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

__all__ = ["OnnxRuntimeBackend"]

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
#: Position of channels, height and width.
_AXES = {"NCHW": (1, 2, 3), "NHWC": (3, 1, 2)}
_COLOR_CHANNELS = 3
#: Fatal only: errors of ONNX Runtime also come as exceptions, and its own lines would spoil the terminal.
_LOG_SEVERITY = 4


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
    input_layout : {"NCHW", "NHWC"}, optional
        Needed only where it cannot be read from where the 3 colour channels stand.
    input_hw : tuple of int, optional
        Height and width; needed only where the model leaves them open.

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
    The first input is the image; its batch is 1 where the model leaves it open. The model is run once on zeros when it
    is opened: this gives the real shapes of the outputs, also where the file leaves them open, and finds a model that
    loads but does not run.

    Inputs and outputs are bound once per slot, by address, so that a run neither allocates nor copies them.

    With one slot `submit` runs the model in the calling thread: a second thread could not overlap with anything and
    would only cost two switches per frame. With more slots one worker thread runs them in the order of submission,
    while the caller prepares the next one; ONNX Runtime releases the GIL. One worker only, because a run already uses
    all `threads`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        slots: int = 1,
        threads: int | None = None,
        input_layout: str | None = None,
        input_hw: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(slots)
        if input_layout not in (None, *_AXES):
            raise ArgumentError(
                f"OnnxRuntimeBackend: input_layout must be 'NCHW', 'NHWC' or None; got {input_layout!r}"
            )
        file = Path(path)
        self._file = file
        self._session = _load(file, threads)
        image, *others = self._session.get_inputs() or [None]
        if image is None:
            raise ModelError(f"{file}: the model has no input")
        self.inputs = (_image_info(file, image, input_layout, input_hw), *(_other_info(file, one) for one in others))
        self.outputs = self._try_out()
        meta = self._session.get_modelmeta()
        self.metadata = dict(meta.custom_metadata_map)
        self.device = f"CPU, {_describe_runtime()}" + ("" if threads is None else f", threads={threads}")
        self._slots = [self._make_slot() for _ in range(slots)]
        self._runs: dict[int, Future[None]] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="onnxruntime") if slots > 1 else None

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
        if self._worker is not None:
            self._runs[slot] = self._worker.submit(self._run, slot)
            return
        done: Future[None] = Future()
        try:
            self._run(slot)
        except ModelError as error:
            done.set_exception(error)
        else:
            done.set_result(None)
        self._runs[slot] = done

    def _run(self, slot: int) -> None:
        try:
            self._session.run_with_iobinding(self._slots[slot].binding)
        except Exception as error:
            raise ModelError(f"{self._file}: the model failed on slot {slot}: {_one_line(error)}") from error

    def _finish(self, slot: int) -> tuple[NDArray[Any], ...]:
        self._runs[slot].result()
        return self._slots[slot].views

    def _release(self) -> None:
        if self._worker is not None:
            self._worker.shutdown(wait=True)
        self._slots.clear()
        del self._session


def _import_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_dependency(error, "onnxruntime", "to run .onnx models", "handpose_native[cpu]") from error
    return onnxruntime


def _describe_runtime() -> str:
    return f"onnxruntime {_import_runtime().__version__}"


def _load(file: Path, threads: int | None) -> Any:
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ArgumentError(f"OnnxRuntimeBackend: threads must be an integer of at least 1, or None; got {threads!r}")
    runtime = _import_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: ONNX Runtime's own choice
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_SEVERITY
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


def _sizes(tensor: Any) -> list[int | None]:
    """Return the shape, None where the model leaves a size open (ONNX Runtime gives such a size a name, or None)."""
    return [size if isinstance(size, int) and size > 0 else None for size in tensor.shape]


def _image_info(file: Path, tensor: Any, layout: str | None, input_hw: tuple[int, int] | None) -> TensorInfo:
    dtype = _dtype(file, "input", tensor)
    sizes = _sizes(tensor)
    what = f"{file}: input {tensor.name!r} has the shape {tuple(tensor.shape)}"
    if len(sizes) != 4:
        raise ModelError(f"{what}; an image of four dimensions, NCHW or NHWC, is needed")
    found = [name for name, axes in _AXES.items() if sizes[axes[0]] == _COLOR_CHANNELS]
    if layout is None:
        if len(found) != 1:
            raise ModelError(
                f"{what}, which does not tell NCHW from NHWC: exactly one of the second and the last size must be 3; "
                "say it with input_layout"
            )
        layout = found[0]
    channel_axis, *spatial_axes = _AXES[layout]
    if sizes[channel_axis] not in (None, _COLOR_CHANNELS):
        raise ModelError(f"{what}, but input_layout is {layout!r}, which needs 3 channels there")
    wanted = input_hw or (None, None)
    for axis, size in zip(spatial_axes, wanted):
        if sizes[axis] is None and size is None:
            raise ModelError(f"{what}, which leaves height or width open; say them with input_hw")
        if None not in (sizes[axis], size) and sizes[axis] != size:
            raise ModelError(f"{what} ({layout}), but input_hw is {tuple(wanted)}")
        sizes[axis] = sizes[axis] or size
    sizes[0] = sizes[0] or 1
    sizes[channel_axis] = _COLOR_CHANNELS
    return TensorInfo(tensor.name, tuple(int(size or 0) for size in sizes), dtype, layout)


def _other_info(file: Path, tensor: Any) -> TensorInfo:
    sizes = _sizes(tensor)
    if None in sizes:
        shape = tuple(tensor.shape)
        raise ModelError(
            f"{file}: input {tensor.name!r} has the shape {shape}; only the first input may leave sizes open"
        )
    return TensorInfo(tensor.name, tuple(int(size or 0) for size in sizes), _dtype(file, "input", tensor))
