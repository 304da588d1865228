"""Reading ahead: frames are decoded in a thread of their own while earlier ones are worked on."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..ahead import Ahead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..types import Frame
    from .base import Source

__all__ = ["can_read_ahead", "read_frames"]


def can_read_ahead(source: Source) -> bool:
    """Whether frames may be read before they are asked for.

    Not those of live sources, because one read ahead would be old; nor those made by the caller's own code, which may
    not like to run in another thread.
    """
    return not source.info.is_live and source.info.kind in ("video", "images")


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
    """
    if not can_read_ahead(source):
        yield _timed(source, every)
        return
    with Ahead(_timed(source, every), "read-ahead") as frames:
        yield iter(frames)


def _timed(source: Source, every: int) -> Iterator[tuple[Frame, float]]:
    """Yield every n-th frame with the milliseconds that reading took, those passed over included."""
    began = time.perf_counter()
    for frame in source:
        if frame.index % every:
            continue
        yield frame, (time.perf_counter() - began) * 1e3
        began = time.perf_counter()
