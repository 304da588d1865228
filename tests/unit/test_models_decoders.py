"""Decoders: from outputs to joints in the input, with scores."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from handpose_native.errors import ModelError
from handpose_native.models import (
    DepthReader,
    HeatmapDecoder,
    KeypointDecoder,
    ModelSpec,
    RegressionDecoder,
    make_decoder,
)

METHODS = ("argmax", "quarter", "dark", "expectation", "upsampled_argmax")
MAP_HW = (48, 64)
INPUT_HW = (192, 128)  # four times as high and twice as wide as the maps
INPUT_FROM_MAP = np.array([2.0, 4.0])


def make_spec(**changes: Any) -> ModelSpec:
    values: dict[str, Any] = {"name": "s", "family": "heatmap", "channel_order": "rgb", "method": "expectation"}
    return ModelSpec(**{**values, **changes})


def make_output(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    return SimpleNamespace(name="out", shape=shape, dtype=np.dtype(dtype), layout=None)


def map_points(seed: int = 0) -> np.ndarray:
    """Points in continuous map pixels, far enough from the edges for a whole Gaussian."""
    return np.random.default_rng(seed).uniform((12, 12), (52, 36), (21, 2))


def gaussians(points: np.ndarray, sigma_px: float = 2.0, height: float = 1.0, dtype: str = "float32") -> np.ndarray:
    """Maps (1, 21, *MAP_HW) with a peak each, of pixels whose centres are at .5."""
    rows, columns = np.mgrid[: MAP_HW[0], : MAP_HW[1]] + 0.5
    square = (columns - points[:, :1, None]) ** 2 + (rows - points[:, 1:, None]) ** 2
    return (height * np.exp(-square / (2 * sigma_px**2)))[None].astype(dtype)


def decode(maps: np.ndarray, **changes: Any) -> Any:
    output = make_output(maps.shape, str(maps.dtype))
    return make_decoder(make_spec(**changes), [output], INPUT_HW).decode([maps])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("method", METHODS)
def test_points_are_in_pixels_of_the_input(method: str, dtype: str) -> None:
    points = map_points()
    upsampled = {"upsampled_hw": (480, 640)} if method == "upsampled_argmax" else {}
    found = decode(gaussians(points, dtype=dtype), method=method, **upsampled)
    # Half a pixel where there is no sub-pixel step; bilinear interpolation keeps its maximum at the pixel's centre.
    reach_px = {"argmax": 0.5, "quarter": 0.3, "dark": 0.05, "expectation": 0.01, "upsampled_argmax": 0.55}[method]
    assert np.abs(found.points / INPUT_FROM_MAP - points).max() < reach_px + (0.02 if dtype == "float16" else 0)
    assert found.points.dtype == found.scores.dtype == np.float32
    assert found.points.shape == (21, 2)
    assert found.scores.min() > 0.9
    assert found.presence == pytest.approx(found.scores.mean())
    assert isinstance(found.presence, float)


def test_the_peak_offset_is_what_the_first_pixel_means() -> None:
    maps = np.zeros((1, 21, *MAP_HW), np.float32)
    maps[:, :, 10, 20] = 1
    for offset in (0.0, 0.25, 0.5):
        found = decode(maps, method="argmax", peak_offset_px=offset)
        assert np.allclose(found.points, (np.array([20, 10]) + offset) * INPUT_FROM_MAP)
        assert (found.scores == 1).all()


def test_joint_order_takes_the_models_joints_to_ours() -> None:
    points = map_points()
    order = tuple(np.random.default_rng(1).permutation(21).tolist())
    plain, ordered = decode(gaussians(points)), decode(gaussians(points), joint_order=order)
    for models_joint, our_joint in enumerate(order):
        assert np.array_equal(ordered.points[our_joint], plain.points[models_joint])
        assert ordered.scores[our_joint] == plain.scores[models_joint]


@pytest.mark.parametrize("method", ["argmax", "expectation"])
def test_the_score_of_a_clean_peak_is_its_height(method: str) -> None:
    pixel_centres = np.floor(map_points()) + 0.5
    for height in (0.05, 0.4, 1.0):
        found = decode(gaussians(pixel_centres, height=height), method=method)
        assert np.allclose(found.scores, height, atol=1e-3)
        assert found.presence == pytest.approx(height, abs=1e-3)
    assert np.allclose(decode(gaussians(pixel_centres, height=3.0)).scores, 1)


def test_a_point_between_two_peaks_scores_low() -> None:
    left, right = np.full((21, 2), (16.5, 24.5)), np.full((21, 2), (48.5, 24.5))
    both = gaussians(left) + gaussians(right)
    between = decode(both)
    assert np.allclose(between.points / INPUT_FROM_MAP, (32.5, 24.5), atol=1e-2)
    assert between.scores.max() < 0.01
    assert decode(both, method="argmax").scores.min() > 0.99
    leaking = decode(gaussians(left) + 0.1 * gaussians(right))
    assert 0.2 < leaking.scores.mean() < 0.8


def test_maps_without_a_point() -> None:
    maps = gaussians(map_points())
    maps[0, 3] = np.nan
    maps[0, 4] = 0
    maps[0, 5] = -1
    maps[0, 6, 7, 7] = np.inf
    maps[0, 7, 0, 0] = np.nan
    found = decode(maps)
    for joint in (3, 4, 5, 6):
        assert np.isnan(found.points[joint]).all()
        assert found.scores[joint] == 0
    rest = [joint for joint in range(21) if joint not in (3, 4, 5, 6)]
    assert np.isfinite(found.points[rest]).all()
    assert found.scores[rest].min() > 0.9
    assert found.presence == pytest.approx(found.scores.sum() / 21)


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_nan_alone(method: str) -> None:
    upsampled = {"upsampled_hw": (96, 128)} if method == "upsampled_argmax" else {}
    found = decode(np.full((1, 21, *MAP_HW), np.nan, np.float32), method=method, **upsampled)
    assert np.isnan(found.points).all()
    assert (found.scores == 0).all()
    assert found.presence == 0


def test_a_nan_under_the_point_scores_nothing() -> None:
    maps = np.zeros((1, 21, *MAP_HW), np.float32)
    maps[:, :, 10, [19, 21]] = 1
    maps[:, :, 10, 20] = np.nan
    found = decode(maps)
    assert np.allclose(found.points / INPUT_FROM_MAP, (20.5, 10.5))
    assert (found.scores == 0).all()


def test_results_are_new_and_the_output_is_not_touched() -> None:
    maps = gaussians(map_points())
    kept = maps.copy()
    decoder = make_decoder(make_spec(), [make_output(maps.shape)], INPUT_HW)
    first = decoder.decode([maps])
    points = first.points.copy()
    decoder.decode([gaussians(map_points(1))])
    assert np.array_equal(first.points, points)
    assert np.array_equal(maps, kept)


def test_the_right_output_is_taken() -> None:
    maps = gaussians(map_points())
    outputs = [make_output((1, 42)), make_output(maps.shape)]
    decoder = make_decoder(make_spec(), outputs, INPUT_HW)
    assert np.isfinite(decoder.decode([np.zeros((1, 42), np.float32), maps]).points).all()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", [(42,), (1, 42), (1, 42, 1, 1)])
def test_regression_scales_to_the_input_and_claims_no_score(shape: tuple[int, ...], dtype: str) -> None:
    values = np.linspace(-0.5, 1.5, 42).astype(dtype)
    spec = ModelSpec(name="r", family="regression", channel_order="bgr")
    decoder = make_decoder(spec, [make_output(shape, dtype)], (200, 100))
    assert isinstance(decoder, RegressionDecoder)
    found = decoder.decode([values.reshape(shape)])
    assert np.allclose(found.points, values.reshape(21, 2).astype(np.float32) * (100, 200))
    assert found.points.dtype == found.scores.dtype == np.float32
    assert np.isnan(found.scores).all()
    assert math.isnan(found.presence)


def test_regression_of_numbers_that_are_not_finite() -> None:
    values = np.full((1, 42), 0.5, np.float32)
    values[0, 0], values[0, 5] = np.nan, np.inf
    order = (2, 1, 0, *range(3, 21))
    spec = ModelSpec(name="r", family="regression", channel_order="bgr", joint_order=order)
    found = make_decoder(spec, [make_output((1, 42))], (10, 10)).decode([values])
    assert np.isnan(found.points[[0, 2]]).all()
    assert (found.scores[[0, 2]] == 0).all()
    assert np.allclose(found.points[[1, *range(3, 21)]], 5)
    assert math.isnan(found.presence)


def test_make_decoder_chooses_by_family_and_refuses_what_does_not_fit() -> None:
    assert isinstance(make_decoder(make_spec(), [make_output((1, 21, 8, 8))], INPUT_HW), HeatmapDecoder)
    with pytest.raises(ModelError, match=r"\(1, 21, h, w\).*\(1, 42\)"):
        make_decoder(make_spec(), [make_output((1, 42))], INPUT_HW)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_joints_decoded_inside_are_scaled_to_the_input(dtype: str) -> None:
    spec = make_spec(family="keypoints", method=None, joint_order=tuple(reversed(range(21))))
    joints = np.random.default_rng(3).uniform(0, 1, (1, 21, 3)).astype(dtype)
    joints[0, 5] = (np.nan, np.nan, 0.0)
    joints[0, 6, 2] = np.nan
    joints[0, 7, 2] = 1.25
    decoder = make_decoder(spec, [make_output(joints.shape, dtype)], INPUT_HW)
    assert isinstance(decoder, KeypointDecoder)
    found = decoder.decode([joints])
    ours = joints[0, ::-1].astype(np.float32)
    kept = [joint for joint in range(21) if joint not in (15, 14)]
    assert np.array_equal(found.points[kept], ours[kept, :2] * np.float32(INPUT_HW[::-1]))
    assert np.isnan(found.points[[15, 14]]).all()
    assert (found.scores[[15, 14]] == 0).all()
    assert found.scores[13] == 1
    assert found.presence == pytest.approx(found.scores.mean())
    assert found.points.dtype == found.scores.dtype == np.float32


def test_depths_follow_the_order_of_joints() -> None:
    order = tuple(np.random.default_rng(4).permutation(21).tolist())
    spec = make_spec(family="keypoints", method=None, joint_order=order, depth_output="depth")
    output = SimpleNamespace(name="depth", shape=(1, 20), dtype=np.dtype("float16"), layout=None)
    depths = DepthReader(spec, [output]).read([np.arange(1, 21, dtype=np.float16)[None]])
    assert depths.dtype == np.float64
    assert [depths[order[models_joint]] for models_joint in range(21)] == list(range(21))
    with pytest.raises(ModelError, match="spec 's': depth_output is needed to read depths"):
        DepthReader(make_spec(), [output])


@pytest.mark.parametrize("family", ["palms", "landmarks"])
def test_the_networks_of_hands_are_not_run_alone(family: str) -> None:
    with pytest.raises(ModelError, match=f"family '{family}' is one of the two networks of a hands model"):
        make_decoder(make_spec(family=family, method=None), [make_output((1, 63))], INPUT_HW)
