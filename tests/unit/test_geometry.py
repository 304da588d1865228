"""Affine maps between images and inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import handpose_native as hp

CLOSE = 1e-9  # float64 throughout, coordinates up to a few thousand
CLOSE32 = 1e-3  # transform_points returns float32: half a unit in the last place at 4096 is 2.4e-4

SIZES = [
    ((480, 640), (128, 128)),
    ((720, 1280), (256, 256)),
    ((1, 1), (1, 1)),
    ((100, 33), (64, 224)),
    ((7, 5), (480, 640)),
]


def corners(height: float, width: float) -> np.ndarray:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)


@pytest.mark.parametrize(("image_hw", "input_hw"), SIZES)
def test_stretch_takes_corners_to_corners(image_hw: tuple[int, int], input_hw: tuple[int, int]) -> None:
    affine = hp.stretch(image_hw, input_hw)
    assert (affine.dtype, affine.shape) == (np.float64, (2, 3))
    np.testing.assert_allclose(hp.transform_points(affine, corners(*image_hw)), corners(*input_hw), atol=CLOSE32)


@pytest.mark.parametrize(("image_hw", "input_hw"), SIZES)
def test_letterbox_keeps_aspect_and_centres(image_hw: tuple[int, int], input_hw: tuple[int, int]) -> None:
    affine = hp.letterbox(image_hw, input_hw)
    scale = min(input_hw[0] / image_hw[0], input_hw[1] / image_hw[1])
    np.testing.assert_allclose(affine[:, :2], np.eye(2) * scale, rtol=CLOSE)
    moved = corners(*image_hw) @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(moved.mean(axis=0), (input_hw[1] / 2, input_hw[0] / 2), atol=CLOSE)
    assert moved.min() >= -CLOSE
    assert (moved <= np.array([input_hw[1], input_hw[0]]) + CLOSE).all()
    filled = np.ptp(moved, axis=0) / (input_hw[1], input_hw[0])
    assert filled.max() == pytest.approx(1)


def test_letterbox_by_hand() -> None:
    np.testing.assert_allclose(hp.letterbox((480, 640), (128, 128)), [[0.2, 0, 0], [0, 0.2, 16]], atol=CLOSE)


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2, -2.5, math.pi])
def test_roi_corners_go_to_the_corners_of_the_input(angle: float) -> None:
    roi = hp.Roi(310.5, 220.25, 200.0, 100.0, angle)
    affine = hp.input_from_roi(roi, (64, 96))
    np.testing.assert_allclose(hp.transform_points(affine, roi.corners()), corners(64, 96), atol=CLOSE32)
    boxed = hp.transform_points(hp.input_from_roi(roi, (64, 96), fit="letterbox"), roi.corners())
    np.testing.assert_allclose(boxed, corners(48, 96) + np.array([0, 8]), atol=CLOSE32)


def test_roi_angle_turns_from_x_towards_y() -> None:
    """Clockwise as seen, y down: turned by 90 degrees, the middle of the right side lies below the centre."""
    roi = hp.Roi(100, 50, 40, 20, math.pi / 2)
    affine = hp.input_from_roi(roi, (20, 40))
    np.testing.assert_allclose(hp.transform_points(affine, [[100, 70]]), [[40, 10]], atol=CLOSE32)
    np.testing.assert_allclose(roi.corners()[0], (110, 30), atol=CLOSE)


def test_upright_roi_has_no_rotation_at_all() -> None:
    affine = hp.input_from_roi(hp.Roi.from_xywh(10, 20, 30, 40), (64, 64))
    assert affine[0, 1] == affine[1, 0] == 0
    np.testing.assert_allclose(hp.transform_points(affine, [[10, 20], [40, 60]]), [[0, 0], [64, 64]], atol=CLOSE32)


def test_invert_and_compose(rng: np.random.Generator) -> None:
    for _ in range(50):
        a, b = rng.uniform(-3, 3, (2, 2, 3))
        point = rng.uniform(-100, 100, (7, 2))
        through = hp.transform_points(a, hp.transform_points(b, point))
        np.testing.assert_allclose(hp.transform_points(hp.compose(a, b), point), through, rtol=1e-4, atol=CLOSE32)
        if abs(np.linalg.det(a[:, :2])) > 0.1:
            identity = hp.compose(hp.invert(a), a)
            np.testing.assert_allclose(identity, [[1, 0, 0], [0, 1, 0]], atol=CLOSE)
            np.testing.assert_allclose(hp.invert(hp.invert(a)), a, atol=1e-7)


def test_transform_points_shapes() -> None:
    affine = [[2, 0, 1], [0, 3, -1]]
    for shape in ((2,), (1, 2), (0, 2), (3, 21, 2)):
        points = np.ones(shape, np.float32)
        moved = hp.transform_points(affine, points)
        assert (moved.shape, moved.dtype) == (shape, np.float32)
        np.testing.assert_array_equal(moved, np.broadcast_to(np.float32([3, 2]), shape))
        assert not np.shares_memory(moved, points)
    np.testing.assert_array_equal(hp.transform_points(affine, [[1, 1]]), [[3, 2]])
    with_nan = hp.transform_points(affine, [[np.nan, 1], [1, 1]])
    assert np.isnan(with_nan[0, 0])
    np.testing.assert_array_equal(with_nan[1], (3, 2))


def test_preprocess_and_points_agree() -> None:
    """A bright pixel lands where its point does."""
    image = np.zeros((200, 300, 3), np.uint8)
    image[90:95, 140:145] = 255
    roi = hp.Roi(150, 100, 80, 80, 0.4)
    affine = hp.input_from_roi(roi, (160, 160))
    got = hp.preprocess(image, size_hw=(160, 160), input_from_image=affine)[0, 1]
    rows, columns = np.indices(got.shape) + 0.5
    middle = np.array([(got * columns).sum(), (got * rows).sum()]) / got.sum()
    np.testing.assert_allclose(middle, hp.transform_points(affine, [142.5, 92.5]), atol=0.02)
    np.testing.assert_allclose(hp.transform_points(hp.invert(affine), middle), (142.5, 92.5), atol=0.02)


@pytest.mark.parametrize("bad", [
    [[1, 0, 0], [2, 0, 0]], [[0, 0, 0], [0, 0, 0]], [[1, 0, math.nan], [0, 1, 0]], [[1, 0, 0], [0, math.inf, 0]],
    [[1, 0], [0, 1]], np.eye(3), [[1e-200, 0, 0], [0, 1e-200, 0]],
])  # fmt: skip
def test_invert_refuses(bad: Any) -> None:
    with pytest.raises(hp.ArgumentError, match=r"^invert: a_from_b"):
        hp.invert(bad)


@pytest.mark.parametrize("sizes", [((0, 5), (4, 4)), ((5, 5), (4, 0)), ((-1, 5), (4, 4))])
@pytest.mark.parametrize("function", ["stretch", "letterbox"])
def test_sizes_must_be_positive(function: str, sizes: Any) -> None:
    with pytest.raises(hp.ArgumentError, match=f"^{function}|^input_from_roi"):
        getattr(hp, function)(*sizes)


@pytest.mark.parametrize("values", [
    (0, 0, 0, 5), (0, 0, 5, -1), (math.nan, 0, 5, 5), (0, math.inf, 5, 5), (0, 0, 5, 5, math.nan),
])  # fmt: skip
def test_roi_refuses(values: tuple[float, ...]) -> None:
    with pytest.raises(hp.ArgumentError, match=r"^Roi: "):
        hp.Roi(*values)


def test_fit_is_checked() -> None:
    with pytest.raises(hp.ArgumentError, match=r"fit.*letterbox"):
        hp.input_from_roi(hp.Roi(1, 1, 2, 2), (4, 4), fit="cover")


@pytest.mark.parametrize(("function", "arguments"), [
    ("transform_points", (np.eye(3), [1, 2])),
    ("transform_points", (np.eye(2, 3), [1, 2, 3])),
    ("transform_points", (np.eye(2), [[1, 2]])),
    ("compose", (np.eye(3), np.eye(2, 3))),
    ("compose", (np.eye(2, 3), np.eye(2))),
    ("invert", ("affine",)),
    ("invert", ([[1, 2], [3]],)),
    ("stretch", ((5,), (4, 4))),
])  # fmt: skip
def test_wrong_shapes_and_types(function: str, arguments: Any) -> None:
    with pytest.raises(hp.HandposeError, match=rf"^{function}: "):
        getattr(hp, function)(*arguments)
