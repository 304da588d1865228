"""What every source and every sink is: the two abstract classes, and the checks that all of them share."""

from __future__ import annotations

import logging
import math
import os
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, VideoError
from ..geometry import letterbox
from ..picture import Picture, check_image
from ..preprocess import preprocess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from ..types import Frame

__all__ = ["IMAGE_SUFFIXES", "Sink", "Source", "SourceInfo", "as_rate", "check_output_path", "reason_of"]

logger = logging.getLogger(__name__)

#: Suffixes of the picture files that OpenCV both reads and writes.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before it is read.

    Attributes
    ----------
    name : str
        Path, address (without a password) or short description, for messages.
    kind : {"video", "images", "camera", "stream", "frames"}
    width, height : int or None
        Of the first frame as it is given out, that is upright, in pixels; None where unknown.
    fps : Fraction or None
        Average frames per second; None where unknown.
    frame_count : int or None
        As the file states it, which may be wrong for a damaged file; None where unknown.
    is_live : bool
        Whether frames come by themselves and are lost when not fetched in time.
    details : str
        What was agreed with a camera, e.g. ``"MJPG"``; empty where there is nothing to say.
    """

    name: str
    kind: str
    width: int | None = None
    height: int | None = None
    fps: Fraction | None = None
    frame_count: int | None = None
    is_live: bool = False
    details: str = ""


#: How long closing waits for a thread that is reading; what waits for a dead connection is then left to end by itself.
_PATIENCE_S = 0.4


class Source(ABC):
    """Frames in order, read once. A context manager; iterate over it for :class:`~handpose_native.types.Frame`.

    One thread may read it while another closes it.

    Each frame's image belongs to whoever takes it and may be drawn upon: the pipeline draws in place on the frame
    given.

    Attributes
    ----------
    problems : list of str
        One sentence for each thing that was lost; grows while the source is read.
    planes_wanted : bool
        Set it before the first frame is read: pictures that are decoded as ``yuv420p`` or ``nv12`` then stay so, where
        the source can; else all are ``bgr24``.
    damaged : int
        Frames so far that could not be decoded.
    reconnected : int
        How often so far a broken connection was made again.
    interrupted : str or None
        While a broken connection is being made again: why it broke, or why it cannot be made.
    """

    damaged = 0
    reconnected = 0
    interrupted: str | None = None

    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        self._taken = False
        self._closed = False
        self._released = False
        self._reading = threading.Lock()
        self.problems: list[str] = []
        self.planes_wanted = False

    @property
    def info(self) -> SourceInfo:
        """What is known of the source."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Read the frames.

        Raises
        ------
        VideoError
            If the source is closed or was iterated over before.
        """
        if self._closed:
            raise VideoError(f"{self._info.name}: the source is closed")
        if self._taken:
            raise VideoError(f"{self._info.name}: a source is read only once; open it again")
        self._taken = True
        return self._read()

    def close(self) -> None:
        """Release the file or device; more calls do nothing.

        Where another thread waits for a frame that does not come, it releases it, once it gives up waiting.
        """
        if self._closed:
            return
        self._closed = True
        self._interrupt()
        if self._reading.acquire(timeout=_PATIENCE_S):
            try:
                self._release_once()
            finally:
                self._reading.release()
        else:
            logger.info("%s: closed while it waits for a frame", self._info.name)

    def _read(self) -> Iterator[Frame]:
        frames = self._frames()
        while True:
            with self._reading:
                if self._closed:
                    return
                try:
                    frame = next(frames, None)
                finally:
                    self._release_if_closed()
            if frame is None:
                return
            yield frame
            del frame  # else its memory would be held while the next one is decoded

    def _release_if_closed(self) -> None:
        if self._closed:
            self._release_once()

    def _release_once(self) -> None:
        if not self._released:
            self._released = True
            self._release()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _frames(self) -> Iterator[Frame]:
        """Yield the frames; called once."""

    def _interrupt(self) -> None:
        """Wake a thread that waits in `_frames`, where that can be; called by any thread, also more than once."""
        return

    @abstractmethod
    def _release(self) -> None:
        """Let go of everything; called once, while no frame is being read."""


class Sink(ABC):
    """Takes pictures one after another. A context manager.

    Nothing is created before the first picture, so a job that fails early destroys no existing file.

    Attributes
    ----------
    name : str
        Where the pictures go, for messages.
    frames_written : int
        Pictures taken up so far.
    problems : list of str
        One sentence for each thing that was changed or lost.
    wants_stop : bool
        Whether the viewer asked for the end, which only a window can.
    takes_planes : bool
        Whether YUV pictures are written without a conversion to BGR and back.
    """

    takes_planes = False

    #: Exceptions of writing that become VideoError; sinks on FFmpeg add its own.
    _errors: tuple[type[BaseException], ...] = (OSError,)

    def __init__(self, name: str) -> None:
        self.name = name
        self.frames_written = 0
        self.problems: list[str] = []
        self.wants_stop = False
        self._failed = False
        self._closed = False

    def write(self, image: Picture | NDArray[np.uint8], pts_s: float) -> None:
        """Take one picture; it is copied or encoded before the call returns.

        Parameters
        ----------
        image : Picture, or ndarray, uint8, shape (H, W, 3)
            An array is BGR. Not changed.
        pts_s : float
            Presentation time in seconds, from 0, not decreasing.

        Raises
        ------
        DTypeError, ArgumentError
            If the image or the time is not as above.
        VideoError
            If the sink is closed, failed before, or cannot be written; what was written before stays readable.
        """
        picture = image if isinstance(image, Picture) else Picture.from_bgr(check_image("write", "image", image))
        if not math.isfinite(pts_s) or pts_s < 0:
            raise ArgumentError(f"write: pts_s must be finite and not negative; got {pts_s!r}")
        if self._closed or self._failed:
            raise VideoError(f"{self.name}: the output {'is closed' if self._closed else 'failed before'}")
        try:
            if self._write(picture, float(pts_s)):
                self.frames_written += 1
        except VideoError:
            self._failed = True
            raise
        except self._errors as error:
            self._failed = True
            raise VideoError(f"{self.name}: cannot be written: {reason_of(error)}") from error

    def close(self) -> None:
        """Finish the output; more calls do nothing, nor does a call after a failed write raise again.

        Raises
        ------
        VideoError
            If the last frames cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        if self._failed:
            self._abandon()
            return
        try:
            self._finish()
        except self._errors as error:
            self._failed = True
            self._abandon()
            if isinstance(error, VideoError):
                raise
            raise VideoError(f"{self.name}: cannot be written: {reason_of(error)}") from error

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _write(self, picture: Picture, pts_s: float) -> bool:
        """Take a checked picture; return False where it is left out."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what is held back and let go of everything."""

    def _abandon(self) -> None:
        """After a failure: let go of everything without raising, leaving what was written readable."""
        return


class FixedSize:
    """Brings every picture of a sink to the size of the first.

    A picture of another size is fitted in with its aspect kept, and the first such is noted in `problems`.
    """

    def __init__(self, name: str, problems: list[str]) -> None:
        self._name = name
        self._problems = problems
        self._count = 0
        self._noted = False
        self.size_hw: tuple[int, int] | None = None

    def fit_size(self, size_hw: tuple[int, int]) -> bool:
        """Count a picture of this size; the first one's becomes that of all. Return whether it has that size."""
        if self.size_hw is None:
            self.size_hw = size_hw
        index, self._count = self._count, self._count + 1
        if size_hw == self.size_hw:
            return True
        if not self._noted:
            self._noted = True
            self._problems.append(
                f"{self._name}: from frame {index} on the size changes from {self.size_hw[1]}x{self.size_hw[0]} to "
                f"{size_hw[1]}x{size_hw[0]}; such frames are fitted into the first size"
            )
        return False

    def fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture in the first one's size; itself where it has that size already."""
        if self.fit_size(image.shape[:2]):
            return image
        height, width = image.shape[:2]
        assert self.size_hw is not None
        fitted: NDArray[np.uint8] = preprocess(
            image,
            input_from_image=letterbox((height, width), self.size_hw),
            size_hw=self.size_hw,
            layout="NHWC",
            dtype="uint8",
            channel_order="bgr",
            filter="linear",
        )[0]
        return fitted


def as_rate(function: str, fps: Any) -> Fraction:
    """Return a number of frames per second as a ratio; 29.97 stays 2997/100.

    Raises
    ------
    ArgumentError
        If it is not a finite number above 0.
    """
    try:
        rate = Fraction(fps) if not isinstance(fps, float) else Fraction(fps).limit_denominator(1_000_000)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise ArgumentError(f"{function}: fps must be a number above 0; got {fps!r}") from None
    if rate <= 0:
        raise ArgumentError(f"{function}: fps must be a number above 0; got {fps!r}")
    return rate


def check_output_path(path: Path) -> None:
    """Raise VideoError unless a file or folder at `path` can be created, or the existing file there written."""
    folder = path.parent
    if not folder.is_dir():
        raise VideoError(f"{path}: cannot be written: the folder {folder} does not exist")
    target = path if path.exists() else folder
    if not os.access(target, os.W_OK):
        raise VideoError(f"{path}: cannot be written: no permission to write to {target}")


def reason_of(error: BaseException) -> str:
    """Return the plain reason of an operating system's or FFmpeg's error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
