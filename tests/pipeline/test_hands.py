"""Hands found, followed and told apart, with networks whose hands are red squares: no weights, exact truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handpose_native as hp

pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks of the tests")
pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")

from tests.networks import HAND_SHAPE_PX, save_hand_networks

SIDE = 40  # of a red square
IMAGE_HW = (480, 640)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hand_networks(tmp_path_factory.mktemp("hands"))


def scene(*centres: tuple[float, float], yellow: tuple[bool, ...] = ()) -> np.ndarray:
    """Squares on black, BGR; a yellow one is of the other hand."""
    image = np.zeros((*IMAGE_HW, 3), np.uint8)
    for i, (x, y) in enumerate(centres):
        left, top = round(x - SIDE / 2), round(y - SIDE / 2)
        color = (0, 255, 255) if i < len(yellow) and yellow[i] else (0, 0, 255)
        image[max(top, 0) : max(top + SIDE, 0), max(left, 0) : max(left + SIDE, 0)] = color
    return image


def centre_of(hand: hp.Hand) -> np.ndarray:
    """Where the square is: its centre has a fixed place among the joints."""
    assert hand.roi is not None
    scale = hand.roi.width / 224
    cos, sin = math.cos(hand.roi.angle_rad), math.sin(hand.roi.angle_rad)
    offset = HAND_SHAPE_PX.mean(axis=0) * scale
    turned = np.array([offset[0] * cos - offset[1] * sin, offset[0] * sin + offset[1] * cos])
    result: np.ndarray = hand.keypoints.mean(axis=0) - turned
    return result


def detections(pipe: hp.Pipeline, frames: list[np.ndarray]) -> tuple[list[int], list[list[hp.Hand]]]:
    """Return the indices of the frames on which the palm detector ran, and the hands."""
    results = list(pipe.stream(np.stack(frames)))
    return [r.index for r in results if "detect" in r.timings_ms], [r.hands for r in results]


def test_a_hand_is_found_where_it_is(folder: Path) -> None:
    with hp.Pipeline(folder) as pipe:
        (hand,) = pipe(scene((200, 150)))
    np.testing.assert_allclose(centre_of(hand), (200, 150), atol=1.5)
    assert hand.presence == pytest.approx(0.9)
    assert hand.keypoints.dtype == hand.scores.dtype == np.float32
    assert hand.keypoints.shape == (21, 2)
    assert hand.scores.shape == (21,)
    assert hand.world is not None
    assert hand.world.shape == (21, 3)
    assert hand.track_id == 0


def test_no_hand_is_an_empty_list(folder: Path) -> None:
    with hp.Pipeline(folder) as pipe:
        assert pipe(scene()) == []


def test_a_moving_hand_is_followed_without_the_detector(folder: Path) -> None:
    centres = [(100 + 8 * i, 200 + 3 * i) for i in range(40)]
    with hp.Pipeline(folder) as pipe:
        ran, hands = detections(pipe, [scene(c) for c in centres])
    assert ran == [0]
    for found, centre in zip(hands, centres):
        assert [hand.track_id for hand in found] == [0]
        np.testing.assert_allclose(centre_of(found[0]), centre, atol=2)


def test_the_detector_looks_for_more_hands_every_few_frames(folder: Path) -> None:
    with hp.Pipeline(folder, max_hands=2, redetect_every=4) as pipe:
        ran, _ = detections(pipe, [scene((200, 200))] * 14)
        assert ran == [0, 4, 8, 12]
        ran, hands = detections(pipe, [scene((200, 200))] * 6 + [scene((200, 200), (480, 240))] * 8)
    assert ran == [0, 4, 8]  # with two hands it need not look
    assert [len(found) for found in hands] == [1] * 8 + [2] * 6
    assert [hand.track_id for hand in hands[-1]] == [0, 1]


def test_at_most_max_hands(folder: Path) -> None:
    image = scene((100, 100), (320, 100), (540, 100), (320, 380))
    for count in (1, 2, 3, 4):
        with hp.Pipeline(folder, max_hands=count) as pipe:
            assert len(pipe(image)) == count
            assert len(pipe(image)) == count


def test_a_lost_hand_is_looked_for_at_once_and_keeps_its_identity(folder: Path) -> None:
    frames = [scene((200, 200))] * 3 + [scene()] * 4 + [scene((260, 200))] * 3
    with hp.Pipeline(folder) as pipe:
        ran, hands = detections(pipe, frames)
    assert ran == [0, 3, 4, 5, 6, 7]
    assert [[hand.track_id for hand in found] for found in hands] == [[0]] * 3 + [[]] * 4 + [[0]] * 3


def test_identities_are_not_reused_within_a_video_and_start_again_with_the_next(folder: Path) -> None:
    frames = [scene((100, 100))] * 2 + [scene()] * 60 + [scene((500, 400))] * 2
    with hp.Pipeline(folder) as pipe:
        for _ in range(2):
            _, hands = detections(pipe, frames)
            assert [found[0].track_id for found in (hands[0], hands[-1])] == [0, 1]


def test_two_hands_that_pass_each_other_keep_their_identities(folder: Path) -> None:
    frames = [scene((100 + 10 * i, 100), (540 - 10 * i, 380), yellow=(True, False)) for i in range(45)]
    with hp.Pipeline(folder, max_hands=2) as pipe:
        _, hands = detections(pipe, frames)
    first = {hand.track_id: hand for hand in hands[0]}
    last = {hand.track_id: hand for hand in hands[-1]}
    assert sorted(first) == sorted(last) == [0, 1]
    for track_id in (0, 1):
        assert first[track_id].handedness == last[track_id].handedness
        assert np.sign(centre_of(first[track_id])[0] - 320) != np.sign(centre_of(last[track_id])[0] - 320)


@pytest.mark.parametrize(
    ("yellow", "mirrored", "side"), [(1, 0, "right"), (1, 1, "left"), (0, 0, "left"), (0, 1, "right")]
)
def test_left_and_right_are_the_person_s(folder: Path, yellow: int, mirrored: int, side: str) -> None:
    """The network's value, above 0.5 for yellow here, says "right" of pictures that are not mirrored."""
    with hp.Pipeline(folder, mirrored=bool(mirrored)) as pipe:
        (hand,) = pipe(scene((300, 200), yellow=(bool(yellow),)))
    assert hand.handedness == side
    assert hand.handedness_score == pytest.approx(0.9)


def test_a_given_region_stands_in_for_the_detector(folder: Path) -> None:
    image = scene((150, 150), (450, 300))
    box = (450 - 60, 300 - 60, 120, 120)
    with hp.Pipeline(folder, roi=box, max_hands=2) as pipe:
        ran, hands = detections(pipe, [image] * 3)
    assert ran == []
    assert [len(found) for found in hands] == [1, 1, 1]
    np.testing.assert_allclose(centre_of(hands[-1][0]), (450, 300), atol=2)
    with hp.Pipeline(folder, max_hands=2) as pipe:
        assert len(pipe(image, roi=[box, hp.Roi(150, 150, 120, 120, 0.2)])) == 2


def test_detector_only_returns_palms(folder: Path) -> None:
    with hp.Pipeline(folder, detector_only=True, max_hands=5) as pipe:
        palms = pipe(scene((150, 150), (450, 300)))
    assert len(palms) == 2
    for palm in palms:
        known = np.isfinite(palm.keypoints).all(axis=1)
        assert np.flatnonzero(known).tolist() == [0, 1, 2, 5, 9, 13, 17]
        assert (palm.scores[known] > 0.5).all()
        assert (palm.scores[~known] == 0).all()
        assert palm.roi is not None
        assert palm.track_id is None
    hp.draw_hands(scene((150, 150)), palms)


def test_without_tracking_every_frame_stands_alone(folder: Path) -> None:
    with hp.Pipeline(folder, tracking=False) as pipe:
        ran, hands = detections(pipe, [scene((150, 150)), scene((450, 300)), scene((450, 300))])
    assert ran == [0, 1, 2]
    np.testing.assert_allclose(centre_of(hands[1][0]), (450, 300), atol=2)
    assert hands[0][0].track_id is None


def test_smoothing_never_moves_the_regions(folder: Path) -> None:
    """A hand that is still and then runs: smoothed joints lag, the regions do not."""
    frames = [scene((100, 200))] * 10 + [scene((100 + 20 * i, 200)) for i in range(20)]
    results = {}
    for smoothing in ("off", "light", "strong"):
        with hp.Pipeline(folder, smoothing=smoothing) as pipe:
            results[smoothing] = detections(pipe, frames)[1]
    for plain, light, strong in zip(*results.values()):
        assert plain[0].roi == light[0].roi == strong[0].roi
    behind = [results[name][20][0].keypoints[:, 0].mean() for name in ("off", "light", "strong")]
    assert behind[0] >= behind[1] > behind[2]


def test_joints_outside_the_picture_are_not_believed(folder: Path) -> None:
    with hp.Pipeline(folder) as pipe:
        (inside,) = pipe(scene((300, 240)))
        (corner,) = pipe(scene((610, 240)), roi=[hp.Roi(610, 240, 230, 230)])
    assert inside.scores.min() > 0.85
    beyond = corner.keypoints[:, 0] > 640 + 10
    assert beyond.any()
    assert (corner.scores[beyond] < 0.1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_hands": 0}, "max_hands must be a whole number from 1; got 0"),
        ({"max_hands": 1.5}, "max_hands must be a whole number from 1; got 1.5"),
        ({"redetect_every": -1}, "redetect_every must be a whole number from 1"),
        ({"smoothing": "heavy"}, "smoothing must be one of off, light, strong; got 'heavy'"),
        ({"min_presence": 0.0}, "min_presence must be between 0 and 1"),
        ({"min_palm_score": 1.0}, "min_palm_score must be between 0 and 1"),
        ({"detector_only": True, "tracking": False}, "detector_only"),
        ({"spec": "unet"}, "spec is for a model file"),
        ({"roi": "here"}, r"roi must be a Roi or \(x, y, width, height\)"),
        ({"roi": [(1, 2, 3)]}, r"roi must be a Roi or \(x, y, width, height\)"),
    ],
)
def test_wrong_arguments_are_named(folder: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(hp.ArgumentError, match=message):
        hp.Pipeline(folder, **arguments)


def test_a_folder_without_both_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(hp.ModelError, match=r"exactly one palm_detection\* file .*; it holds none"):
        hp.Pipeline(tmp_path)


def test_networks_in_each_other_s_place_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "palm_detection.onnx").write_bytes((folder / "hand_landmark_toy.onnx").read_bytes())
    (tmp_path / "hand_landmark.onnx").write_bytes((folder / "palm_detection_toy.onnx").read_bytes())
    with pytest.raises(hp.ModelError, match=r"a hand landmark model must have .* it has 'Identity' float32"):
        hp.Pipeline(tmp_path)


def test_options_of_hands_are_refused_elsewhere(demo: Any) -> None:
    with pytest.raises(hp.ArgumentError, match="max_hands is for hands models only"):
        hp.Pipeline(demo.model, max_hands=2)
