"""Sources made live, and sources kept alive: files in real time or in a loop, connections made again."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import VideoError
from ..types import Frame
from .base import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LoopingSource", "RealtimeSource", "ReconnectingSource"]

logger = logging.getLogger(__name__)

#: Seconds before the first, second, ... attempt to connect again; the last one for all that follow.
_BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class RealtimeSource(Source):
    """Gives the frames of another source at their own times, as a camera would.

    Parameters
    ----------
    source : Source
        Closed together with this one.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(replace(source.info, is_live=True))
        self._source = source
        self._ended = threading.Event()
        self.problems = source.problems

    def _frames(self) -> Iterator[Frame]:
        self._source.planes_wanted = self.planes_wanted
        start: float | None = None
        for frame in self._source:
            self.damaged, self.reconnected = self._source.damaged, self._source.reconnected
            if start is None:
                start = time.monotonic() - frame.pts_s
            if self._ended.wait(max(start + frame.pts_s - time.monotonic(), 0.0)):
                return
            yield frame
        self.damaged, self.reconnected = self._source.damaged, self._source.reconnected

    def _interrupt(self) -> None:
        self._ended.set()

    def _release(self) -> None:
        self._source.close()


class LoopingSource(Source):
    """Gives the frames of a file again and again; numbers and times go on.

    Parameters
    ----------
    first : Source
        The open file.
    open_again : callable
        Returns another.
    """

    def __init__(self, first: Source, open_again: Callable[[], Source]) -> None:
        super().__init__(replace(first.info, frame_count=None))
        self._current = first
        self._open_again = open_again
        self._ended = threading.Event()

    def _frames(self) -> Iterator[Frame]:
        start_index, start_s = 0, 0.0
        step_s = float(1 / self._info.fps) if self._info.fps else 0.0
        damaged_before = 0
        while True:
            index, time_s = -1, 0.0
            self._current.planes_wanted = self.planes_wanted
            for frame in self._current:
                self.damaged = damaged_before + self._current.damaged
                index, time_s = frame.index, frame.pts_s
                yield Frame(start_index + index, start_s + time_s, frame.picture)
                del frame  # else its memory would be held while the next one is decoded
            damaged_before = self.damaged = damaged_before + self._current.damaged
            self.problems[:] = self._current.problems  # of one round, as they are the same in each
            self._current.close()
            if index < 0 or self._ended.is_set():
                return
            start_index, start_s = start_index + index + 1, start_s + time_s + step_s
            self._current = self._open_again()

    def _interrupt(self) -> None:
        self._ended.set()

    def _release(self) -> None:
        self._current.close()


class ReconnectingSource(Source):
    """A live source that is opened again whenever it ends, until this one is closed.

    Times go on by the clock over the interruption; pictures may have another size after it.

    Parameters
    ----------
    first : Source
        The open connection.
    open_again : callable
        Returns another; raises VideoError where there is none to be had at the moment.
    """

    def __init__(self, first: Source, open_again: Callable[[], Source]) -> None:
        super().__init__(first.info)
        self._current = first
        self._open_again = open_again
        self._ended = threading.Event()
        self._losses = 0
        self._lost_s = 0.0

    def _frames(self) -> Iterator[Frame]:
        index = 0
        time_s = 0.0
        start_s = 0.0
        damaged_before = 0
        while not self._ended.is_set():
            index_before = index
            arrived = time.monotonic()
            self._current.planes_wanted = self.planes_wanted
            for frame in self._current:
                self.damaged = damaged_before + self._current.damaged
                arrived = time.monotonic()
                time_s = start_s + frame.pts_s
                index = index_before + frame.index
                yield Frame(index, time_s, frame.picture)
            damaged_before = self.damaged = damaged_before + self._current.damaged
            index += 1
            if not self._connect_again():
                return
            start_s = time_s + time.monotonic() - arrived

    def _connect_again(self) -> bool:
        """Open the source again, waiting longer from attempt to attempt; return False where this one is closed."""
        name, began, attempt = self._info.name, time.monotonic(), 0
        reason = self._current.problems[-1] if self._current.problems else f"{name} ended"
        self._current.close()
        while True:
            wait_s = _BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)]
            attempt += 1
            self.interrupted = reason
            logger.warning("%s; trying again in %g s", reason, wait_s)
            if self._ended.wait(wait_s):
                self._note(reason, began)
                return False
            try:
                self._current = self._open_again()
            except VideoError as error:
                reason = str(error)
                continue
            self.reconnected += 1
            self.interrupted = None
            self._note(reason, began)
            logger.warning("%s: connected again after %.1f s", name, time.monotonic() - began)
            return True

    def _note(self, reason: str, began: float) -> None:
        """Keep one sentence however often it happens, as this may run for weeks."""
        self._losses += 1
        self._lost_s += time.monotonic() - began
        times = "once" if self._losses == 1 else f"{self._losses} times"
        self.problems[:] = [
            f"{self._info.name}: the connection was lost {times}, for {self._lost_s:.1f} s in all; last: {reason}"
        ]

    def _interrupt(self) -> None:
        self._ended.set()

    def _release(self) -> None:
        self._current.close()
