"""What to believe: whether joints can be a hand's, and how sure each of them is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..skeleton import FINGERS, NUM_JOINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["JointScores", "is_hand_like"]

#: A joint this far outside the picture, in hand sizes, is not believed at all.
_OUTSIDE = 0.1
#: A joint is fully believed from this far inside the crop on, and not at all this far outside; in parts of its side.
_CROP_MARGIN = 0.02
#: Unsteadiness, in hand sizes, at which a joint is believed by 1/e less.
_UNSTEADY = 0.06
_PALM_M, _WIDTH, _FINGER = (0.04, 0.16), (0.25, 1.3), (0.3, 1.8)
_WRIST, _INDEX_MCP, _MIDDLE_MCP, _LITTLE_MCP = 0, 5, 9, 17
_FINGERS = np.array(list(FINGERS.values()))
#: The joints that move as one: wrist and MCP.
_PALM = np.array([0, 5, 9, 13, 17])
#: Takes the mean of those off every joint.
_BESIDE_PALM = np.eye(NUM_JOINTS, dtype=np.float32)
_BESIDE_PALM[:, _PALM] -= np.float32(1 / len(_PALM))
#: Weight of the newest frame in the running mean of a joint's unsteadiness.
_NEWEST = 0.4


class JointScores:
    """Estimates how sure each joint of one hand is; made anew with each track.

    The landmark network says how sure it is of a hand, not of its joints. The score of a joint is the product of

    - presence, the network's own number;
    - inside the picture: 1, falling to 0 at 0.1 hand sizes beyond its edge, where nothing can have been seen;
    - inside the crop: 1, falling to 0 within 2 % of its side on either side of its border;
    - steadiness: ``exp(-(u / 0.06) ** 2)``, where u is the running mean of how far the joint is from where its own last
      motion, and that of the palm, would have brought it, in hand sizes. Two consecutive crops show the same
      joint at different places and scales; a network that sees it agrees with itself, one that guesses does not.

    An estimate, not a probability. The page "Hands" of the documentation says what it was measured to be worth.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._motion: NDArray[np.float32] | None = None
        self._unsteady = np.zeros(NUM_JOINTS, dtype=np.float32)

    def __call__(
        self,
        keypoints: NDArray[np.float32],
        in_crop: NDArray[np.float32],
        presence: float,
        size: float,
        image_hw: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Score the joints of the next frame.

        Parameters
        ----------
        keypoints : ndarray, float32, shape (21, 2)
            Pixels of the image.
        in_crop : ndarray, float32, shape (21, 2)
            The same in parts of the crop's side.
        presence : float
            0..1.
        size : float
            Of the hand in pixels, positive.
        image_hw : tuple of int

        Returns
        -------
        ndarray, float32, shape (21,)
            0..1, new array.
        """
        middle = np.array([image_hw[1] / 2, image_hw[0] / 2], dtype=np.float32)
        beyond = (np.abs(keypoints - middle) - middle).max(axis=1) / np.float32(size)
        inside = np.float32(0.5) - np.abs(in_crop - np.float32(0.5)).max(axis=1)
        scores = _unit(1.0 - beyond / _OUTSIDE)
        scores *= _unit(0.5 + inside / (2 * _CROP_MARGIN))
        if self._last is not None:
            motion = keypoints - self._last
            if self._motion is not None:
                surprise = _BESIDE_PALM @ (motion - self._motion)
                jump = np.hypot(surprise[:, 0], surprise[:, 1]) / np.float32(size)
                self._unsteady += _NEWEST * (jump - self._unsteady)
                scores *= np.exp(-np.square(self._unsteady / _UNSTEADY))
            self._motion = motion
        self._last = keypoints
        scores *= np.float32(presence)
        return scores


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = np.minimum(np.maximum(values, np.float32(0)), np.float32(1))
    return result


def is_hand_like(world: NDArray[np.float32]) -> bool:
    """Whether joints have the proportions of a hand; asked once, before a hand is followed.

    Parameters
    ----------
    world : ndarray, float32, shape (21, 3)
        Metres.

    Returns
    -------
    bool
        Whether all of these hold: the palm (wrist to middle MCP) is 4 to 16 cm long; it is 0.25 to 1.3 times as wide
        (index to little MCP) as it is long; each finger, along its three outer bones, is 0.3 to 1.8 times as long as
        the palm. Measured on a real hand that opens and turns: 8 to 11 cm, 0.54 to 0.82, 0.56 to 1.23; the bounds leave
        room for children, other people's hands and the network's errors.
    """
    palm = _length(world[_MIDDLE_MCP] - world[_WRIST])
    if not _PALM_M[0] <= palm <= _PALM_M[1]:
        return False
    width = _length(world[_LITTLE_MCP] - world[_INDEX_MCP]) / palm
    fingers = np.sqrt((np.diff(world[_FINGERS], axis=1) ** 2).sum(axis=2)).sum(axis=1) / palm
    return bool(_WIDTH[0] <= width <= _WIDTH[1] and (fingers >= _FINGER[0]).all() and (fingers <= _FINGER[1]).all())


def _length(vector: NDArray[np.float32]) -> float:
    return float(np.sqrt((vector**2).sum()))
