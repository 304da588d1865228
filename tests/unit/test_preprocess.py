"""preprocess against the float64 reference, its dtypes, layouts and buffers. Errors: tests/property."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.reference import preprocess as reference
from tests.reference.arrays import (
    FILTERS,
    SOURCE_FORMATS,
    Buffer,
    copy_of,
    guarded,
    guards_intact,
    noise,
    repitch,
    split,
)

import handpose_native as hp

per_level = pytest.mark.usefixtures("isa_level")

# Round the widths of vectors of 4, 8, 16 and 32 bytes.
SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33)
# docs/kernels.md, Precision: grey levels against exact arithmetic, before rounding.
TOLERANCE = {"linear": 0.03, "rotated": 0.035, "cubic": 0.05, "antialias": 0.1}
# Whole numbers of at most 255 through float32 conversions: a few units in the last place.
EXACT = 1e-4
# The steepest slope of the YUV conversion: 2.12 (bt709, limited, U to B) + 1.17 (Y). The page's bound is on samples.
YUV_GAIN = 3.3
# Where a point falls on the image's edge to within rounding, either side is right.
EDGE_PX = 1e-6
ROTATED_EDGE_PX = 1e-4


def off_edge(affine: np.ndarray, size_hw: tuple[int, int], image_hw: tuple[int, int], margin: float) -> np.ndarray:
    """True (h, w) where the sampled point is clear of the line between inside and outside."""
    (a, b, c), (d, e, f) = reference.invert_affine(affine)
    rows, columns = np.arange(size_hw[0])[:, None] + 0.5, np.arange(size_hw[1])[None, :] + 0.5
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    near_x = (abs(x) < margin) | (abs(x - image_hw[1]) < margin)
    near_y = (abs(y) < margin) | (abs(y - image_hw[0]) < margin)
    return ~(near_x | near_y)


def check(image: Any, size_hw: tuple[int, int], affine: Any = None, **options: Any) -> None:
    """Compare every level with the reference: within the tolerance, or exactly where the rounding is certain."""
    filter, source_format = options.get("filter", "linear"), options.get("source_format", "bgr24")
    results = []
    for level in hp.isa_levels():
        with hp.isa(level):
            given = {"size_hw": size_hw, "input_from_image": affine, "scale": 1, "layout": "NHWC", **options}
            results.append(hp.preprocess(image, **given)[0])
    got = results[0]
    assert all(result.tobytes() == got.tobytes() for result in results), (
        f"levels differ at {size_hw} {affine} {options}"
    )
    difference = abs(got - reference.grey_levels(image, size_hw, affine, **options)).max(axis=2)
    gain = YUV_GAIN if source_format in ("nv12", "yuv420p") else 1.0
    rotated = affine is not None and (affine[0][1] != 0 or affine[1][0] != 0)
    tolerance = TOLERANCE["rotated" if rotated else filter] * gain
    if filter != "linear":
        exact, _ = reference.samples(image, size_hw, affine, source_format=source_format, filter=filter)
        sure = reference.clear_of_halves(exact, TOLERANCE[filter])
        tolerance = np.where(sure, EXACT, gain + EXACT)
    if affine is not None and options.get("border", "constant") == "constant":
        margin = ROTATED_EDGE_PX if rotated else EDGE_PX
        difference = difference * off_edge(affine, size_hw, split(image)[0].shape[:2], margin)
    assert (difference <= tolerance).all(), f"{difference.max()} at {size_hw} {affine} {options}"


def rois(rng: np.random.Generator, height: int, width: int) -> list[tuple[float, float, float, float]]:
    """x, y, width, height: inside, crossing, outside, mirrored, far outside, tiny."""
    u = rng.uniform
    return [
        (u(0, width / 2), u(0, height / 2), u(0.5, width / 2), u(0.5, height / 2)),
        (-u(0, width), -u(0, height), width * u(1, 2), height * u(1, 2)),
        (u(0, width), u(0, height), width * 1.5, height * 0.7),
        (width + u(0.1, 5), 0.3, width, height),
        (width * 0.9, height * 1.1, -width * u(0.5, 1.3), -height * u(0.5, 1.3)),
        (-1e5, 1e4, width, height),
        (width / 2, height / 2, 0.01, 0.02),
    ]


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("source_format", SOURCE_FORMATS)
def test_stretch_at_all_sizes(rng: np.random.Generator, source_format: str, filter: str) -> None:
    for number, width in enumerate(SIZES):
        for target in SIZES:
            height, target_h = SIZES[(number * 3) % len(SIZES)], SIZES[(number + target) % len(SIZES)]
            image = noise(rng, source_format, height, width)
            order = ("rgb", "bgr")[(width + target) % 2]
            options = {"source_format": source_format, "filter": filter, "channel_order": order}
            check(image, (target_h, target), **options)


@pytest.mark.parametrize("border", ["constant", "replicate"])
@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("source_format", SOURCE_FORMATS)
def test_regions(rng: np.random.Generator, source_format: str, filter: str, border: str) -> None:
    for number, width in enumerate(SIZES):
        height = SIZES[(number * 5 + 2) % len(SIZES)]
        image = noise(rng, source_format, height, width)
        size_hw = SIZES[(number * 7 + 1) % len(SIZES)], SIZES[(number * 2 + 3) % len(SIZES)]
        for roi in rois(rng, height, width):
            check(
                image, size_hw, reference.roi_affine(*roi, size_hw), source_format=source_format, filter=filter,
                border=border, border_value=(3, 114.5, 250),
            )  # fmt: skip


@pytest.mark.parametrize("border", ["constant", "replicate"])
@pytest.mark.parametrize("source_format", SOURCE_FORMATS)
def test_rotation_and_shear(rng: np.random.Generator, source_format: str, border: str) -> None:
    for number, width in enumerate(SIZES):
        height = SIZES[(number * 5 + 2) % len(SIZES)]
        image = noise(rng, source_format, height, width)
        size_hw = SIZES[(number * 7 + 1) % len(SIZES)], SIZES[(number * 2 + 3) % len(SIZES)]
        affines = [
            reference.rotation_affine((width / 2, height / 2), width + height, angle, size_hw)
            for angle in (0.1, math.pi / 2, math.pi, -2.5)
        ]
        affines += [np.array([[1.1, 0.7, -3.2], [-0.2, -0.9, 5.4]]), np.array([[0.01, 0.3, 0.1], [0.4, 0.02, 0.3]])]
        for affine in affines:
            check(
                image, size_hw, affine, source_format=source_format, border=border, border_value=77,
            )  # fmt: skip


def test_rotation_of_a_large_image(rng: np.random.Generator) -> None:
    height, width = 1080, 1920
    image = noise(rng, "bgr24", height, width)
    # Noise has the sharpest edges everywhere: positions are as exact here as in a small image.
    for angle in (0.3, 2.0, -1.2):
        check(image, (224, 224), reference.rotation_affine((1300.3, 700.7), 700, angle, (224, 224)))
        check(image, (224, 224), reference.rotation_affine((100.3, 900.7), 900, angle, (224, 224)), border="replicate")


def test_rotation_of_the_largest_width(rng: np.random.Generator) -> None:
    image = noise(rng, "gray8", 9, 65535)
    for centre in (300.7, 40000.2, 65400.9):
        check(image, (9, 50), reference.rotation_affine((centre, 4.5), 40, 0.2, (9, 50)), source_format="gray8")
    # Nearly all of it, in large steps.
    check(image, (4, 60), np.array([[60 / 70000, 1e-4, 0.5], [1e-6, 0.45, 0.1]]), source_format="gray8")


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("size_hw", [(68, 120), (45, 80), (256, 256), (300, 1100)])
def test_large_reductions(rng: np.random.Generator, filter: str, size_hw: tuple[int, int]) -> None:
    image = noise(rng, "rgb24", 720, 1280)
    check(image, size_hw, filter=filter, source_format="rgb24")


@pytest.mark.parametrize("color_range", ["limited", "full"])
@pytest.mark.parametrize("color_matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("source_format", ["nv12", "yuv420p"])
def test_yuv_conversions(rng: np.random.Generator, source_format: str, color_matrix: str, color_range: str) -> None:
    image = noise(rng, source_format, 48, 64)
    for filter in FILTERS:
        check(
            image, (31, 50), None, source_format=source_format, color_matrix=color_matrix, color_range=color_range,
            filter=filter,
        )  # fmt: skip


@per_level
@pytest.mark.parametrize(("y", "u", "v", "rgb"), [
    (16, 128, 128, (0, 0, 0)), (235, 128, 128, (255, 255, 255)), (126, 128, 128, (128, 128, 128)),
    (81, 90, 240, (254, 0, 0)), (145, 54, 34, (0, 255, 1)), (41, 240, 110, (0, 0, 255)), (0, 0, 255, (184, 0, 0)),
])  # fmt: skip
def test_known_colours(y: int, u: int, v: int, rgb: tuple[int, int, int]) -> None:
    """The colour bars of BT.601: 8 bit codes of black, white, grey and the pure colours, each within one level."""
    planes = tuple(np.full(shape, value, np.uint8) for shape, value in (((4, 6), y), ((2, 3), u), ((2, 3), v)))
    got = hp.preprocess(planes, size_hw=(4, 6), source_format="yuv420p", dtype="uint8", layout="NHWC")
    assert abs(got.astype(int) - np.array(rgb)).max() <= 1


@per_level
@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("source_format", SOURCE_FORMATS)
def test_dtypes_and_layouts_are_one_result(rng: np.random.Generator, source_format: str, filter: str) -> None:
    for width, target in zip(SIZES, reversed(SIZES)):
        image = noise(rng, source_format, 21, width)
        options = {
            "size_hw": (7, target), "source_format": source_format, "filter": filter, "scale": (1.5, 1, 0.9),
            "mean": (100.0, 0.0, -20.0), "std": (0.9, 1.0, 1.7),
        }  # fmt: skip
        plain = hp.preprocess(image, **options)
        assert plain.dtype == np.float32
        assert plain.shape == (1, 3, 7, target)
        expected = {
            "float32": plain,
            "float16": plain.astype(np.float16),
            "uint8": np.rint(np.clip(plain, 0, 255)).astype(np.uint8),
        }
        for dtype, planar in expected.items():
            got = hp.preprocess(image, dtype=dtype, **options)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, planar)
            got = hp.preprocess(image, dtype=np.dtype(dtype), layout="NHWC", **options)
            np.testing.assert_array_equal(got, planar.transpose(0, 2, 3, 1))


@per_level
@pytest.mark.parametrize("filter", ["antialias", "cubic"])
def test_exact_halves_round_up(rng: np.random.Generator, filter: str) -> None:
    """At half size all weights away from the edges are whole 64ths or 1024ths, so sums of one half are exact."""
    image = noise(rng, "gray8", 256, 256)
    got = hp.preprocess(image, size_hw=(128, 128), source_format="gray8", filter=filter, scale=1)[0, 0, 2:-2, 2:-2]
    exact, _ = reference.samples(image, (128, 128), source_format="gray8", filter=filter)
    exact = exact[2:-2, 2:-2, 0]
    ties = (exact - np.floor(exact) == 0.5) & (exact > 0) & (exact < 255)
    assert ties.any()
    np.testing.assert_array_equal(got[ties], np.ceil(exact[ties]))


@per_level
def test_float16_overflows_to_infinity() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    with np.errstate(over="ignore"):
        for scale in (1e4, 1400.0, -1400.0, 1e-6, 65519.9, 65520.0):
            plain = hp.preprocess(image, size_hw=(4, 4), scale=scale)
            half = hp.preprocess(image, size_hw=(4, 4), scale=scale, dtype="float16")
            np.testing.assert_array_equal(half, plain.astype(np.float16))


@per_level
@pytest.mark.parametrize("channel_order", ["rgb", "bgr"])
@pytest.mark.parametrize("source_format", SOURCE_FORMATS)
def test_normalisation_goes_by_output_channel(rng: np.random.Generator, source_format: str, channel_order: str) -> None:
    image = noise(rng, source_format, 12, 20)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    options = {"source_format": source_format, "channel_order": channel_order, "mean": mean, "std": std}
    got = hp.preprocess(image, size_hw=(9, 11), **options)
    expected = reference.preprocess(image, (9, 11), **options)
    grey_level = 1 / 255 / min(std)
    assert abs(got - expected).max() <= TOLERANCE["linear"] * YUV_GAIN * grey_level
    unscaled = hp.preprocess(image, size_hw=(9, 11), source_format=source_format, channel_order=channel_order, scale=1)
    factor = (1 / 255 / np.array(std)).astype(np.float32)[:, None, None]
    bias = (-np.array(mean) / np.array(std)).astype(np.float32)[:, None, None]
    np.testing.assert_array_equal(got, unscaled * factor + bias)  # x * S + B, two roundings


@per_level
@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("source_format", SOURCE_FORMATS)
@pytest.mark.parametrize(("padding", "flipped"), [(5, False), (64, False), (0, True), (9, True)])
def test_row_pitch(rng: np.random.Generator, source_format: str, filter: str, padding: int, flipped: bool) -> None:
    for height, width in ((1, 1), (5, 9), (16, 33)):
        image = noise(rng, source_format, height, width)
        view = repitch(image, padding, flipped=flipped)
        options = {"size_hw": (8, 17), "source_format": source_format, "filter": filter}
        np.testing.assert_array_equal(hp.preprocess(view, **options), hp.preprocess(image, **options))
        rotation = reference.rotation_affine((width / 2, height / 2), 9, 0.7, (8, 17))
        options.update(filter="linear", input_from_image=rotation)
        np.testing.assert_array_equal(hp.preprocess(view, **options), hp.preprocess(image, **options))


@per_level
@pytest.mark.parametrize("filter", FILTERS)
def test_edges_of_the_image_are_inside(filter: str) -> None:
    """0 <= c <= W with c exactly 0 and exactly W: the arithmetic has no rounding here."""
    image = np.full((4, 4, 3), 200, np.uint8)
    affine = [[1, 0, 2.5], [0, 1, 2.5]]
    got = hp.preprocess(image, size_hw=(10, 10), input_from_image=affine, filter=filter, scale=1, border_value=9)[0, 0]
    expected = np.full((10, 10), 9.0)
    expected[2:7, 2:7] = 200
    assert abs(got - expected).max() <= TOLERANCE[filter]
    assert (got == 9.0).sum() == 75


@per_level
def test_out_arrays(rng: np.random.Generator) -> None:
    image = noise(rng, "bgr24", 13, 19)
    for layout, shape in (("NCHW", (3, 8, 12)), ("NHWC", (8, 12, 3))):
        for dtype in ("float32", "float16", "uint8"):
            expected = hp.preprocess(image, size_hw=(8, 12), layout=layout, dtype=dtype)
            for full_shape in (shape, (1, *shape)):
                out, flat = guarded(full_shape, dtype)
                assert hp.preprocess(image, layout=layout, out=out) is out
                np.testing.assert_array_equal(out, expected.reshape(full_shape))
                assert guards_intact(flat)
                assert hp.preprocess(image, size_hw=(8, 12), dtype=dtype, layout=layout, out=out) is out
                buffer = Buffer(full_shape, dtype)
                assert hp.preprocess(image, layout=layout, out=buffer) is buffer
                np.testing.assert_array_equal(buffer.array(), expected.reshape(full_shape))
                assert buffer.guards_intact()


@per_level
def test_out_is_a_slice_of_a_batch(rng: np.random.Generator) -> None:
    image = noise(rng, "bgr24", 13, 19)
    batch = np.full((4, 3, 8, 12), -7, np.float32)
    hp.preprocess(image, out=batch[1])
    hp.preprocess(image, out=batch[2:3])
    expected = hp.preprocess(image, size_hw=(8, 12))[0]
    np.testing.assert_array_equal(batch[1:3], np.stack([expected, expected]))
    assert (batch[[0, 3]] == -7).all()


@per_level
def test_out_may_be_unaligned(rng: np.random.Generator) -> None:
    image = noise(rng, "bgr24", 6, 7)
    memory = np.full(3 * 4 * 5 * 4 + 9, 1, np.uint8)
    out = memory[1:-8].view(np.float32).reshape(3, 4, 5)
    assert hp.preprocess(image, out=out) is out
    np.testing.assert_array_equal(out, hp.preprocess(image, size_hw=(4, 5))[0])
    assert memory[0] == 1
    assert (memory[-8:] == 1).all()


@per_level
def test_read_only_sources_and_number_types(rng: np.random.Generator) -> None:
    image = noise(rng, "bgr24", 6, 8)
    expected = hp.preprocess(image, size_hw=(4, 5), mean=1.5, std=2.0, border_value=3.0)
    image.flags.writeable = False
    got = hp.preprocess(image, size_hw=[np.int64(4), np.int32(5)], mean=np.float32(1.5), std=2, border_value=[3, 3, 3])
    np.testing.assert_array_equal(got, expected)
    got = hp.preprocess(image, size_hw=np.array([4, 5]), mean=np.array([1.5] * 3), std=(2, 2.0, np.int8(2)))
    np.testing.assert_array_equal(got, expected)


@per_level
def test_subclass_and_tuple_or_list_of_planes(rng: np.random.Generator) -> None:
    planes = noise(rng, "yuv420p", 6, 8)
    expected = hp.preprocess(planes, size_hw=(4, 5), source_format="yuv420p")
    np.testing.assert_array_equal(hp.preprocess(list(planes), size_hw=(4, 5), source_format="yuv420p"), expected)
    image = noise(rng, "bgr24", 6, 8)
    before = copy_of(image)
    hp.preprocess(image, size_hw=(3, 3))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("source_format", ["nv12", "yuv420p"])
def test_yuv_planes_are_views(rng: np.random.Generator, source_format: str) -> None:
    packed = rng.integers(0, 256, (18, 16), dtype=np.uint8)
    planes = hp.yuv_planes(packed, source_format)
    chroma = [(6, 8, 2)] if source_format == "nv12" else [(6, 8), (6, 8)]
    assert [plane.shape for plane in planes] == [(12, 16), *chroma]
    assert all(np.shares_memory(plane, packed) for plane in planes)
    np.testing.assert_array_equal(np.concatenate([plane.ravel() for plane in planes]), packed.ravel())
    for bad in (packed[:17], packed[:, :15], packed[:, ::2], packed[None], packed[:0]):
        with pytest.raises(hp.ArgumentError, match=r"^yuv_planes: .*packed"):
            hp.yuv_planes(bad, source_format)
    with pytest.raises(hp.ArgumentError, match=r"source_format.*nv12"):
        hp.yuv_planes(packed, "bgr24")


def same_as_scalar(image: Any, options: dict[str, Any]) -> None:
    got = hp.preprocess(image, **options)
    with hp.isa("scalar"):
        expected = hp.preprocess(image, **options)
    assert got.tobytes() == expected.tobytes(), f"{split(image)[0].shape} {options}"


@per_level
@pytest.mark.parametrize("source_format", SOURCE_FORMATS)
def test_every_level_gives_the_bits_of_scalar(rng: np.random.Generator, source_format: str) -> None:
    """On the level ``scalar`` itself this only tells that results repeat."""
    cases = [(number, width, filter) for number, width in enumerate(SIZES) for filter in FILTERS]
    for number, width, filter in cases:
        image = repitch(noise(rng, source_format, 19, width), number)
        size_hw = SIZES[(number * 7 + 1) % len(SIZES)], SIZES[(number * 2 + 3) % len(SIZES)]
        affines = [None, *(reference.roi_affine(*roi, size_hw) for roi in rois(rng, 19, width))]
        if filter == "linear":
            affines += [reference.rotation_affine((width / 2, 9), 20, angle, size_hw) for angle in (0.3, 2.0, 4.5)]
        options = {
            "size_hw": size_hw, "source_format": source_format, "filter": filter,
            "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225),
            "border": ("constant", "replicate")[number % 2], "layout": ("NCHW", "NHWC")[number // 3 % 2],
            "dtype": ("float32", "float16", "uint8")[number % 3],
        }  # fmt: skip
        for affine in affines:
            same_as_scalar(image, {**options, "input_from_image": affine})


def test_an_unknown_level_names_those_there_are() -> None:
    before = hp.active_isa()
    with pytest.raises(hp.ArgumentError, match=r"^isa: level") as caught, hp.isa("mmx"):
        pass
    assert all(repr(level) in str(caught.value) for level in hp.isa_levels())
    assert hp.active_isa() == before


@per_level
@pytest.mark.parametrize("source_format", ["bgr24", "nv12"])
def test_rows_gibibytes_apart(rng: np.random.Generator, source_format: str) -> None:
    """Offsets that need more than 32 bits; only the pages of the two rows are ever touched."""
    pitch = 2**31 + 4096
    image = noise(rng, source_format, 2, 40)
    planes = []
    for plane in split(image):
        memory = np.zeros(pitch + 4096, np.uint8)
        strides = (pitch, *plane.strides[1:])
        far = np.lib.stride_tricks.as_strided(memory, plane.shape, strides)
        far[...] = plane
        planes.append(far)
    far_image = planes[0] if len(planes) == 1 else tuple(planes)
    rotation = reference.rotation_affine((20, 1), 12, 0.7, (8, 17))
    for affine in (None, rotation):
        options = {"size_hw": (8, 17), "source_format": source_format, "input_from_image": affine}
        np.testing.assert_array_equal(hp.preprocess(far_image, **options), hp.preprocess(image, **options))
