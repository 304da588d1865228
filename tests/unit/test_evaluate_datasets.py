"""Data sets in every format, written here with pictures whose joints are known, and a model run on them."""

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

import handpose_native as hp
from handpose_native import evaluate, synthetic
from handpose_native.cli import main
from handpose_native.synthetic.pose import pose_hand

MARKERS = hp.ModelSpec(name="markers", family="heatmap", channel_order="rgb", method="expectation")
IMAGE_HW = (160, 200)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A heatmap network that finds 21 colours, with its spec beside it."""
    path = networks.save_marker_network(tmp_path_factory.mktemp("model") / "markers.onnx", (96, 96))
    path.with_suffix(".json").write_text(json.dumps(MARKERS.to_dict()))
    return path


def save_picture(path: Path, points: np.ndarray, image_hw: tuple[int, int] = IMAGE_HW) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), networks.draw_markers(image_hw, points, 7))


def in_pixel_centres(points: np.ndarray) -> np.ndarray:
    """As annotations count: the centre of the first pixel is (0, 0)."""
    return points - 0.5


def save_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def save_coco(folder: Path, annotations: list[dict[str, Any]], description: str = "OneHand10K") -> Path:
    images = [{"id": 7 + i, "file_name": f"{i}.png", "height": 160, "width": 200} for i in range(2)]
    for one in images:
        one["cam_param"] = {"focal": [200.0, 200.0], "princpt": [99.5, 79.5]}
    return save_json(
        folder / "annotations.json",
        {"info": {"description": description}, "images": images, "annotations": annotations, "categories": []},
    )


@pytest.fixture
def pictures(tmp_path: Path) -> list[np.ndarray]:
    """The joints of two pictures, 0.png and 1.png."""
    points = [networks.marker_points(IMAGE_HW, seed) for seed in (1, 2)]
    for index, one in enumerate(points):
        save_picture(tmp_path / f"{index}.png", one)
    return points


def triples(points: np.ndarray, hidden: tuple[int, ...] = ()) -> np.ndarray:
    result = np.column_stack([in_pixel_centres(points), np.full(21, 2.0)])
    result[list(hidden)] = 0
    return result


def measured(dataset: evaluate.Dataset, model: Path) -> dict[str, Any]:
    values: dict[str, Any] = evaluate.measure(dataset, evaluate.predict(dataset, model, threads=1)).values
    return values


def test_coco(tmp_path: Path, pictures: list[np.ndarray], model: Path) -> None:
    path = save_coco(
        tmp_path,
        [
            {
                "id": i,
                "image_id": 7 + i,
                "bbox": [10, 10, 100, 50],
                "keypoints": triples(points, (3, 9)).ravel().tolist(),
            }
            for i, points in enumerate(pictures)
        ]
        + [
            {"id": 2, "image_id": 7, "bbox": [0, 0, 9, 9], "keypoints": [0] * 63},
            {
                "id": 3,
                "image_id": 7,
                "bbox": [0, 0, 9, 9],
                "keypoints": triples(pictures[0]).ravel().tolist(),
                "iscrowd": 1,
            },
        ],
    )
    dataset = evaluate.read_dataset(path)
    assert (dataset.name, len(dataset.samples), dataset.whole_pictures) == ("coco", 2, False)
    sample = dataset.samples[0]
    assert (sample.image, sample.box_xywh, sample.handedness) == (tmp_path / "0.png", (10, 10, 100, 50), None)
    assert sample.keypoints is not None
    np.testing.assert_allclose(sample.keypoints[sample.visible], np.delete(pictures[0], (3, 9), axis=0))
    assert not sample.visible[[3, 9]].any()
    values = measured(dataset, model)
    assert values["epe_px"] < 0.5
    assert values["pck"]["box"]["0.05"] == values["pck"]["hand"]["0.05"] == 1
    assert np.isnan(values["per_joint"]["epe_px"][3])
    # The palm's length needs the middle finger's first joint, which is not annotated: no hand has that unit.
    assert np.isnan(values["auc"]["palm"])


def test_coco_wholebody(tmp_path: Path, pictures: list[np.ndarray], model: Path) -> None:
    empty = {"lefthand_valid": False, "lefthand_kpts": [0] * 63, "lefthand_box": [0, 0, 0, 0]}
    person = {"keypoints": [0] * 51, "bbox": [0, 0, 200, 160], "iscrowd": 0, **empty}
    people = [
        {
            **person,
            "id": i,
            "image_id": 7 + i,
            f"{side}hand_valid": True,
            f"{side}hand_kpts": triples(points).ravel().tolist(),
            f"{side}hand_box": [20, 20, 60, 80],
            **(
                {"righthand_valid": False, "righthand_kpts": [0] * 63, "righthand_box": [0] * 4}
                if side == "left"
                else {}
            ),
        }
        for i, (points, side) in enumerate(zip(pictures, ("left", "right")))
    ]
    dataset = evaluate.read_dataset(save_coco(tmp_path / "annotations", people), images=tmp_path)
    assert dataset.name == "coco-wholebody"
    assert [sample.handedness for sample in dataset.samples] == ["left", "right"]
    assert [sample.box_xywh for sample in dataset.samples] == [(20, 20, 60, 80)] * 2
    assert measured(dataset, model)["epe_px"] < 0.5


def test_rhd_has_its_fingers_from_the_tip(tmp_path: Path, pictures: list[np.ndarray], model: Path) -> None:
    tips_first = [0, *(4 * finger + joint for finger in range(5) for joint in (4, 3, 2, 1))]
    millimetres = np.column_stack([(points := pictures[0]) - (100, 80), np.full(21, 200.0)])
    annotation = {
        "id": 1,
        "image_id": 7,
        "bbox": [0, 0, 200, 160],
        "keypoints": triples(points)[tips_first].tolist(),
        "joint_cam": millimetres[tips_first].tolist(),
        "hand_type": "left",
    }
    dataset = evaluate.read_dataset(save_coco(tmp_path, [annotation], "RHD"))
    (sample,) = dataset.samples
    assert (dataset.name, sample.handedness) == ("rhd", "left")
    assert sample.joints_m is not None
    assert sample.intrinsics is not None
    np.testing.assert_allclose(sample.joints_m, millimetres / 1000)
    seen = sample.joints_m @ sample.intrinsics.T
    np.testing.assert_allclose(seen[:, :2] / seen[:, 2:] + 0.5, points)
    assert measured(dataset, model)["epe_px"] < 0.5


def test_handpose_x_counts_from_its_box(tmp_path: Path, pictures: list[np.ndarray], model: Path) -> None:
    folder = tmp_path / "set"
    for name, points, box in (("b10", pictures[0], [10, 20, 150, 140]), ("b9", pictures[1], [0.0] * 4)):
        save_picture(folder / f"{name}.jpg", points)
        shifted = in_pixel_centres(points) - box[:2]
        pts = {str(i): {"x": x, "y": y} for i, (x, y) in enumerate(shifted.tolist())}
        save_json(folder / f"{name}.json", {"maker": "nobody", "info": [{"bbox": box, "pts": pts}]})
    save_json(folder / "empty.json", {})
    dataset = evaluate.read_dataset(folder)
    assert [(one.image.name, one.box_xywh) for one in dataset.samples] == [
        ("b9.jpg", None),
        ("b10.jpg", (10, 20, 140, 120)),
    ]
    assert measured(dataset, model)["epe_px"] < 0.6  # JPEG


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


def test_hands_are_paired_with_the_annotated_ones(tmp_path: Path) -> None:
    """Squares of the toy hands: two in one picture, annotated in the other order, and a picture without any."""
    networks.save_hand_networks(tmp_path)
    for index, centres in enumerate((((150, 200), (460, 240)), ())):
        image = np.zeros((480, 640, 3), np.uint8)
        for x, y in centres:
            image[y - 20 : y + 20, x - 20 : x + 20, 2] = 255
        cv2.imwrite(str(tmp_path / f"{index}.png"), image)
    with hp.Pipeline(tmp_path, max_hands=2, tracking=False) as pipe:
        found = sorted(pipe(cv2.imread(str(tmp_path / "0.png"))), key=lambda hand: -hand.keypoints[0, 0])
    assert len(found) == 2
    annotations = [
        {
            "id": i,
            "image_id": image,
            "bbox": [0, 0, 90, 90],
            "keypoints": triples(found[i // 2].keypoints).ravel().tolist(),
        }
        for i, image in enumerate((7, 8, 7))
    ]
    dataset = evaluate.read_dataset(save_coco(tmp_path, annotations))
    predictions = evaluate.predict(dataset, tmp_path)
    assert predictions.region == "picture"
    np.testing.assert_allclose(predictions.keypoints[[0, 2]], [hand.keypoints for hand in found], atol=1e-3)
    assert np.isnan(predictions.keypoints[1]).all()
    values = evaluate.measure(dataset, predictions).values
    assert (values["hands"], values["found"]) == (3, 2)
    assert values["epe_px"] < 1e-3
    assert values["pck"]["hand"]["0.1"] == pytest.approx(2 / 3)


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


def test_curves_and_submission_of_a_model_without_space(
    tmp_path: Path, pictures: list[np.ndarray], model: Path
) -> None:
    pytest.importorskip("matplotlib")
    keypoints = triples(pictures[0]).ravel().tolist()
    path = save_coco(tmp_path, [{"id": 1, "image_id": 7, "bbox": [0, 0, 200, 160], "keypoints": keypoints}])
    dataset = evaluate.read_dataset(path)
    counted: list[int] = []
    predictions = evaluate.predict(dataset, model, on_sample=counted.append)
    assert counted == [1]
    evaluation = evaluate.measure(dataset, predictions)
    evaluate.write_curves(evaluation, tmp_path / "pck.png")
    assert cv2.imread(str(tmp_path / "pck.png")) is not None
    with pytest.raises(hp.VideoError, match="no_such"):
        evaluate.write_curves(evaluation, tmp_path / "no_such" / "pck.png")
    with pytest.raises(hp.ArgumentError, match="joints in space"):
        evaluate.write_submission(predictions, tmp_path / "pred.json")
    text = str(evaluation)
    assert "EPE" in text
    assert "MPJPE" not in text
    assert json.loads(evaluation.to_json())["mpjpe_mm"]["wrist"] is None
    with pytest.raises(hp.ArgumentError, match="2 samples; got 1"):
        evaluate.measure(evaluate.Dataset("two", dataset.samples * 2), predictions)


def test_wrong_data_sets(tmp_path: Path) -> None:
    with pytest.raises(hp.VideoError, match="training_K"):
        evaluate.read_dataset(tmp_path)
    with pytest.raises(hp.VideoError, match="cannot be read"):
        evaluate.read_dataset(tmp_path / "none.json")
    with pytest.raises(hp.VideoError, match="as COCO's are"):
        evaluate.read_dataset(save_json(tmp_path / "list.json", []))
    with pytest.raises(hp.VideoError, match="no annotated hand"):
        evaluate.read_dataset(save_coco(tmp_path / "a", []))
    with pytest.raises(hp.VideoError, match="there is no 'keypoints'"):
        evaluate.read_dataset(save_coco(tmp_path / "b", [{"id": 1, "image_id": 7}]))
    with pytest.raises(hp.VideoError, match="cannot reshape"):
        evaluate.read_dataset(save_coco(tmp_path / "c", [{"id": 1, "image_id": 7, "keypoints": [1, 2, 3, 4]}]))
    with pytest.raises(hp.ArgumentError, match="format must be one of"):
        evaluate.read_dataset(tmp_path, format="mpii")
    with pytest.raises(hp.ArgumentError, match="split is for freihand"):
        evaluate.read_dataset(save_coco(tmp_path / "d", []), split="training")
    save_json(tmp_path / "f" / "training_K.json", [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]])
    with pytest.raises(hp.VideoError, match=r"training_xyz\.json"):
        evaluate.read_dataset(tmp_path / "f")
    save_json(tmp_path / "f" / "training_xyz.json", [[[1, 2], [3, 4]]])
    with pytest.raises(hp.VideoError, match=r"shape \(21, 3\)"):
        evaluate.read_dataset(tmp_path / "f")
    save_json(tmp_path / "x" / "1.json", {"info": [{"bbox": [0, 0, 1, 1], "pts": {"0": {"x": 1, "y": 2}}}]})
    with pytest.raises(hp.VideoError, match="there is no '1'"):
        evaluate.read_dataset(tmp_path / "x")


def test_a_missing_picture_is_named(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keypoints = triples(networks.marker_points(IMAGE_HW)).ravel().tolist()
    path = save_coco(tmp_path, [{"id": 1, "image_id": 7, "keypoints": keypoints}])
    assert main(["eval", str(path), "--model", str(model)]) == 3
    assert "0.png" in capsys.readouterr().err


@pytest.mark.parametrize("region", [0, -1.0, float("nan"), "half", True])
def test_wrong_regions(tmp_path: Path, pictures: list[np.ndarray], model: Path, region: Any) -> None:
    keypoints = triples(pictures[0]).ravel().tolist()
    dataset = evaluate.read_dataset(save_coco(tmp_path, [{"id": 1, "image_id": 7, "keypoints": keypoints}]))
    with pytest.raises(hp.ArgumentError, match="region must be"):
        evaluate.predict(dataset, model, region=region)
