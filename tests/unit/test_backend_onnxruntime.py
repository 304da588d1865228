"""ONNX Runtime behind the protocol, on small real networks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests import networks

import handpose_native as hp
from handpose_native.backends import Backend, open_backend
from handpose_native.errors import ArgumentError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime", reason="the onnxruntime backend needs onnxruntime")


def array(backend: Backend, slot: int = 0, index: int = 0) -> Any:
    return backend.input_buffer(slot, index).array  # type: ignore[attr-defined]


def run(backend: Backend, slot: int = 0) -> tuple[Any, ...]:
    backend.submit(slot)
    return backend.wait(slot)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_dtype_layout_and_sizes_come_from_the_model(tmp_path: Path, dtype: str, layout: str) -> None:
    path = networks.save_marker_network(tmp_path / "m.onnx", (48, 64), dtype=dtype, layout=layout)
    with open_backend(path, threads=1) as backend:
        (image,) = backend.inputs
        assert (image.name, image.dtype, image.layout) == ("pixels", np.dtype(dtype), layout)
        assert image.shape == ((1, 3, 48, 64) if layout == "NCHW" else (1, 48, 64, 3))
        (maps,) = backend.outputs
        assert (maps.name, maps.shape, maps.layout) == ("heatmaps", (1, 21, 24, 32), None)
        assert maps.dtype == np.dtype("float16" if dtype == "float16" else "float32")
        assert backend.slots == 1
        assert backend.metadata == {}
        assert "CPU" in backend.device
        assert "threads=1" in backend.device


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_preprocess_writes_into_the_memory_that_the_model_reads(tmp_path: Path, dtype: str, layout: str) -> None:
    path = networks.save_marker_network(tmp_path / "m.onnx", (96, 96), dtype=dtype, layout=layout)
    points = networks.marker_points((96, 96))
    picture = networks.draw_markers((96, 96), points, 6)
    with open_backend(path) as backend:
        hp.preprocess(picture, layout=layout, out=backend.input_buffer(0))
        (maps,) = run(backend)
        found, heights = hp.heatmap_peaks(maps[0], method="expectation")
        assert np.abs(found * 2 - points).max() < 0.25
        assert heights.min() > 0.9


def test_buffers_stay_where_they_are_and_outputs_follow_inputs(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5])
    with open_backend(path) as backend:
        buffer = backend.input_buffer(0)
        assert buffer is backend.input_buffer(0)
        assert buffer.address % 64 == 0
        assert array(backend).ctypes.data == buffer.address
        results = []
        for value in (1.0, 2.0, 3.0):
            array(backend)[...] = value
            (result,) = run(backend)
            assert (result == value).all()
            results.append(result)
        assert len({result.ctypes.data for result in results}) == 1
        assert results[0].ctypes.data % 64 == 0
        assert array(backend).ctypes.data == buffer.address


def test_slots_have_memory_of_their_own(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5])
    with open_backend(path, slots=3) as backend:
        for slot in range(3):
            array(backend, slot)[...] = slot
            backend.submit(slot)
        results = [backend.wait(slot)[0] for slot in (2, 0, 1)]
        assert [result[0, 0, 0, 0] for result in results] == [2, 0, 1]
        assert len({result.ctypes.data for result in results}) == 3


def test_overlapped_slots_keep_their_frames_apart(tmp_path: Path) -> None:
    path = networks.save_regression_network(tmp_path / "r.onnx", np.zeros(42))
    with open_backend(path, slots=3, threads=1) as backend:
        for frame in range(60):
            slot = frame % 3
            if frame >= 3:
                assert np.allclose(backend.wait(slot)[0], frame - 3)
            array(backend, slot)[...] = frame
            backend.submit(slot)
        assert [float(backend.wait(frame % 3)[0][0, 0]) for frame in (57, 58, 59)] == [57, 58, 59]


def test_one_slot_runs_in_the_calling_thread_and_more_in_one_worker(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5])
    before = threading.active_count()
    with open_backend(path) as backend:
        run(backend)
        assert threading.active_count() == before
    with open_backend(path, slots=2) as backend:
        run(backend, 0)
        run(backend, 1)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


@pytest.mark.parametrize("slots", [1, 3])
def test_submit_may_be_in_another_thread_than_wait(tmp_path: Path, slots: int) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5])
    with open_backend(path, slots=slots) as backend:
        array(backend)[...] = 5
        thread = threading.Thread(target=backend.submit, args=(0,))
        thread.start()
        thread.join()
        assert (backend.wait(0)[0] == 5).all()


def gather_network(path: Path) -> Path:
    """Write a network that fails where the first pixel is no valid index."""
    nodes = [
        networks.helper.make_node("ReduceMax", ["image"], ["largest"], keepdims=0),
        networks.helper.make_node("Cast", ["largest"], ["index"], to=networks.TensorProto.INT64),
        networks.helper.make_node("Gather", ["table", "index"], ["result"]),
    ]
    constants = {"table": np.arange(4, dtype=np.float32)}
    return networks.save_graph(
        path, nodes, {"image": ("float32", [1, 3, 4, 5])}, {"result": ("float32", [])}, constants
    )


@pytest.mark.parametrize("slots", [1, 2])
def test_errors_of_a_run_come_out_of_wait_and_the_slot_lives_on(
    tmp_path: Path, slots: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_backend(gather_network(tmp_path / "g.onnx"), slots=slots) as backend:
        array(backend)[...] = 99
        backend.submit(0)
        with pytest.raises(ModelError, match=r"g\.onnx: the model failed on slot 0: .*out of") as caught:
            backend.wait(0)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is not None
        array(backend)[...] = 2
        assert float(run(backend)[0]) == 2
    assert capfd.readouterr() == ("", "")


def test_close_while_a_run_is_under_way(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 256, 256])
    backend = open_backend(path, slots=2)
    backend.submit(0)
    backend.submit(1)
    backend.close()
    backend.close()
    with pytest.raises(ArgumentError, match="closed"):
        backend.wait(0)


def test_open_sizes_are_settled(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", ["batch", 3, "height", None])
    with pytest.raises(ModelError, match=r"\('batch', 3, 'height', None\).*leaves height or width open.*input_hw"):
        open_backend(path)
    with open_backend(path, input_hw=(6, 8)) as backend:
        assert backend.inputs[0].shape == (1, 3, 6, 8)
        assert backend.outputs[0].shape == (1, 3, 6, 8)
        array(backend)[...] = 4
        assert (run(backend)[0] == 4).all()


def test_an_open_batch_alone_needs_no_help(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", ["n", 6, 8, 3])
    with open_backend(path) as backend:
        assert (backend.inputs[0].shape, backend.inputs[0].layout) == ((1, 6, 8, 3), "NHWC")


def test_sizes_that_disagree(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 6, "width"])
    with pytest.raises(ModelError, match=r"\(1, 3, 6, 'width'\) \(NCHW\), but input_hw is \(7, 8\)"):
        open_backend(path, input_hw=(7, 8))


@pytest.mark.parametrize("shape", [[1, 3, 3, 3], [1, 4, 5, 6], [1, "c", 5, "w"], [1, 3, 5, 3]])
def test_a_layout_that_the_shape_does_not_tell(tmp_path: Path, shape: list[Any]) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", shape)
    with pytest.raises(ModelError, match=r"does not tell NCHW from NHWC.*input_layout"):
        open_backend(path)


def test_a_layout_that_is_given(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 5, 3])
    with open_backend(path, input_layout="NHWC") as backend:
        assert (backend.inputs[0].shape, backend.inputs[0].layout) == ((1, 3, 5, 3), "NHWC")
    path = networks.save_identity(tmp_path / "open.onnx", ["n", "c", "h", "w"])
    with open_backend(path, input_layout="NCHW", input_hw=(4, 6)) as backend:
        assert backend.inputs[0].shape == (1, 3, 4, 6)
    path = networks.save_identity(tmp_path / "nchw.onnx", [1, 3, 5, 6])
    with pytest.raises(ModelError, match=r"\(1, 3, 5, 6\), but input_layout is 'NHWC', which needs 3 channels"):
        open_backend(path, input_layout="NHWC")
    with pytest.raises(ArgumentError, match="input_layout must be 'NCHW', 'NHWC' or None; got 'CHW'"):
        open_backend(path, input_layout="CHW")


def test_an_input_that_is_no_image(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3])
    with pytest.raises(ModelError, match=r"'image' has the shape \(1, 3\); an image of four dimensions"):
        open_backend(path)


def two_inputs(path: Path, second: list[Any]) -> Path:
    nodes = [networks.helper.make_node("Add", ["image", "bias"], ["result"])]
    shapes = {"image": ("float32", [1, 3, 4, 5]), "bias": ("float32", second)}
    return networks.save_graph(path, nodes, shapes, {"result": ("float32", [1, 3, 4, 5])}, {})


def test_more_than_one_input(tmp_path: Path) -> None:
    with open_backend(two_inputs(tmp_path / "two.onnx", [1])) as backend:
        assert backend.inputs[1].layout is None
        array(backend, index=0)[...] = 2
        array(backend, index=1)[...] = 3
        assert (run(backend)[0] == 5).all()
    with pytest.raises(ModelError, match=r"'bias' has the shape \('n',\); only the image input may leave sizes open"):
        open_backend(two_inputs(tmp_path / "open.onnx", ["n"]))


def test_the_image_may_be_any_input(tmp_path: Path) -> None:
    nodes = [networks.helper.make_node("Add", ["scale", "image"], ["result"])]
    shapes = {"scale": ("float32", [1]), "image": ("float32", [1, 3, 4, 5])}
    path = networks.save_graph(tmp_path / "second.onnx", nodes, shapes, {"result": ("float32", [1, 3, 4, 5])}, {})
    for wanted in (None, "image", 1):
        with open_backend(path, image_input=wanted) as backend:
            assert [one.layout for one in backend.inputs] == [None, "NCHW"]
    for wrong in ("picture", 2, -1):
        with pytest.raises(ModelError, match=rf"image_input is {wrong!r}, but the inputs are \['scale', 'image'\]"):
            open_backend(path, image_input=wrong)


def test_which_of_two_images_has_to_be_said(tmp_path: Path) -> None:
    nodes = [networks.helper.make_node("Add", ["left", "right"], ["result"])]
    shapes = {name: ("float32", [1, 3, 4, 5]) for name in ("left", "right")}
    path = networks.save_graph(tmp_path / "two.onnx", nodes, shapes, {"result": ("float32", [1, 3, 4, 5])}, {})
    with pytest.raises(ModelError, match=r"several inputs of \['left', 'right'\] may be the image; say which"):
        open_backend(path)
    with open_backend(path, image_input="right") as backend:
        assert [one.layout for one in backend.inputs] == [None, "NCHW"]


def test_outputs_whose_declared_shape_is_open_or_wrong_get_the_real_one(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5], output_shape=["a", "b", "c", "d"])
    with open_backend(path) as backend:
        assert backend.outputs[0].shape == (1, 3, 4, 5)


def test_metadata_is_exposed(tmp_path: Path) -> None:
    path = networks.save_marker_network(tmp_path / "m.onnx", metadata={"handpose_native.spec": "{}", "who": "me"})
    with open_backend(path) as backend:
        assert backend.metadata == {"handpose_native.spec": "{}", "who": "me"}


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x08\x08\x12", bytes(range(256)) * 40])
def test_files_that_are_no_model(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.onnx: ONNX Runtime cannot load this file: ") as caught:
        open_backend(path)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert capfd.readouterr() == ("", "")


def test_a_model_that_is_cut_off(tmp_path: Path) -> None:
    path = networks.save_marker_network(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ModelError, match="cannot load this file"):
        open_backend(path)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_must_be_a_positive_integer(tmp_path: Path, threads: Any) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5])
    with pytest.raises(ArgumentError, match="threads must be an integer of at least 1, or None; got"):
        open_backend(path, threads=threads)


@pytest.mark.parametrize("slots", [1, 2])
def test_runs_leave_no_memory_behind(tmp_path: Path, slots: int) -> None:
    path = networks.save_marker_network(tmp_path / "m.onnx")
    with open_backend(path, slots=slots, threads=1) as backend:
        for _ in range(20):
            run(backend)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(1000):
                run(backend)
            gc.collect()
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    maps_bytes = 21 * 32 * 32 * 4
    assert kept < 8192
    assert peak < maps_bytes  # an output that was allocated in a run would show


@pytest.mark.parametrize("threads", [1, 2])
def test_eager_runs_give_the_same(tmp_path: Path, threads: int) -> None:
    path = networks.save_marker_network(tmp_path / "m.onnx", (96, 96))
    picture = networks.draw_markers((96, 96), networks.marker_points((96, 96)), 6)
    results = []
    for eager in (False, True):
        with open_backend(path, threads=threads, eager=eager) as backend:
            hp.preprocess(picture, out=backend.input_buffer(0))
            results += [run(backend)[0].copy() for _ in range(3)]
    assert results[0].any()
    assert all(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize(("set_before", "wanted"), [(None, "1"), ("true", "true")])
def test_nothing_is_told_to_others(tmp_path: Path, set_before: str | None, wanted: str) -> None:
    """In a process of its own: ONNX Runtime decides while it is imported first, and never tells anything on CI."""
    path, home = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]), tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "ORT_DISABLE_TELEMETRY"}}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home)}
    if set_before is not None:
        environment["ORT_DISABLE_TELEMETRY"] = set_before
    script = (
        "import os, sys; from handpose_native.backends import open_backend; open_backend(sys.argv[1]).close(); "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [wanted]
    assert list(home.rglob("*")) == []
