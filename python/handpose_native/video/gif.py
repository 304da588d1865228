"""Animated GIF as a sink: palettes by FFmpeg, pixels by the package's kernel, LZW by FFmpeg, the file by hand.

FFmpeg's encoder gives each picture as the blocks of a GIF, cut to the rectangle that changed. They are put together
here and not by FFmpeg's muxer, because so the palette can change on the way, a picture's blocks are written in one go,
and the file ends in its trailer after each of them: whatever happens, it can be opened.
"""

from __future__ import annotations

import contextlib
import logging
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import VideoError, missing_dependency
from ..palette import palette_map, palette_map_changed
from .base import FixedSize, Sink
from .gif_palette import Palette

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ..picture import Picture

__all__ = ["GifSink"]

logger = logging.getLogger(__name__)

#: Pictures that the first palette is chosen from; they are held back until then.
_PALETTE_FRAMES = 4
#: A channel that changed by no more is taken as unchanged: the palette's table does not tell 4 levels apart either.
_TOLERANCE = 3
#: Browsers slow down what is shown for less than 2 hundredths of a second.
_MIN_DELAY_CS = 2
_MAX_DELAY_CS = 0xFFFF
#: Shown so long when there is a single picture and no rate.
_LONE_DELAY_CS = 10
_TRAILER = b"\x3b"
#: "Repeat for ever", from the Netscape 2.0 application extension.
_LOOP_FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
#: Of the graphic control extension: its start, and where in it the delay stands.
_CONTROL_START = b"\x21\xf9\x04"
_DELAY_AT = 4
#: The image descriptor behind it: where it stands, its first byte, its flags, and its end, where a palette may follow.
_IMAGE_AT = 8
_IMAGE_START = 0x2C
_IMAGE_FLAGS_AT = 17
_IMAGE_END = 18
#: "A palette of 256 colours follows", as written for such a picture.
_LOCAL_TABLE_FLAGS = 0x87
_HEADER_SIZE = 13
_TABLE_SIZE = 3 * 256


class GifSink(Sink):
    """An animated GIF that loops for ever; memory does not grow with its length.

    GIF counts in hundredths of a second: each picture appears at its time rounded to that, so errors do not add up.
    Pictures closer together than 2 hundredths are left out and noted.

    Parameters
    ----------
    path : Path
        Its folder exists.
    fps : Fraction, optional
        Says how long the last picture is shown; else as long as the one before.

    Raises
    ------
    MissingDependencyError
        If PyAV is not installed.
    """

    def __init__(self, path: Path, fps: Fraction | None) -> None:
        super().__init__(str(path))
        try:
            import av
        except ImportError as error:
            raise missing_dependency(error, "av", "to write GIF", "av") from error
        self._errors = (OSError, av.FFmpegError)
        self._path = path
        self._fps = fps
        self._size = FixedSize(self.name, self.problems)
        self._file: Any = None
        self._end = 0
        self._waiting: list[tuple[NDArray[np.uint8], int]] = []
        self._palette: Palette | None = None
        self._encoder: Any = None
        self._held: NDArray[np.uint8] | None = None
        self._indices = np.empty((0, 0), np.uint8)
        self._local_table = b""
        self._pending: _Pending | None = None
        self._delay_cs = _LONE_DELAY_CS
        self._last_cs: int | None = None
        self._last_pts_s = 0.0
        self._dropped = 0

    def _write(self, picture: Picture, pts_s: float) -> bool:
        if self._file is None:
            # Unbuffered: an error belongs to the frame it happens at.
            self._file = self._path.open("wb", buffering=0)
        time_cs = round(pts_s * 100)
        if self._last_cs is not None and time_cs - self._last_cs < _MIN_DELAY_CS:
            self._dropped += 1
            return False
        self._last_cs, self._last_pts_s = time_cs, pts_s
        image = self._size.fit(picture.to_bgr())
        if self._palette is None:
            self._waiting.append((image.copy(), time_cs))
            if len(self._waiting) == _PALETTE_FRAMES:
                self._write_waiting()
            return True
        if not self._palette.fits(image):
            logger.debug("%s: new palette at %.2f s", self.name, time_cs / 100)
            self._use_palette(Palette([image]))
        self._encode(image, time_cs)
        return True

    def _write_waiting(self) -> None:
        self._use_palette(Palette([image for image, _ in self._waiting]))
        # One by one, so that after a Ctrl-C in here closing goes on where this stopped.
        while self._waiting:
            self._encode(*self._waiting.pop(0))

    def _use_palette(self, palette: Palette) -> None:
        """Start a new encoder, because one compares pictures by their indices and can keep only one palette."""
        import av

        height, width = self._size.size_hw or (0, 0)
        encoder: Any = av.CodecContext.create("gif", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "pal8"
        encoder.time_base, encoder.framerate = Fraction(1, 100), Fraction(100)
        self._encoder, self._palette, self._held = encoder, palette, None

    def _encode(self, image: NDArray[np.uint8], time_cs: int) -> None:
        import av

        assert self._palette is not None
        image = np.ascontiguousarray(image)
        if self._held is None:
            self._held, self._indices = image.copy(), palette_map(image, self._palette.lut)
        else:
            palette_map_changed(image, self._palette.lut, _TOLERANCE, self._held, self._indices)
        planes: Any = (self._indices, self._palette.argb)
        frame = av.VideoFrame.from_ndarray(planes, format="pal8")
        frame.pts, frame.time_base = time_cs, Fraction(1, 100)
        for packet in self._encoder.encode(frame):
            header, blocks = self._split(bytes(packet))
            start = b""
            if self._pending is None:
                start = header + _LOOP_FOREVER
            else:
                self._write_pending(time_cs - self._pending.time_cs)
                # There is one global palette in a file: the first. The pictures under later ones carry theirs.
                self._local_table = header[_HEADER_SIZE:] or self._local_table
                blocks = _with_table(blocks, self._local_table)
            self._pending = _Pending(bytearray(start + blocks), len(start) + _DELAY_AT, time_cs)

    def _split(self, data: bytes) -> tuple[bytes, bytes]:
        """Return header and palette, with which an encoder starts, and the blocks of the picture."""
        header = b""
        if data.startswith(b"GIF"):
            header, data = data[: _HEADER_SIZE + _TABLE_SIZE], data[_HEADER_SIZE + _TABLE_SIZE :]
        if not data.startswith(_CONTROL_START) or data[_IMAGE_AT] != _IMAGE_START:
            raise VideoError(f"{self.name}: FFmpeg's GIF encoder gave blocks of an unknown form")
        return header, data

    def _write_pending(self, delay_cs: int) -> None:
        """Append the picture that waited to learn how long it is shown, and the trailer behind it."""
        assert self._pending is not None
        self._delay_cs = min(delay_cs, _MAX_DELAY_CS)
        data = self._pending.data
        data[self._pending.delay_at : self._pending.delay_at + 2] = self._delay_cs.to_bytes(2, "little")
        self._file.seek(self._end)
        _write_all(self._file, bytes(data) + _TRAILER)
        self._end += len(data)

    def _finish(self) -> None:
        if self._waiting:
            self._write_waiting()
        if self._pending is not None:
            delay_cs = self._delay_cs
            if self._fps is not None:
                delay_cs = round((self._last_pts_s + 1 / self._fps) * 100) - self._pending.time_cs
            self._write_pending(max(delay_cs, _MIN_DELAY_CS))
        if self._file is not None:
            self._file.close()
        self._encoder = None
        self._note_dropped()

    def _abandon(self) -> None:
        if self._file is None:
            return
        try:
            if self._end:
                # Cutting off the picture that was not finished makes room for the one byte.
                self._file.truncate(self._end)
                self._file.seek(self._end)
                self._file.write(_TRAILER)
            else:
                self._path.unlink()
        except OSError as error:
            logger.warning("%s: cannot be tidied up: %s", self.name, error)
        finally:
            with contextlib.suppress(OSError):
                self._file.close()
        self._note_dropped()

    def _note_dropped(self) -> None:
        if self._dropped:
            self.problems.append(
                f"{self.name}: {self._dropped} frames were left out, because GIF shows no more than 50 per second"
            )


class _Pending(NamedTuple):
    """Blocks of a picture that are complete but for its delay."""

    data: bytearray
    delay_at: int
    time_cs: int


def _with_table(blocks: bytes, table: bytes) -> bytes:
    """Return the blocks of a picture with a palette of its own, or as they are if there is none.

    FFmpeg can write such palettes too, but then it drops unused colours and loses track of the transparent one.
    """
    if not table:
        return blocks
    flags = blocks[_IMAGE_FLAGS_AT] | _LOCAL_TABLE_FLAGS
    return blocks[:_IMAGE_FLAGS_AT] + bytes([flags]) + table + blocks[_IMAGE_END:]


def _write_all(file: Any, data: bytes) -> None:
    """Write to an unbuffered file, which may take only a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
