"""Palm decoding against a plain restatement in float64, candidate by candidate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from handpose_native.tracking import NUM_CANDIDATES, decode_palms, overlap, roi_from_keypoints, roi_from_palm
from handpose_native.tracking.palms import Palm
from handpose_native.types import Roi


def plain_anchors() -> list[tuple[float, float]]:
    """Strides 8, 16, 16, 16 with two anchors each; layers of one stride share their cells."""
    anchors = []
    for stride, per_cell in ((8, 2), (16, 6)):
        cells = 192 // stride
        for row in range(cells):
            for column in range(cells):
                anchors += [((column + 0.5) / cells, (row + 0.5) / cells)] * per_cell
    return anchors


def plain_decode(values: np.ndarray, logits: np.ndarray, threshold: float) -> list[dict[str, np.ndarray]]:
    """Every candidate in turn, then greedy weighted merging; all numbers as parts of the input's side."""
    found = []
    for raw, logit, (ax, ay) in zip(values.astype(float), logits.astype(float), plain_anchors()):
        score = 1 / (1 + math.exp(-min(max(logit, -100), 100)))
        if score <= threshold:
            continue
        cx, cy, w, h = raw[0] / 192 + ax, raw[1] / 192 + ay, raw[2] / 192, raw[3] / 192
        points = [(raw[4 + 2 * k] / 192 + ax, raw[5 + 2 * k] / 192 + ay) for k in range(7)]
        found.append((score, np.array([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]), np.array(points)))
    found.sort(key=lambda one: -one[0])
    merged = []
    while found:
        best = found[0]
        same = [one for one in found if one is best or iou(best[1], one[1]) > 0.3]
        total = sum(one[0] for one in same)
        merged.append(
            {
                "score": best[0],
                "box": sum(one[0] * one[1] for one in same) / total,
                "points": sum(one[0] * one[2] for one in same) / total,
            }
        )
        found = [one for one in found if not any(one is other for other in same)]
    return merged


def iou(a: np.ndarray, b: np.ndarray) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


@pytest.mark.parametrize("seed", range(20))
def test_palms_equal_the_plain_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(-20, 20, (NUM_CANDIDATES, 18)).astype(np.float32)
    values[:, 2:4] = rng.uniform(10, 60, (NUM_CANDIDATES, 2))
    logits = rng.normal(-3, 1.2, NUM_CANDIDATES).astype(np.float32)
    palms = decode_palms(values, logits, 0.5)
    expected = plain_decode(values, logits, 0.5)
    assert len(palms) == len(expected) > 0
    for palm, plain in zip(palms, expected):
        assert palm.score == pytest.approx(float(plain["score"]), abs=1e-6)
        np.testing.assert_allclose(palm.box_xyxy / 192, plain["box"], atol=1e-5)
        np.testing.assert_allclose(palm.keypoints / 192, plain["points"], atol=1e-5)


def test_nothing_above_the_threshold_is_no_palm() -> None:
    values = np.zeros((NUM_CANDIDATES, 18), np.float32)
    assert decode_palms(values, np.full(NUM_CANDIDATES, -1.0, np.float32), 0.5) == []
    assert decode_palms(values, np.full(NUM_CANDIDATES, np.nan, np.float32), 0.5) == []


def test_huge_logits_and_empty_boxes_end_well() -> None:
    values = np.zeros((NUM_CANDIDATES, 18), np.float32)
    logits = np.full(NUM_CANDIDATES, -5.0, np.float32)
    logits[:3] = 1e30
    palms = decode_palms(values, logits, 0.5)
    assert len(palms) == 3  # boxes without area overlap nothing, not even each other
    assert all(palm.score == pytest.approx(1.0) for palm in palms)


def upright_palm(angle: float = 0.0) -> Palm:
    """A palm of 40 x 30 px whose middle finger lies 50 px from the wrist, turned by `angle` (clockwise)."""
    points = np.zeros((7, 2), np.float32)
    points[0] = (100, 200)
    points[2] = (100 + 50 * math.sin(angle), 200 - 50 * math.cos(angle))
    return Palm(np.array([80, 165, 120, 195], np.float32), points, 0.9)


@pytest.mark.parametrize("degrees", [-170, -90, -30, 0, 45, 90, 179])
def test_the_region_of_a_palm_turns_with_it(degrees: int) -> None:
    angle = math.radians(degrees)
    roi = roi_from_palm(upright_palm(angle))
    assert roi.angle_rad == pytest.approx(angle, abs=1e-5)
    assert (roi.width, roi.height) == pytest.approx((2.6 * 40, 2.6 * 40))
    # Moved by half the box's height towards the fingers, from the box's middle.
    assert roi.center_x == pytest.approx(100 + 15 * math.sin(angle), abs=1e-4)
    assert roi.center_y == pytest.approx(180 - 15 * math.cos(angle), abs=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_the_region_of_joints_is_the_smallest_box_in_the_hand_s_axes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 300, (21, 2))
    roi = roi_from_keypoints(points.astype(np.float32))
    middle = ((points[5] + points[13]) / 2 + points[9]) / 2 - points[0]
    # In the region's own axes the hand points up: x is 0, y negative.
    cos, sin = math.cos(roi.angle_rad), math.sin(roi.angle_rad)
    assert middle[0] * cos + middle[1] * sin == pytest.approx(0, abs=1e-3)
    assert -middle[0] * sin + middle[1] * cos < 0
    used = points[[0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]]
    u, v = used @ [cos, sin], used @ [-sin, cos]
    width, height = np.ptp(u), np.ptp(v)
    assert roi.width == pytest.approx(2 * max(width, height), abs=1e-3)
    assert roi.height == roi.width
    centre_u = roi.center_x * cos + roi.center_y * sin
    centre_v = -roi.center_x * sin + roi.center_y * cos
    assert centre_u == pytest.approx((u.min() + u.max()) / 2, abs=1e-3)
    assert centre_v == pytest.approx((v.min() + v.max()) / 2 - 0.1 * height, abs=1e-3)


def test_joints_on_one_point_still_give_a_region() -> None:
    assert roi_from_keypoints(np.full((21, 2), 7.0, np.float32)).width == 2.0


def test_overlap_of_regions() -> None:
    a = Roi(10, 10, 20, 20)
    assert overlap(a, a) == 1.0
    assert overlap(a, Roi(20, 10, 20, 20, 1.0)) == pytest.approx(1 / 3)
    assert overlap(a, Roi(40, 10, 20, 20)) == 0.0
