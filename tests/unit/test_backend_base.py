"""The rules that every backend keeps: slots, buffers, the choice by suffix."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from handpose_native.backends import Backend, HostBuffer, TensorInfo, open_backend
from handpose_native.errors import ArgumentError, MissingDependencyError, ModelError

if TYPE_CHECKING:
    from pathlib import Path


class Doubler(Backend):
    """One input of four numbers; the output is twice the input, unless a run is told to fail."""

    device = "test"

    def __init__(self, slots: int = 1) -> None:
        super().__init__(slots)
        self.inputs = (TensorInfo("x", (4,), np.dtype(np.float32)),)
        self.outputs = (TensorInfo("y", (4,), np.dtype(np.float32)),)
        self.metadata = {}
        self.buffers = [HostBuffer((4,), np.float32) for _ in range(slots)]
        self.results = [HostBuffer((4,), np.float32) for _ in range(slots)]
        self.fail: BaseException | None = None
        self.released = 0

    def _buffer(self, slot: int, index: int) -> HostBuffer:
        return self.buffers[slot]

    def _start(self, slot: int) -> None:
        self.results[slot].array[...] = self.buffers[slot].array * 2

    def _finish(self, slot: int) -> tuple[np.ndarray, ...]:
        if self.fail is not None:
            raise self.fail
        return (self.results[slot].array,)

    def _release(self) -> None:
        self.released += 1


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("shape", [(1, 3, 5, 7), (1,), (3, 0)])
def test_host_buffer_is_aligned_zeroed_and_its_array_is_the_memory(shape: tuple[int, ...], dtype: str) -> None:
    buffer = HostBuffer(shape, dtype)
    assert buffer.shape == shape
    assert buffer.dtype == np.dtype(dtype)
    assert buffer.host_accessible is True
    assert buffer.address % 64 == 0
    assert buffer.array.ctypes.data == buffer.address
    assert buffer.array.shape == shape
    assert buffer.array.dtype == buffer.dtype
    assert buffer.array.flags.c_contiguous
    assert buffer.array.flags.writeable
    assert not buffer.array.any()


def test_a_slot_is_filled_submitted_and_waited_for() -> None:
    backend = Doubler(2)
    for slot in range(2):
        backend.input_buffer(slot).array[...] = slot + 1  # type: ignore[attr-defined]
        backend.submit(slot)
    assert backend.wait(1)[0].tolist() == [4.0] * 4
    assert backend.wait(0)[0].tolist() == [2.0] * 4
    backend.submit(0)
    backend.wait(0)


@pytest.mark.parametrize("slots", [0, -1, 1.0, True, "1"])
def test_slots_must_be_a_positive_integer(slots: int) -> None:
    with pytest.raises(ArgumentError, match="slots must be an integer of at least 1; got"):
        Doubler(slots)


@pytest.mark.parametrize("slot", [-1, 2])
@pytest.mark.parametrize("method", ["input_buffer", "submit", "wait"])
def test_a_slot_that_does_not_exist(method: str, slot: int) -> None:
    with pytest.raises(ArgumentError, match=rf"{method}: slot must be 0\.\.1; got {slot}"):
        getattr(Doubler(2), method)(slot)


@pytest.mark.parametrize("index", [-1, 1])
def test_an_input_that_does_not_exist(index: int) -> None:
    with pytest.raises(ArgumentError, match=rf"index must be 0\.\.0; got {index}"):
        Doubler().input_buffer(0, index)


def test_submit_and_wait_out_of_order() -> None:
    backend = Doubler(2)
    with pytest.raises(ArgumentError, match="wait: slot 1 has not been submitted"):
        backend.wait(1)
    backend.submit(0)
    with pytest.raises(ArgumentError, match="submit: slot 0 is submitted already"):
        backend.submit(0)
    backend.wait(0)
    with pytest.raises(ArgumentError, match="wait: slot 0 has not been submitted"):
        backend.wait(0)


def test_after_a_failed_run_the_slot_is_free_and_after_an_interrupt_it_is_not() -> None:
    backend = Doubler()
    backend.submit(0)
    backend.fail = ModelError("broken")
    with pytest.raises(ModelError, match="broken"):
        backend.wait(0)
    backend.submit(0)
    backend.fail = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        backend.wait(0)
    backend.fail = None
    assert len(backend.wait(0)) == 1


@pytest.mark.parametrize("value", [3, [1.0, 2.0, 3.0, 4.0], np.arange(4, dtype=np.int64), np.float64(0.5)])
def test_a_constant_input_is_written_into_every_slot(value: object) -> None:
    backend = Doubler(2)
    backend.set_constant(0, value)  # type: ignore[arg-type]
    for slot in range(2):
        np.testing.assert_array_equal(backend.buffers[slot].array, np.broadcast_to(value, 4))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [[1, 2], "x", np.zeros((4, 4)), 1j])
def test_a_constant_of_another_shape_or_kind(value: object) -> None:
    with pytest.raises(
        ArgumentError, match=r"set_constant: a value for input 'x' must be float32 \(4,\) or fit it; got"
    ):
        Doubler().set_constant(0, value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "fits"), [(255, True), (256, False), (-1, False), (1.5, False), (2.0, True)])
def test_a_constant_must_be_in_the_range_of_its_type(value: float, fits: bool) -> None:
    backend = Doubler()
    backend.buffers = [HostBuffer((4,), np.uint8)]
    if fits:
        backend.set_constant(0, value)
        assert backend.buffers[0].array.tolist() == [value] * 4
        return
    with pytest.raises(ArgumentError, match="set_constant"):
        backend.set_constant(0, value)


def test_outputs_that_are_read_must_exist() -> None:
    Doubler().select_outputs([0, 0])
    with pytest.raises(ArgumentError, match=r"select_outputs: indices must be 0\.\.0; got \(1,\)"):
        Doubler().select_outputs([1])


def test_close_happens_once_and_ends_all_use() -> None:
    with Doubler() as backend:
        pass
    backend.close()
    assert backend.released == 1
    for call in (backend.submit, backend.wait, backend.input_buffer):
        with pytest.raises(ArgumentError, match="the backend is closed"):
            call(0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.pth", r"the suffix of a model file must be \.onnx, \.tflite or \.om"),
        ("model", r"the suffix of a model file must be \.onnx, \.tflite or \.om"),
    ],
)
def test_open_backend_names_what_it_cannot_run(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    with pytest.raises(ModelError, match=message) as caught:
        open_backend(path)
    assert str(path) in str(caught.value)


def test_open_backend_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model file .*missing\.onnx"):
        open_backend(tmp_path / "missing.onnx")
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(ModelError, match=r"folder\.onnx is a folder"):
        open_backend(str(folder))


@pytest.mark.parametrize(
    ("suffix", "module", "package"),
    [(".onnx", "onnxruntime", "onnxruntime"), (".tflite", "ai_edge_litert.interpreter", "ai_edge_litert")],
)
def test_a_missing_runtime_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, module: str, package: str
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingDependencyError, match=rf"{package} is needed to run \{suffix} models.*handpose_native\[cpu\]"
    ):
        open_backend(path)
