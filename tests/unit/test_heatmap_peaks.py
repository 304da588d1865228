"""heatmap_peaks against the float64 reference and against other people's formulas."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from tests.reference import heatmap_peaks as reference
from tests.reference.arrays import Buffer, DeviceBuffer, guarded, guards_intact

import handpose_native as hp

pytestmark = pytest.mark.usefixtures("level")

METHODS = ("argmax", "quarter", "dark", "expectation", "upsampled_argmax")
NAN, INF = float("nan"), float("inf")
# docs/kernels.md: points against exact arithmetic.
POINT_PX = 1e-3
# Interpolated scores: two roundings of float32 per axis of values up to about 1.
SCORE = 1e-6
# A root doubles the distance from zero: the spread of a single pixel is exactly 0 only in exact arithmetic.
SPREAD_PX = 2e-3
# Below this distance from a yes-or-no rule of "dark", float32 may decide the other way.
UNDECIDED = 1e-5


def options_of(method: str, shape: tuple[int, ...], factor: tuple[int, int] = (3, 4)) -> dict[str, Any]:
    if method != "upsampled_argmax":
        return {}
    return {"upsampled_hw": (shape[-2] * factor[0], shape[-1] * factor[1])}


def gaussian(height: int, width: int, x: float, y: float, sigma: float) -> np.ndarray:
    """A sampled Gaussian with its middle at continuous (x, y)."""
    xs, ys = np.arange(width) + 0.5, np.arange(height) + 0.5
    return np.exp(-((xs[None, :] - x) ** 2 + (ys[:, None] - y) ** 2) / (2 * sigma**2)).astype(np.float32)


def check(heatmaps: np.ndarray, method: str, **options: Any) -> None:
    """Compare points, scores and spreads with the reference."""
    points, scores, spreads = hp.heatmap_peaks(heatmaps, method=method, spreads=True, **options)
    assert points.dtype == scores.dtype == spreads.dtype == np.float32
    assert points.shape == (*heatmaps.shape[:-2], 2)
    assert scores.shape == spreads.shape == heatmaps.shape[:-2]
    want_points, want_scores, want_spreads, margins = reference.peaks(heatmaps, method, **options)
    np.testing.assert_allclose(spreads, want_spreads, atol=SPREAD_PX, rtol=1e-5)
    if method == "upsampled_argmax":
        check_upsampled(heatmaps, points, scores, want_scores, options["upsampled_hw"])
        return
    np.testing.assert_array_equal(scores, want_scores.astype(np.float32))
    sure = margins > UNDECIDED
    np.testing.assert_allclose(points[sure], want_points[sure], atol=POINT_PX, rtol=0)
    assert sure.mean() >= 0.5


def check_upsampled(
    heatmaps: np.ndarray, points: np.ndarray, scores: np.ndarray, want_scores: np.ndarray, size_hw: tuple[int, int]
) -> None:
    """Ties and near ties may fall on either pixel: compare values, and that the points are centres of fine pixels."""
    np.testing.assert_allclose(scores, want_scores, rtol=SCORE, atol=SCORE)
    height, width = heatmaps.shape[-2:]
    column = points[..., 0] * size_hw[1] / width - 0.5
    row = points[..., 1] * size_hw[0] / height - 0.5
    assert abs(column - np.rint(column)).max() < 1e-3
    assert abs(row - np.rint(row)).max() < 1e-3
    for index in np.ndindex(heatmaps.shape[:-2]):
        fine = reference.upsampled(heatmaps[index].astype(np.float64), size_hw)
        at = fine[round(float(row[index])), round(float(column[index]))]
        assert at == pytest.approx(want_scores[index], rel=SCORE, abs=SCORE)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [
    (1, 1), (1, 2), (2, 1), (1, 37), (41, 1), (3, 3), (5, 5), (4, 7), (8, 8), (9, 15), (16, 17), (31, 33), (64, 48),
])  # fmt: skip
def test_noise(rng: np.random.Generator, method: str, dtype: Any, shape: tuple[int, int]) -> None:
    heatmaps = rng.random((5, *shape)).astype(dtype)
    check(heatmaps, method, **options_of(method, shape))
    mixed = (rng.standard_normal((5, *shape)) * 3).astype(dtype)
    if method != "expectation" or shape[0] * shape[1] > 1:
        check(mixed, method, **options_of(method, shape))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [32, 64, 256])
def test_smooth_peaks(rng: np.random.Generator, method: str, size: int) -> None:
    places = rng.uniform(3, size - 3, (12, 2))
    heatmaps = np.stack([gaussian(size, size, x, y, rng.uniform(1, 3)) for x, y in places])
    check(heatmaps, method, **options_of(method, heatmaps.shape))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("blur_kernel", [3, 5, 7, 9, 11, 17, 31])
def test_blur_kernels(rng: np.random.Generator, method: str, blur_kernel: int) -> None:
    heatmaps = np.stack([gaussian(40, 36, x, y, 2) for x, y in rng.uniform(2, 34, (10, 2))])
    options = {"blur_kernel": blur_kernel} if method == "dark" else {}
    check(heatmaps, method, **options, **options_of(method, heatmaps.shape))


@pytest.mark.parametrize("method", METHODS)
def test_batches(rng: np.random.Generator, method: str) -> None:
    heatmaps = rng.random((3, 4, 12, 10), dtype=np.float32)
    options = options_of(method, heatmaps.shape)
    points, scores, spreads = hp.heatmap_peaks(heatmaps, method=method, spreads=True, **options)
    assert (points.shape, scores.shape, spreads.shape) == ((3, 4, 2), (3, 4), (3, 4))
    for n in range(3):
        single = hp.heatmap_peaks(heatmaps[n], method=method, spreads=True, **options)
        for whole, part in zip((points, scores, spreads), single):
            np.testing.assert_array_equal(whole[n], part)
    assert len(hp.heatmap_peaks(heatmaps, method=method, **options)) == 2


@pytest.mark.parametrize("method", METHODS)
def test_float16_is_float32_of_the_same_values(rng: np.random.Generator, method: str) -> None:
    half = rng.standard_normal((6, 19, 21)).astype(np.float16)
    half[0, 3, 4], half[1, 5, 5], half[2, :, :] = np.inf, np.nan, np.float16(6e-8)
    half[3] = -half[3] * np.float16(1e-5)
    options = options_of(method, half.shape)
    for a, b in zip(
        hp.heatmap_peaks(half, method=method, spreads=True, **options),
        hp.heatmap_peaks(half.astype(np.float32), method=method, spreads=True, **options),
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_pitches(rng: np.random.Generator, method: str, dtype: Any) -> None:
    heatmaps = rng.random((2, 3, 11, 13)).astype(dtype)
    options = options_of(method, heatmaps.shape)
    expected = hp.heatmap_peaks(heatmaps, method=method, spreads=True, **options)
    for garbage in (NAN, INF, -1.0, 1e4):
        canvas = np.full((3, 5, 14, 20), garbage, dtype=dtype)
        for view in (
            canvas[1:3, 1:4, 2:13, 5:18],
            canvas[2:0:-1, 3:0:-1, 12:1:-1, 5:18],
            canvas[::2, ::2, 1:12, :13],
        ):
            view[...] = heatmaps
            for got, want in zip(hp.heatmap_peaks(view, method=method, spreads=True, **options), expected):
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("method", METHODS)
def test_all_nan(method: str) -> None:
    heatmaps = np.full((2, 9, 9), NAN, np.float32)
    points, scores, spreads = hp.heatmap_peaks(heatmaps, method=method, spreads=True, **options_of(method, (9, 9)))
    assert np.isnan(points).all()
    assert np.isnan(scores).all()
    assert np.isnan(spreads).all()


@pytest.mark.parametrize("method", METHODS)
def test_some_nan(rng: np.random.Generator, method: str) -> None:
    heatmaps = np.stack([gaussian(24, 24, x, y, 2) for x, y in rng.uniform(6, 18, (8, 2))])
    heatmaps[rng.random(heatmaps.shape) < 0.05] = NAN
    heatmaps[:, 0, 0] = NAN
    if method != "upsampled_argmax":
        check(heatmaps, method)
        return
    points, scores = hp.heatmap_peaks(heatmaps, method=method, upsampled_hw=(24, 24))
    want = hp.heatmap_peaks(heatmaps, method="argmax")
    np.testing.assert_array_equal(points, want[0])
    np.testing.assert_array_equal(scores, want[1])


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 3e38, -3e38, 1e-40])
@pytest.mark.parametrize("method", ["argmax", "quarter", "dark", "upsampled_argmax"])
def test_constant_map_gives_its_first_pixel(method: str, value: float) -> None:
    heatmaps = np.full((1, 12, 14), value, np.float32)
    points, scores = hp.heatmap_peaks(heatmaps, method=method, **options_of(method, (12, 14)))
    first = (14 / 56 / 2, 12 / 36 / 2) if method == "upsampled_argmax" else (0.5, 0.5)
    np.testing.assert_allclose(points[0], first, rtol=1e-6)
    np.testing.assert_allclose(scores, np.float32(value), rtol=SCORE)


@pytest.mark.parametrize("method", ["argmax", "quarter", "dark"])
def test_ties_go_to_the_first_row_by_row(method: str) -> None:
    heatmap = np.zeros((1, 20, 40), np.float32)
    for y, x in ((7, 33), (7, 35), (9, 2), (15, 15)):
        heatmap[0, y, x] = 1
    points, scores = hp.heatmap_peaks(heatmap, method=method)
    assert abs(points[0] - (33.5, 7.5)).max() <= 1
    assert scores[0] == 1
    np.testing.assert_array_equal(hp.heatmap_peaks(heatmap)[0][0], (33.5, 7.5))


def test_first_maximum_at_every_place() -> None:
    for width in (1, 3, 4, 7, 8, 9, 15, 16, 17, 33):
        maps = np.full((2 * width, 2, width), -1, np.float32)
        maps.reshape(2 * width, -1)[np.arange(2 * width), np.arange(2 * width)] = 5
        points, _ = hp.heatmap_peaks(maps)
        place = np.arange(2 * width)
        np.testing.assert_array_equal(points, np.stack([place % width + 0.5, place // width + 0.5], axis=1))


def test_minus_zero_and_zero_tie() -> None:
    heatmap = np.array([[[-1.0, -0.0, 0.0]]], np.float32)
    points, scores = hp.heatmap_peaks(heatmap)
    np.testing.assert_array_equal(points[0], (1.5, 0.5))
    assert scores[0] == 0


def test_negative_maps() -> None:
    heatmap = -1 - gaussian(15, 15, 4.5, 6.5, 2)[None]
    heatmap[0, 9, 10] = -0.5
    for method in ("argmax", "quarter", "dark"):
        points, scores, spreads = hp.heatmap_peaks(heatmap, method=method, spreads=True)
        assert abs(points[0] - (10.5, 9.5)).max() <= 0.25
        assert scores[0] == -0.5
        assert np.isnan(spreads[0])
    points, scores = hp.heatmap_peaks(heatmap, method="expectation")
    assert np.isnan(points).all()
    assert scores[0] == -0.5


def test_plus_infinity() -> None:
    heatmap = gaussian(15, 15, 4.5, 6.5, 2)[None]
    heatmap[0, 9, 10] = INF
    for method in ("argmax", "quarter", "dark"):
        points, scores, spreads = hp.heatmap_peaks(heatmap, method=method, spreads=True)
        assert abs(points[0] - (10.5, 9.5)).max() <= 0.25, method
        assert scores[0] == INF
        assert np.isnan(spreads[0])
    points, scores = hp.heatmap_peaks(heatmap, method="expectation")
    assert np.isnan(points).all()
    assert scores[0] == INF


def test_sums_beyond_float32() -> None:
    for shape in ((20, 64), (64, 20)):
        heatmap = np.full((1, *shape), 1e36, np.float32)
        points, scores, spreads = hp.heatmap_peaks(heatmap, method="expectation", spreads=True)
        assert np.isnan(points).all()
        assert np.isnan(spreads).all()
        assert scores[0] == np.float32(1e36)


@pytest.mark.parametrize("method", METHODS)
def test_minus_infinity(method: str) -> None:
    heatmaps = np.full((1, 15, 15), -INF, np.float32)
    heatmaps[0, 4:11, 3:10] = gaussian(7, 7, 3.5, 3.5, 1.5)
    options = {"upsampled_hw": (15, 15)} if method == "upsampled_argmax" else {}
    points, scores = hp.heatmap_peaks(heatmaps, method=method, **options)
    np.testing.assert_allclose(points[0], (6.5, 7.5), atol=POINT_PX)
    assert scores[0] == 1
    points, scores = hp.heatmap_peaks(np.full((1, 6, 6), -INF, np.float32), method=method, **options)
    # Interpolation cannot carry infinities: "upsampled_argmax" clamps them to the finite floats, as it does NaN.
    assert scores[0] == (np.finfo(np.float32).min if method == "upsampled_argmax" else -INF)


def test_nan_is_passed_over_even_for_minus_infinity() -> None:
    heatmap = np.full((1, 2, 3), NAN, np.float32)
    heatmap[0, 1, 1] = -INF
    for method in ("argmax", "quarter", "dark"):
        points, scores = hp.heatmap_peaks(heatmap, method=method)
        np.testing.assert_array_equal(points[0], (1.5, 1.5))
        assert scores[0] == -INF


def test_quarter_by_hand() -> None:
    heatmap = np.zeros((5, 3, 3), np.float32)
    heatmap[:, 1, 1] = 9
    heatmap[0, 1, 2], heatmap[1, 0, 1], heatmap[2, 1, 0], heatmap[2, 2, 1] = 1, 1, 1, 1
    heatmap[3, 1, 0], heatmap[3, 2, 1], heatmap[3, 1, 2] = NAN, 1, 1
    heatmap[4, 1, 0] = -INF
    points, _ = hp.heatmap_peaks(heatmap, method="quarter")
    expected = [(1.75, 1.5), (1.5, 1.25), (1.25, 1.75), (1.5, 1.75), (1.75, 1.5)]
    np.testing.assert_array_equal(points, np.array(expected, np.float32))
    edge = np.array([[[9.0, 1.0, 0.0]]], np.float32)
    np.testing.assert_array_equal(hp.heatmap_peaks(edge, method="quarter")[0][0], (0.5, 0.5))


def mmpose_dark(heatmap: np.ndarray, x: int, y: int, taps: int) -> tuple[float, float]:
    """refine_keypoints_dark of mmpose (pixel indices): blur a zero-padded map, keep its maximum, step on the log."""
    height, width = heatmap.shape
    border = (taps - 1) // 2
    padded = np.zeros((height + 2 * border, width + 2 * border), np.float64)
    padded[border:-border, border:-border] = heatmap
    sigma = 0.3 * ((taps - 1) * 0.5 - 1) + 0.8
    blurred = cv2.GaussianBlur(padded, (taps, taps), sigma, borderType=cv2.BORDER_CONSTANT)[
        border:-border, border:-border
    ]
    blurred *= heatmap.max() / blurred.max()
    log = np.log(np.maximum(blurred, 1e-10))
    dx, dy = 0.5 * (log[y, x + 1] - log[y, x - 1]), 0.5 * (log[y + 1, x] - log[y - 1, x])
    dxx = 0.25 * (log[y, x + 2] - 2 * log[y, x] + log[y, x - 2])
    dxy = 0.25 * (log[y + 1, x + 1] - log[y - 1, x + 1] - log[y + 1, x - 1] + log[y - 1, x - 1])
    dyy = 0.25 * (log[y + 2, x] - 2 * log[y, x] + log[y - 2, x])
    offset = -np.linalg.inv(np.array([[dxx, dxy], [dxy, dyy]])) @ np.array([dx, dy])
    return x + offset[0], y + offset[1]


@pytest.mark.parametrize("taps", [9, 11, 17])
@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_dark_is_mmpose(rng: np.random.Generator, taps: int, sigma: float) -> None:
    places = rng.uniform(5, 43, (20, 2))
    heatmaps = np.stack([gaussian(64, 48, x, y, sigma) for x, y in places])
    points, scores = hp.heatmap_peaks(heatmaps, method="dark", blur_kernel=taps)
    for heatmap, point, score, place in zip(heatmaps, points, scores, places):
        y, x = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
        expected = mmpose_dark(heatmap.astype(np.float64), int(x), int(y), taps)
        np.testing.assert_allclose(point - 0.5, expected, atol=POINT_PX)
        assert score == heatmap.max()
        if min(*place, 48 - place[0]) > taps:
            np.testing.assert_allclose(point, place, atol=0.02)  # the step of a whole Gaussian is exact up to sampling


def test_expectation_finds_the_middle(rng: np.random.Generator) -> None:
    places = rng.uniform(20, 44, (20, 2))
    heatmaps = np.stack([gaussian(64, 64, x, y, 2.5) for x, y in places])
    points, _, spreads = hp.heatmap_peaks(heatmaps, method="expectation", spreads=True)
    np.testing.assert_allclose(points, places, atol=POINT_PX)
    np.testing.assert_allclose(spreads, 2.5 * math.sqrt(2), atol=0.01)


@pytest.mark.parametrize("size_hw", [(16, 16), (17, 19), (32, 48), (64, 64), (100, 16), (256, 256)])
def test_upsampled_argmax_is_a_resize(rng: np.random.Generator, size_hw: tuple[int, int]) -> None:
    heatmaps = rng.standard_normal((4, 16, 16)).astype(np.float32)
    check(heatmaps, "upsampled_argmax", upsampled_hw=size_hw)
    _, scores = hp.heatmap_peaks(heatmaps, method="upsampled_argmax", upsampled_hw=size_hw)
    resized = [cv2.resize(heatmap, size_hw[::-1], interpolation=cv2.INTER_LINEAR).max() for heatmap in heatmaps]
    np.testing.assert_allclose(scores, resized, rtol=1e-5)


def test_upsampled_argmax_by_hand() -> None:
    heatmap = np.array([[[0, 1, 1, 0]]], np.float32)
    points, scores = hp.heatmap_peaks(heatmap, method="upsampled_argmax", upsampled_hw=(2, 12))
    np.testing.assert_allclose(points[0], ((4 + 0.5) / 3, 0.25), rtol=1e-6)
    assert scores[0] == 1


def test_spreads_by_hand() -> None:
    heatmap = np.zeros((3, 8, 20), np.float32)
    heatmap[0, 3, 17] = 4
    heatmap[1, 2, 5], heatmap[1, 2, 11] = 2, 2
    heatmap[2, 1, 1], heatmap[2, 7, 9], heatmap[2, 0, 0] = 1, 1, -50
    _, _, spreads = hp.heatmap_peaks(heatmap, spreads=True)
    np.testing.assert_allclose(spreads, [0, 3, 5], atol=SPREAD_PX)


def test_out(rng: np.random.Generator) -> None:
    heatmaps = rng.random((2, 5, 9, 9), dtype=np.float32)
    expected = hp.heatmap_peaks(heatmaps, spreads=True)
    shapes = (2, 5, 2), (2, 5), (2, 5)
    arrays = [guarded(shape, np.float32) for shape in shapes]
    out = tuple(array for array, _ in arrays)
    result = hp.heatmap_peaks(heatmaps, spreads=True, out=out)
    assert all(got is given for got, given in zip(result, out))
    assert all(guards_intact(flat) for _, flat in arrays)
    buffers = tuple(Buffer(shape, np.float32) for shape in shapes)
    result = hp.heatmap_peaks(heatmaps, spreads=True, out=buffers)
    for got, given, array, want in zip(result, buffers, out, expected):
        assert got is given
        assert given.guards_intact()
        np.testing.assert_array_equal(array, want)
        np.testing.assert_array_equal(given.array(), want)
    source = Buffer(heatmaps.shape, np.float32)
    np.testing.assert_array_equal(hp.heatmap_peaks(source)[1], np.zeros((2, 5)) + source.array()[0, 0, 0, 0])
    with pytest.raises(hp.ArgumentError, match=r"^heatmap_peaks: .*out"):
        hp.heatmap_peaks(heatmaps, out=(DeviceBuffer((2, 5, 2), np.float32), np.zeros((2, 5), np.float32)))
