"""Data sets in every format, written here with pictures whose joints are known, and a model run on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks of the tests")
pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")

from tests import networks
from tests.datasets import IMAGE_HW, in_pixel_centres, measured, save_json, save_model, save_picture

import handpose_native as hp
from handpose_native import evaluate
from handpose_native.cli import main


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


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
