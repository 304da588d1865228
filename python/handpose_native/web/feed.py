"""Results on their way from the thread that makes them to the tasks that show them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..report import STAGES
from ..video.keypoints import frame_record, json_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..picture import Picture
    from ..types import FrameResult, Hand

__all__ = ["Entry", "Feed", "Shot"]

#: Results without their pictures that are kept: for programs that fall behind, and for the figures of the last seconds.
_KEPT = 512
_RECENT_S = 10.0
_PERCENTILES = (50, 95, 99)


class Entry:
    """A result without its picture.

    Attributes
    ----------
    number : int
        Of the result within the run, from 1; frames that were dropped have none.
    done_s : float
        When it was done, on the clock of ``time.monotonic``.
    latency_ms : float
        From the moment the frame was there.
    index, pts_s, hands, timings_ms
        As in :class:`~handpose_native.types.FrameResult`.
    """

    def __init__(self, number: int, result: FrameResult) -> None:
        self.number = number
        self.done_s = time.monotonic()
        self.latency_ms = (time.perf_counter() - result.timings_ms.began_s) * 1e3
        self.index, self.pts_s = result.index, result.pts_s
        self.hands: Sequence[Hand] = result.hands
        self.timings_ms: dict[str, float] = dict(result.timings_ms)
        self._size = (result.picture.width, result.picture.height)
        self._text: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The frame as in a line of JSON Lines."""
        return frame_record(self.index, self.pts_s, *self._size, self.hands)

    @property
    def text(self) -> str:
        """The record as JSON, made once however many ask; for one thread only."""
        if self._text is None:
            self._text = json_text(self.record)
        return self._text


@dataclass(frozen=True)
class Shot:
    """The newest result with its picture."""

    number: int
    index: int
    pts_s: float
    picture: Picture
    hands: Sequence[Hand]


class Feed:
    """Takes results from one thread and wakes the tasks that wait for them; the thread never waits for a task.

    What it keeps is bounded: one picture, and what else is known of the last results.

    Attributes
    ----------
    ended : bool
        Whether no more results will come.
    """

    def __init__(self) -> None:
        self.ended = False
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._newest: Shot | None = None
        self._lock = threading.Lock()  # held for a few steps only
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Future[None] | None = None
        self._is_awaited = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say in which event loop the tasks are."""
        self._loop = loop

    def publish(self, result: FrameResult) -> None:
        """Take the newest result; its picture is left alone by whoever gives it."""
        with self._lock:
            number = self.number + 1
            self._entries.append(Entry(number, result))
            self._newest = Shot(number, result.index, result.pts_s, result.picture, result.hands)
        self._tell()

    def end(self) -> None:
        """Take no more; wakes everyone."""
        self.ended = True
        self._tell()

    @property
    def newest(self) -> Shot | None:
        return self._newest

    @property
    def number(self) -> int:
        """Number of the newest result; 0 before the first."""
        return self._newest.number if self._newest is not None else 0

    def entries_after(self, number: int) -> list[Entry]:
        """Return the kept entries with a higher number, oldest first."""
        with self._lock:
            count = min(self.number - number, len(self._entries))
            return [self._entries[index] for index in range(-count, 0)]

    async def wait_after(self, number: int) -> None:
        """Wait until there is a result with a higher number, or none will come."""
        while self.number <= number and not self.ended:
            if self._news is None:
                self._news = asyncio.get_running_loop().create_future()
            # Set before looking again: whoever publishes looks the other way round.
            self._is_awaited = True
            if self.number > number or self.ended:
                return
            await asyncio.shield(self._news)

    def recent(self) -> dict[str, Any]:
        """Return the figures of the last ten seconds: frames per second, and percentiles of latency and stages."""
        with self._lock:
            entries = list(self._entries)
        since_s = time.monotonic() - _RECENT_S
        entries = [entry for entry in entries if entry.done_s >= since_s]
        seconds = entries[-1].done_s - entries[0].done_s if entries else 0.0
        stages = {
            name: _percentiles([entry.timings_ms[name] for entry in entries if name in entry.timings_ms])
            for name in STAGES
        }
        return {
            "frames": len(entries),
            "seconds": seconds,
            "fps": (len(entries) - 1) / seconds if seconds > 0 else None,
            "latency_ms": _percentiles([entry.latency_ms for entry in entries]),
            "stages_ms": {name: values for name, values in stages.items() if values is not None},
        }

    def _tell(self) -> None:
        if self._is_awaited and self._loop is not None:
            self._is_awaited = False
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    median, p95, p99 = np.percentile(values, _PERCENTILES).tolist()
    return {"median": median, "p95": p95, "p99": p99}
