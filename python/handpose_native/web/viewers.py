"""Those who look: how many, and what each has got."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TooManyViewers", "Viewer", "Viewers"]


class TooManyViewers(Exception):
    """There is no room for another one."""


class Viewer:
    """One open stream of pictures or events.

    Attributes
    ----------
    sent, sent_bytes : int
        Pictures or events, and their size.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.sent_bytes = 0
        self._moments: deque[float] = deque(maxlen=60)

    def count(self, size: int) -> None:
        """One more was taken."""
        self.sent += 1
        self.sent_bytes += size
        self._moments.append(time.monotonic())

    @property
    def fps(self) -> float | None:
        """Rate of the last ones; None before the second."""
        if len(self._moments) < 2:
            return None
        return (len(self._moments) - 1) / max(time.monotonic() - self._moments[0], 1e-9)


class Viewers:
    """All open streams.

    Parameters
    ----------
    limit : int
        No more at a time.

    Attributes
    ----------
    limit : int
    sent_bytes : int
        By all viewers that have gone.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.gone_bytes = 0
        self.refused = 0
        self._open: dict[str, Viewer] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def sent_bytes(self) -> int:
        return self.gone_bytes + sum(viewer.sent_bytes for viewer in self._open.values())

    def named(self, name: str) -> Viewer | None:
        """Return the one that gave itself a name, if it is still there."""
        return self._open.get(name)

    @contextmanager
    def one_more(self, name: str) -> Iterator[Viewer]:
        """Count a viewer in for as long as the context lasts.

        Raises
        ------
        TooManyViewers
        """
        if len(self._open) >= self.limit:
            self.refused += 1
            raise TooManyViewers
        self._number += 1
        key = name if name and name not in self._open else f"#{self._number}"
        viewer = self._open[key] = Viewer()
        try:
            yield viewer
        finally:
            del self._open[key]
            self.gone_bytes += viewer.sent_bytes
