"""What every file of keypoints is: the abstract class of their writers, and the schema's version."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from ..errors import VideoError
from .base import reason_of

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from ..types import FrameResult
    from .base import SourceInfo

__all__ = ["SCHEMA", "SCHEMA_VERSION", "UNITS", "KeypointWriter", "describe_source"]

#: Name and version of the schema; the number grows when a reader of the old one would go wrong.
SCHEMA = "handpose_native.keypoints/1"
SCHEMA_VERSION = 1
#: Of the three numbers of a keypoint, and of the others.
UNITS = {"time_s": "s", "keypoints": ["px", "px", "0..1"], "world": "m"}


class KeypointWriter(ABC):
    """Writes the hands of each frame to a file. A context manager.

    The file is created with the first frame.

    Parameters
    ----------
    path : Path
        Its folder exists.
    source : SourceInfo or None
        Where the frames come from.

    Attributes
    ----------
    name : str
        The path, for messages.
    frames_written : int
        Frames appended so far.
    problems : list of str
        Always empty: nothing is left out or changed.
    """

    def __init__(self, path: Path, source: SourceInfo | None) -> None:
        self.name = str(path)
        self.frames_written = 0
        self.problems: list[str] = []
        self._path = path
        self._source = source
        self._closed = False
        self._failed = False

    def write(self, result: FrameResult) -> None:
        """Append one frame.

        Raises
        ------
        VideoError
            If the file is closed, failed before, or cannot be written; the frames before stay readable.
        """
        if self._closed or self._failed:
            raise VideoError(f"{self._path}: the output {'is closed' if self._closed else 'failed before'}")
        try:
            self._write(result)
            self.frames_written += 1
        except OSError as error:
            self._failed = True
            raise VideoError(f"{self._path}: cannot be written: {reason_of(error)}") from error

    def close(self) -> None:
        """Close the file; more calls do nothing.

        Raises
        ------
        VideoError
            If the system reports only now that something could not be written.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._finish()
        except OSError as error:
            if not self._failed:
                raise VideoError(f"{self._path}: cannot be written: {reason_of(error)}") from error

    def __enter__(self) -> KeypointWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _write(self, result: FrameResult) -> None:
        """Append one frame."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what is held back and let go of everything; called once, also where no frame came."""


def describe_source(source: SourceInfo | None) -> dict[str, Any] | None:
    """Return what is noted of a source, as plain values."""
    if source is None:
        return None
    return {
        "name": source.name,
        "kind": source.kind,
        "width": source.width,
        "height": source.height,
        "fps": None if source.fps is None else str(source.fps),
        "frame_count": source.frame_count,
    }
