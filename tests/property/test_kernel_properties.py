"""What must hold for any picture, map and hand; more of preprocess is in test_preprocess_properties.

test_levels compares levels bit for bit, so one is enough here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.reference import preprocess as reference
from tests.reference.arrays import FILTERS, SOURCE_FORMATS, copy_of, noise, plane_shapes, repitch, split

import handpose_native as hp

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

# docs/kernels.md: grey levels against exact arithmetic; a flipped picture rounds the same points differently.
LINEAR = 0.02
POINT_PX = 1e-3

seeds = st.integers(0, 2**32 - 1)
sides = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 127, 129]))
sizes = st.tuples(sides, sides)
formats = st.sampled_from(SOURCE_FORMATS)
filters = st.sampled_from(FILTERS)
borders = st.sampled_from(["constant", "replicate"])
layouts = st.sampled_from(["NCHW", "NHWC"])
lengths = st.floats(0.05, 200)
places = st.floats(-150, 150)


@st.composite
def upright_affines(draw: st.DrawFn, size_hw: tuple[int, int]) -> np.ndarray:
    width, height = draw(lengths) * draw(st.sampled_from([1, -1])), draw(lengths) * draw(st.sampled_from([1, -1]))
    return reference.roi_affine(draw(places), draw(places), width, height, size_hw)


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.data(), sizes, sizes, formats, filters, st.integers(0, 255))
def test_a_constant_picture_stays_constant(
    data: Any, hw: Any, size_hw: Any, source_format: str, filter: str, value: int
) -> None:
    """Weights sum to one: in grey levels exactly for whole results, within the weights' rounding for linear."""
    planes = [
        np.full(shape, value if number == 0 else 128, np.uint8)
        for number, shape in enumerate(plane_shapes(source_format, *hw))
    ]
    image = planes[0] if len(planes) == 1 else tuple(planes)
    affine = data.draw(st.one_of(st.none(), upright_affines(size_hw)))
    got = hp.preprocess(
        image, size_hw=size_hw, input_from_image=affine, source_format=source_format, filter=filter, scale=1,
        border="replicate", color_range="full",
    )  # fmt: skip
    assert abs(got - value).max() <= (LINEAR if filter == "linear" else 1e-4)


@given(st.data(), sizes, sizes, formats, filters, layouts, seeds)
def test_any_region_is_the_reference(
    data: Any, hw: Any, size_hw: Any, source_format: str, filter: str, layout: str, seed: int
) -> None:
    """Replicated borders, so that no point lies on an edge between two answers."""
    image = noise(rng_of(seed), source_format, *hw)
    affine = data.draw(upright_affines(size_hw))
    options = {"source_format": source_format, "filter": filter, "border": "replicate"}
    got = hp.preprocess(image, size_hw=size_hw, input_from_image=affine, scale=1, layout=layout, **options)
    got = got[0] if layout == "NHWC" else got[0].transpose(1, 2, 0)
    expected = reference.grey_levels(image, size_hw, affine, **options)
    yuv = source_format in ("nv12", "yuv420p")
    # Conversion multiplies what sampling left open: 0.02, or one level where rounding may fall either way.
    assert abs(got - expected).max() <= (LINEAR if filter == "linear" else 1 + 1e-4) * (3.3 if yuv else 1)


@given(st.integers(0, 20), st.integers(0, 20), st.sampled_from(["argmax", "quarter", "dark", "expectation"]), seeds)
def test_peaks_of_a_shifted_map_shift(dx: int, dy: int, method: str, seed: int) -> None:
    rng = rng_of(seed)
    xs = np.arange(25) + 0.5
    x, y = rng.uniform(9, 16, 2)
    patch = np.exp(-((xs[None, :] - x) ** 2 + (xs[:, None] - y) ** 2) / 4).astype(np.float32)
    base, moved = np.zeros((2, 60, 60), np.float32)
    base[9:34, 9:34] = patch
    moved[9 + dy : 34 + dy, 9 + dx : 34 + dx] = patch
    points, scores, spreads = hp.heatmap_peaks(np.stack([base, moved]), method=method, spreads=True)
    np.testing.assert_allclose(points[1] - points[0], (dx, dy), atol=2 * POINT_PX)
    assert scores[0] == scores[1]
    np.testing.assert_allclose(spreads[0], spreads[1], atol=2 * POINT_PX)


@given(sizes, st.integers(-20, 20), st.sampled_from(["argmax", "quarter", "expectation", "upsampled_argmax"]), seeds)
def test_peaks_do_not_depend_on_powers_of_two(hw: Any, power: int, method: str, seed: int) -> None:
    heatmaps = rng_of(seed).standard_normal((2, *hw)).astype(np.float32)
    options = {"upsampled_hw": (hw[0] * 2, hw[1] * 3)} if method == "upsampled_argmax" else {}
    points, scores, spreads = hp.heatmap_peaks(heatmaps, method=method, spreads=True, **options)
    scaled = hp.heatmap_peaks(heatmaps * np.float32(2.0**power), method=method, spreads=True, **options)
    np.testing.assert_array_equal(scaled[0], points)
    np.testing.assert_array_equal(scaled[1], scores * np.float32(2.0**power))
    np.testing.assert_array_equal(scaled[2], spreads)


@given(sizes, seeds)
def test_argmax_is_argmax(hw: Any, seed: int) -> None:
    heatmaps = rng_of(seed).integers(-3, 3, (3, *hw)).astype(np.float16)
    points, scores = hp.heatmap_peaks(heatmaps)
    index = heatmaps.reshape(3, -1).argmax(axis=1)
    np.testing.assert_array_equal(points, np.stack([index % hw[1], index // hw[1]], axis=1) + np.float32(0.5))
    np.testing.assert_array_equal(scores, heatmaps.reshape(3, -1).max(axis=1))


coordinates = st.one_of(st.floats(-20, 60, width=32), st.floats(width=32))


@given(
    sizes,
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6),
    st.sampled_from(["bgr24", "rgb24", "bgra32", "nv12", "yuv420p"]),
    st.floats(0, 30),
    st.floats(0, 30),
    st.booleans(),
    seeds,
)
def test_drawing_stays_inside_and_near(
    hw: Any, points: Any, source_format: str, thickness: float, radius: float, flipped: bool, seed: int
) -> None:
    image = noise(rng_of(seed), source_format, *hw)
    count = len(points)
    options = {
        "bones": [[i, i + 1] for i in range(count - 1)] or np.zeros((0, 2), int),
        "bone_colors": np.full((count - 1, 3), 200), "joint_colors": np.full((count, 3), 90),
        "thickness": thickness, "joint_radius": radius, "source_format": source_format,
    }  # fmt: skip
    plain = copy_of(image)
    hp.draw_skeleton(plain, points, **options)
    view = repitch(image, 11, flipped=flipped)
    hp.draw_skeleton(view, points, **options)
    for drawn, want, original in zip(split(view), split(plain), split(image)):
        np.testing.assert_array_equal(drawn, want)
        drawn[...] = 0xA5
        assert (drawn.base == 0xA5).all()
        assert want.shape == original.shape
    array = np.array(points, np.float32).astype(np.float64)
    finite = np.isfinite(array).all(axis=1)
    if abs(array[finite]).max(initial=0) > 1e9:
        return  # the end of so long a bone is known to no better than pixels
    if not finite.any():
        assert all((a == b).all() for a, b in zip(split(plain), split(image)))
        return
    # Whatever is drawn lies in the box of the finite points and their radius; a chroma sample covers 2 x 2 pixels.
    reach = max(thickness / 2, radius) + 2
    low, high = array[finite].min(axis=0) - reach, array[finite].max(axis=0) + reach
    y, x = np.indices(hw) + 0.5
    outside = (x < low[0]) | (x > high[0]) | (y < low[1]) | (y > high[1])
    np.testing.assert_array_equal(split(plain)[0][outside], split(image)[0][outside])


@given(st.data(), sizes, sizes, filters, seeds)
def test_the_border_does_not_reach_inside(data: Any, hw: Any, size_hw: Any, filter: str, seed: int) -> None:
    """Inside the image both borders give the same values; the constant 0.25 is none of them.

    Only a sum of ``antialias`` next to a half may round the other way: each border sums its own set of rows.
    """
    image = noise(rng_of(seed), "gray8", *hw)
    affine = data.draw(upright_affines(size_hw))
    options = {"size_hw": size_hw, "input_from_image": affine, "source_format": "gray8", "filter": filter, "scale": 1}
    replicated = hp.preprocess(image, border="replicate", **options)
    padded = hp.preprocess(image, border_value=0.25, **options)
    inside = padded != 0.25
    difference = abs(padded[inside] - replicated[inside])
    assert difference.max(initial=0) <= (1 if filter == "antialias" else 0)


@pytest.mark.parametrize(
    ("image_hw", "side"), [((97, 128), 128), ((680, 1280), 224), ((1891, 1952), 224), ((485, 640), 128)]
)
def test_letterbox_with_half_a_pixel_of_padding_is_symmetrical(image_hw: tuple[int, int], side: int) -> None:
    """The first and the last row of samples lie exactly on the image's edge, which counts as inside."""
    image = np.full(image_hw, 200, np.uint8)
    affine = hp.letterbox(image_hw, (side, side))
    got = hp.preprocess(image, size_hw=(side, side), input_from_image=affine, source_format="gray8", dtype="uint8")
    rows = np.flatnonzero((got[0, 0] == 200).all(axis=1))
    content = side * image_hw[0] / image_hw[1]
    assert content % 2 == 1
    first = int((side - content) / 2)
    np.testing.assert_array_equal(rows, np.arange(first, side - first))
