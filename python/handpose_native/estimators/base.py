"""What every estimator is: something that finds hands in one picture after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..models import ModelSpec
    from ..picture import Picture
    from ..timing import FrameTimes
    from ..types import Hand, Roi
    from .world import WorldOptions

__all__ = ["Estimator", "PendingHands"]


class PendingHands(Protocol):
    """Hands that are being looked for."""

    def finish(self) -> list[Hand]:
        """Return the hands; empty where there is none. Called once."""


class Estimator(ABC):
    """Finds hands in pictures; one per way of combining networks.

    Attributes
    ----------
    name : str
        Of the model, for reports.
    device : str
        What runs it, for reports.
    spec : ModelSpec or None
        What a model file expects and returns; None for hands.
    """

    name: str
    device: str
    spec: ModelSpec | None = None

    #: Pictures that may be begun before the first of them is finished: more than one where a device works on its own.
    in_flight = 1

    @abstractmethod
    def begin(self, picture: Picture, time_s: float, rois: Sequence[Roi], times: FrameTimes) -> PendingHands:
        """Begin to find the hands in one picture.

        Parameters
        ----------
        picture : Picture
            Only read.
        time_s : float
            Presentation time.
        rois : sequence of Roi
            Where to look; empty where the caller does not know.
        times : FrameTimes
            Counts what each stage takes, also in `finish`.

        Returns
        -------
        PendingHands
            To be finished in the order of beginning, by the same thread, before more than `in_flight` are begun.
        """

    def estimate(self, picture: Picture, time_s: float, rois: Sequence[Roi], times: FrameTimes) -> list[Hand]:
        """Find the hands in one picture: `begin` and finish."""
        return self.begin(picture, time_s, rois, times).finish()

    def see_through(self, world: WorldOptions) -> None:
        """Say what is known of the camera and the hand of the pictures to come, where they differ from before.

        Only models that give depths have a use for it. Every picture that was begun must be finished.
        """
        return

    @abstractmethod
    def reset(self) -> None:
        """Forget earlier pictures, also those begun and not finished."""

    @abstractmethod
    def close(self) -> None:
        """Release the networks. May be called again."""
