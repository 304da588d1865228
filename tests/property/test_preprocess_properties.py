"""Laws that preprocess keeps for any picture, size and region."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.reference import preprocess as reference
from tests.reference.arrays import FILTERS, SOURCE_FORMATS, copy_of, join, noise, repitch, split

import handpose_native as hp

pytest.importorskip("hypothesis")
from hypothesis import assume, given
from hypothesis import strategies as st

# Weights across are in 1/16384 and need not sum to one exactly; docs/kernels.md gives these bounds in grey levels.
TOLERANCE = {"linear": 0.02, "cubic": 0.0, "antialias": 0.0}  # the latter two round a sum that is that close to a level
# A mirrored picture takes the same taps in the other order: twice the bound on samples, or one level after rounding.
MIRRORED = {"linear": 0.04, "cubic": 1.0, "antialias": 1.0}
# The steepest slope of the YUV conversion (bt601, limited, U to B and Y to B): 2.02 + 1.17 per level.
YUV_GAIN = 3.2

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
filters, formats = st.sampled_from(FILTERS), st.sampled_from(SOURCE_FORMATS)
seeds = st.integers(0, 2**32 - 1)
PACKED = st.sampled_from(["bgr24", "rgb24", "gray8"])


def picture(seed: int, source_format: str, image_hw: tuple[int, int]) -> Any:
    return noise(np.random.default_rng(seed), source_format, *image_hw)


@st.composite
def regions(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """x, y, width, height with eighths of a pixel; negative sides mirror."""
    x, y = (draw(st.integers(-400, 800)) / 8 for _ in range(2))
    width, height = (draw(st.integers(1, 800)) / 8 * draw(st.sampled_from([1, -1])) for _ in range(2))
    return x, y, width, height


@given(sizes, sizes, filters, PACKED, regions(), st.integers(0, 255))
def test_constant_stays_constant(image_hw: Any, size_hw: Any, filter: str, fmt: str, region: Any, level: int) -> None:
    shape = image_hw if fmt == "gray8" else (*image_hw, 3)
    image = np.full(shape, level, np.uint8)
    affine = reference.roi_affine(*region, size_hw)
    for border in ("replicate", "constant"):
        got = hp.preprocess(
            image, size_hw=size_hw, input_from_image=affine, filter=filter, source_format=fmt, border=border,
            border_value=level, scale=1,
        )  # fmt: skip
        assert abs(got - level).max() <= TOLERANCE[filter]


@given(sizes, filters, formats, seeds, st.sampled_from(["rgb", "bgr"]))
def test_identity_is_plain_conversion(image_hw: Any, filter: str, source_format: str, seed: int, order: str) -> None:
    image = picture(seed, source_format, image_hw)
    if source_format in ("nv12", "yuv420p"):
        # Chroma is interpolated; taken alike from all places where it is constant.
        luma, *chroma = split(image)
        image = join([luma, *(np.full_like(plane, plane.flat[0]) for plane in chroma)])
    got = hp.preprocess(
        image, size_hw=image_hw, input_from_image=[[1, 0, 0], [0, 1, 0]], source_format=source_format, filter=filter,
        channel_order=order, scale=1, layout="NHWC",
    )[0]  # fmt: skip
    if source_format == "gray8":
        expected = np.repeat(image[..., None], 3, axis=2)
    elif source_format in ("bgr24", "rgb24"):
        expected = image if source_format[:3] == order else image[..., ::-1]
    else:
        u, v = split(image)[1].reshape(-1, 2)[0] if source_format == "nv12" else (p.flat[0] for p in split(image)[1:])
        expected = reference.yuv_to_rgb(split(image)[0], np.full(image_hw, u), np.full(image_hw, v))
        expected = expected if order == "rgb" else expected[..., ::-1]
        assert abs(got - expected).max() <= TOLERANCE["linear"] * YUV_GAIN
        return
    np.testing.assert_array_equal(got, expected)


@given(sizes, sizes, filters, formats, seeds, st.integers(0, 70), st.booleans(), st.integers(0, 255))
def test_row_padding_never_shows(
    image_hw: Any, size_hw: Any, filter: str, fmt: str, seed: int, padding: int, flipped: bool, garbage: int
) -> None:
    image = picture(seed, fmt, image_hw)
    options = {"size_hw": size_hw, "source_format": fmt, "filter": filter}
    view = repitch(image, padding, flipped=flipped, garbage=garbage)
    np.testing.assert_array_equal(hp.preprocess(view, **options), hp.preprocess(copy_of(image), **options))


@given(sizes, sizes, filters, PACKED, seeds, regions(), st.sampled_from([0, 1]))
def test_flips_commute(image_hw: Any, size_hw: Any, filter: str, fmt: str, seed: int, region: Any, axis: int) -> None:
    """Mirroring the picture and the region is mirroring nothing; points on the very edge belong to both sides."""
    image = picture(seed, fmt, image_hw)
    x, y, width, height = region
    mirrored = (image_hw[1] - x, y, -width, height) if axis else (x, image_hw[0] - y, width, -height)
    options = {"size_hw": size_hw, "source_format": fmt, "filter": filter, "border": "replicate", "scale": 1}
    got = hp.preprocess(image, input_from_image=reference.roi_affine(*region, size_hw), **options)
    flipped_image = np.ascontiguousarray(np.flip(image, axis))
    other = hp.preprocess(flipped_image, input_from_image=reference.roi_affine(*mirrored, size_hw), **options)
    assert abs(got - other).max() <= MIRRORED[filter]


@given(sizes, sizes, filters, PACKED, seeds)
def test_mirrored_stretch_is_the_mirrored_result(image_hw: Any, size_hw: Any, filter: str, fmt: str, seed: int) -> None:
    image = picture(seed, fmt, image_hw)
    options = {"size_hw": size_hw, "source_format": fmt, "filter": filter, "scale": 1}
    plain = hp.preprocess(image, **options)
    turned = reference.roi_affine(image_hw[1], image_hw[0], -image_hw[1], -image_hw[0], size_hw)
    got = hp.preprocess(image, input_from_image=turned, border="replicate", **options)
    assert abs(got - plain[:, :, ::-1, ::-1]).max() <= MIRRORED[filter]


@given(st.integers(12, 60), st.integers(12, 60), sizes, filters, PACKED, seeds, st.data())
def test_a_region_is_the_crop_where_no_tap_leaves_it(
    height: int, width: int, size_hw: Any, filter: str, fmt: str, seed: int, data: st.DataObject
) -> None:
    """A view of a crop and the same region differ only near the crop's edge, where only the crop ends."""
    image = picture(seed, fmt, (height, width))
    crop_h, crop_w = data.draw(st.integers(6, height)), data.draw(st.integers(6, width))
    x, y = data.draw(st.integers(0, width - crop_w)), data.draw(st.integers(0, height - crop_h))
    options = {"size_hw": size_hw, "source_format": fmt, "filter": filter, "scale": 1, "border": "replicate"}
    crop = hp.preprocess(image[y : y + crop_h, x : x + crop_w], **options)
    region = hp.preprocess(image, input_from_image=reference.roi_affine(x, y, crop_w, crop_h, size_hw), **options)
    keep = np.ix_(*(clear(n, side, filter) for n, side in zip(size_hw, (crop_h, crop_w))))
    inner_crop, inner_region = crop[0].transpose(1, 2, 0)[keep], region[0].transpose(1, 2, 0)[keep]
    assume(inner_crop.size > 0)
    assert abs(inner_crop - inner_region).max() <= MIRRORED[filter]


def clear(outputs: int, side: int, filter: str) -> np.ndarray:
    """Outputs of an axis whose taps all lie inside 0..side."""
    step = side / outputs
    reach = {"linear": 1.0, "cubic": 2.0, "antialias": max(1.0, step)}[filter] + 0.5
    centres = (np.arange(outputs) + 0.5) * step
    return np.flatnonzero((centres >= reach) & (centres <= side - reach))


@given(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), st.tuples(st.integers(1, 500), st.integers(1, 500)))
def test_letterbox_inverse_has_the_image_inside(image_hw: Any, input_hw: Any) -> None:
    affine = hp.letterbox(image_hw, input_hw)
    (height, width), (input_h, input_w) = image_hw, input_hw
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    there = hp.transform_points(affine, corners)
    slack = 1e-4 * max(input_hw)  # float32 points
    assert (there >= -slack).all()
    assert (there <= np.array([input_w, input_h]) + slack).all()
    back = hp.transform_points(hp.invert(affine), there.astype(np.float64))
    np.testing.assert_allclose(back, corners, atol=1e-3 * max(1.0, max(image_hw) / max(1, min(input_hw)) / 10))


@given(sizes, sizes, filters, formats, seeds, regions(), st.sampled_from(["constant", "replicate"]))
def test_values_stay_in_the_range_of_pictures(
    image_hw: Any, size_hw: Any, filter: str, fmt: str, seed: int, region: Any, border: str
) -> None:
    got = hp.preprocess(
        picture(seed, fmt, image_hw), size_hw=size_hw, source_format=fmt, filter=filter, border=border, scale=1,
        input_from_image=reference.roi_affine(*region, size_hw),
    )  # fmt: skip
    slack = TOLERANCE[filter]
    assert got.min() >= -slack
    assert got.max() <= 255 + slack
