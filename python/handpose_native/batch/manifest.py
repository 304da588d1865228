"""The record of what is done, so that a batch that ended early goes on where it was."""

from __future__ import annotations

import fcntl  # POSIX only
import json
import os
from typing import TYPE_CHECKING, Any

from ..diagnostics import build_config
from ..errors import ArgumentError, VideoError
from .work import Outcome

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from .videos import Video

__all__ = ["FILE_NAME", "Manifest"]

FILE_NAME = "manifest.jsonl"
#: Name and version; the number grows when a reader of the old one would go wrong.
SCHEMA = "handpose_native.batch/1"


class Manifest:
    """One line of JSON per video that ended, appended when its results are in place. A context manager.

    While it is open, no other batch can open it. A line is on the disk when :meth:`add` returns. Half a line, which
    only a crash leaves, is removed.

    Parameters
    ----------
    out : Path
        The folder of results; it exists.

    Raises
    ------
    ArgumentError
        If another batch is at work there, or the file is something else.
    VideoError
        If it cannot be read or written.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._path = out / FILE_NAME
        self._last: dict[str, dict[str, Any]] = {}
        self._version = build_config()["version"]
        try:
            self._file = self._path.open("a+b", buffering=0)
        except OSError as error:
            raise VideoError(f"batch: {self._path} cannot be written: {error.strerror}") from error
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def is_done(self, video: Video, options: str) -> bool:
        """Whether a video has its results: a file of the same name, size and time, with
        the same options, and all outputs there.

        Parameters
        ----------
        video : Video
        options : str
            :meth:`BatchOptions.digest`.
        """
        entry = self._last.get(video.name)
        if entry is None or entry["options"] != options or video.mtime_ns is None:
            return False
        outcome = Outcome.from_dict(entry["outcome"])
        before = outcome.video
        return (
            outcome.is_done
            and (before.size_bytes, before.mtime_ns) == (video.size_bytes, video.mtime_ns)
            and all((self._out / output).exists() for output in outcome.outputs)
        )

    def add(self, outcome: Outcome, options: str) -> None:
        """Record how a video ended.

        Raises
        ------
        VideoError
            If it cannot be written.
        """
        entry = {"options": options, "version": self._version, "outcome": outcome.to_dict()}
        self._append(entry)
        self._last[outcome.video.name] = entry

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def _read(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArgumentError(f"batch: another batch is at work in {self._out}") from None
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        try:
            lines = [json.loads(line) for line in data[:whole].splitlines()]
            if lines and lines[0]["schema"] != SCHEMA:
                raise ValueError
            for entry in lines[1:]:
                self._last[Outcome.from_dict(entry["outcome"]).video.name] = entry
        except (ValueError, KeyError, TypeError) as error:
            raise ArgumentError(f"batch: {self._path} is not the record of a batch of this version") from error
        if whole < len(data):
            self._file.truncate(whole)
        if not lines:
            self._append({"schema": SCHEMA})

    def _append(self, entry: dict[str, Any]) -> None:
        data = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
        end = self._file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise VideoError(f"batch: {self._path} cannot be written: {error.strerror}") from error
