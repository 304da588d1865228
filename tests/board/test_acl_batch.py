"""Several images in one run, where a model was made for several batch sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests import networks
from tests.pipeline.test_hands import scene

import handpose_native as hp
from handpose_native.backends import open_backend
from handpose_native.errors import ArgumentError, DeviceError

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Board


@pytest.fixture(autouse=True)
def roomy(board: Board) -> None:
    """The memory is that of the largest batch, which CANN notes in its log where a smaller one runs."""
    board.checks.remove("warnings")


def identity(board: Board, folder: Path, sizes: list[int]) -> Path:
    network = networks.save_identity(folder / "i.onnx", ["n", 3, 4, 5])
    return board.om(network, input_shape={"image": [-1, 3, 4, 5]}, dynamic_batch_size=sizes)


def test_as_many_results_as_images(board: Board, tmp_path: Path, rng: np.random.Generator) -> None:
    with open_backend(identity(board, tmp_path, [4, 1, 2])) as npu:
        assert npu.max_batch == 4
        assert npu.inputs[0].shape == (1, 3, 4, 5)
        made = board.calls("rt.malloc", "rt.malloc_host")
        for count in (1, 3, 4, 2, 2, 1):
            values = rng.random((count, 3, 4, 5), np.float32)
            for item in range(count):
                buffer = npu.input_buffer(1, 0, item)
                assert buffer.shape == (1, 3, 4, 5)
                assert buffer.array.ctypes.data == buffer.address
                buffer.array[...] = values[item]
            npu.submit(1, count)
            np.testing.assert_array_equal(npu.wait(1)[0], values)
        assert board.calls("rt.malloc", "rt.malloc_host") == made
        assert board.calls("mdl.set_dynamic_batch_size") == 3 * 2 + 3  # for both slots, then where it changes


def test_a_batch_size_that_cannot_be_set(board: Board, tmp_path: Path) -> None:
    with open_backend(identity(board, tmp_path, [1, 2])) as npu:
        npu.input_buffer(0, 0, 0).array[...], npu.input_buffer(0, 0, 1).array[...] = 1, 2
        board.control.inject("mdl.set_dynamic_batch_size", code=145013)
        with pytest.raises(DeviceError, match="145013 ACL_ERROR_GE_DYNAMIC_BATCH_SIZE_INVALID"):
            npu.submit(0, 2)
        npu.submit(0, 2)
        assert [float(one.max()) for one in npu.wait(0)[0]] == [1, 2]


def test_counts_that_are_refused(board: Board, tmp_path: Path) -> None:
    with open_backend(identity(board, tmp_path, [1, 2])) as npu:
        for count in (0, 3):
            with pytest.raises(ArgumentError, match=rf"submit: count must be 1\.\.2; got {count}"):
                npu.submit(0, count)
        with pytest.raises(ArgumentError, match=r"input_buffer: item must be 0\.\.1; got 2"):
            npu.input_buffer(0, 0, 2)
    with open_backend(board.om(networks.save_identity(tmp_path / "j.onnx", [1, 3, 4, 5]))) as npu:
        assert npu.max_batch == 1
        with pytest.raises(ArgumentError, match=r"count must be 1\.\.1; got 2"):
            npu.submit(0, 2)


def test_without_a_batch_of_one_the_smallest_is_run(board: Board, tmp_path: Path) -> None:
    with open_backend(identity(board, tmp_path, [2, 4])) as npu:
        assert npu.max_batch == 1
        assert npu.inputs[0].shape == (2, 3, 4, 5)
        npu.input_buffer(0).array[...] = 3
        npu.submit(0)
        assert npu.wait(0)[0].shape == (2, 3, 4, 5)


def markers(board: Board, folder: Path, sizes: list[int] | None) -> Path:
    network = networks.open_batch(networks.save_marker_network(folder / f"m{len(sizes or [])}.onnx", (64, 64)))
    if sizes is None:
        return board.om(network, input_shape={"pixels": [1, 3, 64, 64]})
    return board.om(network, input_shape={"pixels": [-1, 3, 64, 64]}, dynamic_batch_size=sizes)


@pytest.mark.parametrize(("sizes", "runs"), [([1, 2], 2), ([1, 4], 1), ([1, 2, 3], 1)])
def test_regions_are_looked_at_together(board: Board, tmp_path: Path, sizes: list[int], runs: int) -> None:
    frame = np.full((64, 192, 3), 60, np.uint8)
    for place in range(3):
        frame[:, 64 * place : 64 * place + 64] = networks.draw_markers(
            (64, 64), networks.marker_points((64, 64), place), 4
        )
    rois = [(64 * place, 0, 64, 64) for place in range(3)]
    spec = hp.ModelSpec("markers", "heatmap", "rgb", method="expectation")
    found: list[list[Any]] = []
    for gears in (None, sizes):
        model = markers(board, tmp_path, gears)
        before = board.calls("mdl.execute_async")
        with hp.Pipeline(model, spec=spec, roi=rois, min_presence=0.0) as pipe:
            results = list(pipe.stream(np.stack([frame] * 3), policy="all"))
        found.append([[hand.keypoints for hand in result.hands] for result in results])
    assert board.calls("mdl.execute_async") - before == 3 * runs
    np.testing.assert_array_equal(found[0], found[1])


def test_hands_that_are_followed_are_looked_at_together(board: Board, tmp_path: Path) -> None:
    frames = [scene((150 + 4 * i, 150), (450, 300 - 3 * i), yellow=(True, False)) for i in range(12)]
    found: list[list[Any]] = []
    for name, sizes in (("single", None), ("batch", [1, 2])):
        folder = tmp_path / name
        folder.mkdir()
        networks.save_hand_networks(folder)
        board.om(folder / "palm_detection_toy.onnx")
        landmarks = networks.open_batch(folder / "hand_landmark_toy.onnx")
        shape = [1 if sizes is None else -1, 224, 224, 3]
        board.om(landmarks, input_shape={"pixels": shape}, **({"dynamic_batch_size": sizes} if sizes else {}))
        for network in folder.glob("*.onnx"):
            network.unlink()
        before = board.calls("mdl.execute_async")
        with hp.Pipeline(folder, max_hands=2) as pipe:
            results = list(pipe.stream(np.stack(frames)))
        runs = board.calls("mdl.execute_async") - before
        found.append([[(hand.track_id, hand.handedness, hand.keypoints) for hand in one.hands] for one in results])
    # The palm detector and both hands in the first frame, then one run for both.
    assert runs == 3 + 11
    for single, batch in zip(*found):
        assert [one[:2] for one in single] == [one[:2] for one in batch]
        assert len(batch) == 2
        for (*_, expected), (*_, keypoints) in zip(single, batch):
            np.testing.assert_allclose(keypoints, expected, atol=1e-3)
