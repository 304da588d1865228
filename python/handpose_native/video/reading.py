"""When the frames of a source are read: ahead of their use, as they come, or one by one."""

from __future__ import annotations

import time
from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING

from ..ahead import Ahead
from ..errors import ArgumentError
from ..timing import FrameTimes, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..types import Frame
    from .base import Source

__all__ = ["POLICIES", "default_policy", "read_frames"]

#: What happens to frames that come faster than they are worked on.
POLICIES = ("all", "latest", "block")
#: How long a frame in work is waited for at the end; one that is being waited for may never come.
_PATIENCE_S = 0.8


def default_policy(source: Source) -> str:
    """Return how a source is read unless told otherwise.

    Live ones by ``"latest"``, because a frame that waited would be old; files by ``"all"``; frames made by the caller's
    own code by ``"block"``, since that may not like to run in another thread.
    """
    if source.info.is_live:
        return "latest"
    return "all" if source.info.kind in ("video", "images") else "block"


@contextmanager
def read_frames(
    source: Source,
    every: int = 1,
    *,
    policy: str | None = None,
    ledger: Ledger | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Iterator[Ahead[tuple[Frame, FrameTimes]] | Iterable[tuple[Frame, FrameTimes]]]:
    """Read a source by a policy.

    Parameters
    ----------
    source : Source
        Belongs to the caller, who closes it after leaving the context.
    every : int
        Every n-th frame is given out; the others are read and passed over.
    policy : {"all", "latest", "block"}, optional
        ``"all"``: in a thread of its own, which waits while one frame is ready: nothing is dropped here, though a live
        source may then drop frames itself, or give old ones. ``"latest"``: in a thread of its own, which never waits:
        a frame not taken by the time the next one is there is dropped. ``"block"``: in the caller's thread, when a
        frame is asked for. :func:`default_policy` unless given.
    ledger : Ledger, optional
        Counts what is read and dropped.
    should_stop : callable, optional
        While it returns True no more frames are given out, also while one is waited for (except by ``"block"``).

    Yields
    ------
    iterable of (Frame, FrameTimes)
        The times hold what reading took (``"decode"``, for live sources ``"read"``, which includes waiting for the
        frame), frames passed over included. What the source raises comes after the frames before it.

    Raises
    ------
    ArgumentError
        For an unknown policy.
    """
    policy = policy or default_policy(source)
    if policy not in POLICIES:
        raise ArgumentError(f"Pipeline: policy must be one of {', '.join(POLICIES)}; got {policy!r}")
    book = ledger if ledger is not None else Ledger()
    frames = _timed(source, every, book)
    if policy == "block":
        yield _until(frames, should_stop)
        return

    def on_drop(_: tuple[Frame, FrameTimes]) -> None:
        book.replaced += 1

    drop = on_drop if policy == "latest" else None
    with Ahead(frames, "read", on_drop=drop, should_stop=should_stop, patience_s=_PATIENCE_S) as ahead:
        yield ahead


def _timed(source: Source, every: int, ledger: Ledger) -> Iterator[tuple[Frame, FrameTimes]]:
    """Yield every n-th frame with what reading it took, frames passed over included."""
    name = "read" if source.info.is_live else "decode"
    last_s = -1.0
    began = time.perf_counter()
    for frame in source:
        ledger.read += 1
        ledger.damaged, ledger.reconnected = source.damaged, source.reconnected
        ledger.repeated += frame.pts_s <= last_s
        last_s = frame.pts_s
        if frame.index % every:
            ledger.every += 1
            continue
        times = FrameTimes()
        times.add(name, began, time.perf_counter())
        yield frame, times
        del frame  # else its memory would be held while the next one is decoded
        began = time.perf_counter()
    ledger.damaged, ledger.reconnected = source.damaged, source.reconnected


def _until(
    frames: Iterator[tuple[Frame, FrameTimes]], should_stop: Callable[[], bool] | None
) -> Iterator[tuple[Frame, FrameTimes]]:
    return frames if should_stop is None else takewhile(lambda _: not should_stop(), frames)
