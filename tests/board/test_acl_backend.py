"""Models on an emulated NPU: what they take and return, what a run costs, what is said when it fails."""

from __future__ import annotations

import threading
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import helper
from tests import networks

import handpose_native as hp
from handpose_native.backends import Backend, open_backend
from handpose_native.errors import ArgumentError, DeviceError, DeviceMemoryError, MissingDependencyError, ModelError

if TYPE_CHECKING:
    from .conftest import Board

AIPP = """aipp_op {{ aipp_mode: static input_format: {format} src_image_size_w: {w} src_image_size_h: {h}
    var_reci_chn_0: 0.003921568627 var_reci_chn_1: 0.003921568627 var_reci_chn_2: 0.003921568627 }}"""


def run(backend: Backend, value: Any, slot: int = 0) -> tuple[Any, ...]:
    backend.input_buffer(slot).array[...] = value
    backend.submit(slot)
    return tuple(view.copy() for view in backend.wait(slot))


def random_input(backend: Backend, rng: np.random.Generator) -> np.ndarray:
    (info,) = backend.inputs
    return (rng.random(info.shape) * (255 if info.dtype == np.uint8 else 1)).astype(info.dtype)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_the_same_numbers_as_onnx_runtime(
    board: Board, tmp_path: Path, rng: np.random.Generator, dtype: str, layout: str
) -> None:
    network = networks.save_marker_network(tmp_path / "m.onnx", (48, 64), dtype=dtype, layout=layout)
    with open_backend(network) as ours, open_backend(board.om(network)) as npu:
        assert npu.inputs == ours.inputs
        assert npu.outputs == ours.outputs
        assert npu.slots == 2
        for slot in (0, 1, 0):
            value = random_input(npu, rng)
            np.testing.assert_array_equal(run(npu, value, slot)[0], run(ours, value)[0])


def test_the_device_says_how_it_works(board: Board, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = board.om(networks.save_marker_network(tmp_path / "m.onnx"))
    with caplog.at_level("INFO", "handpose_native"), open_backend(model, slots=3) as npu:
        how = {"rc": "zero copy", "ep": "pinned copies"}[board.control.profile().run_mode]
        assert npu.device == f"Ascend310B4 (device 0), acl 1.1.0, {how}, slots=3"
        assert npu.metadata == {}
    assert npu.device in caplog.text
    assert f"run mode {board.control.profile().run_mode.upper()}" in caplog.text


def test_memory_is_aligned_cleared_and_stays(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with open_backend(model) as npu:
        for slot in range(npu.slots):
            buffer = npu.input_buffer(slot)
            assert buffer is npu.input_buffer(slot)
            assert buffer.address % 64 == 0
            assert buffer.array.ctypes.data == buffer.address
            assert not buffer.array.any()
        results = [run(npu, value) for value in (1.0, 2.0, 3.0)]
        assert [float(result.max()) for (result,) in results] == [1.0, 2.0, 3.0]


def test_slots_hold_their_own_frames(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with open_backend(model, slots=3) as npu:
        for slot in range(3):
            npu.input_buffer(slot).array[...] = slot
            npu.submit(slot)
        views = [npu.wait(slot)[0] for slot in (2, 0, 1)]
        assert [float(view.max()) for view in views] == [2.0, 0.0, 1.0]


def test_half_precision_inside_and_outside(board: Board, tmp_path: Path, rng: np.random.Generator) -> None:
    network = networks.save_marker_network(tmp_path / "m.onnx", (48, 64))
    model = board.om(network, input_fp16_nodes=["pixels"], output_type="FP16")
    with open_backend(network) as ours, open_backend(model) as npu:
        assert (npu.inputs[0].dtype, npu.outputs[0].dtype) == (np.float16, np.float16)
        value = random_input(npu, rng)
        expected = run(ours, value.astype(np.float32))[0]
        np.testing.assert_allclose(run(npu, value)[0], expected, rtol=2e-3, atol=1e-4)


def test_with_an_aipp_bytes_go_in(board: Board, tmp_path: Path) -> None:
    network = networks.save_marker_network(tmp_path / "m.onnx", (96, 96))
    model = board.om(network, insert_op_conf=AIPP.format(format="RGB888_U8", w=96, h=96))
    points = networks.marker_points((96, 96))
    picture = networks.draw_markers((96, 96), points, 6)
    with open_backend(model) as npu:
        (image,) = npu.inputs
        assert (image.dtype, image.layout, image.shape) == (np.uint8, "NHWC", (1, 96, 96, 3))
        assert image.normalises
        hp.preprocess(picture, layout="NHWC", out=npu.input_buffer(0))
        assert (npu.input_buffer(0).array[0] == picture[..., ::-1]).all()
        npu.submit(0)
        found, _ = hp.heatmap_peaks(npu.wait(0)[0][0], method="expectation")
        assert np.abs(found * 2 - points).max() < 0.25


def test_an_aipp_for_other_pictures_is_refused(board: Board, tmp_path: Path) -> None:
    network = networks.save_marker_network(tmp_path / "m.onnx", (48, 64))
    config = AIPP.format(format="YUV420SP_U8", w=64, h=48).replace("}", "csc_switch: true }")
    model = board.om(network, insert_op_conf=config)
    with pytest.raises(ModelError, match=r"'pixels'.*9216 bytes, but the model asks for 4608 .*RGB888_U8"):
        open_backend(model)


def test_a_dynamic_aipp_is_refused(board: Board, tmp_path: Path) -> None:
    network = networks.save_marker_network(tmp_path / "m.onnx", (48, 64))
    model = board.om(network, insert_op_conf="aipp_op { aipp_mode: dynamic max_src_image_size: 20000 }")
    with pytest.raises(ModelError, match=r"dynamic AIPP.*static"):
        open_backend(model)


def test_of_several_batch_sizes_the_smallest_is_run(board: Board, tmp_path: Path, rng: np.random.Generator) -> None:
    network = networks.save_identity(tmp_path / "i.onnx", ["n", 3, 4, 5])
    model = board.om(network, input_shape={"image": [-1, 3, 4, 5]}, dynamic_batch_size=[4, 1, 2])
    with open_backend(model) as npu:
        board.checks.remove("warnings")  # the memory is that of the largest batch, which CANN notes
        assert npu.inputs[0].shape == npu.outputs[0].shape == (1, 3, 4, 5)
        assert len(npu.inputs) == 1
        for slot in range(npu.slots):
            value = random_input(npu, rng)
            np.testing.assert_array_equal(run(npu, value, slot)[0], value)


def test_other_open_sizes_are_refused(board: Board, tmp_path: Path) -> None:
    network = networks.save_identity(tmp_path / "i.onnx", [1, 3, "h", "w"])
    model = board.om(network, input_shape={"image": [1, 3, -1, -1]}, dynamic_image_size=[[4, 5], [8, 10]])
    with pytest.raises(ModelError, match="open in the batch only"):
        open_backend(model)


def two_inputs(path: Path, results: int = 1) -> Path:
    """A network that adds the sum of a matrix to the image's mean, and returns the matrix as int32 as well."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("ReduceSum", ["matrix"], ["sum"], keepdims=0),
        helper.make_node("Add", ["mean", "sum"], ["total"]),
        helper.make_node("Expand", ["total", "count"], ["result"]),
        helper.make_node("Cast", ["matrix"], ["whole"], to=6),
    ]
    inputs = {"matrix": ("float32", [3, 3]), "image": ("float32", [1, 3, 8, 8])}
    outputs = {"result": ("float32", [results]), "whole": ("int32", [3, 3])}
    return networks.save_graph(path, nodes, inputs, outputs, {"count": np.array([results], np.int64)})


def test_constant_inputs_are_written_once(board: Board, tmp_path: Path) -> None:
    model = board.om(two_inputs(tmp_path / "t.onnx"))
    with open_backend(model) as npu:
        assert [one.name for one in npu.inputs] == ["matrix", "image"]
        assert [one.layout for one in npu.inputs] == [None, "NCHW"]
        assert npu.outputs[1].dtype == np.int32
        npu.set_constant(0, np.arange(9).reshape(3, 3))
        before = board.calls("rt.memcpy_async")
        for slot, value in ((0, 1.0), (1, 2.0), (0, 3.0)):
            npu.input_buffer(slot, 1).array[...] = value
            npu.submit(slot)
            total, whole = npu.wait(slot)
            assert float(total[0]) == 36 + value
            assert (whole == np.arange(9).reshape(3, 3)).all()
        copies = 3 if board.control.profile().is_ep else 0  # the image in, two outputs out
        assert board.calls("rt.memcpy_async") - before == 3 * copies
        with pytest.raises(ArgumentError, match=r"input 'matrix' must be float32 \(3, 3\)"):
            npu.set_constant(0, np.zeros((2, 2)))
        with pytest.raises(ArgumentError, match=r"index must be 0\.\.1"):
            npu.set_constant(2, 0)


def test_only_selected_outputs_are_fetched(board: Board, tmp_path: Path) -> None:
    model = board.om(two_inputs(tmp_path / "t.onnx"))
    with open_backend(model) as npu:
        npu.select_outputs([0])
        before = board.calls("rt.memcpy_async")
        npu.submit(0)
        npu.wait(0)
        assert board.calls("rt.memcpy_async") - before == (3 if board.control.profile().is_ep else 0)
        with pytest.raises(ArgumentError, match=r"indices must be 0\.\.1; got \(0, 2\)"):
            npu.select_outputs([0, 2])


def test_a_run_on_a_board_copies_and_allocates_nothing(board: Board, tmp_path: Path) -> None:
    with open_backend(board.om(networks.save_marker_network(tmp_path / "m.onnx", (48, 64)))) as npu:
        before = board.control.calls()
        for frame in range(20):
            npu.submit(frame % 2)
            npu.wait(frame % 2)
        after = board.control.calls()
        used = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
        copies = {"rt.memcpy_async": 40} if board.control.profile().is_ep else {}
        assert used == {"rt.get_context": 40, "mdl.execute_async": 20, "rt.synchronize_stream": 20, **copies}


def test_memory_does_not_grow_with_runs(board: Board, tmp_path: Path) -> None:
    with open_backend(board.om(networks.save_marker_network(tmp_path / "m.onnx", (48, 64)))) as npu:

        def frames(count: int) -> tracemalloc.Snapshot:
            for frame in range(count):
                npu.submit(frame % 2)
                npu.wait(frame % 2)
            return tracemalloc.take_snapshot().filter_traces([ours])

        ours = tracemalloc.Filter(True, str(Path(hp.__file__).parent / "*"))
        tracemalloc.start()
        before = frames(100)
        after = frames(300)
        tracemalloc.stop()
    assert sum(one.size_diff for one in after.compare_to(before, "filename")) < 1000


def test_flushing_serves_boards_whose_caches_are_not_coherent(blank_board: Board, tmp_path: Path) -> None:
    blank_board.start(non_coherent=True)
    model = blank_board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with open_backend(model, flush=True) as npu:
        assert npu.device.endswith(", flush")
        assert [float(run(npu, value)[0].max()) for value in (1.0, 2.0)] == [1.0, 2.0]
    with open_backend(model) as npu:
        assert run(npu, 3.0)[0].max() != 3.0  # else the test above would show nothing


def test_other_threads_run_while_one_waits(board: Board, tmp_path: Path) -> None:
    board.control.set_latency("i", 300)
    went_on: list[bool] = []
    with open_backend(board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))) as npu:
        other = threading.Thread(target=lambda: (time.sleep(0.05), went_on.append(True)))
        npu.submit(0)
        other.start()
        npu.wait(0)
        assert went_on == [True]
        other.join()


def test_threads_need_no_context_of_their_own(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    failures: list[BaseException] = []

    def work(npu: Backend, slot: int) -> None:
        try:
            for value in range(20):
                assert run(npu, value + 100 * slot, slot)[0].max() == value + 100 * slot
        except BaseException as error:
            failures.append(error)

    with open_backend(model, slots=3) as npu:
        threads = [threading.Thread(target=work, args=(npu, slot)) for slot in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_failed_run_says_why_and_the_slot_goes_on(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with open_backend(model) as npu:
        board.control.inject("mdl.execute_async", 1, 507015, late=True)
        npu.submit(0)
        npu.submit(1)
        with pytest.raises(DeviceError) as caught:
            npu.wait(0)
        assert caught.value.code == 507015
        for part in ("acl.rt.synchronize_stream", "507015 ACL_ERROR_RT_AICORE_EXCEPTION", "AI core failed", "injected"):
            assert part in str(caught.value)
        npu.wait(1)  # the failure is of the other run only
        assert run(npu, 7.0)[0].max() == 7.0


def test_a_run_that_cannot_be_queued_says_why_and_the_slot_goes_on(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with open_backend(model) as npu:
        board.control.inject("mdl.execute_async", 1, 500002)
        with pytest.raises(DeviceError, match=r"acl\.mdl\.execute_async: 500002 ACL_ERROR_GE_FAILURE"):
            npu.submit(0)
        with pytest.raises(ArgumentError, match="slot 0 has not been submitted"):
            npu.wait(0)
        assert run(npu, 7.0)[0].max() == 7.0


def test_errors_of_old_versions_of_cann(blank_board: Board, tmp_path: Path) -> None:
    blank_board.start(cann="old", soc="Ascend310")
    model = blank_board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with open_backend(model) as npu:
        assert "Ascend310 " in npu.device
        blank_board.control.inject("mdl.execute_async", 1, 999999)
        with pytest.raises(DeviceError, match=r"execute_async: 999999 \(a fault inside CANN; not in the table"):
            npu.submit(0)


def test_a_function_that_this_version_of_cann_has_not(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    function = board.acl.mdl.get_aipp_type
    del board.acl.mdl.get_aipp_type
    try:
        with pytest.raises(DeviceError, match=r"acl\.mdl\.get_aipp_type: this version of CANN has no such function"):
            open_backend(model)
    finally:
        board.acl.mdl.get_aipp_type = function


def test_no_aipp_may_come_as_a_code(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    board.control.inject("mdl.get_aipp_type", 1, 145015)
    with open_backend(model) as npu:
        assert not npu.inputs[0].normalises


def test_too_little_memory(blank_board: Board, tmp_path: Path) -> None:
    blank_board.start(memory=100_000)
    model = blank_board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 100, 100]))
    with pytest.raises(DeviceMemoryError, match=r"acl\.rt\.malloc: 207001 .*out of device memory") as caught:
        open_backend(model)
    assert caught.value.code == 207001
    assert isinstance(caught.value, MemoryError)


def test_files_that_are_no_models_for_this_chip(board: Board, tmp_path: Path) -> None:
    network = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5])
    model = board.om(network)
    board.start(soc="Ascend310B1", run_mode=board.control.profile().run_mode)
    with pytest.raises(ModelError, match=r"not a model for this device, Ascend310B1: .*507008 .*another chip"):
        open_backend(model)
    (tmp_path / "text.om").write_text("no model")
    with pytest.raises((ModelError, DeviceError), match=r"acl\.mdl\.load_from_file"):
        open_backend(tmp_path / "text.om")


@pytest.mark.parametrize("kind", ["input", "output"])
def test_sizes_that_disagree_are_told_before_anything_runs(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    monkeypatch.setattr(board.acl.mdl, f"get_{kind}_size_by_index", lambda *_: 256)
    name = {"input": "image", "output": "result"}[kind]
    with pytest.raises(ModelError, match=rf"{kind} '{name}', float32 \(1, 3, 4, 5\), has 240 bytes.* asks for 256"):
        open_backend(model)
    assert board.calls("mdl.execute_async", "mdl.execute") == 0


def test_a_data_type_that_numpy_has_not(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    monkeypatch.setattr(board.acl.mdl, "get_input_data_type", lambda *_: 27)
    with pytest.raises(ModelError, match="'image' has the ACL data type 27"):
        open_backend(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "slots must be an integer of at least 1"),
        ({"device_id": -1}, "device_id must be an integer of at least 0"),
        ({"flush": 1}, "flush must be True or False"),
        ({"threads": 2}, r"threads is for \.onnx and \.tflite models only"),
        ({"input_layout": "NWHC"}, "input_layout must be"),
    ],
)
def test_wrong_options(board: Board, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with pytest.raises(ArgumentError, match=message):
        open_backend(model, **options)
    assert board.calls("init") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_layout": "NHWC"}, "needs 3 channels there"),
        ({"input_hw": (8, 8)}, r"but input_hw is \(8, 8\)"),
        ({"image_input": "picture"}, r"image_input is 'picture', but the inputs are \['image'\]"),
    ],
)
def test_what_contradicts_the_model(board: Board, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with pytest.raises(ModelError, match=message):
        open_backend(model, **options)


def test_a_device_that_is_not_there(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    with pytest.raises(DeviceError, match=r"acl\.rt\.set_device: 107001 .*no device of this number"):
        open_backend(model, device_id=3)


def test_options_of_npus_are_refused_elsewhere(tmp_path: Path) -> None:
    network = networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5])
    for options in ({"device_id": 0}, {"flush": True}):
        with pytest.raises(ArgumentError, match=r"is for \.om models only"):
            open_backend(network, **options)


def test_without_pyacl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.om"
    path.write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "acl", None)
    with pytest.raises(MissingDependencyError, match=r"acl \(pyACL\) is needed to use an Ascend NPU.*set_env\.sh"):
        open_backend(path)


def test_another_package_called_acl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.om"
    path.write_bytes(b"x")
    (tmp_path / "acl.py").write_text("ROLES = ()")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "acl", raising=False)
    with pytest.raises(MissingDependencyError, match=r"another package is called acl here: .*acl\.py"):
        open_backend(path)
    __import__("sys").modules.pop("acl")
