"""LiteRT behind the protocol, on small real networks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handpose_native as hp
from handpose_native.backends import Backend, open_backend
from handpose_native.errors import ArgumentError, DTypeError, ModelError

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="the litert backend needs ai-edge-litert")

from tests import litert_networks as networks  # noqa: E402  (needs ai-edge-litert)


def array(backend: Backend, slot: int = 0, index: int = 0) -> Any:
    return backend.input_buffer(slot, index).array  # type: ignore[attr-defined]


def run(backend: Backend, slot: int = 0) -> tuple[Any, ...]:
    backend.submit(slot)
    return backend.wait(slot)


def addresses(interpreter: Any) -> list[int]:
    details = interpreter.get_input_details() + interpreter.get_output_details()
    return [interpreter.tensor(one["index"])().ctypes.data for one in details]


@pytest.mark.parametrize("shape", [(1, 6, 8, 3), (1, 3, 6, 8)])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_dtype_layout_and_sizes_come_from_the_model(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    path = networks.save_affine(tmp_path / "a.tflite", shape, dtype=dtype)
    with open_backend(path, threads=1) as backend:
        (image,) = backend.inputs
        assert (image.name, image.shape, image.dtype) == ("image", shape, np.dtype(dtype))
        assert image.layout == ("NHWC" if shape[-1] == 3 else "NCHW")
        assert [(one.name, one.shape, one.dtype, one.layout) for one in backend.outputs] == [
            ("double", shape, np.dtype("float32"), None),
            ("more", shape, np.dtype("float32"), None),
        ]
        assert backend.metadata == {}
        assert backend.device.startswith("CPU, ai-edge-litert ")
        assert backend.device.endswith("threads=1")


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_preprocess_writes_into_the_tensor_that_the_model_reads(
    tmp_path: Path, dtype: str, rng: np.random.Generator
) -> None:
    path = networks.save_affine(tmp_path / "a.tflite", (1, 6, 8, 3), dtype=dtype)
    picture = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    reference = litert.Interpreter(model_path=str(path))
    reference.allocate_tensors()
    image, *outputs = reference.get_input_details() + reference.get_output_details()
    reference.set_tensor(image["index"], hp.preprocess(picture, size_hw=(6, 8), layout="NHWC", dtype=dtype))
    reference.invoke()
    with open_backend(path) as backend:
        buffer = backend.input_buffer(0)
        assert hp.preprocess(picture, layout="NHWC", out=buffer) is buffer
        results = run(backend)
        for result, output in zip(results, outputs):
            assert result.any()
            assert np.array_equal(result, reference.get_tensor(output["index"]))


def test_buffers_are_the_tensors_and_stay_where_they_are(tmp_path: Path) -> None:
    with open_backend(networks.save_affine(tmp_path / "a.tflite")) as backend:
        buffer = backend.input_buffer(0)
        assert buffer is backend.input_buffer(0)
        assert buffer.host_accessible is True
        assert (buffer.shape, buffer.dtype) == (backend.inputs[0].shape, backend.inputs[0].dtype)
        assert array(backend).flags.c_contiguous
        assert not array(backend).any()
        for value in (1.0, 2.0, 3.0):
            array(backend)[...] = value
            double, more = run(backend)
            assert (double == 2 * value).all()
            assert (more == 2 * value + 1).all()
            places = [one.ctypes.data for one in (array(backend), double, more)]
            assert places[0] == buffer.address
            assert all(place % 64 == 0 for place in places)
            assert places == addresses(backend._slots[0].interpreter)  # type: ignore[attr-defined]


def test_a_run_goes_on_while_old_views_are_held_and_views_outlive_the_backend(tmp_path: Path) -> None:
    backend = open_backend(networks.save_affine(tmp_path / "a.tflite"))
    held = [run(backend)[0] for _ in range(3)]
    inputs = array(backend)
    inputs[...] = 4
    held.append(run(backend)[0])
    backend.close()
    del backend
    gc.collect()
    assert all((one == 8).all() for one in held)  # one memory, the newest result
    assert (inputs == 4).all()


def test_slots_have_memory_of_their_own(tmp_path: Path) -> None:
    with open_backend(networks.save_affine(tmp_path / "a.tflite"), slots=3, threads=1) as backend:
        for slot in range(3):
            array(backend, slot)[...] = slot
            backend.submit(slot)
        results = [backend.wait(slot)[0] for slot in (2, 0, 1)]
        assert [result[0, 0, 0, 0] for result in results] == [4, 0, 2]
        assert len({result.ctypes.data for result in results}) == 3


def test_overlapped_slots_keep_their_frames_apart(tmp_path: Path) -> None:
    with open_backend(networks.save_affine(tmp_path / "a.tflite", (1, 64, 64, 3)), slots=3, threads=2) as backend:
        for frame in range(60):
            slot = frame % 3
            if frame >= 3:
                assert (backend.wait(slot)[1] == 2 * (frame - 3) + 1).all()
            array(backend, slot)[...] = frame
            backend.submit(slot)
        assert [float(backend.wait(frame % 3)[1].max()) for frame in (57, 58, 59)] == [115, 117, 119]


def test_one_slot_runs_in_the_calling_thread_and_more_in_one_worker(tmp_path: Path) -> None:
    path = networks.save_affine(tmp_path / "a.tflite")
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
    with open_backend(networks.save_affine(tmp_path / "a.tflite"), slots=slots) as backend:
        array(backend)[...] = 5
        thread = threading.Thread(target=backend.submit, args=(0,))
        thread.start()
        thread.join()
        assert (backend.wait(0)[0] == 10).all()


def test_close_while_a_run_is_under_way(tmp_path: Path) -> None:
    backend = open_backend(networks.save_affine(tmp_path / "a.tflite", (1, 256, 256, 3)), slots=2)
    backend.submit(0)
    backend.submit(1)
    backend.close()
    backend.close()
    for call in (backend.submit, backend.wait, backend.input_buffer):
        with pytest.raises(ArgumentError, match="closed"):
            call(0)


def gather_network(path: Path) -> Path:
    """Write a network that fails where a pixel is no valid index."""
    tensors = {
        "image": networks.Tensor("float32", [1, 2, 2, 3]),
        "index": networks.Tensor("int32", [1, 2, 2, 3]),
        "table": networks.Tensor("float32", [4], np.arange(4, dtype=np.float32)),
        "result": networks.Tensor("float32", [1, 2, 2, 3]),
    }
    operators = [("CAST", ["image"], ["index"]), ("GATHER", ["table", "index"], ["result"])]
    return networks.save(path, tensors, operators, ["image"], ["result"])


@pytest.mark.parametrize("slots", [1, 2])
def test_errors_of_a_run_come_out_of_wait_and_the_slot_lives_on(tmp_path: Path, slots: int) -> None:
    with open_backend(gather_network(tmp_path / "g.tflite"), slots=slots) as backend:
        array(backend)[...] = 99
        backend.submit(0)
        with pytest.raises(ModelError, match=r"g\.tflite: the model failed on slot 0: .*out of bounds") as caught:
            backend.wait(0)
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is not None
        array(backend)[...] = 2
        assert (run(backend)[0] == 2).all()


def where_network(path: Path, value: float, output: str, table_size: int = 64) -> Path:
    """Write a network with a tensor of as many rows as there are pixels of a value, beside one of fixed size.

    At the end it looks the places, 0 to 63, up in a table, and fails where that is too small.
    """
    image = networks.Tensor("float32", [1, 64, 64, 3])
    tensors = {
        "image": image,
        "value": networks.Tensor("float32", [1], np.array([value], np.float32)),
        "double": image,
        "equal": networks.Tensor("bool", [1, 64, 64, 3]),
        "places": networks.Tensor("int64", [0, 4]),
        "numbers": networks.Tensor("float32", [0, 4]),
        "rest": networks.Tensor("float32", [0, 4]),
        "index": networks.Tensor("int32", [0, 4]),
        "table": networks.Tensor("float32", [table_size], np.zeros(table_size, np.float32)),
        "found": networks.Tensor("float32", [0, 4]),
    }
    operators = [
        ("ADD", ["image", "image"], ["double"]),
        ("EQUAL", ["image", "value"], ["equal"]),
        ("WHERE", ["equal"], ["places"]),
        ("CAST", ["places"], ["numbers"]),
        ("MUL", ["numbers", "value"], ["rest"]),
        ("CAST", ["places"], ["index"]),
        ("GATHER", ["table", "index"], ["found"]),
    ]
    return networks.save(path, tensors, operators, ["image"], [output])


def test_sizes_that_depend_on_data(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"output 'places' must have a size, known before the run; .*\(0, 4\)"):
        open_backend(where_network(tmp_path / "output.tflite", 7, "places"))
    # A tensor inside that grows makes LiteRT move the others: seen when the model is tried out on ones.
    with pytest.raises(ModelError, match=r"sizes inside the model must not depend on data"):
        open_backend(where_network(tmp_path / "inside.tflite", 1, "double"))


@pytest.mark.parametrize(
    ("table_size", "message"), [(64, "sizes inside the model must not depend on data"), (4, "index out of bounds")]
)
def test_nobody_writes_to_the_old_place_of_a_tensor(tmp_path: Path, table_size: int, message: str) -> None:
    path = where_network(tmp_path / "late.tflite", 7, "double", table_size)
    with open_backend(path) as backend:
        array(backend)[...] = 3
        assert (run(backend)[0] == 6).all()
        array(backend)[...] = 7
        with pytest.raises(ModelError, match=rf"the model failed on slot 0: .*{message}"):
            run(backend)
        with pytest.raises(ModelError, match="have moved in an earlier run; open the model again"):
            backend.input_buffer(0)


def test_open_sizes_are_settled(tmp_path: Path) -> None:
    path = networks.save_affine(tmp_path / "a.tflite", (1, 1, 1, 3), open_shape=(-1, -1, -1, 3))
    with pytest.raises(ModelError, match=r"\(-1, -1, -1, 3\), which leaves height or width open.*input_hw"):
        open_backend(path)
    with open_backend(path, input_hw=(6, 8), slots=2) as backend:
        assert backend.inputs[0].shape == (1, 6, 8, 3)
        assert backend.outputs[0].shape == (1, 6, 8, 3)
        for slot in range(2):
            array(backend, slot)[...] = 4
            assert (run(backend, slot)[0] == 8).all()


def test_an_open_batch_alone_needs_no_help(tmp_path: Path) -> None:
    path = networks.save_affine(tmp_path / "a.tflite", (1, 6, 8, 3), open_shape=(-1, 6, 8, 3))
    with open_backend(path) as backend:
        assert (backend.inputs[0].shape, backend.inputs[0].layout) == ((1, 6, 8, 3), "NHWC")


def test_sizes_and_layouts_that_disagree(tmp_path: Path) -> None:
    path = networks.save_affine(tmp_path / "a.tflite", (1, 6, 8, 3))
    with pytest.raises(ModelError, match=r"\(1, 6, 8, 3\) \(NHWC\), but input_hw is \(7, 8\)"):
        open_backend(path, input_hw=(7, 8))
    with pytest.raises(ModelError, match=r"input_layout is 'NCHW', which needs 3 channels"):
        open_backend(path, input_layout="NCHW")
    with pytest.raises(ArgumentError, match="LiteRtBackend: input_layout must be 'NCHW', 'NHWC' or None; got 'HWC'"):
        open_backend(path, input_layout="HWC")
    for shape in [(1, 3, 5, 3), (1, 4, 5, 6)]:
        with pytest.raises(ModelError, match="does not tell NCHW from NHWC"):
            open_backend(networks.save_affine(path, shape))
    with pytest.raises(ModelError, match="an image of four dimensions, NCHW or NHWC, is needed"):
        open_backend(networks.save_affine(path, (4, 5, 3)))


def test_more_than_one_input(tmp_path: Path) -> None:
    image, bias = networks.Tensor("float32", [1, 4, 5, 3]), networks.Tensor("float32", [1])
    operators = [("ADD", ["image", "bias"], ["sum"])]
    tensors = {"image": image, "bias": bias, "sum": image}
    inputs = ["image", "bias"]
    with open_backend(networks.save(tmp_path / "two.tflite", tensors, operators, inputs, ["sum"])) as backend:
        assert backend.inputs[1].layout is None
        array(backend, index=0)[...] = 2
        array(backend, index=1)[...] = 3
        assert (run(backend)[0] == 5).all()
    tensors["bias"] = bias._replace(open_shape=[-1])
    with pytest.raises(ModelError, match=r"'bias' has the shape \(-1,\); only the image input may leave sizes open"):
        open_backend(networks.save(tmp_path / "open.tflite", tensors, operators, ["image", "bias"], ["sum"]))


def test_a_quantised_input_takes_stored_numbers(tmp_path: Path) -> None:
    path = networks.save_affine(tmp_path / "q.tflite", dtype="uint8", scale=0.5, zero_point=128)
    picture = np.full((4, 5, 3), 77, dtype=np.uint8)
    with open_backend(path) as backend:
        hp.preprocess(picture, layout="NHWC", out=backend.input_buffer(0))
        assert (array(backend) == 77).all()
        assert (run(backend)[0] == 154).all()
    with open_backend(networks.save_affine(path, dtype="int8", scale=0.5)) as backend, pytest.raises(DTypeError):
        hp.preprocess(picture, layout="NHWC", out=backend.input_buffer(0))


def test_inputs_that_are_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="input 'image' must be of numbers or bool; it is"):
        open_backend(networks.save_affine(tmp_path / "s.tflite", dtype="string"))


def test_an_operator_that_litert_does_not_have(tmp_path: Path) -> None:
    image = networks.Tensor("float32", [1, 4, 5, 3])
    path = networks.save(tmp_path / "c.tflite", {"x": image, "y": image}, [("CUSTOM", ["x"], ["y"])], ["x"], ["y"])
    with pytest.raises(ModelError, match=r"c\.tflite: LiteRT cannot prepare this model: .*NoSuchOperator") as caught:
        open_backend(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a model at all", bytes(range(256)) * 40])
def test_files_that_are_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.tflite: LiteRT cannot load this file: ") as caught:
        open_backend(path)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_model_that_is_cut_off(tmp_path: Path) -> None:
    path = networks.save_affine(tmp_path / "a.tflite")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ModelError, match="cannot load this file"):
        open_backend(path)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_must_be_a_positive_integer(tmp_path: Path, threads: Any) -> None:
    path = networks.save_affine(tmp_path / "a.tflite")
    with pytest.raises(ArgumentError, match="LiteRtBackend: threads must be an integer of at least 1, or None; got"):
        open_backend(path, threads=threads)


def test_the_default_is_a_thread_per_core_and_at_most_four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = networks.save_affine(tmp_path / "a.tflite")
    for cores, threads in [(1, 1), (3, 3), (64, 4)]:
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, cores=cores: set(range(cores)))
        with open_backend(path) as backend:
            assert backend.device.endswith(f"threads={threads}")


@pytest.mark.parametrize("slots", [1, 2])
def test_runs_leave_no_memory_behind(tmp_path: Path, slots: int) -> None:
    with open_backend(networks.save_affine(tmp_path / "a.tflite", (1, 32, 32, 3)), slots=slots, threads=1) as backend:
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
    output_bytes = 32 * 32 * 3 * 4
    assert kept < 8192
    assert peak < output_bytes  # an output that was copied in a run would show


def test_closing_gives_the_interpreter_back_without_the_garbage_collector(tmp_path: Path) -> None:
    path = networks.save_affine(tmp_path / "a.tflite")
    code = (
        "import gc, sys, weakref; gc.disable()\n"
        "from handpose_native.backends import open_backend\n"
        "with open_backend(sys.argv[1], slots=2) as backend:\n"
        "    interpreter = weakref.ref(backend._slots[1].interpreter)\n"
        "print(interpreter())\n"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "None"
