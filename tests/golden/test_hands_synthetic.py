"""The default model on rendered clips, whose truth is known: found, followed, told apart, believed."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import handpose_native as hp
from handpose_native.synthetic import (
    BACKGROUNDS,
    POSES,
    SKIN_TONES,
    Camera,
    Clip,
    HandMatch,
    Scene,
    SceneHand,
    hand_rotation,
    iter_clip,
    match_hands,
    render,
)

pytestmark = pytest.mark.shared

SIZE_HW = (360, 480)


@lru_cache(maxsize=8)
def clip_of(motion: str, frames: int, taken: int | None = None) -> Clip:
    """The first `taken` frames of a motion that would take `frames`."""
    rendered = list(islice(iter_clip(motion, frames=frames, size_hw=SIZE_HW, seed=3), taken))
    return Clip(np.stack([frame.image for frame in rendered]), tuple(frame.hands for frame in rendered))


@pytest.fixture(scope="module", params=["lite", "full"])
def folder(request: pytest.FixtureRequest, shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the palm detector and the landmark network of one size."""
    pytest.importorskip("ai_edge_litert", reason="LiteRT runs the networks")
    place = tmp_path_factory.mktemp(request.param)
    for stem in ("palm_detection", "hand_landmark"):
        (place / f"{stem}.tflite").symlink_to((shared_dir / "models" / f"{stem}_{request.param}.tflite").resolve())
    return place


def followed(folder: Path, clip: Clip, **options: object) -> list[list[HandMatch]]:
    """Return for every frame the true hands with those that were found."""
    with hp.Pipeline(folder, **options) as pipe:  # type: ignore[arg-type]
        return [match_hands(result.hands, clip.truths[result.index]) for result in pipe.stream(clip.images)]


def identity(match: HandMatch) -> int | None:
    return None if match.hand is None else match.hand.track_id


@pytest.mark.parametrize(
    ("motion", "frames", "taken"),
    [("open_close", 24, 24), ("rotation", 40, 40), ("near_far", 24, 24), ("blur", 40, 10)],
)
def test_one_hand_is_followed_all_the_way(folder: Path, motion: str, frames: int, taken: int) -> None:
    matches = [hands[0] for hands in followed(folder, clip_of(motion, frames, taken))]
    assert [identity(match) for match in matches] == [0] * taken
    assert np.median([match.relative_error for match in matches]) < 0.05
    assert {match.hand.handedness for match in matches if match.hand} == {"right"}


def test_two_hands_that_cross_keep_their_identities(folder: Path) -> None:
    matches = followed(folder, clip_of("cross", 40), max_hands=2)
    for which in (0, 1):
        seen = [identity(hands[which]) for hands in matches]
        assert seen[0] is not None
        assert seen[-1] is not None
        assert set(seen) <= {seen[0], None}
    front = [identity(hands[0]) for hands in matches]
    assert None not in front


def test_a_hand_that_leaves_and_returns(folder: Path) -> None:
    clip = clip_of("leave", 40)
    matches = [hands[0] for hands in followed(folder, clip)]
    in_view = [truths[0].visible.all() for truths in clip.truths]
    out_of_view = [not truths[0].visible.any() for truths in clip.truths]
    assert any(out_of_view)
    found = [match.hand is not None for match in matches]
    assert not any(here for here, out in zip(found, out_of_view) if out)
    assert all(here for here, whole in zip(found[:8] + found[-4:], in_view[:8] + in_view[-4:]) if whole)
    assert set(map(identity, matches)) - {None} == {0}


def test_joints_behind_a_board_are_believed_less(folder: Path) -> None:
    clip = clip_of("occlusion", 40)
    seen, hidden = [], []
    for match in (hands[0] for hands in followed(folder, clip)):
        if match.hand is not None:
            seen.append(match.hand.scores[match.truth.visible])
            hidden.append(match.hand.scores[~match.truth.visible])
    visible, covered = np.concatenate(seen), np.concatenate(hidden)
    assert len(covered) > 50
    assert np.mean(visible) > 0.75
    assert np.mean(covered) < 0.6 * np.mean(visible)
    # The share of pairs in which the seen joint has the higher score.
    assert np.mean(visible[:, None] > covered[None, :]) > 0.8


def test_joints_outside_the_picture_are_not_believed(folder: Path) -> None:
    clip = clip_of("leave", 40)
    outside = []
    for match in (hands[0] for hands in followed(folder, clip)):
        if match.hand is not None:
            beyond = match.truth.keypoints[:, 0] > SIZE_HW[1] + 0.15 * match.truth.size_px
            outside.append(match.hand.scores[beyond & (match.hand.keypoints[:, 0] > SIZE_HW[1])])
    scores = np.concatenate(outside)
    assert len(scores) > 0
    assert scores.mean() < 0.2


def test_a_still_hand_jitters_less_when_smoothed(folder: Path, rng: np.random.Generator) -> None:
    still = clip_of("still", 1).images[0]
    noisy = [np.clip(still + rng.normal(0, 4, still.shape), 0, 255).astype(np.uint8) for _ in range(90)]
    jitter = {}
    for smoothing in ("off", "light", "strong"):
        with hp.Pipeline(folder, smoothing=smoothing) as pipe:
            joints = np.array([result.hands[0].keypoints for result in pipe.stream(np.stack(noisy))])
        jitter[smoothing] = joints[45:].std(axis=0).mean()  # after the first region, which the detector gave
    assert jitter["light"] < 0.6 * jitter["off"]
    assert jitter["strong"] < 0.9 * jitter["light"]


@pytest.mark.slow
def test_nearly_every_hand_that_faces_the_camera_is_found(folder: Path) -> None:
    rng = np.random.default_rng(11)
    found, right = [], []
    with hp.Pipeline(folder, tracking=False) as pipe:
        for number in range(60):
            frame = _random_frame(rng, number)
            (match,) = match_hands(pipe(frame.image), frame.hands)
            found.append(match.hand is not None)
            right.append(match.hand is not None and match.hand.handedness == match.truth.handedness)
    assert np.mean(found) >= 0.95
    assert np.mean(right) >= 0.9


def _random_frame(rng: np.random.Generator, seed: int):  # type: ignore[no-untyped-def]
    pose = POSES["open"].mixed(POSES["half_curled"], rng.uniform(0, 1))
    hand = SceneHand(
        pose,
        (rng.uniform(-60, 60), rng.uniform(-20, 60), rng.uniform(420, 900)),
        hand_rotation(rng.uniform(-45, 45), rng.uniform(-25, 25), rng.uniform(-25, 25)),
        ("right", "left")[int(rng.integers(2))],
        int(rng.integers(len(SKIN_TONES))),
    )
    background = BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
    return render(Scene((hand,), Camera(0.95 * 480, SIZE_HW), background, noise=2.0, seed=seed))
