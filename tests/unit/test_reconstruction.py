"""Hands in metres: synthetic hands are projected and come back, and what is no hand is None."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handpose_native.errors import ArgumentError
from handpose_native.reconstruction import HAND_SCALE_M, reconstruct_world
from handpose_native.synthetic import POSES, SceneHand, hand_rotation
from handpose_native.synthetic.pose import pose_hand


def joints_m(pose: str, center_mm: tuple[float, float, float], *angles: float, scale: float = 1.0) -> np.ndarray:
    """A synthetic hand's joints in the frame of the camera, float64 (21, 3)."""
    hand = SceneHand(POSES[pose], center_mm, hand_rotation(*angles), scale=scale)
    linear, offset = hand.camera_from_hand()
    return (pose_hand(hand.pose).joints_mm @ linear.T + offset) / 1000


def seen(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Directions, depths in lengths of the bone, and that length."""
    bone_m = float(np.linalg.norm(joints[9] - joints[10]))
    return joints[:, :2] / joints[:, 2:], (joints[:, 2] - joints[0, 2]) / bone_m, bone_m


@pytest.mark.parametrize("pose", sorted(POSES))
@pytest.mark.parametrize("center_mm", [(0, 0, 350), (120, -80, 600), (-300, 200, 1500)])
@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 25, 40), (-100, -30, 160), (10, 60, -20)])
def test_synthetic_hands_come_back(
    pose: str, center_mm: tuple[float, float, float], angles: tuple[float, float, float]
) -> None:
    joints = joints_m(pose, center_mm, *angles, scale=0.9)
    directions, depths, bone_m = seen(joints)
    world = reconstruct_world(directions, depths, bone_m)
    assert world is not None
    assert world.dtype == np.float32
    off_m = np.abs(world - joints).max()
    if off_m >= 1e-5:  # a hundredth of a millimetre
        # Two distances fit a bone that points nearly at the camera, and the farther one is taken.
        bone = joints[10] - joints[9]
        cosine = abs(bone @ joints[9]) / bone_m / np.linalg.norm(joints[9])
        assert np.degrees(np.arccos(cosine)) < 15
        assert (world[:, 2] > joints[:, 2]).all()
        assert np.linalg.norm(world[9] - world[10]) == pytest.approx(bone_m, rel=1e-3)
        assert np.abs(world[:, :2] / world[:, 2:] - directions).max() < 1e-6


def test_an_average_adult_needs_no_scale() -> None:
    joints = joints_m("open", (30, 20, 500), 10, 15, 20)
    directions, depths, bone_m = seen(joints)
    assert bone_m == pytest.approx(HAND_SCALE_M, abs=1e-9)
    world = reconstruct_world(directions, depths)
    assert world is not None
    assert np.abs(world - joints).max() < 1e-5
    twice = reconstruct_world(directions, depths, 2 * HAND_SCALE_M)
    assert twice is not None
    assert np.abs(twice - 2 * joints).max() < 2e-5


def test_what_a_pixel_of_error_does() -> None:
    """A pixel in 600 at each end of the bone moves a hand at half a metre by centimetres: the page says so."""
    joints = joints_m("open", (0, 0, 500))
    directions, depths, bone_m = seen(joints)
    noisy = directions.copy()
    noisy[9, 1] -= 1 / 600
    world = reconstruct_world(noisy, depths, bone_m)
    assert world is not None
    assert 0.002 < np.abs(world - joints).max() < 0.03


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))
def test_the_reference_bone_has_length_1(ends: list[float], d9: float, d10: float) -> None:
    p = np.tile(np.array(ends[:2]), (21, 1))
    p[10] = ends[2:]
    d = np.zeros(21)
    d[9], d[10] = d9, d10
    assume(np.linalg.norm(p[9] - p[10]) > 1e-3)
    world = reconstruct_world(p, d, 1.0)
    if world is not None:
        assert (world[:, 2] > 0).all()
        bone = (world[9] - world[10]).astype(np.float64)
        # float32 keeps 7 digits of where the joints are, and the bone is their difference.
        assert abs(np.linalg.norm(bone) - 1) < 1e-6 * max(10.0, float(np.abs(world[9]).max()))


def base() -> tuple[np.ndarray, np.ndarray]:
    directions, depths, _ = seen(joints_m("open", (0, 0, 500), 0, 20, 0))
    return directions, depths


def test_both_ends_on_one_line_of_sight() -> None:
    directions, depths = base()
    directions[10] = directions[9]
    assert reconstruct_world(directions, depths) is None
    assert reconstruct_world(np.zeros((21, 2)), np.zeros(21)) is None  # a bone of length zero in the picture


def test_ends_whose_depths_differ_by_more_than_the_bone() -> None:
    directions, depths = base()
    depths[10] = depths[9] + 1.5
    assert reconstruct_world(directions, depths) is None


def test_joints_behind_the_camera() -> None:
    directions, depths = base()
    depths[4] = -1000
    assert reconstruct_world(directions, depths) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(value: float) -> None:
    for which in (0, 1):
        arrays = base()
        arrays[which].flat[9] = value
        assert reconstruct_world(*arrays) is None


def test_wrong_arguments() -> None:
    directions, depths = base()
    with pytest.raises(ArgumentError, match=r"must have shape \(21, 2\) and depths \(21,\); got \(20, 2\) and \(21,\)"):
        reconstruct_world(directions[1:], depths)
    for scale in (0, -1, np.nan, np.inf):
        with pytest.raises(ArgumentError, match="hand_scale_m must be positive"):
            reconstruct_world(directions, depths, scale)
