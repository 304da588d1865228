"""FreiHAND's layout: through its cameras, and by the command on rendered hands."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks of the tests")
pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")

import onnx
from onnx import helper
from tests import networks
from tests.datasets import in_pixel_centres, measured, save_json, save_model, save_picture

import handpose_native as hp
from handpose_native import evaluate, synthetic
from handpose_native.cli import main
from handpose_native.synthetic.pose import pose_hand


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


def save_freihand(folder: Path, split: str, joints: np.ndarray, camera: np.ndarray, with_truth: bool = True) -> None:
    save_json(folder / f"{split}_K.json", [camera.tolist()] * len(joints))
    if with_truth:
        save_json(folder / f"{split}_xyz.json", joints.tolist())


def test_freihand(tmp_path: Path, model: Path) -> None:
    camera = np.array([[300.0, 0, 112], [0, 310.0, 112], [0, 0, 1]])
    points = np.stack([networks.marker_points((224, 224), seed) for seed in (3, 4)])
    homogeneous = np.concatenate([in_pixel_centres(points), np.ones((2, 21, 1))], axis=2)
    joints = homogeneous @ np.linalg.inv(camera).T * np.linspace(0.5, 0.7, 21)[:, None]
    for index, one in enumerate(points):
        save_picture(tmp_path / "training" / "rgb" / f"{index:08d}.jpg", one, (224, 224))
    save_freihand(tmp_path, "training", joints, camera)
    dataset = evaluate.read_dataset(tmp_path)
    assert (dataset.name, dataset.whole_pictures) == ("freihand training", True)
    for sample, expected in zip(dataset.samples, points):
        assert sample.keypoints is not None
        np.testing.assert_allclose(sample.keypoints, expected, atol=1e-9)
    values = measured(dataset, model)
    assert (values["region"], values["hands"], values["found"]) == ("picture", 2, 2)
    assert values["epe_px"] < 1
    assert values["auc"]["px"] == pytest.approx(0.95, abs=1e-9)  # 0 is never more than a threshold of 0
    assert np.isnan(values["mpjpe_mm"]["wrist"])
    save_freihand(tmp_path, "evaluation", joints, camera, with_truth=False)
    with pytest.raises(hp.ArgumentError, match="training or evaluation"):
        evaluate.read_dataset(tmp_path)
    hidden = evaluate.read_dataset(tmp_path, split="evaluation")
    assert hidden.samples[0].keypoints is None
    with pytest.raises(hp.ArgumentError, match="true joints"):
        evaluate.predict(hidden, model, region=2.0)


GREY_STEP = 40  # between pictures that a network is to tell apart, also as JPEG


def save_oracle(path: Path, cameras: np.ndarray, joints: np.ndarray) -> Path:
    """Write a network that knows the hand of each uniformly grey picture: where it is seen, and its depths."""
    seen = joints @ cameras.transpose(0, 2, 1)
    points = (seen[..., :2] / seen[..., 2:] + 0.5) / 224
    bones = np.linalg.norm(joints[:, 9] - joints[:, 10], axis=1)
    constants = {
        "points": np.concatenate([points, np.full((len(joints), 21, 1), 0.9)], axis=2).astype(np.float32),
        "depths": ((joints[:, 1:, 2] - joints[:, :1, 2]) / bones[:, None]).astype(np.float32),
        "steps": np.array(255 / GREY_STEP, np.float32),
        "one": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "steps"], ["step"]),
        helper.make_node("Round", ["step"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["number"], to=onnx.TensorProto.INT64),
        helper.make_node("Reshape", ["number", "one"], ["index"]),
        helper.make_node("Gather", ["points", "index"], ["joints"]),
        helper.make_node("Gather", ["depths", "index"], ["depth"]),
    ]
    outputs = {"joints": ("float32", [1, 21, 3]), "depth": ("float32", [1, 20])}
    networks.save_graph(path, nodes, {"image": ("float32", [1, 3, 8, 8])}, outputs, constants)
    spec = hp.ModelSpec(name="oracle", family="keypoints", channel_order="rgb", depth_output="depth")
    path.with_suffix(".json").write_text(json.dumps(spec.to_dict()))
    return path


def test_every_picture_of_freihand_is_seen_through_its_own_camera(tmp_path: Path) -> None:
    hands, cameras = [], []
    for index, pose in enumerate(("open", "relaxed", "spread")):
        rotation = synthetic.hand_rotation(25 * index - 20, 10 * index, 30)
        hand = synthetic.SceneHand(synthetic.POSES[pose], (10.0, -20.0, 500.0 + 60 * index), rotation, scale=0.9)
        linear, offset = hand.camera_from_hand()
        hands.append((pose_hand(hand.pose).joints_mm @ linear.T + offset) / 1000)
        cameras.append([[400.0 + 90 * index, 0, 100 + 9 * index], [0, 410.0 + 80 * index, 118], [0, 0, 1]])
        (tmp_path / "training" / "rgb").mkdir(parents=True, exist_ok=True)
        picture = np.full((224, 224, 3), GREY_STEP * index, np.uint8)
        cv2.imwrite(str(tmp_path / "training" / "rgb" / f"{index:08d}.jpg"), picture)
    joints, matrices = np.stack(hands), np.array(cameras)
    save_json(tmp_path / "training_K.json", matrices.tolist())
    save_json(tmp_path / "training_xyz.json", joints.tolist())
    save_json(tmp_path / "training_scale.json", np.linalg.norm(joints[:, 9] - joints[:, 10], axis=1).tolist())
    oracle = save_oracle(tmp_path / "oracle.onnx", matrices, joints)

    def error_mm(**changes: list[Any]) -> float:
        samples = [
            dataclasses.replace(sample, **{name: values[index] for name, values in changes.items()})
            for index, sample in enumerate(dataset.samples)
        ]
        return float(measured(dataclasses.replace(dataset, samples=tuple(samples)), oracle)["mpjpe_mm"]["camera"])

    dataset = evaluate.read_dataset(tmp_path)
    assert error_mm() < 0.1  # the network's coordinates are float32
    assert error_mm(intrinsics=[matrices[1], matrices[2], matrices[0]]) > 20
    assert error_mm(intrinsics=[matrices.mean(axis=0)] * 3) > 20
    assert error_mm(intrinsics=[None] * 3) > 20  # a usual field of view
    assert error_mm(hand_scale_m=[None] * 3) > 20  # the mean of adults
    save_json(tmp_path / "training_scale.json", [0.03, 0.03])
    with pytest.raises(hp.VideoError, match=r"training_scale\.json: has 2 hands, but there are 3 cameras"):
        evaluate.read_dataset(tmp_path)


def rendered_freihand(folder: Path, poses: tuple[str, ...]) -> None:
    """Write a data set of FreiHAND's layout with rendered hands of 224 x 224 pixels."""
    camera = synthetic.Camera(480.0, (224, 224))
    joints = []
    for index, pose in enumerate(poses):
        rotation = synthetic.hand_rotation(20 * index - 20, 10, -12)
        hand = synthetic.SceneHand(synthetic.POSES[pose], (0, 10, 620), rotation, skin=2 * index)
        frame = synthetic.render(synthetic.Scene((hand,), camera, background="room", seed=index))
        (folder / "evaluation" / "rgb").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "evaluation" / "rgb" / f"{index:08d}.jpg"), frame.image)
        joints.append(frame.hands[0].joints_mm / 1000)
    matrix = np.array([[480.0, 0, 111.5], [0, 480.0, 111.5], [0, 0, 1]])
    save_freihand(folder, "evaluation", np.stack(joints), matrix)


@pytest.mark.shared
def test_the_command_with_real_networks_on_rendered_hands(
    tmp_path: Path, shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("matplotlib")
    rendered_freihand(tmp_path, ("open", "relaxed", "spread"))
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in ("palm_detection_full.tflite", "hand_landmark_full.tflite"):
        (weights / name).symlink_to(shared_dir / "models" / name)
    submission, result = tmp_path / "pred.json", tmp_path / "result"
    code = main(
        [
            "eval",
            str(tmp_path),
            "--model",
            str(weights),
            "--freihand",
            str(submission),
            "-o",
            str(result),
            "--threads",
            "1",
        ]
    )
    printed = capsys.readouterr().out
    assert code == 0
    assert "3 hands, 3 found (100.0%)" in printed
    values = json.loads((result / "eval.json").read_text())
    assert (values["schema"], values["schema_version"], values["found"]) == ("handpose-native-eval", 1, 3)
    assert values["epe_px"] < 8  # of hands about 130 px long
    assert values["pck"]["hand"]["0.2"] > 0.9
    assert 0 < values["mpjpe_mm"]["procrustes"] < values["mpjpe_mm"]["wrist"] < 60
    assert values["mpjpe_mm"]["procrustes"] < 15
    assert values["handedness_share"] == 1.0
    assert cv2.imread(str(result / "pck.png")).shape[1] > 800
    joints, vertices = json.loads(submission.read_text())
    assert np.shape(joints) == (3, 21, 3)
    assert np.shape(vertices) == (3, 778, 3)
    distance_m = np.array(joints)[..., 2].mean()
    assert 0.4 < distance_m < 0.9  # rendered at 0.62 m, the network gives every hand one size
