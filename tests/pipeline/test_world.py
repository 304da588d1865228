"""From a network with depths to Hand.world in the frame of the camera, whatever region it looked at."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import handpose_native as hp
from handpose_native import cli
from handpose_native.errors import ArgumentError, ModelError
from handpose_native.models import ModelSpec
from handpose_native.synthetic import POSES, Camera, SceneHand, hand_rotation
from handpose_native.synthetic.pose import pose_hand

CAMERA = Camera(focal_px=700.0, size_hw=(480, 640))
K = [[700.0, 0.0, 320.0], [0.0, 700.0, 240.0], [0.0, 0.0, 1.0]]
ROIS = (
    hp.Roi(320, 240, 300, 300),
    hp.Roi(350, 200, 260, 200),
    hp.Roi(300, 260, 320, 250, 0.6),
)
INPUT_HW = (32, 32)


def the_hand() -> tuple[np.ndarray, np.ndarray, float]:
    """Joints in metres, float64 (21, 3), where they are seen, and the length of the reference bone."""
    hand = SceneHand(POSES["relaxed"], (25.0, -15.0, 480.0), hand_rotation(15, 25, 30), "left", scale=0.95)
    linear, offset = hand.camera_from_hand()
    joints_mm = pose_hand(hand.pose).joints_mm @ linear.T + offset
    return joints_mm / 1000, CAMERA.project(joints_mm), float(np.linalg.norm(joints_mm[9] - joints_mm[10])) / 1000


def save_network(path: Path, roi: hp.Roi, spec: ModelSpec, *, depths: bool = True) -> Path:
    """Write a network that says for any picture where the joints of the hand are in this region, and how deep."""
    joints, keypoints, bone_m = the_hand()
    affine = hp.input_from_roi(roi, INPUT_HW, fit=spec.fit)
    inside = (keypoints @ affine[:, :2].T + affine[:, 2]) / INPUT_HW[::-1]
    constants = {
        "inside": np.concatenate([inside, np.full((21, 1), 0.75)], axis=1)[None].astype(np.float32),
        "deep": ((joints[1:, 2] - joints[0, 2]) / bone_m)[None].astype(np.float32),
        "nothing": np.zeros(1, np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Add", ["inside", "zero"], ["joints"]),
        helper.make_node("Add", ["deep", "zero"], ["depth"]),
    ]
    outputs = [helper.make_tensor_value_info("joints", TensorProto.FLOAT, [1, 21, 3])]
    if depths:
        outputs.append(helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 20]))
    graph = helper.make_graph(
        nodes[: 3 + depths],
        "world",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *INPUT_HW])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    path.with_suffix(".json").write_text(json.dumps(spec.to_dict()))
    return path


SPEC = ModelSpec("world", "keypoints", "bgr", fit="letterbox", depth_output="depth")
FRAME = np.full((480, 640, 3), 90, np.uint8)


@pytest.mark.parametrize("roi", ROIS)
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_a_projected_hand_comes_back_within_a_millimetre(tmp_path: Path, roi: hp.Roi, fit: str) -> None:
    joints, keypoints, bone_m = the_hand()
    model = save_network(tmp_path / "w.onnx", roi, dataclasses.replace(SPEC, fit=fit))
    hp.Intrinsics(K, (480, 640)).to_json(tmp_path / "camera.json")
    for intrinsics in (K, np.array(K), hp.Intrinsics(K), tmp_path / "camera.json", str(tmp_path / "camera.json")):
        with hp.Pipeline(model, roi=roi, intrinsics=intrinsics, hand_scale_m=bone_m) as pipe:
            (hand,) = pipe(FRAME)
            assert np.abs(hand.keypoints - keypoints).max() < 1e-3
            assert hand.world is not None
            assert hand.world.dtype == np.float32
            assert np.linalg.norm(hand.world - joints, axis=1).max() < 1e-3


def test_without_intrinsics_a_usual_field_of_view_is_taken(tmp_path: Path) -> None:
    joints, _, bone_m = the_hand()
    model = save_network(tmp_path / "w.onnx", ROIS[0], SPEC)
    with hp.Pipeline(model, roi=ROIS[0], hand_scale_m=bone_m) as pipe:
        (hand,) = pipe(FRAME)
    usual = hp.Intrinsics.from_field_of_view((480, 640), 65)
    with hp.Pipeline(model, roi=ROIS[0], intrinsics=usual, hand_scale_m=bone_m) as pipe:
        (same,) = pipe(FRAME)
    assert hand.world is not None
    assert np.array_equal(hand.world, same.world)
    assert 0 < np.abs(hand.world - joints).max() < 0.5
    bone = hand.world[9] - hand.world[10]
    assert np.linalg.norm(bone) == pytest.approx(bone_m, rel=1e-3)


def test_intrinsics_follow_the_size_of_the_pictures(tmp_path: Path) -> None:
    joints, _, bone_m = the_hand()
    doubled = hp.Roi(640, 480, 600, 600)
    model = save_network(tmp_path / "w.onnx", ROIS[0], SPEC)
    with hp.Pipeline(model, intrinsics=hp.Intrinsics(K, (480, 640)), hand_scale_m=bone_m) as pipe:
        (small,) = pipe(FRAME, roi=ROIS[0])
        (large,) = pipe(np.zeros((960, 1280, 3), np.uint8), roi=doubled)
        for hand in (small, large):
            assert hand.world is not None
            assert np.abs(hand.world - joints).max() < 1e-3
        with pytest.raises(ArgumentError, match="shows another part of the view"):
            pipe(np.zeros((480, 480, 3), np.uint8))


def test_no_world_where_no_hand_looks_like_that(tmp_path: Path) -> None:
    model = save_network(tmp_path / "w.onnx", ROIS[0], SPEC)
    networks = onnx.load(str(model))
    constant = next(one for one in networks.graph.initializer if one.name == "deep")
    deep = numpy_helper.to_array(constant).copy()
    deep[0, 9] += 5
    constant.CopyFrom(numpy_helper.from_array(deep, "deep"))
    onnx.save(networks, str(model))
    with hp.Pipeline(model, roi=ROIS[0], intrinsics=K) as pipe:
        (hand,) = pipe(FRAME)
    assert hand.world is None
    assert np.isfinite(hand.keypoints).all()


@pytest.mark.parametrize("options", [{"intrinsics": K}, {"hand_scale_m": 0.05}])
def test_models_without_depths_take_no_camera(tmp_path: Path, options: dict[str, Any]) -> None:
    model = save_network(tmp_path / "w.onnx", ROIS[0], dataclasses.replace(SPEC, depth_output=None), depths=False)
    (name,) = options
    with pytest.raises(ArgumentError, match=f"{name} is for models that give depths"):
        hp.Pipeline(model, **options)
    with hp.Pipeline(model) as pipe:
        (hand,) = pipe(FRAME, roi=ROIS[0])
    assert hand.world is None


def test_wrong_options_are_named(tmp_path: Path) -> None:
    model = save_network(tmp_path / "w.onnx", ROIS[0], SPEC)
    with pytest.raises(ArgumentError, match="hand_scale_m must be a positive number of metres; got -1"):
        hp.Pipeline(model, hand_scale_m=-1)
    with pytest.raises(ModelError, match=r"no\.json: the intrinsics cannot be read"):
        hp.Pipeline(model, intrinsics=tmp_path / "no.json")
    with pytest.raises(ModelError, match="there is no output 'depths'"):
        hp.Pipeline(model, spec=dataclasses.replace(SPEC, depth_output="depths"))


def test_the_command_writes_metres(tmp_path: Path) -> None:
    joints, _, bone_m = the_hand()
    model = save_network(tmp_path / "w.onnx", ROIS[0], SPEC)
    hp.Intrinsics(K, (480, 640)).to_json(tmp_path / "camera.json")
    import cv2

    cv2.imwrite(str(tmp_path / "frame.png"), FRAME)
    arguments = ["run", str(tmp_path / "frame.png"), "--keypoints", str(tmp_path / "k.jsonl"), "--model", str(model)]
    arguments += ["--camera", str(tmp_path / "camera.json"), "--hand-scale", str(bone_m), "--roi", "170,90,300,300"]
    assert cli.main([*arguments, "--quiet"]) == 0
    _, (frame,) = hp.read_keypoints(tmp_path / "k.jsonl")
    assert np.abs(np.array(frame["hands"][0]["world"]) - joints).max() < 1e-3
