"""draw_skeleton against the float64 reference; clipping, fading, formats and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.reference import skeleton_draw as reference
from tests.reference.arrays import copy_of, noise, repitch, split

import handpose_native as hp

pytestmark = pytest.mark.usefixtures("level")

FORMATS = ("bgr24", "rgb24", "bgra32", "nv12", "yuv420p")
NAN, INF = float("nan"), float("inf")
NO_BONES = {"bones": np.zeros((0, 2), np.int32), "bone_colors": np.zeros((0, 3), np.uint8)}
# Coverage in 256 steps from float32 distances: a step may differ where it falls on a half, and moves a level by one.
# Figures drawn over one another pass the difference on, blended, so it stays one.
LEVELS = 1
# How rare that is: a float32 distance is off by about 1e-5 px of coordinates up to 100, a step is 1/256 px wide.
SHARE = 0.01


def hand(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """21 points in and a little outside the picture, scores 0.2..1."""
    points = rng.uniform(-0.1, 1.1, (21, 2)) * (width, height)
    return points.astype(np.float32), rng.uniform(0.2, 1, 21).astype(np.float32)


def style(**changes: Any) -> dict[str, Any]:
    return {
        "bones": hp.HAND_BONES, "bone_colors": hp.BONE_COLORS, "joint_colors": hp.JOINT_COLORS,
        "thickness": 3.0, "joint_radius": 2.5, **changes,
    }  # fmt: skip


def check(image: Any, points: Any, scores: Any = None, **options: Any) -> Any:
    """Draw on copies with both, compare, return what was drawn."""
    options = style(**options)
    got, want = copy_of(image), copy_of(image)
    assert hp.draw_skeleton(got, points, scores, **options) is got
    reference.draw_skeleton(want, points, scores, **{"source_format": "bgr24", **options})
    for a, b in zip(split(got), split(want)):
        difference = abs(a.astype(int) - b)
        assert difference.max() <= LEVELS
        assert (difference > 0).mean() <= SHARE
    return got


@pytest.mark.parametrize("source_format", FORMATS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 9), (33, 31), (64, 80), (97, 101)])
def test_hands(rng: np.random.Generator, source_format: str, size: tuple[int, int]) -> None:
    for thickness, radius in ((3.0, 2.5), (1.0, 0.5), (0.5, 6.25), (11.3, 8)):
        image = noise(rng, source_format, *size)
        points, scores = hand(rng, *size)
        options = {"source_format": source_format, "thickness": thickness, "joint_radius": radius}
        drawn = check(image, points, **options)
        assert min(size) < 7 or (split(drawn)[0] != split(image)[0]).any()
        check(image, points, scores, opacity=0.6, min_score=0.4, **options)


@pytest.mark.parametrize("color_range", ["limited", "full"])
@pytest.mark.parametrize("color_matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("source_format", ["nv12", "yuv420p"])
def test_yuv_colours(rng: np.random.Generator, source_format: str, color_matrix: str, color_range: str) -> None:
    for color in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (12, 200, 99), (255, 0, 255)]:
        check(
            noise(rng, source_format, 20, 30), [[15.0, 10.0]], joint_colors=[color], joint_radius=6, **NO_BONES,
            source_format=source_format, color_matrix=color_matrix, color_range=color_range,
        )  # fmt: skip


def test_axis_aligned_bones_by_hand() -> None:
    image = np.zeros((7, 12, 3), np.uint8)
    hp.draw_skeleton(
        image, [[2.5, 3.5], [8.5, 3.5]], bones=[[0, 1]], bone_colors=[[10, 20, 200]], joint_colors=[[0, 0, 0]] * 2,
        thickness=2.0, joint_radius=0.0, scores=[1, 1],
    )  # fmt: skip
    # Distance 0 and 1 from the middle row: covered wholly, and 1 + 0.5 - 1 = 0.5: half.
    middle, beside = image[3, 5], image[2, 5]
    np.testing.assert_array_equal(middle, (200, 20, 10))
    np.testing.assert_array_equal(beside, ((200 * 128 + 128) >> 8, (20 * 128 + 128) >> 8, (10 * 128 + 128) >> 8))
    np.testing.assert_array_equal(image[2], image[4])
    assert not image[[0, 1, 5, 6]].any()
    assert not image[:, [0, 11]].any()


@pytest.mark.parametrize("angle", [0, 7, 30, 45, 61, 90])
def test_coverage_is_the_share_of_the_pixel(angle: float) -> None:
    """Against counting 16 x 16 samples per pixel; coverage by distance does not see corners of pixels being cut."""
    turned = np.radians(angle)
    middle, along = np.array([20.3, 19.6]), 12 * np.array([np.cos(turned), np.sin(turned)])
    image = np.zeros((40, 40, 3), np.uint8)
    hp.draw_skeleton(
        image, [middle - along, middle + along], bones=[[0, 1]], bone_colors=[[255, 255, 255]], thickness=5.0,
        joint_colors=[[255, 255, 255]] * 2, joint_radius=0.0, scores=[1, 1],
    )  # fmt: skip
    fine = reference.distances((640, 640), 16 * (middle - along), 16 * (middle + along)) <= 16 * 2.5
    share = fine.reshape(40, 16, 40, 16).mean(axis=(1, 3))
    assert abs(image[:, :, 0] / 255 - share).max() <= 0.07
    assert image.sum() / (3 * 255) == pytest.approx(share.sum(), rel=0.005)


def test_joints_lie_over_bones() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    hp.draw_skeleton(
        image, [[10, 10], [2, 10]], bones=[[0, 1]], bone_colors=[[255, 0, 0]], joint_colors=[[0, 255, 0], [0, 0, 255]],
        thickness=9, joint_radius=3, source_format="rgb24",
    )  # fmt: skip
    np.testing.assert_array_equal(image[10, 10], (0, 255, 0))
    np.testing.assert_array_equal(image[10, 2], (0, 0, 255))
    np.testing.assert_array_equal(image[10, 6], (255, 0, 0))


@pytest.mark.parametrize("source_format", FORMATS)
@pytest.mark.parametrize("reach", [1e3, 1e6, 1e9, 3e38])
def test_points_far_outside(rng: np.random.Generator, source_format: str, reach: float) -> None:
    """A ray to a point far away still leaves the near end where it was; nothing crashes or wraps round."""
    image = noise(rng, source_format, 30, 40)
    for far in ((reach, 15.5), (-reach, 15.5), (20.5, reach), (20.5, -reach)):
        points = [[20.5, 15.5], far]
        # Along an axis float32 keeps the line where it is however long it is.
        check(
            image,
            points,
            bones=[[0, 1]],
            bone_colors=[[9, 200, 90]],
            joint_colors=[[1, 2, 3]] * 2,
            source_format=source_format,
        )
    for far in ((reach, reach), (-reach, reach), (reach, -reach / 3)):
        drawn = copy_of(image)
        hp.draw_skeleton(
            drawn,
            [far, far],
            bones=[[0, 1]],
            bone_colors=[[9, 200, 90]],
            joint_colors=[[1, 2, 3]] * 2,
            source_format=source_format,
        )
        for a, b in zip(split(drawn), split(image)):
            np.testing.assert_array_equal(a, b)


def test_long_slanted_bones(rng: np.random.Generator) -> None:
    """Through the picture from 10 000 px outside on both sides: a line that float32 distances still resolve."""
    image = np.zeros((60, 80, 3), np.uint8)
    points = np.array([[40.5 - 8000, 30.5 - 6000], [40.5 + 8000, 30.5 + 6000]])
    hp.draw_skeleton(
        image,
        points,
        bones=[[0, 1]],
        bone_colors=[[0, 0, 255]],
        joint_colors=[[1, 1, 1]] * 2,
        thickness=3,
        joint_radius=1,
    )
    blue = image[..., 0].astype(int)
    assert blue[30, 40] == 255
    rows, columns = np.nonzero(blue)
    distance = abs((columns + 0.5 - 40.5) * 0.6 - (rows + 0.5 - 30.5) * 0.8)
    assert distance.max() < 2.01
    assert blue.sum() / 255 == pytest.approx(60 * 3 / 0.6, rel=0.02)  # area: length of the clipped line times thickness


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_points_that_are_not_finite(rng: np.random.Generator, bad: float) -> None:
    image = noise(rng, "bgr24", 40, 50)
    points, scores = hand(rng, 40, 50)
    for row, column in ((0, 0), (5, 1), (20, 0)):
        points[row, column] = bad
    check(image, points, scores)
    everything_bad = np.full((21, 2), bad, np.float32)
    np.testing.assert_array_equal(check(image, everything_bad), image)
    np.testing.assert_array_equal(hp.draw_skeleton(copy_of(image), everything_bad), image)


def test_points_beyond_float32_are_left_out() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    hp.draw_skeleton(image, np.full((21, 2), 1e300))
    assert not image.any()


def test_scores(rng: np.random.Generator) -> None:
    image = noise(rng, "bgr24", 40, 50)
    points, scores = hand(rng, 40, 50)
    scores[:8] = [NAN, 0, -1, 2, INF, -INF, 0.4, np.nextafter(np.float32(0.4), np.float32(0))]
    for min_score in (0.0, 0.4, 1.0, -5.0, 0.400001):
        check(image, points, scores, min_score=min_score)
    np.testing.assert_array_equal(check(image, points, np.full(21, NAN), min_score=0.9), check(image, points))
    np.testing.assert_array_equal(check(image, points, np.zeros(21)), image)
    np.testing.assert_array_equal(check(image, points, opacity=0.0), image)


def test_fading_is_monotonic() -> None:
    levels = []
    for score in np.linspace(0, 1, 33):
        image = np.zeros((9, 9, 3), np.uint8)
        hp.draw_skeleton(image, [[4.5, 4.5]], [score], joint_colors=[[255, 255, 255]], joint_radius=3, **NO_BONES)
        levels.append(int(image[4, 4, 0]))
    np.testing.assert_array_equal(levels, [(255 * round(256 * score) + 128) >> 8 for score in np.linspace(0, 1, 33)])


def test_alpha_goes_towards_opaque() -> None:
    image = np.zeros((9, 9, 4), np.uint8)
    hp.draw_skeleton(image, [[4.5, 4.5]], joint_colors=[[1, 2, 3]], joint_radius=2, source_format="bgra32", **NO_BONES)
    np.testing.assert_array_equal(image[4, 4], (3, 2, 1, 255))
    assert image[0, 0, 3] == 0
    assert 0 < image[4, 6, 3] < 255


def test_degenerate_bones(rng: np.random.Generator) -> None:
    image = noise(rng, "bgr24", 20, 20)
    simple = {
        "bone_colors": [[250, 5, 6], [1, 255, 3]],
        "joint_colors": [[9, 9, 9]] * 2,
        "thickness": 5.0,
        "joint_radius": 0.75,
    }
    check(image, [[9.3, 8.1], [9.3, 8.1]], bones=[[0, 1], [1, 1]], **simple)
    check(image, [[9.3, 8.1], [9.3 + 1e-6, 8.1]], bones=[[0, 1], [0, 0]], **simple)
    check(image, [[0, 0], [20, 20]], bones=[[0, 1], [1, 0]], **simple)
    check(image, np.zeros((2, 2)), joint_colors=[[9, 9, 9]] * 2, **NO_BONES)


@pytest.mark.parametrize("source_format", FORMATS)
@pytest.mark.parametrize(("padding", "flipped"), [(3, False), (64, False), (0, True), (10, True)])
def test_views(rng: np.random.Generator, source_format: str, padding: int, flipped: bool) -> None:
    """On a view the same as on a copy, and the memory round it stays as it was."""
    for size in ((5, 7), (33, 40)):
        image = noise(rng, source_format, *size)
        points, scores = hand(rng, *size)
        view, plain = repitch(image, padding, flipped=flipped), copy_of(image)
        before = [plane.base.copy() for plane in split(view)]
        hp.draw_skeleton(view, points, scores, source_format=source_format, thickness=4, joint_radius=5)
        hp.draw_skeleton(plain, points, scores, source_format=source_format, thickness=4, joint_radius=5)
        for a, b, canvas in zip(split(view), split(plain), before):
            np.testing.assert_array_equal(a, b)
            after = a.base.copy()
            start = (a.__array_interface__["data"][0] - a.base.__array_interface__["data"][0]) // a.base.strides[0]
            first = start - (a.shape[0] - 1 if flipped else 0)
            inside = (slice(first, first + a.shape[0]), slice(padding // 2, padding // 2 + a.shape[1]))
            after[inside] = canvas[inside]
            np.testing.assert_array_equal(after, canvas)


def test_defaults_and_types(rng: np.random.Generator) -> None:
    points, scores = hand(rng, 100, 100)
    base = hp.draw_skeleton(np.zeros((100, 100, 3), np.uint8), points, scores)
    assert base.any()
    same = hp.draw_skeleton(
        np.zeros((100, 100, 3), np.uint8),
        points.tolist(),
        scores.tolist(),
        bones=list(hp.HAND_BONES),
        bone_colors=hp.BONE_COLORS,
        joint_colors=list(hp.JOINT_COLORS),
        opacity=1,
        min_score=0,
    )
    np.testing.assert_array_equal(base, same)
    wide = np.zeros((100, 100, 3), np.uint8)
    hp.draw_skeleton(wide, points.astype(np.float64)[:, ::1], scores.astype(np.float64))
    np.testing.assert_array_equal(base, wide)
    strided = np.zeros((21, 4), np.float32)[:, ::2]
    strided[...] = points
    np.testing.assert_array_equal(base, hp.draw_skeleton(np.zeros((100, 100, 3), np.uint8), strided, scores))


def frozen() -> np.ndarray:
    image = np.zeros((8, 8, 3), np.uint8)
    image.flags.writeable = False
    return image


A, D = hp.ArgumentError, hp.DTypeError
P, S, IMAGE = np.ones((21, 2), np.float32), np.ones(21, np.float32), np.zeros((8, 8, 3), np.uint8)
BAD: dict[str, tuple[tuple[Any, ...], dict[str, Any], Any, str]] = {
    "float image": ((IMAGE * 1.0, P), {}, D, "image"),
    "no image": (("a.png", P), {}, D, "image"),
    "grey image": ((IMAGE[..., 0], P), {}, A, "image"),
    "empty image": ((IMAGE[:0], P), {}, A, "image"),
    "read-only image": ((frozen(), P), {}, A, "image"),
    "mirrored image": ((IMAGE[:, ::-1], P), {}, A, "ascontiguousarray"),
    "channels reversed": ((IMAGE[..., ::-1], P), {}, A, "ascontiguousarray"),
    "three channels as four": ((IMAGE, P), {"source_format": "bgra32"}, A, "image"),
    "one plane": ((IMAGE, P), {"source_format": "nv12"}, (A, D), "image"),
    "gray8": ((IMAGE[..., 0], P), {"source_format": "gray8"}, A, "source_format.*bgra32"),
    "points flat": ((IMAGE, P.ravel()), {}, A, "points"),
    "points 3-D": ((IMAGE, np.ones((21, 3))), {}, A, "points"),
    "points batch": ((IMAGE, P[None]), {}, A, "points"),
    "points text": ((IMAGE, "abc"), {}, (A, D), "points"),
    "points ragged": ((IMAGE, [[1, 2], [3]]), {}, (A, D), "points"),
    "points complex": ((IMAGE, P.astype(complex)), {}, D, "points"),
    "scores short": ((IMAGE, P, S[:20]), {}, A, "scores"),
    "scores 2-D": ((IMAGE, P, S[:, None]), {}, A, "scores"),
    "too few points": ((IMAGE, P[:20]), {}, A, "joint_colors|bones"),
    "bone beyond": ((IMAGE, P), {"bones": [[0, 21]], "bone_colors": [[1, 2, 3]]}, A, "bones"),
    "bone negative": ((IMAGE, P), {"bones": [[0, -1]], "bone_colors": [[1, 2, 3]]}, A, "bones"),
    "bone beyond 32 bits": ((IMAGE, P), {"bones": np.array([[0, 1 << 32]]), "bone_colors": [[1, 2, 3]]}, A, "bones"),
    "bone of a fraction": ((IMAGE, P), {"bones": [[0.5, 1]], "bone_colors": [[1, 2, 3]]}, (A, D), "bones"),
    "bones of three": ((IMAGE, P), {"bones": [[0, 1, 2]], "bone_colors": [[1, 2, 3]]}, A, "bones"),
    "bone colours short": ((IMAGE, P), {"bone_colors": [[1, 2, 3]]}, A, "bone_colors"),
    "bone colours of four": ((IMAGE, P), {"bone_colors": np.zeros((20, 4), np.uint8)}, A, "bone_colors"),
    "joint colours short": ((IMAGE, P), {"joint_colors": [[1, 2, 3]]}, A, "joint_colors"),
    "colour 256": ((IMAGE, P), {"joint_colors": np.full((21, 3), 256)}, (A, D), "joint_colors"),
    "colour negative": ((IMAGE, P), {"joint_colors": np.full((21, 3), -1)}, (A, D), "joint_colors"),
    "thickness NaN": ((IMAGE, P), {"thickness": NAN}, A, "thickness"),
    "thickness negative": ((IMAGE, P), {"thickness": -1}, A, "thickness"),
    "radius infinite": ((IMAGE, P), {"joint_radius": INF}, A, "joint_radius"),
    "radius negative": ((IMAGE, P), {"joint_radius": -0.5}, A, "joint_radius"),
    "radius text": ((IMAGE, P), {"joint_radius": "thick"}, (A, D), "joint_radius"),
    "min_score NaN": ((IMAGE, P), {"min_score": NAN}, A, "min_score"),
    "min_score text": ((IMAGE, P), {"min_score": "low"}, (A, D), "min_score"),
    "opacity above": ((IMAGE, P), {"opacity": 1.5}, A, "opacity"),
    "opacity negative": ((IMAGE, P), {"opacity": -0.1}, A, "opacity"),
    "opacity NaN": ((IMAGE, P), {"opacity": NAN}, A, "opacity"),
    "color_matrix": ((IMAGE, P), {"color_matrix": "bt2020"}, A, "color_matrix.*bt709"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_refusals(case: str) -> None:
    arguments, options, error, says = BAD[case]
    IMAGE.fill(0)
    with pytest.raises(error, match=rf"^draw_skeleton: .*({says})"):
        hp.draw_skeleton(*arguments, **options)
    assert not IMAGE.any()
