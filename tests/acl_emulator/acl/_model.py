"""Loaded models, descriptions, data buffers and datasets, and what must hold before a model may run."""

from __future__ import annotations

import fnmatch
import threading
import time
from typing import Any

import numpy as np
import onnxruntime

from . import _codes as codes
from . import _libc as libc
from ._aipp import Aipp
from ._errors import AclError
from ._memory import UNFINISHED, Block, array_at, memory
from ._om import AIPP_INPUT, Om, Tensor
from ._state import Handle, emulator
from ._streams import Context

Array = np.ndarray[Any, Any]


class DataBuffer(Handle):
    """An address and a size; the block it points into knows it."""

    kind = "data buffer"

    def __init__(self, address: int, size: int) -> None:
        super().__init__()
        self.address, self.size = address, size
        self._block: Block | None = None

    def attach(self) -> None:
        self._block = memory.block_at(self.address) if self.address else None
        if self._block is not None:
            self._block.buffers.add(self.handle)

    def detach(self) -> None:
        if self._block is not None:
            self._block.buffers.discard(self.handle)


class Dataset(Handle):
    """Data buffers in the order of a model's inputs or outputs. ``users``: tasks and calls that work with it."""

    kind = "dataset"

    def __init__(self) -> None:
        super().__init__()
        self.buffers: list[int] = []
        self.gear: dict[int, int] = {}  # by model id
        self.aipp: dict[int, Aipp] = {}  # by index of the image input
        self.users: list[str] = []


class Description(Handle):
    """What ``get_desc`` filled in."""

    kind = "model description"
    model: Model | None = None


class Model(Handle):
    """One loaded om."""

    kind = "model"

    def __init__(self, om: Om, name: str, blocks: list[Block], source: Block | None = None) -> None:
        super().__init__()
        self.om, self.name = om, name
        self.source = source  # the runtime's memory that it was loaded from
        self.context: Context = emulator.context()
        self.gear = om.largest_gear
        self.blocks = blocks  # workspace and weights that the program lent
        self.users: list[str] = []  # where it is running
        self._session = self._open()
        self._replay: dict[int, list[Array]] = {}

    def describe(self) -> str:
        return f"model {self.handle} ({self.name})"

    def _open(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = emulator.profile.threads
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(self.om.network, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise AclError(codes.GE_PARAM_INVALID, f"the network does not load: {error}") from None

    @property
    def latency(self) -> float:
        """Seconds that the device works at it."""
        tables = [emulator.latencies, emulator.profile.chip.latencies_ms.items() if emulator.profile.slow else ()]
        for pattern, milliseconds in (pair for table in tables for pair in table):
            if fnmatch.fnmatch(self.name, pattern):
                return milliseconds / 1000
        return 0.0

    def compute(self, inputs: list[Array], gear: int) -> list[Array]:
        """Return the outputs as the om stores them; in replay mode those of the first run."""
        if emulator.profile.replay_outputs and gear in self._replay:
            return self._replay[gear]
        try:
            feeds = {tensor.tensor: value for tensor, value in zip(self.om.data_inputs, inputs)}
            results = self._session.run([tensor.tensor for tensor in self.om.outputs], feeds)
        except Exception as error:
            raise AclError(codes.MODEL_EXECUTE, f"{self.name}: {error}") from None
        with np.errstate(over="ignore"):  # half precision has infinities, as the device
            outputs = [
                np.ascontiguousarray(value, np.dtype(tensor.dtype)) for value, tensor in zip(results, self.om.outputs)
            ]
        self._replay = {**self._replay, gear: outputs} if emulator.profile.replay_outputs else {}
        return outputs


class Run:
    """One execution: buffers by reference, read when the device gets to it."""

    def __init__(self, model: Model, inputs: Dataset, outputs: Dataset, place: str) -> None:
        self.model, self.place = model, place
        self.datasets = (inputs, outputs)
        om = model.om
        self.gear = inputs.gear.get(model.handle, om.largest_gear)
        self.inputs = _buffers(inputs, len(om.inputs), "input")
        self.outputs = _buffers(outputs, len(om.outputs), "output")
        self.aipp = _aipp_of(om, inputs)
        for index, buffer in enumerate(self.inputs):
            need = om.input_bytes(index, self.gear, self.aipp.get(index))
            _check_size(buffer, need, f"input {index} of {model.name}")
        for index, buffer in enumerate(self.outputs):
            _check_size(buffer, om.output_bytes(index, self.gear), f"output {index} of {model.name}")
        named = [(f"input {i}", b) for i, b in enumerate(self.inputs)]
        named += [(f"output {i}", b) for i, b in enumerate(self.outputs)]
        self.blocks = [_device_block(buffer, what, model.name) for what, buffer in named]
        _check_apart(named)

    def begin(self) -> None:
        """Rules 37 and 48: nobody else runs this model or works with these datasets."""
        with emulator.lock:
            others = [place for place in self.model.users if place != self.place]
            if others:
                emulator.forbid(37, f"model {self.model.name} runs on {self.place} and on {others[0]} at once")
            for dataset in self.datasets:
                others = [place for place in dataset.users if place != self.place]
                if others:
                    emulator.forbid(48, f"{dataset.describe()} is used on {self.place} and on {others[0]} at once")
            for thing in (self.model, *self.datasets):
                thing.users.append(self.place)
            # Rule 36: until the task has run the outputs are NaN. Results that a queued task still needs stay.
            for buffer in self.outputs:
                block = memory.block_at(buffer.address)
                if block is not None and not block.users:
                    memory.fill(buffer.address, UNFINISHED, buffer.size)

    def finish(self) -> None:
        with emulator.lock:
            for thing in (self.model, *self.datasets):
                thing.users.remove(self.place)

    def on_stream(self, ready: float) -> float:
        """Do it as a task of a stream: the computation counts into the latency."""
        core = self.model.context.device.core
        with core.lock:
            return core.occupy(ready, self._work)

    def in_caller(self) -> None:
        """Do it inside ``execute``: the GIL is held for the whole latency; the computation comes on top."""
        core = self.model.context.device.core
        with core.lock:
            core.occupy(time.monotonic(), self._work_with_gil)

    def _work(self, begin: float) -> float:
        inputs = self._start()
        results = self.model.compute(inputs[1], self.gear)
        # A computation that takes longer than the latency delays the device; a late wake-up does not.
        end = max(begin + self.model.latency, time.monotonic() if inputs[1] else 0.0)
        libc.sleep_until(end)
        self._end(inputs[0], results)
        return end

    def _work_with_gil(self, begin: float) -> float:
        inputs = self._start()
        results = self.model.compute(inputs[1], self.gear)
        libc.sleep_with_gil(self.model.latency)
        self._end(inputs[0], results)
        return time.monotonic()

    def _start(self) -> tuple[list[Array], list[Array]]:
        """Return the input bytes and what the network gets; the outputs are NaN from now on."""
        for buffer in self.outputs:
            memory.fill(buffer.address, UNFINISHED, buffer.size)
        if emulator.profile.replay_outputs and self.gear in self.model._replay:
            return [], []
        om = self.model.om
        raw, arrays = [], []
        for index, tensor in enumerate(om.inputs):
            if not tensor.tensor:
                continue
            data = _bytes(self.inputs[index]).copy()
            raw.append(data)
            shape = om.input_shapes[self.gear][om.data_inputs.index(tensor)]
            arrays.append(_network_input(tensor, data, shape, self.aipp.get(index)))
        return raw, arrays

    def _end(self, raw: list[Array], results: list[Array]) -> None:
        om = self.model.om
        used = [index for index, tensor in enumerate(om.inputs) if tensor.tensor]
        for index, data in zip(used, raw):
            if not np.array_equal(_bytes(self.inputs[index]), data):
                emulator.forbid(38, f"input {index} of {self.model.name} was overwritten while the task was running")
        for index, (buffer, result) in enumerate(zip(self.outputs, results)):
            block = memory.block_at(buffer.address)
            if block is None:
                raise emulator.breach(18, f"memory of output {index} of {self.model.name} is gone")
            where = memory.device_address(block, buffer.address)
            libc.copy(where, result.ctypes.data, result.nbytes)
            block.device_wrote = True


def _bytes(buffer: DataBuffer) -> Array:
    """The bytes of a buffer as the device sees them."""
    block = memory.block_of(buffer.address, buffer.size, "model input", 32)
    address = buffer.address if block is None else memory.device_address(block, buffer.address)
    return array_at(address, (buffer.size,), np.dtype(np.uint8))


def _network_input(tensor: Tensor, data: Array, shape: list[int], aipp: Aipp | None) -> Array:
    if aipp is not None:
        count = shape[0] * aipp.bytes_per_picture()
        return aipp.apply(data[:count], shape[0]).astype(np.dtype(tensor.element))
    dtype = np.dtype(tensor.dtype)
    count = int(np.prod(shape)) * dtype.itemsize
    return data[:count].view(dtype).reshape(shape).astype(np.dtype(tensor.element), copy=False)


def _buffers(dataset: Dataset, expected: int, what: str) -> list[DataBuffer]:
    if len(dataset.buffers) < expected:
        raise AclError(codes.INVALID_PARAM, f"{len(dataset.buffers)} {what} buffers, the model has {expected}")
    if len(dataset.buffers) > expected:
        emulator.forbid(33, f"{len(dataset.buffers)} {what} buffers, the model has {expected}")
    return [emulator.find(handle, DataBuffer) for handle in dataset.buffers[:expected]]


def _check_size(buffer: DataBuffer, need: int, what: str) -> None:
    if buffer.address == 0:
        raise AclError(codes.INVALID_PARAM, f"{what}: the address is null")
    if buffer.size + 64 < need:
        raise AclError(codes.GE_PARAM_INVALID, f"{what}: E13025, {buffer.size} bytes, the model needs {need}")
    if buffer.size < need:
        # Up to 64 bytes short pass the real check in silence.
        raise emulator.breach(32, f"{what}: {buffer.size} bytes, the model needs {need}")
    if buffer.size > need:
        emulator.warn(f"{what}: {buffer.size} bytes, the model needs {need}")


def _device_block(buffer: DataBuffer, what: str, model: str) -> Block:
    block = memory.block_at(buffer.address)
    if block is None or not block.on_device:
        name = memory.name(buffer.address)
        raise emulator.breach(34, f"{what} of {model} must be device memory (malloc or dvpp_malloc), it is {name}")
    if buffer.address + buffer.size > block.end:
        text = f"{what} of {model}: {buffer.size} bytes, {block.end - buffer.address} are left in {block.describe()}"
        raise emulator.breach(32, text)
    block.check_guards()
    return block


def _check_apart(named: list[tuple[str, DataBuffer]]) -> None:
    spans = sorted((buffer.address, buffer.address + buffer.size, what) for what, buffer in named)
    for (_, end, first), (start, _, second) in zip(spans, spans[1:]):
        if start < end:
            emulator.forbid(33, f"{first} and {second} share memory")


def _aipp_of(om: Om, inputs: Dataset) -> dict[int, Aipp]:
    """Return the AIPP parameters by input, and refuse a dynamic one that was not set."""
    found = {}
    for index, tensor in enumerate(om.inputs):
        if tensor.aipp is None:
            continue
        found[index] = tensor.aipp
        if tensor.aipp.mode == "dynamic":
            if index not in inputs.aipp:
                raise AclError(codes.GE_AIPP_NOT_SET, f"input {index}: call set_input_aipp before ({AIPP_INPUT})")
            found[index] = inputs.aipp[index]
    return found


def find_model(number: int) -> Model:
    model = emulator.models.get(number)
    if model is None:
        code = codes.INVALID_MODEL_ID if emulator.profile.is_old else codes.GE_MODEL_ID_INVALID
        raise AclError(code, f"model {number}")
    return model  # type: ignore[no-any-return]


def own_model(number: int) -> Model:
    """Return a model that belongs to the current context."""
    model = find_model(number)
    if model.context is not emulator.context():
        raise AclError(codes.RT_MODEL_CONTEXT, f"model {number} belongs to context {model.context.handle:#x}")
    return model


def this_place() -> str:
    thread = threading.current_thread()
    return f"thread {thread.name} ({thread.ident})"
