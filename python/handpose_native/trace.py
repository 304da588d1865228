"""When each stage worked on each frame, as a file that trace viewers show."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import VideoError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from .ahead import Ahead
    from .types import FrameResult

__all__ = ["TraceWriter"]


class TraceWriter:
    """Writes Chrome's trace event format, which ``chrome://tracing`` and Perfetto open. A context manager.

    The format (Trace Event Format, "JSON Array Format") allows the closing bracket to be missing, so the file can be
    read while it grows and after the process was killed.

    Parameters
    ----------
    path : path

    Raises
    ------
    VideoError
        If the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        try:
            self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - closed when the context is left
        except OSError as error:
            raise VideoError(f"trace: {self._path} cannot be written: {error.strerror}") from error
        self._threads: dict[str, int] = {}
        self._start_s: float | None = None
        self._first = True

    def write(self, result: FrameResult, queues: Sequence[Ahead[Any]]) -> None:
        """Add one frame's stages, and how full the queues are now."""
        spans = result.timings_ms.spans
        if self._start_s is None:
            self._start_s = spans[0].began_s
        events: list[dict[str, Any]] = []
        for span in spans:
            event = {
                "name": span.stage,
                "ph": "X",
                "ts": self._microseconds(span.began_s),
                "dur": round((span.ended_s - span.began_s) * 1e6, 1),
                "pid": os.getpid(),
                "tid": self._thread_number(span.thread, events),
                "args": {"frame": result.index},
            }
            events.append(event)
        now = self._microseconds(spans[-1].ended_s)
        for queue in queues:
            args = {"waiting": queue.waiting}
            events.append({"name": f"after {queue.name}", "ph": "C", "ts": now, "pid": os.getpid(), "args": args})
        try:
            for event in events:
                self._file.write(("[\n" if self._first else ",\n") + json.dumps(event, separators=(",", ":")))
                self._first = False
        except OSError as error:
            raise VideoError(f"trace: {self._path} cannot be written: {error.strerror}") from error

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.write("[]\n" if self._first else "\n]\n")
            self._file.close()
        except OSError as failure:
            if error is None:
                raise VideoError(f"trace: {self._path} cannot be written: {failure.strerror}") from failure

    def _microseconds(self, time_s: float) -> float:
        assert self._start_s is not None
        return round((time_s - self._start_s) * 1e6, 1)

    def _thread_number(self, name: str, events: list[dict[str, Any]]) -> int:
        """Return the number that stands for a thread; its name is written once."""
        if name not in self._threads:
            self._threads[name] = len(self._threads) + 1
            args = {"name": name}
            thread = {"name": "thread_name", "ph": "M", "pid": os.getpid(), "tid": self._threads[name], "args": args}
            events.append(thread)
        return self._threads[name]
