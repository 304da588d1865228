"""What the page shows beside the picture: the state of the run, its figures, the hands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ..video.keypoints import header_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..report import RunReport
    from ..video import Source
    from .feed import Feed

__all__ = ["State", "Status"]

#: A live source without a frame for so long stands still, as one does whose cable was pulled.
_STILL_S = 3.0


class State(NamedTuple):
    """How a run is.

    Attributes
    ----------
    name : {"starting", "running", "still", "lost", "ended"}
        ``still``: a live source gives no frames; ``lost``: its connection broke and is being made again.
    message : str
        What a person is told; empty where all is well.
    """

    name: str
    message: str

    @property
    def is_well(self) -> bool:
        return self.name in ("starting", "running")


class Status:
    """Tells how a run is.

    Parameters
    ----------
    source : Source
        Being read.
    feed : Feed
    report : callable
        Returns the report of the run; None before it begins.
    """

    def __init__(self, source: Source, feed: Feed, report: Callable[[], RunReport | None]) -> None:
        self.header = header_record(source.info)
        self._source = source
        self._feed = feed
        self._report = report
        self._began_s = time.monotonic()
        self._ending = ""

    def end(self, message: str) -> None:
        """The run is over, and why."""
        self._ending = message
        self._feed.end()

    @property
    def report(self) -> RunReport | None:
        return self._report()

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest result; None before the first."""
        newest = self._newest_entry()
        return None if newest is None else time.monotonic() - newest.done_s

    @property
    def state(self) -> State:
        if self._feed.ended:
            return State("ended", self._ending)
        if self._source.interrupted is not None:
            return State("lost", f"The connection is lost and is being made again: {self._source.interrupted}")
        age_s = self.age_s
        waited_s = time.monotonic() - self._began_s if age_s is None else age_s
        if self._source.info.is_live and waited_s > _STILL_S:
            return State("still", f"No picture for {waited_s:.0f} s.")
        return State("starting", "Waiting for the first picture.") if age_s is None else State("running", "")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values; times in milliseconds, None for what is unknown."""
        state, report, entry = self.state, self.report, self._newest_entry()
        recent = self._feed.recent()
        if not state.is_well:
            recent["fps"] = None
        newest = None
        if entry is not None:
            newest = {"number": entry.number, **entry.record, "age_s": time.monotonic() - entry.done_s}
            for hand in newest["hands"]:
                del hand["keypoints"], hand["world"]  # of which /keypoints.json and /events tell
        return {
            "state": state.name,
            "message": state.message,
            "source": {**self.header["source"], "details": self._source.info.details},
            "problems": list(self._source.problems),
            "newest": newest,
            "recent": recent,
            "report": report.to_dict() if report is not None else None,
        }

    def _newest_entry(self) -> Any:
        entries = self._feed.entries_after(self._feed.number - 1)
        return entries[-1] if entries else None
