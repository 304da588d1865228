"""Which observed hand is which: association over frames, identities, handedness."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .regions import KEYPOINT_SCALE, roi_from_keypoints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..types import Roi

__all__ = ["Observation", "Track", "Tracker"]

#: A hand that is not seen for longer gets a new identity.
MEMORY_S = 1.5
#: Two sets of joints closer than this on average, in hand sizes, are of one hand seen twice.
_SAME_HAND = 0.3
#: How far from where it is expected a hand may be taken for a known one, in hand sizes: at once, and more per second
#: that it was out of sight.
_REACH, _REACH_PER_S = 1.5, 2.0
#: Motion is carried on for at most this long while a hand is out of sight.
_COAST_S = 0.3
#: What it costs, in hand sizes of distance, that left and right disagree fully, that sizes differ by a factor of e, and
#: that a hand was found in another track's region.
_HANDEDNESS_COST, _SIZE_COST, _FOREIGN_COST = 1.0, 0.5, 0.1
#: Frames that the vote on left and right remembers.
_VOTES = 60
#: Time constant of a track's velocity.
_VELOCITY_S = 0.1

_PALM = np.array([0, 5, 9, 13, 17])


@dataclass
class Observation:
    """One hand as the landmark network saw it in one region of one frame.

    Attributes
    ----------
    keypoints : ndarray, float32, shape (21, 2)
        Pixels of the image.
    in_crop : ndarray, float32, shape (21, 2)
        The same in parts of the region's sides.
    world : ndarray, float32, shape (21, 3)
        Metres.
    presence : float
    right : float
        Probability that it is a person's right hand.
    roi : Roi
        Where it was looked for.
    track : Track or None
        Whose region that was; None for a newly detected one.
    """

    keypoints: NDArray[np.float32]
    in_crop: NDArray[np.float32]
    world: NDArray[np.float32]
    presence: float
    right: float
    roi: Roi
    track: Track | None = None
    next_roi: Roi = field(init=False)
    size: float = field(init=False)
    centre: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.next_roi = roi_from_keypoints(self.keypoints)
        self.size = self.next_roi.width / KEYPOINT_SCALE
        x, y = self.keypoints[_PALM].sum(axis=0).tolist()
        self.centre = (x / len(_PALM), y / len(_PALM))


class Track:
    """One hand over time.

    Attributes
    ----------
    track_id : int
    seen : Observation
        The last one.
    seen_s : float
        When.
    frames : int
        In how many frames it was seen.
    right : float
        Vote of the last frames on whether it is a right hand, 0..1, weighted by presence.
    """

    def __init__(self, track_id: int, observation: Observation, time_s: float) -> None:
        self.track_id = track_id
        self.seen = observation
        self.seen_s = time_s
        self.frames = 1
        self.right = observation.right
        self._weight = observation.presence
        self._velocity = (0.0, 0.0)

    def expected_centre(self, time_s: float) -> tuple[float, float]:
        """Return where the palm should be now, in pixels."""
        ahead_s = min(max(time_s - self.seen_s, 0.0), _COAST_S)
        return (
            self.seen.centre[0] + self._velocity[0] * ahead_s,
            self.seen.centre[1] + self._velocity[1] * ahead_s,
        )

    def see(self, observation: Observation, time_s: float) -> None:
        """Take the hand's observation in a new frame."""
        step_s = time_s - self.seen_s
        if step_s > 0:
            blend = 1.0 - math.exp(-step_s / _VELOCITY_S)
            self._velocity = tuple(  # type: ignore[assignment]
                old + blend * ((new - last) / step_s - old)
                for old, new, last in zip(self._velocity, observation.centre, self.seen.centre)
            )
        self._weight = min(self._weight, _VOTES - 1) + observation.presence
        self.right += observation.presence / self._weight * (observation.right - self.right)
        self.seen, self.seen_s = observation, time_s
        self.frames += 1


class Tracker:
    """Keeps the identities of hands.

    Every frame: look into the regions of `active`, and into new ones; give all hands seen there to :meth:`update`.

    Attributes
    ----------
    active : list of Track
        Hands seen in the last frame, by identity.
    lost : list of Track
        Hands that were seen less than 1.5 s ago.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all hands and start with identity 0 again."""
        self.active: list[Track] = []
        self.lost: list[Track] = []
        self._next_id = 0

    def update(self, observations: Sequence[Observation], time_s: float) -> list[Track]:
        """Take the hands of a new frame.

        Parameters
        ----------
        observations : sequence of Observation
        time_s : float
            Presentation time of the frame.

        Returns
        -------
        list of Track
            The new `active`.
        """
        hands = merge_same(observations)
        known = self.active + [track for track in self.lost if time_s - track.seen_s <= MEMORY_S]
        if len(hands) == 1 and hands[0].track is not None and len(known) == 1:
            known[0].see(hands[0], time_s)  # nearly every frame: one hand, where it was looked for
            return self.active
        costs = [[_cost(track, hand, time_s) for hand in hands] for track in known]
        chosen = _cheapest(costs)
        found = []
        for track, index in zip(known, chosen):
            if index is not None:
                track.see(hands[index], time_s)
                found.append(track)
        for index, hand in enumerate(hands):
            if index not in chosen:
                found.append(Track(self._next_id, hand, time_s))
                self._next_id += 1
        self.active = sorted(found, key=lambda track: track.track_id)
        self.lost = [track for track in known if track not in self.active]
        return self.active


def merge_same(observations: Sequence[Observation]) -> list[Observation]:
    """Keep one observation of each hand: the one with the highest presence of those that agree on the joints."""
    kept: list[Observation] = []
    for one in sorted(observations, key=lambda one: -one.presence):
        if not any(_is_same(one, other) for other in kept):
            kept.append(one)
    return kept


def _is_same(a: Observation, b: Observation) -> bool:
    distances = np.sqrt(((a.keypoints - b.keypoints) ** 2).sum(axis=1))
    return float(distances.mean()) < _SAME_HAND * max(a.size, b.size)


def _cost(track: Track, hand: Observation, time_s: float) -> float:
    """Return how little the hand looks like the track's, in hand sizes; infinite where it cannot be it."""
    x, y = track.expected_centre(time_s)
    size = max(track.seen.size, hand.size)
    distance = math.hypot(hand.centre[0] - x, hand.centre[1] - y) / size
    unseen_s = max(time_s - track.seen_s, 0.0)
    # A hand in its own track's region was followed there, however fast it moved.
    if hand.track is not track and distance > _REACH + _REACH_PER_S * unseen_s:
        return math.inf
    return (
        distance
        + _HANDEDNESS_COST * abs(track.right - hand.right)
        + _SIZE_COST * abs(math.log(track.seen.size / hand.size))
        + (0.0 if hand.track is track else _FOREIGN_COST)
    )


#: What it costs to leave a known hand without one that it could be: more than any that it could be.
_UNMATCHED_COST = 100.0


def _cheapest(costs: list[list[float]]) -> list[int | None]:
    """Return for each row the column that makes the sum smallest, each column taken once; None where none is left.

    Searches all ways, which are few: rows and columns are hands in one picture, and most pairs are out of reach.
    """

    def search(row: int, taken: frozenset[int]) -> tuple[float, list[int | None]]:
        if row == len(costs):
            return 0.0, []
        rest_cost, rest = search(row + 1, taken)
        best: tuple[float, list[int | None]] = (_UNMATCHED_COST + rest_cost, [None, *rest])
        for column, cost in enumerate(costs[row]):
            if column not in taken and math.isfinite(cost):
                rest_cost, rest = search(row + 1, taken | {column})
                if cost + rest_cost < best[0]:
                    best = (cost + rest_cost, [column, *rest])
        return best

    return search(0, frozenset())[1]
