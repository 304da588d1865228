"""Reading ahead: frames are decoded in a thread of their own while earlier ones are worked on."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from ..types import Frame
    from .base import Source

__all__ = ["read_frames"]

#: Frames that wait at most, while another one is being read; each is a whole picture of memory.
_DEPTH = 1


@contextmanager
def read_frames(source: Source, every: int) -> Iterator[Iterator[tuple[Frame, float]]]:
    """Read a source, files ahead of their use in a thread of their own.

    Parameters
    ----------
    source : Source
        Belongs to the caller, who closes it after leaving the context.
    every : int
        Every n-th frame is given out; the others are read and passed over.

    Yields
    ------
    iterator of (Frame, float)
        Frames with the milliseconds that reading took, those passed over included. What the source raises comes after
        the frames before it.

    Notes
    -----
    Live sources are read when a frame is asked for, because one read ahead would be old; so are frames made by the
    caller's own code, which may not like to run in another thread.
    """
    if source.info.is_live or source.info.kind not in ("video", "images"):
        yield _timed(source, every)
        return
    with _ReadAhead(source, every) as frames:
        yield iter(frames)


class _ReadAhead:
    """Iterates over a source in a thread of its own.

    A context manager around the loop over it: leaving it ends the thread, whether or not all frames were taken. What
    the source raises is raised here, after the frames that came before it.
    """

    def __init__(self, source: Source, every: int) -> None:
        self._source = source
        self._every = every
        self._ready: queue.Queue[tuple[Frame, float] | BaseException | None] = queue.Queue(_DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="read-ahead", daemon=True)

    def __enter__(self) -> _ReadAhead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:  # make room for one that waits to put
                self._ready.get_nowait()
            except queue.Empty:
                self._thread.join(0.01)

    def __iter__(self) -> Iterator[tuple[Frame, float]]:
        while True:
            item = self._ready.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _read(self) -> None:
        last: BaseException | None = None
        try:
            for item in _timed(self._source, self._every):
                self._ready.put(item)
                if self._stop.is_set():
                    return
        except BaseException as error:  # raised again where the frames are taken
            last = error
        self._ready.put(last)


def _timed(source: Source, every: int) -> Iterator[tuple[Frame, float]]:
    """Yield every n-th frame with the milliseconds that reading took, those passed over included."""
    began = time.perf_counter()
    for frame in source:
        if frame.index % every:
            continue
        yield frame, (time.perf_counter() - began) * 1e3
        began = time.perf_counter()
