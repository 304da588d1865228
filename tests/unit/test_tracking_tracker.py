"""Identities: hands that move, cross, vanish and come back, as plain sets of joints."""

from __future__ import annotations

import numpy as np
import pytest

from handpose_native.tracking import Observation, Tracker
from handpose_native.types import Roi

STEP_S = 1 / 30
# A hand of 100 px with its fingers up, about its wrist.
SHAPE = np.array(
    [[0, 0]] + [[20 * finger - 40, -30 - 17.5 * joint] for finger in range(5) for joint in range(4)], np.float32
)


def hand(x: float, y: float, right: float = 0.9, presence: float = 0.95, track: object = None) -> Observation:
    keypoints = SHAPE + np.array([x, y], np.float32)
    world = np.zeros((21, 3), np.float32)
    return Observation(keypoints, keypoints / 500, world, presence, right, Roi(x, y, 200, 200), track)  # type: ignore[arg-type]


def ids(tracker: Tracker) -> list[int]:
    return [track.track_id for track in tracker.active]


def test_a_moving_hand_keeps_its_identity() -> None:
    tracker = Tracker()
    tracker.update([hand(0, 0)], 0.0)
    for i in range(1, 60):
        tracker.update([hand(30.0 * i, 0, track=tracker.active[0])], i * STEP_S)
        assert ids(tracker) == [0]
    assert tracker.active[0].frames == 60


def test_one_hand_seen_twice_is_one_hand() -> None:
    tracker = Tracker()
    tracker.update([hand(0, 0, presence=0.7), hand(8, 0, presence=0.9)], 0.0)
    assert ids(tracker) == [0]
    assert tracker.active[0].seen.presence == 0.9


def test_two_hands_have_two_identities_in_stable_order() -> None:
    tracker = Tracker()
    tracker.update([hand(0, 0), hand(400, 0)], 0.0)
    first, second = tracker.active
    tracker.update([hand(395, 0, track=second), hand(5, 0, track=first)], STEP_S)
    assert ids(tracker) == [0, 1]
    assert tracker.active[0].seen.centre[0] < 100


@pytest.mark.parametrize("same_side", [False, True])
def test_crossing_hands_keep_their_identities(same_side: bool) -> None:
    """The region of each may end up on the other hand; motion, and left and right, tell them apart."""
    tracker = Tracker()
    sides = (0.9, 0.9 if same_side else 0.1)
    tracker.update([hand(0, 0, sides[0]), hand(600, 40, sides[1])], 0.0)
    for i in range(1, 61):
        a, b = tracker.active if len(tracker.active) == 2 else (tracker.active[0], None)
        at = (10.0 * i, 600 - 10.0 * i)
        if 25 <= i <= 35:  # they overlap: one is hidden, and the regions see the other one twice
            tracker.update([hand(at[0], 0, sides[0], track=a), hand(at[0], 3, sides[0], track=b)], i * STEP_S)
        elif len(tracker.active) == 2:
            # The regions have swapped hands.
            tracker.update([hand(at[0], 0, sides[0], track=b), hand(at[1], 40, sides[1], track=a)], i * STEP_S)
        else:
            tracker.update([hand(at[0], 0, sides[0], track=a), hand(at[1], 40, sides[1])], i * STEP_S)
    assert ids(tracker) == [0, 1]
    assert tracker.active[0].seen.centre[0] > 500
    assert tracker.active[1].seen.centre[0] < 100


def test_a_short_loss_keeps_the_identity_and_a_long_one_does_not() -> None:
    tracker = Tracker()
    tracker.update([hand(0, 0)], 0.0)
    tracker.update([], 0.1)
    assert ids(tracker) == []
    tracker.update([hand(60, 0)], 1.0)
    assert ids(tracker) == [0]
    tracker.update([], 1.1)
    tracker.update([hand(60, 0)], 3.5)
    assert ids(tracker) == [1]


def test_a_hand_far_away_is_another_one() -> None:
    tracker = Tracker()
    tracker.update([hand(0, 0)], 0.0)
    tracker.update([], STEP_S)
    tracker.update([hand(900, 0)], 2 * STEP_S)
    assert ids(tracker) == [1]


def test_left_and_right_are_voted_over_frames() -> None:
    tracker = Tracker()
    tracker.update([hand(0, 0, right=0.9)], 0.0)
    for i in range(1, 10):
        tracker.update([hand(0, 0, right=0.9, track=tracker.active[0])], i * STEP_S)
    tracker.update([hand(0, 0, right=0.05, track=tracker.active[0])], 10 * STEP_S)
    assert tracker.active[0].right > 0.7
    for i in range(11, 120):
        tracker.update([hand(0, 0, right=0.05, track=tracker.active[0])], i * STEP_S)
    assert tracker.active[0].right < 0.2


def test_reset_starts_again() -> None:
    tracker = Tracker()
    tracker.update([hand(0, 0), hand(400, 0)], 0.0)
    tracker.reset()
    tracker.update([hand(0, 0)], 0.0)
    assert ids(tracker) == [0]


def test_times_that_go_back_do_no_harm() -> None:
    tracker = Tracker()
    for time_s in (5.0, 5.0, 1.0, 1.0, 6.0):
        tracker.update([hand(0, 0, track=tracker.active[0] if tracker.active else None)], time_s)
    assert ids(tracker) == [0]
