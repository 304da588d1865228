"""The whole chain against exact truth: MediaPipe's networks on rendered hands."""

from __future__ import annotations

import functools
import shutil
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
    Lighting,
    Scene,
    SceneHand,
    SyntheticFrame,
    hand_rotation,
    match_hands,
    render,
    render_clip,
)

pytest.importorskip("ai_edge_litert", reason="ai_edge_litert runs the real networks")
pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture(scope="module", params=["full", "lite"])
def networks(request: pytest.FixtureRequest, shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    for name in ("palm_detection", "hand_landmark"):
        shutil.copy(shared_dir / "models" / f"{name}_{request.param}.tflite", folder)
    return folder


@functools.cache  # the same for both networks
def clip_of(motion: str, frames: int, size_hw: tuple[int, int]) -> Clip:
    return render_clip(motion, frames=frames, size_hw=size_hw, seed=1)


def follow(networks: Path, clip: Clip, **options: object) -> list[list[HandMatch]]:
    """Run the chain over a clip; for each frame the true hands with those found."""
    with hp.Pipeline(networks, **options) as pipe:  # type: ignore[arg-type]
        return [match_hands(result.hands, clip.truths[result.index]) for result in pipe.stream(clip.images)]


def hands_of(matches: list[list[HandMatch]], number: int = 0) -> list[hp.Hand | None]:
    return [frame[number].hand for frame in matches]


def worst(matches: list[list[HandMatch]]) -> float:
    return float(np.nanmax([match.relative_error for frame in matches for match in frame]))


@functools.cache
def facing_hand(seed: int) -> SyntheticFrame:
    """An open or half curled hand that faces the camera, everything else by chance."""
    rng = np.random.default_rng([seed, 8])
    poses = ("open", "spread") if seed % 2 else ("half_curled", "relaxed")
    pose = POSES[poses[0]].mixed(POSES[poses[1]], rng.uniform(0, 1 if seed % 2 else 0.5))
    z = 600 * 174 / rng.uniform(100, 300)  # the flat hand is 100 to 300 px long
    hand = SceneHand(
        pose,
        (rng.uniform(-0.1, 0.1) * z, rng.uniform(-0.04, 0.04) * z, z),
        hand_rotation(*rng.uniform((-45, -25, -25), (45, 25, 25))),
        ("right", "left")[seed // 2 % 2],
        int(rng.integers(len(SKIN_TONES))),
    )
    light = Lighting(
        (rng.uniform(-0.8, 0.8), rng.uniform(-1, 0.1), rng.uniform(-1, -0.4)), rng.uniform(0.6, 0.95), 0.35
    )
    return render(Scene((hand,), Camera(600), BACKGROUNDS[int(rng.integers(4))], (), light, rng.uniform(0, 4), seed))


def test_open_and_half_curled_hands_are_found(networks: Path) -> None:
    matches = []
    with hp.Pipeline(networks, tracking=False) as pipe:
        for seed in range(60):
            frame = facing_hand(seed)
            matches += match_hands(pipe(frame.image), frame.hands)
    found = [match for match in matches if match.hand is not None]
    assert len(found) >= 0.95 * len(matches)
    assert np.mean([match.relative_error for match in found]) < 0.06
    right_side = [match.hand.handedness == match.truth.handedness for match in found if match.hand is not None]
    assert np.mean(right_side) >= 0.95


@pytest.mark.parametrize("motion", ["open_close", "rotation"])
def test_a_hand_is_followed_through_its_motion(networks: Path, motion: str) -> None:
    matches = follow(networks, clip_of(motion, 40, (240, 320)))
    hands = hands_of(matches)
    assert all(hand is not None and hand.track_id == 0 for hand in hands)
    assert worst(matches) < 0.15


def test_a_hand_is_followed_from_far_to_near(networks: Path) -> None:
    matches = follow(networks, clip_of("near_far", 30, (360, 480)))
    found = [hand is not None for hand in hands_of(matches)]
    assert np.mean(found) > 0.9
    assert worst(matches) < 0.2


def test_a_hand_that_leaves_is_lost_and_found_again(networks: Path) -> None:
    clip = clip_of("leave", 40, (240, 320))
    with hp.Pipeline(networks) as pipe:
        found = np.array([bool(result.hands) for result in pipe.stream(clip.images)])
    share = np.array([hands[0].visible.mean() for hands in clip.truths])
    assert found[share == 1].mean() > 0.9
    assert not found[share == 0].any()
    assert found[-1]


def test_a_hand_behind_a_board_is_found_again(networks: Path) -> None:
    clip = clip_of("occlusion", 40, (240, 320))
    matches = follow(networks, clip)
    found = np.array([hand is not None for hand in hands_of(matches)])
    share = np.array([hands[0].visible.mean() for hands in clip.truths])
    assert share.min() < 0.3
    assert found[share == 1].mean() > 0.9
    assert found[-1]


def test_two_hands_that_cross_are_both_there_before_and_after(networks: Path) -> None:
    clip = clip_of("cross", 40, (360, 480))
    matches = follow(networks, clip, max_hands=2)
    both = [all(match.hand is not None for match in frame) for frame in matches]
    assert np.mean(both[2:12] + both[-8:]) > 0.85
    front = hands_of(matches)
    assert np.mean([hand is not None for hand in front]) > 0.95
    assert len({hand.track_id for hand in front if hand is not None}) == 1


def test_a_blurred_hand_is_found_in_most_frames(networks: Path) -> None:
    matches = follow(networks, clip_of("blur", 24, (240, 320)))
    assert np.mean([hand is not None for hand in hands_of(matches)]) > 0.8
