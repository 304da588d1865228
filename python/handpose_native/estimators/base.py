"""What every estimator is: something that finds hands in one picture after another."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..models import ModelSpec
    from ..picture import Picture
    from ..types import Hand, Roi

__all__ = ["Estimator", "stage"]


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

    @abstractmethod
    def estimate(
        self, picture: Picture, time_s: float, rois: Sequence[Roi], timings_ms: dict[str, float]
    ) -> list[Hand]:
        """Find the hands in one picture.

        Parameters
        ----------
        picture : Picture
            Only read.
        time_s : float
            Presentation time.
        rois : sequence of Roi
            Where to look; empty where the caller does not know.
        timings_ms : dict
            Milliseconds by stage are added to it.

        Returns
        -------
        list of Hand
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget earlier pictures."""

    @abstractmethod
    def close(self) -> None:
        """Release the networks. May be called again."""


@contextmanager
def stage(name: str, timings_ms: dict[str, float]) -> Iterator[None]:
    """Add the milliseconds that a block takes to a stage."""
    began = time.perf_counter()
    yield
    timings_ms[name] = timings_ms.get(name, 0.0) + (time.perf_counter() - began) * 1e3
