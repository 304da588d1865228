"""Pipelines with an NPU against the same networks on ONNX Runtime: bytes in, half precision out, real weights."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from tests import networks

import handpose_native as hp
from handpose_native.export.aipp import AippConfig
from handpose_native.export.hands import with_planes

from .test_acl_backend import AIPP, two_inputs

if TYPE_CHECKING:
    from .conftest import Board

MARKERS = hp.ModelSpec("markers", "heatmap", "rgb", method="expectation")


def aipp(side: int) -> str:
    return AIPP.format(format="RGB888_U8", w=side, h=side)


def scene() -> np.ndarray:
    image = np.zeros((480, 640, 3), np.uint8)
    image[130:170, 180:220, 2] = 255
    image[300:340, 400:440, 1:] = 255
    return image


def test_what_the_model_normalises_is_left_to_it(board: Board, tmp_path: Path) -> None:
    network = networks.save_marker_network(tmp_path / "m.onnx", (96, 96))
    frame = networks.draw_markers((120, 96), networks.marker_points((120, 96)), 6)
    with hp.Pipeline(network, spec=MARKERS) as pipe:
        (expected,) = pipe(frame)
    model = board.om(network, insert_op_conf=aipp(96))
    with hp.Pipeline(model, spec=MARKERS) as pipe:
        (hand,) = pipe(frame)
    # Grey levels are whole numbers and the AIPP works in half precision.
    np.testing.assert_allclose(hand.keypoints, expected.keypoints, atol=0.1)
    np.testing.assert_allclose(hand.scores, expected.scores, atol=0.02)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("with_aipp", [False, True])
def test_hands(board: Board, tmp_path: Path, with_aipp: bool, half: bool) -> None:
    folder = tmp_path / "cpu"
    folder.mkdir()
    networks.save_hand_networks(folder)
    with hp.Pipeline(folder, max_hands=2) as pipe:
        expected = pipe(scene())
    for network in folder.glob("*.onnx"):
        copy = Path(shutil.copy(network, tmp_path))
        side = 192 if "palm" in network.name else 224
        options = {"insert_op_conf": aipp(side)} if with_aipp else {}
        onnx.save(with_planes(onnx.load(str(copy))), str(copy))  # AIPP stands before planes
        board.om(copy, output_type="FP16" if half else "FP32", **options)
        copy.unlink()
    with hp.Pipeline(tmp_path, max_hands=2) as pipe:
        found = pipe(scene())
    assert len(found) == len(expected) == 2
    for hand, other in zip(found, expected):
        # Half a grey level and half precision, in a region of about 110 pixels.
        tolerance = 0.1 if half or with_aipp else 1e-3
        np.testing.assert_allclose(hand.keypoints, other.keypoints, atol=tolerance)
        assert hand.handedness == other.handedness
        assert hand.world is not None
        assert hand.keypoints.dtype == hand.world.dtype == np.float32


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("variant", ["lite", "full"])
def test_real_hands_that_take_bytes_give_the_same_joints(
    blank_board: Board, shared_dir: Path, tmp_path: Path, variant: str
) -> None:
    """What `export hands` and `convert --aipp` make, on the clip."""
    named = os.environ.get("HANDPOSE_ONNX_HANDS")
    if not named:
        pytest.skip("no MediaPipe networks as .onnx (set HANDPOSE_ONNX_HANDS to the folder that export wrote)")
    cpu, npu = tmp_path / "cpu", tmp_path / "npu"
    cpu.mkdir()
    npu.mkdir()
    blank_board.start()
    for stem in ("palm_detection", "hand_landmark"):
        network = Path(shutil.copy(Path(named) / f"{stem}_{variant}.onnx", cpu))
        spec = hp.ModelSpec.from_json(Path(named) / f"{stem}_{variant}.json")
        assert spec.input_layout == "NCHW"
        config = AippConfig.from_spec(spec, spec.input_hw or (0, 0)).to_text()
        blank_board.om(network, insert_op_conf=config).rename(npu / f"{stem}_{variant}.om")
    found = []
    for folder in (cpu, npu):
        with hp.Pipeline(folder) as pipe:
            results = pipe.stream(shared_dir / "clips" / "open_hand_720p.mp4", max_frames=20)
            found.append([result.hands[0] for result in results])
    for ours, board in zip(*found):
        assert board.handedness == ours.handedness
        # Half a grey level in every pixel of the crop, and then the tracker's region follows the joints.
        assert np.linalg.norm(board.keypoints - ours.keypoints, axis=1).max() < 0.5


def test_hands_have_one_frame_in_flight(board: Board, tmp_path: Path) -> None:
    networks.save_hand_networks(tmp_path)
    with pytest.raises(hp.ArgumentError, match=r"hands models have one frame in flight.*slots must be 1.*got 2"):
        hp.Pipeline(tmp_path, backend_options={"slots": 2})
    with hp.Pipeline(tmp_path, backend_options={"slots": 1}) as pipe:
        assert len(pipe(scene())) == 1


def test_a_model_with_two_inputs(board: Board, tmp_path: Path) -> None:
    network = two_inputs(tmp_path / "t.onnx", results=42)
    spec = hp.ModelSpec(
        "two", "regression", "rgb", input="image", output="result", constants={"matrix": np.eye(3).tolist()}
    )
    frame = np.full((8, 8, 3), 51, np.uint8)
    for model in (network, board.om(network)):
        with hp.Pipeline(model, spec=spec) as pipe:
            np.testing.assert_allclose(pipe(frame)[0].keypoints, 8 * 3.2, rtol=1e-6)
        wrong = {"input": "matrix"}, {"constants": {}}, {"constants": {"matrix": [1.0, 2.0]}}
        for changes in wrong:
            with pytest.raises((hp.ModelError, hp.ArgumentError)):
                hp.Pipeline(model, spec=hp.ModelSpec.from_dict({**spec.to_dict(), **changes}))


def test_options_reach_the_backend(board: Board, tmp_path: Path) -> None:
    model = board.om(networks.save_marker_network(tmp_path / "m.onnx"))
    with hp.Pipeline(model, spec=MARKERS, backend_options={"slots": 3, "flush": True, "device_id": 0}) as pipe:
        frames = np.stack([networks.draw_markers((64, 64), networks.marker_points((64, 64), i), 4) for i in range(9)])
        report = pipe.run(frames, tmp_path / "out.gif", policy="all")
    assert "slots=3, flush" in report.model
    assert report.frames_with_hands == 9
    with pytest.raises(hp.ArgumentError, match="backend_options may hold slots, device_id, flush; got 'cores'"):
        hp.Pipeline(model, spec=MARKERS, backend_options={"cores": 2})
    with pytest.raises(hp.ArgumentError, match=r"threads is for \.onnx and \.tflite"):
        hp.Pipeline(model, spec=MARKERS, threads=2)


def test_the_command_line(board: Board, tmp_path: Path) -> None:
    from handpose_native.cli import main

    model = board.om(networks.save_marker_network(tmp_path / "m.onnx"))
    model.with_suffix(".json").write_text(json.dumps(MARKERS.to_dict()))
    frames = tmp_path / "frames"
    frames.mkdir()
    import cv2

    for index in range(4):
        picture = networks.draw_markers((64, 64), networks.marker_points((64, 64), index), 4)
        cv2.imwrite(str(frames / f"{index}.png"), picture)
    arguments = ["run", str(frames), "--keypoints", str(tmp_path / "out.jsonl"), "--model", str(model), "--slots", "3"]
    arguments += ["--device-id", "0", "--flush", "--report", str(tmp_path / "report.json")]
    assert main(arguments) == 0
    assert "slots=3, flush" in json.loads((tmp_path / "report.json").read_text())["model"]
    assert all(len(record["hands"]) == 1 for record in hp.read_keypoints(tmp_path / "out.jsonl")[1])


@pytest.mark.shared
def test_the_unet_gives_the_numbers_of_onnx_runtime(board: Board, shared_dir: Path, tmp_path: Path) -> None:
    network = Path(shutil.copy(shared_dir / "models" / "unet_freihand.onnx", tmp_path))
    options = {"roi": (420, 0, 600, 600), "spec": "unet"}
    found = []
    for model in (network, board.om(network)):
        with hp.Pipeline(model, **options) as pipe:
            found.append(
                [result.hands[0] for result in pipe.stream(shared_dir / "clips" / "open_hand_720p.mp4", max_frames=4)]
            )
    for ours, npu in zip(*found):
        np.testing.assert_allclose(npu.keypoints, ours.keypoints, atol=1e-3)
        np.testing.assert_allclose(npu.scores, ours.scores, atol=1e-5)
