"""The rendered hand's skeleton, poses, camera and the matching of found hands: what can be said without a picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

import handpose_native as hp
from handpose_native import synthetic
from handpose_native.synthetic import POSES, Board, Camera, HandPose, Lighting, Scene, SceneHand, hand_rotation
from handpose_native.synthetic.pose import pose_hand

# Buryanov and Kotiuk 2010, table of means: metacarpal bone, then phalanges from the palm out.
PUBLISHED_MM = {
    "thumb": (46.22, 31.57, 21.67),
    "index": (68.12, 39.78, 22.38, 15.82),
    "middle": (64.60, 44.63, 26.33, 17.40),
    "ring": (58.00, 41.37, 25.65, 17.30),
    "little": (53.69, 32.74, 18.11, 15.96),
}
PUBLISHED_PHALANGES = [
    (joints[step], joints[step + 1], PUBLISHED_MM[name][step + (name != "thumb")])
    for name, joints in hp.FINGERS.items()
    for step in range(3)
]


def random_pose(rng: np.random.Generator) -> HandPose:
    names = list(POSES)
    one, other = (POSES[names[int(k)]] for k in rng.integers(len(names), size=2))
    return one.mixed(other, float(rng.uniform())).with_wrist(*rng.uniform(-30, 30, 2))


def truth_of(hand: SceneHand, camera: Camera) -> synthetic.HandTruth:
    return synthetic.render(Scene((hand,), camera, "plain")).hands[0]


def test_bones_keep_their_published_lengths_in_every_pose(rng: np.random.Generator) -> None:
    for pose in [*POSES.values(), *(random_pose(rng) for _ in range(30))]:
        joints = pose_hand(pose).joints_mm
        for one, other, length in PUBLISHED_PHALANGES:
            assert math.dist(joints[one], joints[other]) == pytest.approx(length, abs=1e-9)


def test_the_palm_does_not_move_with_the_fingers() -> None:
    fixed = [0, 1, 5, 9, 13, 17]
    base = pose_hand(POSES["open"]).joints_mm[fixed]
    for pose in POSES.values():
        np.testing.assert_allclose(pose_hand(pose).joints_mm[fixed], base, atol=1e-12)


def test_proportions_are_those_of_a_hand() -> None:
    joints = pose_hand(POSES["open"]).joints_mm
    tips = joints[[8, 12, 16, 20]]
    assert tips[:, 1].argmax() == 1  # the middle finger is the longest
    assert tips[:, 1].argmin() == 3
    assert 165 < np.linalg.norm(joints[12]) < 190
    assert (np.diff(joints[[5, 9, 13, 17], 0]) < 0).all()  # from the thumb's side to the other
    assert joints[4, 0] > joints[5, 0] + 20  # the thumb stands away


def test_flexion_bends_towards_the_palm_and_spread_towards_the_thumb() -> None:
    straight = pose_hand(HandPose(index=(0, 0, 0, 0))).joints_mm
    bent = pose_hand(HandPose(index=(0, 60, 0, 0))).joints_mm
    spread = pose_hand(HandPose(index=(15, 0, 0, 0))).joints_mm
    assert bent[8, 2] > straight[8, 2] + 40
    assert spread[8, 0] > straight[8, 0] + 10
    along, turned = straight[6] - straight[5], bent[6] - bent[5]
    angle = math.degrees(math.acos(along @ turned / (np.linalg.norm(along) * np.linalg.norm(turned))))
    assert angle == pytest.approx(60)


def test_the_thumb_meets_the_index_finger_in_a_pinch_and_lies_over_a_fist() -> None:
    pinch = pose_hand(POSES["pinch"]).joints_mm
    assert 8 < math.dist(pinch[4], pinch[8]) < 18
    fist = pose_hand(POSES["fist"]).joints_mm
    assert fist[4, 2] > fist[8, 2]  # before the finger tips, seen from the palm
    assert fist[4, 0] < fist[5, 0]  # and across


def test_mixed_poses() -> None:
    one, other = POSES["open"], POSES["fist"]
    assert one.mixed(other, 0.0) == one
    assert one.mixed(other, 1.0) == other
    assert one.mixed(other, 0.5).middle[2] == pytest.approx((one.middle[2] + other.middle[2]) / 2)


def test_a_left_hand_is_the_mirror_image_of_a_right_one() -> None:
    camera = Camera(500, (96, 128))
    hands = [SceneHand(POSES["victory"], (0, 0, 700), handedness=side) for side in ("right", "left")]
    right, left = (truth_of(hand, camera) for hand in hands)
    np.testing.assert_allclose(left.joints_mm * (-1, 1, 1), right.joints_mm, atol=1e-3)
    assert (right.handedness, left.handedness) == ("right", "left")


def test_the_palm_of_a_right_hand_has_its_thumb_on_the_right_of_the_picture() -> None:
    camera = Camera(500, (96, 128))
    palm = truth_of(SceneHand(POSES["open"], (0, 0, 700)), camera).keypoints
    back = truth_of(SceneHand(POSES["open"], (0, 0, 700), hand_rotation(turn_deg=180)), camera).keypoints
    assert palm[4, 0] > palm[20, 0]
    assert back[4, 0] < back[20, 0]
    assert palm[12, 1] < palm[0, 1]  # fingers up


def test_rotations() -> None:
    for angles in ((30, 0, 0), (0, 25, 0), (0, 0, 40), (200, -20, 77)):
        rotation = hand_rotation(*angles)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
    fingers = np.array([0.0, 1.0, 0.0])
    np.testing.assert_allclose(hand_rotation(roll_deg=90) @ fingers, [1, 0, 0], atol=1e-12)  # clockwise: to the right
    assert (hand_rotation(tilt_deg=20) @ fingers)[2] < 0  # towards the camera


def test_the_camera_projects_in_continuous_pixels() -> None:
    camera = Camera(100, (40, 60))
    np.testing.assert_allclose(camera.project([0, 0, 5]), [30, 20])
    np.testing.assert_allclose(camera.project([[1, 2, 10]]), [[40, 40]])
    with pytest.raises(hp.ArgumentError, match="before the camera"):
        camera.project([0, 0, -1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HandPose(index=(0, 0, 0)), "index must have 4 angles"),
        (lambda: HandPose(wrist=(0, math.nan)), "angle of wrist"),
        (lambda: HandPose(little=(0, 140, 0, 0)), "angle of little"),
        (lambda: POSES["open"].mixed(POSES["fist"], 1.5), "share must be"),
        (lambda: Camera(0), "focal_px"),
        (lambda: Camera(100, (0, 5)), "size_hw"),
        (lambda: SceneHand(handedness="both"), "handedness"),
        (lambda: SceneHand(skin=99), "skin"),
        (lambda: SceneHand(scale=0), "scale"),
        (lambda: SceneHand(center_mm=(0, 0, math.inf)), "center_mm"),
        (lambda: SceneHand(rotation=np.diag([1.0, 1.0, -1.0])), "rotation"),
        (lambda: Board((0, 0, -5), (10, 10)), "center_mm"),
        (lambda: Board((0, 0, 5), (10, 0)), "size_mm"),
        (lambda: Lighting((0, 0, 0)), "direction"),
        (lambda: Lighting(lamp=-1), "lamp"),
        (lambda: Scene(noise=-1), "noise"),
        (lambda: Scene(background=np.zeros((5, 5, 3), np.uint8)), "background"),
        (lambda: synthetic.make_background("sea", (10, 10), 0), "sea"),
        (lambda: synthetic.render(Scene((SceneHand(center_mm=(0, 0, 20)),))), "before the camera"),
        (lambda: synthetic.render_exposure([]), "at least one"),
        (lambda: synthetic.render_clip("dance"), "dance"),
        (lambda: synthetic.render_clip("still", frames=0), "frames"),
        (lambda: synthetic.render_clip("still", seed=-1), "seed"),
        (lambda: synthetic.render_clip("still", handedness="up"), "handedness"),
        (lambda: synthetic.match_hands([], [], max_relative_error=0), "max_relative_error"),
    ],
)
def test_wrong_arguments_are_named(make: object, message: str) -> None:
    with pytest.raises(hp.ArgumentError, match=message):
        make()  # type: ignore[operator]
    with pytest.raises(hp.DTypeError, match="pose"):
        SceneHand("open")  # type: ignore[arg-type]


def found(keypoints: np.ndarray) -> hp.Hand:
    return hp.Hand(keypoints.astype(np.float32), np.ones(21, np.float32))


def test_matching_takes_the_closest_pairs_and_no_hand_twice() -> None:
    camera = Camera(500, (96, 128))
    one = truth_of(SceneHand(POSES["open"], (0, 0, 700)), camera)
    other = truth_of(SceneHand(POSES["open"], (40, 0, 700)), camera)
    near_other = found(other.keypoints + np.array([3, 4]))
    matches = synthetic.match_hands([near_other, found(one.keypoints + 500)], [one, other])
    assert matches[0].hand is None
    assert math.isnan(matches[0].error_px)
    assert matches[1].hand is near_other
    assert matches[1].error_px == pytest.approx(5, abs=1e-3)
    assert matches[1].relative_error == pytest.approx(5 / other.size_px, abs=1e-4)
    assert [match.hand for match in synthetic.match_hands([], [one])] == [None]
