"""Intrinsics: against OpenCV, against the affine of a crop, and as files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import handpose_native as hp
from handpose_native.errors import ArgumentError, DTypeError, ModelError

K = [[900.0, 3.0, 650.0], [0.0, 880.0, 350.0], [0.0, 0.0, 1.0]]
DISTORTION = (-0.28, 0.11, 0.001, -0.0015, -0.02)


def pixels(seed: int = 0, count: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).uniform((0, 0), (1280, 720), (count, 2))


def test_directions_are_the_inverse_of_k() -> None:
    points = pixels()
    wanted = np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(K).T
    given = hp.Intrinsics(K).directions(points)
    assert given.dtype == np.float64
    assert np.abs(given - wanted[:, :2]).max() < 1e-13
    assert np.abs(hp.Intrinsics(np.array(K)).directions(points.reshape(5, 10, 2)) - given.reshape(5, 10, 2)).max() == 0


def test_lens_distortion_is_undone_as_opencv_does() -> None:
    matrix = np.array(K)
    matrix[0, 1] = 0  # OpenCV's cameras have no skew
    points = pixels(1)
    given = hp.Intrinsics(matrix, (720, 1280), DISTORTION).directions(points)
    solid = np.column_stack([given, np.ones(len(given))])
    seen, _ = cv2.projectPoints(solid, np.zeros(3), np.zeros(3), matrix, np.array(DISTORTION))
    assert np.abs(seen.reshape(-1, 2) - points).max() < 1e-6


@pytest.mark.parametrize("angle_rad", [0.0, 0.7])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_the_k_of_a_crop_sees_in_the_same_direction(angle_rad: float, fit: str) -> None:
    crop_from_image = hp.input_from_roi(hp.Roi(700, 300, 240, 180, angle_rad), (224, 224), fit=fit)
    points = pixels(2)
    in_crop = points @ crop_from_image[:, :2].T + crop_from_image[:, 2]
    moved = hp.Intrinsics(K).moved(crop_from_image)
    seen = np.column_stack([in_crop, np.ones(len(points))]) @ np.linalg.inv(moved).T
    assert np.abs(seen[:, :2] / seen[:, 2:] - hp.Intrinsics(K).directions(points)).max() < 1e-12


@pytest.mark.parametrize("image_hw", [(720, 1280), (1280, 720), (100, 100)])
def test_a_field_of_view_covers_the_longer_side(image_hw: tuple[int, int]) -> None:
    height, width = image_hw
    camera = hp.Intrinsics.from_field_of_view(image_hw, 70)
    left, middle, right = camera.directions([[0, height / 2], [width / 2, height / 2], [width, height / 2]])
    assert middle.tolist() == [0, 0]
    if width >= height:
        assert math.degrees(math.atan(right[0]) - math.atan(left[0])) == pytest.approx(70)
    assert hp.Intrinsics.from_field_of_view((480, 640)).matrix[0][0] == pytest.approx(
        320 / math.tan(math.radians(32.5))
    )
    with pytest.raises(ArgumentError, match="the field of view must be between 0 and 180 degrees; got 180"):
        hp.Intrinsics.from_field_of_view(image_hw, 180)


def test_pictures_of_another_size_show_the_same_view() -> None:
    camera = hp.Intrinsics(K, (720, 1280), DISTORTION)
    assert camera.for_image((720, 1280)) is camera
    half = camera.for_image((360, 640))
    assert half.image_hw == (360, 640)
    assert np.abs(half.directions(pixels() / 2) - camera.directions(pixels())).max() < 1e-12
    assert camera.for_image((480, 853)).image_hw == (480, 853)  # 853.3 rounded
    with pytest.raises(ArgumentError, match="they are for pictures of 1280 x 720; one of 640 x 480 shows another part"):
        camera.for_image((480, 640))
    anywhere = hp.Intrinsics(K)
    assert anywhere.for_image((1, 1)) is anywhere


def test_files_come_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    for camera in (hp.Intrinsics(K), hp.Intrinsics(K, (720, 1280), DISTORTION)):
        camera.to_json(path, error_px=0.2)
        assert hp.Intrinsics.from_json(path) == camera
        assert json.loads(path.read_text())["error_px"] == 0.2
    with pytest.raises(ModelError, match=r"none/camera\.json: the intrinsics cannot be written: No such file"):
        hp.Intrinsics(K).to_json(tmp_path / "none" / "camera.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the intrinsics are not JSON"),
        ("[]", "not intrinsics"),
        ('{"schema": 2, "matrix": []}', 'expected an object with "schema": 1 and "matrix"'),
        ('{"schema": 1, "matrix": [[1]]}', r"matrix must be finite with shape \(3, 3\)"),
        ('{"schema": 1, "matrix": [[1,0,0],[0,1,0],[0,0,1]], "image_hw": 3}', "int"),
    ],
)
def test_files_that_are_no_intrinsics(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        hp.Intrinsics.from_json(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ModelError, match=r"nowhere\.json: the intrinsics cannot be read: No such file"):
        hp.Intrinsics.from_json(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"matrix": np.eye(2)}, r"matrix must be finite with shape \(3, 3\)"),
        ({"matrix": np.full((3, 3), np.nan)}, "matrix must be finite"),
        ({"matrix": np.diag([1.0, -1.0, 1.0])}, "with positive fx and fy"),
        ({"matrix": [[1, 0, 0], [0, 1, 0], [0, 1, 1]]}, r"matrix must be \[fx, s, cx\]"),
        ({"matrix": np.eye(3), "image_hw": (0, 5)}, r"image_hw must be \(height, width\) or None; got \(0, 5\)"),
        ({"matrix": np.eye(3), "distortion": (1, 2)}, "distortion must be none or five numbers"),
    ],
)
def test_values_that_no_camera_has(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        hp.Intrinsics(**values)
    with pytest.raises(DTypeError, match="matrix must be numbers; got 'K'"):
        hp.Intrinsics("K")  # type: ignore[arg-type]
