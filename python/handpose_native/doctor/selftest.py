"""What only a real board can tell: a program of its own that asks it, within two minutes.

    python -m handpose_native.doctor.selftest [MODEL.om]

It prints a line of JSON for each answer as soon as it has it, so that what is known stays known where a later question
ends the program. The riskier ones come last.
"""

from __future__ import annotations

import base64
import ctypes
import importlib
import json
import statistics
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["QUESTIONS", "main"]

#: What is asked, by the name of the answer.
QUESTIONS = {
    "identity": "chip, run mode (0: the board's own processor), versions",
    "functions": "functions that not every CANN has",
    "bad_argument": "the exception for a wrong type",
    "alignment": "the power of two that divides all addresses of 100 blocks",
    "bandwidth": "writing and reading device memory by the processor, against heap memory, GB/s (RC only)",
    "streams": "600 streams made and destroyed, ms",
    "synchronize": "recording an event and waiting for it, microseconds",
    "jpegd": "strides of a JPEG of 272x40 decoded by JPEGD, by the strides asked for: what the calls return, what the "
    "description says, and how many bytes apart its rows really are (RC only)",
    "execute": "one run of the model: execute, and execute_async with synchronize_stream, ms",
    "gil": "ticks per ms of another Python thread during either; few during execute: it keeps the GIL",
    "heap_input": "what execute returns for an input in heap memory (RC only)",
    "again": "what init returns after finalize",
}
_HUGE_FIRST, _RC = 0, 0
_SECONDS = 0.5
_NV12 = 1
#: A JPEG of 272 x 40 pixels, black, but for the 16 columns on the left: white where a row begins. 272 rounded up to a
#: multiple of 16, of 64 and of 128 is three different numbers.
_JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqm"
    "x5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAoARAD"
    "ASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAAAAcG/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/EABQBAQAAAAAAAAAAAAAAAAAAAAD/xAAUEQEA"
    "AAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwDTAAmYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAKYACZgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "pgAJmAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD//Z"
)
_STRIDES = {"unset": (0, 0), "16x2": (272, 40), "64x16": (320, 48), "128x16": (384, 48)}


class AclError(Exception):
    """A call returned something else than 0."""


def _checked(name: str, ret: int) -> None:
    if ret != 0:
        raise AclError(f"{name} returned {ret}")


def _value(name: str, pair: tuple[Any, int]) -> Any:
    value, ret = pair
    _checked(name, ret)
    return value


def _repeated(work: Callable[[], None], seconds: float = _SECONDS) -> float:
    """Return the median duration in seconds."""
    durations: list[float] = []
    deadline_s = time.perf_counter() + seconds
    while len(durations) < 5 or time.perf_counter() < deadline_s:
        began_s = time.perf_counter()
        work()
        durations.append(time.perf_counter() - began_s)
    return statistics.median(durations)


@contextmanager
def _device_memory(acl: Any, size: int) -> Iterator[int]:
    pointer = _value("malloc", acl.rt.malloc(size, _HUGE_FIRST))
    try:
        yield pointer
    finally:
        _checked("free", acl.rt.free(pointer))


def _identity(acl: Any) -> dict[str, Any]:
    version = list(acl.get_version()) if hasattr(acl, "get_version") else None
    memory = acl.rt.get_mem_info(0)
    return {"soc": acl.get_soc_name(), "run_mode": acl.rt.get_run_mode()[0], "version": version, "memory": list(memory)}


def _functions(acl: Any) -> dict[str, Any]:
    wanted = {
        "acl": ("get_recent_err_msg", "finalize_reference", "get_data_buffer_size_v2"),
        "mdl": ("set_input_aipp", "set_input_AIPP", "get_input_dims_v2"),
        "rt": ("malloc_align32", "create_stream_with_config", "create_event_ex_with_flag"),
        "util": ("bytes_to_ptr", "numpy_to_ptr", "ptr_to_numpy"),
    }
    found = {}
    for module, names in wanted.items():
        place = acl if module == "acl" else getattr(acl, module, None)
        found[module] = {name: hasattr(place, name) for name in names}
    remap = [name for part in ("media", "himpi") for name in dir(getattr(acl, part, None)) if "remap" in name]
    return {**found, "media": hasattr(acl, "media"), "himpi": hasattr(acl, "himpi"), "remap": remap}


def _bad_argument(acl: Any) -> str:
    try:
        acl.rt.malloc("size", _HUGE_FIRST)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def _alignment(acl: Any) -> dict[str, int]:
    result = {}
    ways: dict[str, tuple[Callable[[], Any], Callable[[int], int]]] = {
        "malloc": (lambda: acl.rt.malloc(1000, _HUGE_FIRST), acl.rt.free),
        "malloc_host": (lambda: acl.rt.malloc_host(1000), acl.rt.free_host),
    }
    for name, (make, free) in ways.items():
        pointers: list[int] = [_value(name, make()) for _ in range(100)]
        for pointer in pointers:
            _checked("free", free(pointer))
        together = 0
        for pointer in pointers:
            together |= pointer
        result[name] = together & -together
    return result


def _bandwidth(acl: Any) -> dict[str, Any] | str:
    if acl.rt.get_run_mode()[0] != _RC:
        return "not on a card"
    result = {}
    for size in (1 << 20, 16 << 20):
        heap = np.empty(size, np.uint8)
        with _device_memory(acl, size) as pointer:
            device = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pointer))
            for name, memory in (("device", device), ("heap", heap)):
                result[f"{name} {size >> 20} MB"] = _gigabytes_per_s(memory)
    return result


def _gigabytes_per_s(memory: NDArray[np.uint8]) -> dict[str, float]:
    other = np.ones_like(memory)
    write_s = _repeated(lambda: np.copyto(memory, other))
    read_s = _repeated(lambda: np.copyto(other, memory))
    return {"write": memory.size / write_s / 1e9, "read": memory.size / read_s / 1e9}


def _streams(acl: Any) -> float:
    began_s = time.perf_counter()
    for _ in range(600):
        _checked("destroy_stream", acl.rt.destroy_stream(_value("create_stream", acl.rt.create_stream())))
    return (time.perf_counter() - began_s) * 1e3


def _synchronize(acl: Any) -> float:
    stream = _value("create_stream", acl.rt.create_stream())
    event = _value("create_event", acl.rt.create_event())

    def once() -> None:
        _checked("record_event", acl.rt.record_event(event, stream))
        _checked("synchronize_stream", acl.rt.synchronize_stream(stream))

    median_s = _repeated(once)
    _checked("destroy_event", acl.rt.destroy_event(event))
    _checked("destroy_stream", acl.rt.destroy_stream(stream))
    return median_s * 1e6


def _jpegd(acl: Any) -> dict[str, Any] | str:
    if acl.rt.get_run_mode()[0] != _RC:
        return "not on a card"
    media, data = acl.media, base64.b64decode(_JPEG)
    channel = media.dvpp_create_channel_desc()
    _checked("dvpp_create_channel", media.dvpp_create_channel(channel))
    stream = _value("create_stream", acl.rt.create_stream())
    source = _value("dvpp_malloc", media.dvpp_malloc(len(data)))
    ctypes.memmove(source, data, len(data))
    result: dict[str, Any] = {"predicted": list(media.dvpp_jpeg_predict_dec_size(source, len(data), _NV12))}
    for name, strides in _STRIDES.items():
        result[name] = _decode(acl, (channel, source, len(data)), stream, strides)
    _checked("dvpp_free", media.dvpp_free(source))
    _checked("destroy_stream", acl.rt.destroy_stream(stream))
    _checked("dvpp_destroy_channel", media.dvpp_destroy_channel(channel))
    _checked("dvpp_destroy_channel_desc", media.dvpp_destroy_channel_desc(channel))
    return result


def _decode(acl: Any, what: tuple[int, int, int], stream: int, strides: tuple[int, int]) -> dict[str, Any]:
    """Decode the JPEG with these strides asked for."""
    media, size = acl.media, 1 << 16
    target = _value("dvpp_malloc", media.dvpp_malloc(size))
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(target))
    memory[:] = 1
    picture = media.dvpp_create_pic_desc()
    fields = {"data": target, "size": size, "format": _NV12}
    if strides[0]:
        fields.update(width=272, height=40, width_stride=strides[0], height_stride=strides[1])
    for name, value in fields.items():
        getattr(media, f"dvpp_set_pic_desc_{name}")(picture, value)
    told = {"decode": media.dvpp_jpeg_decode_async(*what, picture, stream)}
    told["synchronize"] = acl.rt.synchronize_stream(stream)
    for name in ("ret_code", "width", "height", "width_stride", "height_stride"):
        told[name] = getattr(media, f"dvpp_get_pic_desc_{name}")(picture)
    begins = np.flatnonzero(memory[: size * 2 // 3] > 200)
    apart = np.diff(begins[np.flatnonzero(np.diff(begins, prepend=-99) > 1)])
    told["bytes_apart"] = int(np.median(apart)) if len(apart) else 0
    media.dvpp_destroy_pic_desc(picture)
    _checked("dvpp_free", media.dvpp_free(target))
    return told


class _Model:
    """A model with memory for its inputs and outputs."""

    def __init__(self, acl: Any, path: str) -> None:
        self._acl = acl
        self.id = _value("load_from_file", acl.mdl.load_from_file(path))
        self._desc = acl.mdl.create_desc()
        _checked("get_desc", acl.mdl.get_desc(self._desc, self.id))
        self._pointers: list[int] = []
        self._buffers: list[int] = []
        self.inputs, self.outputs = self._dataset("input"), self._dataset("output")
        self.stream = _value("create_stream", acl.rt.create_stream())

    def _dataset(self, side: str) -> int:
        mdl = self._acl.mdl
        dataset: int = mdl.create_dataset()
        for index in range(getattr(mdl, f"get_num_{side}s")(self._desc)):
            size = getattr(mdl, f"get_{side}_size_by_index")(self._desc, index)
            pointer = _value("malloc", self._acl.rt.malloc(size, _HUGE_FIRST))
            _checked("memset", self._acl.rt.memset(pointer, size, 0, size))
            self._pointers.append(pointer)
            self._buffers.append(self._acl.create_data_buffer(pointer, size))
            _value("add_dataset_buffer", mdl.add_dataset_buffer(dataset, self._buffers[-1]))
        return dataset

    @property
    def first_size(self) -> int:
        return int(self._acl.mdl.get_input_size_by_index(self._desc, 0))

    @property
    def first_buffer(self) -> tuple[int, int]:
        """The data buffer of the first input, and its memory."""
        return self._buffers[0], self._pointers[0]

    def execute(self) -> None:
        _checked("execute", self._acl.mdl.execute(self.id, self.inputs, self.outputs))

    def execute_async(self) -> None:
        _checked("execute_async", self._acl.mdl.execute_async(self.id, self.inputs, self.outputs, self.stream))
        _checked("synchronize_stream", self._acl.rt.synchronize_stream(self.stream))

    def close(self) -> None:
        acl = self._acl
        for buffer in self._buffers:
            _checked("destroy_data_buffer", acl.destroy_data_buffer(buffer))
        for pointer in self._pointers:
            _checked("free", acl.rt.free(pointer))
        for dataset in (self.inputs, self.outputs):
            _checked("destroy_dataset", acl.mdl.destroy_dataset(dataset))
        _checked("destroy_desc", acl.mdl.destroy_desc(self._desc))
        _checked("unload", acl.mdl.unload(self.id))
        _checked("destroy_stream", acl.rt.destroy_stream(self.stream))


def _execute(model: _Model) -> dict[str, float]:
    model.execute_async()  # the first run pays for what is loaded late
    return {
        "execute": _repeated(model.execute, 1.5) * 1e3,
        "execute_async": _repeated(model.execute_async, 1.5) * 1e3,
    }


def _gil(model: _Model) -> dict[str, float]:
    result = {}
    for name, run in (("execute", model.execute), ("execute_async", model.execute_async)):
        ticks, ended = [0], threading.Event()

        def tick(ticks: list[int] = ticks, ended: threading.Event = ended) -> None:
            while not ended.is_set():
                ticks[0] += 1
                time.sleep(0.0001)

        thread = threading.Thread(target=tick)
        thread.start()
        began_s = time.perf_counter()
        while time.perf_counter() - began_s < 2.0:
            run()
        took_ms = (time.perf_counter() - began_s) * 1e3
        ended.set()
        thread.join()
        result[name] = ticks[0] / took_ms
    return result


def _heap_input(acl: Any, model: _Model) -> Any:
    if acl.rt.get_run_mode()[0] != _RC:
        return "not on a card"
    memory = np.zeros(model.first_size, np.uint8)
    buffer, pointer = model.first_buffer
    _checked("update_data_buffer", acl.update_data_buffer(buffer, memory.ctypes.data, memory.size))
    try:
        return acl.mdl.execute(model.id, model.inputs, model.outputs)
    finally:
        _checked("update_data_buffer", acl.update_data_buffer(buffer, pointer, memory.size))


def _tell(name: str, ask: Callable[[], Any]) -> None:
    told: dict[str, Any] = {"name": name, "what": QUESTIONS[name]}
    try:
        told["answer"] = ask()
    except Exception as error:  # an answer too, and the others are still to be asked
        told["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(told), flush=True)  # noqa: T201 - a program of its own


def main(model_path: str | None = None) -> None:
    """Ask everything; what needs a model only with one."""
    acl: Any = importlib.import_module("acl")  # of CANN, for which there are no types
    _checked("init", acl.init())
    _checked("set_device", acl.rt.set_device(0))
    _tell("identity", lambda: _identity(acl))
    _tell("functions", lambda: _functions(acl))
    _tell("alignment", lambda: _alignment(acl))
    _tell("bandwidth", lambda: _bandwidth(acl))
    _tell("streams", lambda: _streams(acl))
    _tell("synchronize", lambda: _synchronize(acl))
    _tell("jpegd", lambda: _jpegd(acl))
    if model_path is not None:
        model = _Model(acl, model_path)
        _tell("execute", lambda: _execute(model))
        _tell("gil", lambda: _gil(model))
        _tell("heap_input", lambda: _heap_input(acl, model))
        model.close()
    _tell("bad_argument", lambda: _bad_argument(acl))
    _checked("reset_device", acl.rt.reset_device(0))
    _checked("finalize", acl.finalize())
    _tell("again", lambda: _again(acl))


def _again(acl: Any) -> int:
    ret = int(acl.init())
    if ret == 0:
        _checked("finalize", acl.finalize())
    return ret


if __name__ == "__main__":
    main(*sys.argv[1:])
