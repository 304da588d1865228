"""PCK, AUC, EPE and MPJPE: MMPose's known values on its toy arrays, and what the definitions say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import handpose_native as hp
from handpose_native import evaluate

VISIBLE = np.array([[True, True, False, True, True]])


def toy() -> tuple[np.ndarray, np.ndarray]:
    """The arrays of MMPose's tests of AUC, EPE and NME (the third joint is not visible)."""
    found = np.array([[[10, 4], [10, 18], [0, 0], [40, 40], [20, 10]]], np.float64)
    true = np.array([[[10, 0], [10, 10], [-1, -1], [30, 30], [0, 10]]], np.float64)
    return found, true


def test_pck_as_mmpose() -> None:
    found, true = np.zeros((2, 5, 2)), np.zeros((2, 5, 2))
    found[0] = [[10, 0], [20, 20], [0, 0], [30, 30], [0, 10]]
    true[0] = [[10, 0], [10, 10], [-1, 0], [30, 30], [0, 10]]
    mask = np.repeat(VISIBLE, 2, axis=0)
    per_joint = evaluate.pck(evaluate.distances(found, true, mask, np.full((2, 2), 10.0)), 0.5)
    np.testing.assert_array_equal(per_joint, [1, 0.5, np.nan, 1, 1])
    assert evaluate.mean_of_joints(per_joint) == 0.875
    none = evaluate.pck(evaluate.distances(found, true, mask, np.zeros((2, 2))), 0.5)
    assert np.isnan(none).all()  # -1 in MMPose
    assert np.isnan(evaluate.mean_of_joints(none))  # 0 in MMPose
    first_left_out = evaluate.pck(evaluate.distances(found, true, mask, np.array([[0, 0], [10, 10]])), 0.5)
    np.testing.assert_array_equal(first_left_out, [1, 1, np.nan, 1, 1])


def test_auc_as_mmpose() -> None:
    found, true = toy()
    assert evaluate.auc(evaluate.distances(found, true, VISIBLE, 20), 4) == pytest.approx(0.375, abs=1e-12)


def test_epe_as_mmpose() -> None:
    mean, per_joint = evaluate.joint_errors(*toy(), VISIBLE)
    assert mean == pytest.approx(11.5355339, abs=1e-7)
    np.testing.assert_allclose(per_joint, [4, 8, np.nan, np.hypot(10, 10), 20])


@pytest.mark.parametrize(
    ("alignment", "expected"),
    [("none", 0.9625211990796929), ("procrustes", 1.0047897634604497), ("scale", 1.0277129678465953)],
)
def test_mpjpe_as_mmpose(alignment: str, expected: float) -> None:
    found = np.array(
        [
            [[1, 0, 0], [2, 2, 0], [0, 0, -1], [3, 3, 1], [0, 1, 1]],
            [[1, 0, 0], [2, 2, 1], [-1, 0, 0], [0, 0, 3], [0, 0, 1]],
        ]
    )
    true = np.array(
        [
            [[1, 0, 0], [1, 1, 1], [-1, 0, 0], [3, 3, 1], [0, 1, 0]],
            [[1, 1, 0], [1, 0, 1], [-1, 0, 0], [0, 0, 3], [1, 1, 0]],
        ]
    )
    mean, _ = evaluate.joint_errors(found, true, np.repeat(VISIBLE, 2, axis=0), alignment=alignment)
    assert mean == pytest.approx(expected, abs=1e-12)


def turned(rng: np.random.Generator) -> np.ndarray:
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return rotation * np.sign(np.linalg.det(rotation))


def test_procrustes_undoes_moving_turning_and_scaling_but_not_mirroring(rng: np.random.Generator) -> None:
    true = rng.standard_normal((6, 21, 3))
    found = np.stack([(0.5 + i) * hand @ turned(rng) + rng.standard_normal(3) for i, hand in enumerate(true)])
    np.testing.assert_allclose(evaluate.align(found, true, "procrustes"), true, atol=1e-12)
    mirrored = true * [-1, 1, 1]
    assert np.linalg.norm(evaluate.align(mirrored, true, "procrustes") - true, axis=-1).mean() > 0.1
    in_a_plane = true * [1, 1, 0]
    np.testing.assert_allclose(
        evaluate.align(in_a_plane @ turned(rng), in_a_plane, "procrustes"), in_a_plane, atol=1e-12
    )


def test_wrist_and_one_point(rng: np.random.Generator) -> None:
    true = rng.standard_normal((2, 21, 3))
    np.testing.assert_allclose(evaluate.align(true + 5, true, "wrist"), true)
    one_point = np.ones((2, 21, 3))
    centre = np.repeat(true.mean(axis=1, keepdims=True), 21, axis=1)
    np.testing.assert_allclose(evaluate.align(one_point, true, "procrustes"), centre)
    assert evaluate.align(np.zeros((0, 21, 3)), np.zeros((0, 21, 3)), "procrustes").shape == (0, 21, 3)


def test_the_curve_is_pck_at_every_threshold(rng: np.random.Generator) -> None:
    away = rng.uniform(0, 1, (40, 21))
    away[rng.uniform(size=away.shape) < 0.3] = np.nan
    away[rng.uniform(size=away.shape) < 0.1] = np.inf
    away[:, 4] = np.nan
    thresholds = np.linspace(0, 1, 7)
    for threshold, row in zip(thresholds, evaluate.pck_curve(away, thresholds)):
        for joint in range(21):
            known = away[:, joint][~np.isnan(away[:, joint])]
            expected = np.mean(known < threshold) if known.size else np.nan
            np.testing.assert_equal(row[joint], expected)


def test_a_joint_exactly_as_far_as_the_threshold_is_not_correct() -> None:
    away = evaluate.distances([[[3.0, 4.0]]], [[[0.0, 0.0]]], [[True]], 10)
    assert away == 0.5
    assert evaluate.pck(away, 0.5) == 0
    assert evaluate.pck(away, np.nextafter(0.5, 1)) == 1


def test_what_was_not_found_is_wrong_but_has_no_error() -> None:
    found, true = toy()
    both, truths, mask = np.concatenate([found, found * np.nan]), np.repeat(true, 2, axis=0), VISIBLE.repeat(2, axis=0)
    away = evaluate.distances(both, truths, mask, 100)
    assert np.isinf(away[1][VISIBLE[0]]).all()
    np.testing.assert_array_equal(evaluate.pck(away, 1), [0.5, 0.5, np.nan, 0.5, 0.5])
    assert evaluate.joint_errors(both, truths, mask)[0] == pytest.approx(11.5355339, abs=1e-7)
    partly = np.concatenate([found, found])
    partly[1, 1] = np.nan
    mean, per_joint = evaluate.joint_errors(partly, truths, mask)
    assert per_joint[1] == 8  # of the hand that has it
    assert mean == pytest.approx((2 * 4 * 11.5355339 - 8) / 7, abs=1e-6)
    assert np.isnan(evaluate.joint_errors(found * np.nan, true, VISIBLE, alignment="procrustes")[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate.distances(np.zeros((1, 2, 2)), np.zeros((1, 3, 2)), np.ones((1, 2))), r"\(N, K, D\)"),
        (lambda: evaluate.joint_errors(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.ones((2, 2))), r"visible \(N, K\)"),
        (lambda: evaluate.align(np.zeros((1, 2, 3)), np.zeros((1, 2, 3)), "rigid"), "procrustes"),
    ],
)
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(hp.ArgumentError, match=message):
        call()


def test_a_hand_is_placed_where_it_was_seen(rng: np.random.Generator) -> None:
    joints = rng.standard_normal((21, 3)) * 0.05 + [0.1, -0.05, 0.6]
    camera = np.array([[480.0, 0, 112], [0, 470.0, 108], [0, 0, 1]])
    seen = joints @ camera.T
    keypoints = seen[:, :2] / seen[:, 2:] + 0.5
    placed = evaluate.place_in_camera(joints - joints.mean(axis=0), keypoints, camera)
    np.testing.assert_allclose(placed, joints, atol=1e-12)
