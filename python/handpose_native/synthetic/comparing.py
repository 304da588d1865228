"""Found hands against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..types import Hand
    from .scene import HandTruth

__all__ = ["HandMatch", "match_hands"]


class HandMatch(NamedTuple):
    """A true hand with the one that was found for it.

    Attributes
    ----------
    truth : HandTruth
    hand : Hand or None
        None where none was found.
    error_px : float
        Mean distance of the 21 keypoints; NaN where none was found.
    relative_error : float
        The same as a share of the true hand's size; NaN where none was found.
    """

    truth: HandTruth
    hand: Hand | None
    error_px: float
    relative_error: float


def match_hands(
    hands: Sequence[Hand], truths: Sequence[HandTruth], *, max_relative_error: float = 0.3
) -> list[HandMatch]:
    """Pair each true hand with a found one: the closest pair first, no hand twice.

    Parameters
    ----------
    hands : sequence of Hand
        What was found in a frame.
    truths : sequence of HandTruth
        What there is.
    max_relative_error : float
        A hand further away than this share of the true hand's size is another thing; positive.

    Returns
    -------
    list of HandMatch
        One for each of `truths`, in their order.

    Raises
    ------
    ArgumentError
        If `max_relative_error` is not positive.
    """
    if not max_relative_error > 0:
        raise ArgumentError(f"match_hands: max_relative_error must be positive; got {max_relative_error}")
    matches = [HandMatch(truth, None, float("nan"), float("nan")) for truth in truths]
    pairs = []
    for row, truth in enumerate(truths):
        for column, hand in enumerate(hands):
            error_px = float(np.linalg.norm(hand.keypoints - truth.keypoints, axis=1).mean())
            if error_px <= max_relative_error * truth.size_px:
                pairs.append((error_px / truth.size_px, row, column, error_px))
    taken: set[int] = set()
    for relative, row, column, error_px in sorted(pairs):
        if matches[row].hand is None and column not in taken:
            taken.add(column)
            matches[row] = HandMatch(truths[row], hands[column], error_px, relative)
    return matches
