"""When each stage worked on a frame, and what became of the frames: the figures that reports are made of."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from typing import NamedTuple

__all__ = ["FrameTimes", "Ledger", "Span", "stage"]


class Span(NamedTuple):
    """A stretch of time that a stage spent on a frame.

    Attributes
    ----------
    stage : str
    thread : str
        Name of the thread that worked.
    began_s, ended_s : float
        On the clock of ``time.perf_counter``.
    """

    stage: str
    thread: str
    began_s: float
    ended_s: float


class FrameTimes(dict[str, float]):
    """Milliseconds by stage of one frame, with the stretches of time they are the sums of.

    Attributes
    ----------
    spans : list of Span
        In the order in which they ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Span] = []

    def add(self, name: str, began_s: float, ended_s: float) -> None:
        """Count a stretch of time, on the clock of ``time.perf_counter``, of this thread's work."""
        self[name] = self.get(name, 0.0) + (ended_s - began_s) * 1e3
        self.spans.append(Span(name, threading.current_thread().name, began_s, ended_s))

    @property
    def began_s(self) -> float:
        """When the first stage was done with the frame, that is when it was there; on ``time.perf_counter``."""
        return self.spans[0].ended_s


class stage:
    """Count the time that a block takes to a stage, unless it fails."""

    __slots__ = ("_began_s", "_name", "_times")

    def __init__(self, name: str, times: FrameTimes) -> None:
        self._name, self._times = name, times

    def __enter__(self) -> None:
        self._began_s = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._times.add(self._name, self._began_s, time.perf_counter())


@dataclass
class Ledger:
    """What became of every frame of a source. Each number is written by one thread only and may be read by any.

    Attributes
    ----------
    read : int
        Frames that the source gave.
    processed : int
        Frames that went through the whole chain.
    every : int
        Passed over because only every n-th was asked for.
    replaced : int
        Dropped here because a newer one came before there was time for them (policy ``latest``).
    damaged : int
        Frames that the source could not decode, which were never read.
    late : int
        Of a live source: processed frames that were finished later than one frame's duration after they were read.
    repeated : int
        Frames whose time was not after that of the frame before.
    reconnected : int
        How often a broken connection was made again.
    """

    read: int = 0
    processed: int = 0
    every: int = 0
    replaced: int = 0
    damaged: int = 0
    late: int = 0
    repeated: int = 0
    reconnected: int = 0

    @property
    def unfinished(self) -> int:
        """Frames on their way through the chain; after a run, those that were read ahead of its end for nothing."""
        return self.read - self.processed - self.every - self.replaced

    def to_dict(self) -> dict[str, int]:
        """Return all numbers by name."""
        return {**asdict(self), "unfinished": self.unfinished}

    def __str__(self) -> str:
        counts = self.to_dict()
        parts = [f"{counts.pop('read')} read", f"{counts.pop('processed')} processed"]
        parts += [f"{count} {_WORDS[name]}" for name, count in counts.items() if count]
        return ", ".join(parts)


_WORDS = {
    "every": "passed over",
    "replaced": "dropped for newer ones",
    "damaged": "damaged",
    "late": "late",
    "repeated": "with a repeated time",
    "reconnected": "reconnections",
    "unfinished": "read for nothing",
}
