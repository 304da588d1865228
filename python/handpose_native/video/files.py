"""Video files, GIFs and network streams as a source, through FFmpeg (PyAV)."""

from __future__ import annotations

import contextlib
import logging
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import VideoError, missing_dependency
from ..picture import Picture
from ..types import Frame
from .base import Source, SourceInfo, reason_of
from .conversion import PictureReader
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["StreamSource"]

logger = logging.getLogger(__name__)

#: How long a network source may take to answer, to open and for each read.
NETWORK_TIMEOUT_S = 10.0
#: A file counts as cut off when more than this is missing at its end and only its duration, not the number of its
#: frames, is stated: the duration is that of the longest stream, and sound often runs on a little.
_DURATION_SLACK_S = 0.5
#: Larger pictures are decoded by several threads, one picture each. That costs memory and work for each, and gains
#: nothing for smaller ones, which one thread decodes faster than they are worked on (1280 x 720: 1.5 ms).
_ONE_THREAD_PIXELS = 1280 * 720
#: First boxes of ISO media files (mp4, mov).
_ISO_MEDIA_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip")
_USER_AND_PASSWORD = re.compile(r"(?<=://)[^/@]*@")


class StreamSource(Source):
    """The first video stream of a file or address; made by :meth:`from_file` and :meth:`from_address`.

    Opening decodes the first frame, so a file without any is refused at once. Times come from the stream, from 0 at
    the first frame; pictures come upright where the file states a rotation by quarter turns.
    """

    def __init__(self, container: Any, name: str, kind: str, path: Path | None = None) -> None:
        import av

        self._errors = (av.FFmpegError, OSError)
        self._container = container
        self._path = path
        self._name = name
        self._packets = 0
        self._stopped_by: BaseException | None = None
        try:
            if container.format.name == "tty":  # FFmpeg would draw any text file as terminal art
                raise VideoError(f"{name}: not a video: it is a text file")
            if not container.streams.video:
                raise VideoError(f"{name}: there is no video in it, only {_kinds(container)}")
            self._stream = container.streams.video[0]
            context = self._stream.codec_context
            is_large = context.width * context.height > _ONE_THREAD_PIXELS
            self._stream.thread_type = "AUTO" if is_large else "SLICE"
            self._reader = PictureReader()
            self._demuxed = container.demux(self._stream)
            self._pictures = self._decoded(self._demuxed)
            first = next(self._pictures, None)
            if first is None:
                raise VideoError(f"{name}: no frame can be read from it{self._why_empty()}") from self._stopped_by
        except BaseException:
            container.close()
            raise
        self._first: Any = first
        width, height = first.width, first.height
        if self._turns(first) % 2:
            width, height = height, width
        rate = self._stream.average_rate or self._stream.guessed_rate
        live = kind == "stream" and container.duration is None
        count = None if live else (self._stream.frames or None)
        details = container.format.name if live else ""
        super().__init__(SourceInfo(name, kind, width, height, Fraction(rate) if rate else None, count, live, details))

    @classmethod
    def from_file(cls, path: Path, **options: Any) -> StreamSource:
        """Open a local file; options are those of the class.

        Raises
        ------
        VideoError
            With the reason, e.g. that it is no video, or that its index is missing.
        """
        av = _import_av()
        try:
            # "file:" because FFmpeg takes what stands before a colon in a name for a protocol.
            container = _open(f"file:{path}")
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{path}: {_why_not_opened(path, error)}") from error
        return cls(container, str(path), "video", path, **options)

    @classmethod
    def from_address(cls, address: str, **options: Any) -> StreamSource:
        """Open an address, such as ``rtsp://`` or ``http://``; RTSP goes over TCP. Options are those of the class.

        Raises
        ------
        VideoError
            With the reason; a user and password in the address are not shown.
        """
        av = _import_av()
        name = _USER_AND_PASSWORD.sub("", address)
        transport = {"rtsp_transport": "tcp"} if address.lower().startswith("rtsp") else {}
        try:
            container = _open(address, options=transport, timeout=(NETWORK_TIMEOUT_S, NETWORK_TIMEOUT_S))
        except av.error.ExitError as error:  # what FFmpeg says when PyAV interrupts it
            raise VideoError(f"{name}: no answer within {NETWORK_TIMEOUT_S:g} s") from error
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{name}: cannot be opened: {reason_of(error)}") from error
        return cls(container, name, "stream", **options)

    def _decoded(self, packets: Iterable[Any]) -> Iterator[Any]:
        """Yield the decoded frames; damaged packets are counted, and an error of reading ends it and is kept."""
        try:
            for packet in packets:
                self._packets += packet.size > 0
                if packet.is_corrupt:
                    self.damaged += 1
                    continue
                try:
                    frames = self._decode(packet)
                except self._errors as error:
                    self.damaged += 1
                    logger.debug("%s: packet %d: %s", self._name, self._packets - 1, reason_of(error))
                    continue
                yield from frames
        except self._errors as error:
            self._stopped_by = error
            with contextlib.suppress(*self._errors):
                yield from self._decode_rest()

    def _decode(self, packet: Any) -> list[Any]:
        """Return what a packet brings, the rest with the empty one at the end."""
        frames: list[Any] = packet.decode()
        return frames

    def _decode_rest(self) -> list[Any]:
        """Return what is left where the end was not reached."""
        frames: list[Any] = self._stream.codec_context.decode(None)
        return frames

    def _frames(self) -> Iterator[Frame]:
        picture, self._first = self._first, None
        timeline = Timeline(float(1 / self._info.fps) if self._info.fps else 0.0, self._info.is_live)
        count = 0
        while picture is not None:
            base = picture.time_base or self._stream.time_base
            time_s = timeline.advance(None if picture.pts is None or base is None else picture.pts * base)
            yield Frame(count + self.damaged, time_s, self._upright(picture))
            count += 1
            picture = next(self._pictures, None)
        if timeline.jumps:
            times = "once" if timeline.jumps == 1 else f"{timeline.jumps} times"
            self.problems.append(f"{self._name}: its times began anew {times}; they were made to go on")
        self._note_losses(count, time_s + timeline.step_s)
        for problem in self.problems:
            logger.info("%s", problem)

    def _note_losses(self, count: int, end_s: float) -> None:
        name, stated = self._name, self._stream.frames
        if self.damaged:
            counted = "1 damaged frame was" if self.damaged == 1 else f"{self.damaged} damaged frames were"
            self.problems.append(f"{name}: {counted} left out")
        if self._info.is_live:
            reason = reason_of(self._stopped_by) if self._stopped_by else "the stream ended"
            self.problems.append(f"{name} stopped after {count} frames: {reason}")
        elif self._container.format.name == "gif" and self._path is not None:
            # The number of frames that FFmpeg states for a GIF is of those it found.
            if not _ends_with_gif_trailer(self._path):
                self.problems.append(f"{name} is cut off: it ended after {count} frames")
        elif stated:
            # Packets, not frames: what an edit list hides is stated and read, but never given out.
            if self._packets < stated:
                self.problems.append(f"{name} ended after {count} of {stated} frames")
        else:
            duration_s = self._stated_duration_s()
            if end_s < duration_s - _DURATION_SLACK_S:
                expected = f" of about {round(duration_s * self._info.fps)}" if self._info.fps else ""
                times = f"{end_s:.2f} of {duration_s:.2f} s"
                self.problems.append(f"{name} ended after {count}{expected} frames, at {times}")
        if self._stopped_by is not None and not self._info.is_live:
            self.problems.append(f"{name}: reading stopped: {reason_of(self._stopped_by)}")

    def _stated_duration_s(self) -> float:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / 1e6 if self._container.duration else 0.0

    def _why_empty(self) -> str:
        if self._stopped_by is not None:
            return f": {reason_of(self._stopped_by)}"
        return f": all {self.damaged} are damaged" if self.damaged else ""

    def _upright(self, picture: Any) -> Picture:
        turns = self._turns(picture)
        if not turns:
            return self._reader.read(picture, self.planes_wanted)
        return Picture.from_bgr(np.ascontiguousarray(np.rot90(self._reader.to_bgr(picture), turns)))

    def _turns(self, picture: Any) -> int:
        return round(_rotation_degrees(picture, self._stream) / 90) % 4

    def _release(self) -> None:
        # A decoder and its threads live as long as anything refers to them, also after its container is closed.
        del self._first, self._pictures, self._demuxed, self._stream
        self._container.close()


def _import_av() -> Any:
    try:
        import av
    except ImportError as error:
        raise missing_dependency(error, "av", "to read videos", "av") from error
    return av


def _open(address: str, **options: Any) -> Any:
    import av

    # A title in a foreign encoding is no reason to refuse a video; since version 19 PyAV thinks so too.
    if int(av.__version__.split(".")[0]) < 19:
        options["metadata_errors"] = "ignore"
    return av.open(address, **options)


def _rotation_degrees(picture: Any, stream: Any) -> float:
    """Return by how much to turn the picture counter-clockwise for display."""
    rotation = getattr(picture, "rotation", None)
    if rotation is None:  # PyAV before 14 states it on the stream
        rotation = stream.side_data.get("DISPLAYMATRIX", 0.0)
    return float(rotation) if math.isfinite(rotation) else 0.0


def _kinds(container: Any) -> str:
    return ", ".join(sorted({str(stream.type) for stream in container.streams})) or "nothing FFmpeg knows"


def _why_not_opened(path: Path, error: BaseException) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if not head:
                return "the file is empty"
            if head[4:8] in _ISO_MEDIA_BOXES:
                if not _has_moov_box(path):
                    return "its index (the moov atom) is missing: the recording was not finished or the end was cut off"
                return "the file is damaged: its header cannot be read"
    except OSError as failure:
        return f"cannot be read: {reason_of(failure)}"
    reason = reason_of(error)
    # FFmpeg reports the end of the file where it searched all of it in vain.
    is_foreign = reason.startswith(("Invalid data", "End of file"))
    return "not a video that FFmpeg can read" if is_foreign else f"cannot be opened: {reason}"


def _has_moov_box(path: Path) -> bool:
    """Walk the top-level boxes (ISO/IEC 14496-12, 4.2): 32-bit size, type; size 1 is followed by a 64-bit size."""
    end = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        while position + 8 <= end:
            file.seek(position)
            header = file.read(16)
            if header[4:8] == b"moov":
                return True
            size = int.from_bytes(header[:4], "big")
            if size == 1:
                size = int.from_bytes(header[8:16], "big")
            if size < 8:
                return False
            position += size
    return False


def _ends_with_gif_trailer(path: Path) -> bool:
    with path.open("rb") as file:
        # Some writers pad with zeros after the trailer.
        file.seek(-min(64, path.stat().st_size), 2)
        return file.read().rstrip(b"\0").endswith(b"\x3b")
