"""H.264 video as a sink: MP4, MOV and Matroska, through FFmpeg (PyAV) and x264."""

from __future__ import annotations

import contextlib
import logging
import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import VideoError, missing_dependency
from .base import FixedSize, Sink, reason_of
from .conversion import DecodedPicture, copy_planar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..picture import Picture

__all__ = ["FORMAT_BY_SUFFIX", "H264Sink"]

logger = logging.getLogger(__name__)

FORMAT_BY_SUFFIX = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}

_TIME_BASE = Fraction(1, 90000)
_DEFAULT_FPS = Fraction(30)
_ENCODER_OPTIONS = {
    # Measured on planes of 1280x720, CPU time, size and PSNR a frame. A hand before a plain wall: this 1.5 ms, 5.4 KiB,
    # 52.5 dB; with cabac, 8x8dct and i4x4 1.8 ms, 4.6 KiB, 52.6 dB; superfast, crf 23, 3.2 ms, 5.1 KiB, 51.8 dB;
    # veryfast, crf 20, 3.9 ms, 3.2 KiB, 51.7 dB. With a sensor's noise of 4 grey levels: this 5.6 ms, 79 KiB, 36.5 dB;
    # with cabac, 8x8dct and i4x4 11 ms, 69 KiB, 36.6 dB; veryfast 20 ms, 92 KiB, 37.4 dB.
    "preset": "ultrafast",
    "x264-params": "deblock=1",
    "crf": "23",
    # B-frames would save a sixth of the size, but shift the first time where there is no edit list yet.
    "bf": "0",
}
#: BGR pictures are converted by BT.709, whatever the size, and say so.
_CONVERTED_COLORS = {
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "color_range": "tv",
}
#: FFmpeg's names of the matrices that YUV pictures state.
_MATRIX_NAMES = {"bt601": "smpte170m", "bt709": "bt709"}
#: Written in fragments, each of which can be played once it is complete, so a killed run loses a second at most.
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
#: Without B-frames the first time is 0, and an edit list could only cut off a last picture of unknown duration.
_WHOLE = {"movflags": "faststart", "use_editlist": "0"}
#: Matroska can be played without its end; a cluster is its fragment, here of a second.
_CLUSTERED = {"cluster_time_limit": "1000", "flush_packets": "1"}


class H264Sink(Sink):
    """H.264 in yuv420p, as browsers play it; each picture at its own time.

    While it grows, an MP4 is fragmented: it can be played at any moment, up to the last second. When it is closed it is
    rewritten without fragments, its index in front, which needs as much space again for a moment.
    Odd sizes are made even by repeating the last row or column.

    Parameters
    ----------
    path : Path
        Its folder exists; the suffix is one of `FORMAT_BY_SUFFIX`.
    fps : Fraction, optional
        Average rate: how long the last picture is shown, and a key frame each second.

    Raises
    ------
    MissingDependencyError
        If PyAV is not installed.
    VideoError
        If its FFmpeg has no x264.
    """

    takes_planes = True

    def __init__(self, path: Path, fps: Fraction | None) -> None:
        super().__init__(str(path))
        try:
            import av
        except ImportError as error:
            raise missing_dependency(error, "av", "to write videos", "av") from error
        self._errors = (OSError, av.FFmpegError)
        if "libx264" not in av.codecs_available:
            raise VideoError(
                f"{path}: cannot be written: the FFmpeg of this PyAV has no libx264; install PyAV from its wheels "
                "(pip install av), or write a GIF or pictures"
            )
        self._path = path
        self._format = FORMAT_BY_SUFFIX[path.suffix.lower()]
        self._fps = fps or _DEFAULT_FPS
        self._size = FixedSize(self.name, self.problems)
        self._container: Any = None
        self._stream: Any = None
        self._frame: Any = None
        self._last_pts = -1
        self._matrix = "bt709"

    def _write(self, picture: Picture, pts_s: float) -> bool:
        frame = self._planes_of(picture)
        if frame is None:
            frame = self._converted(picture)
        self._last_pts = max(round(pts_s / _TIME_BASE), self._last_pts + 1)
        frame.pts, frame.time_base = self._last_pts, _TIME_BASE
        self._mux(frame)
        return True

    def _planes_of(self, picture: Picture) -> Any:
        """Return the picture as a frame for the encoder without changing a value; None where that cannot be."""
        decoded = picture if isinstance(picture, DecodedPicture) and picture.pixel_format == "yuv420p" else None
        if decoded is None and picture.pixel_format != "nv12":
            return None
        if picture.height % 2 or picture.width % 2 or picture.color_range != "limited":
            return None
        if self._container is None:
            self._matrix = picture.color_matrix
            self._open(picture.width, picture.height, {"colorspace": _MATRIX_NAMES[self._matrix], "color_range": "tv"})
        if picture.color_matrix != self._matrix or not self._size.fit_size((picture.height, picture.width)):
            return None
        frame: Any = self._planar(picture) if decoded is None else decoded.av_frame
        # The encoder would make the pictures that were key frames in the source key frames again.
        frame.pict_type = 0
        return frame

    def _planar(self, picture: Picture) -> Any:
        """Return an ``nv12`` picture in the one frame that all of them go through."""
        import av

        if self._frame is None:
            self._frame = av.VideoFrame(picture.width, picture.height, "yuv420p")
        self._frame.make_writable()  # its memory is new where the encoder still reads the last picture
        copy_planar(picture, self._frame)
        return self._frame

    def _converted(self, picture: Picture) -> Any:
        import av

        image = _even(self._size.fit(picture.to_bgr()))
        if self._container is None:
            self._open(image.shape[1], image.shape[0], _CONVERTED_COLORS)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        matrix = {"bt601": "ITU601", "bt709": "ITU709"}[self._matrix]
        # Two different names, because PyAV before 16 leaves the matrix at BT.601 where both are the same.
        return frame.reformat(format="yuv420p", src_colorspace="DEFAULT", dst_colorspace=matrix)

    def _open(self, width: int, height: int, colors: dict[str, str]) -> None:
        import av

        options = _CLUSTERED if self._format == "matroska" else _FRAGMENTED
        # "file:" because FFmpeg takes what stands before a colon in a name for a protocol.
        self._container = av.open(f"file:{self._path}", "w", format=self._format, options=options)
        stream: Any = self._container.add_stream("libx264", rate=self._fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _TIME_BASE
        stream.codec_context.gop_size = max(1, round(self._fps))
        stream.options = {**_ENCODER_OPTIONS, **colors, "threads": str(_encoder_threads())}
        self._stream = stream
        # At once, so that a file that cannot be created is an error of the first picture.
        self._container.start_encoding()

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _finish(self) -> None:
        if self._container is None:
            return
        self._mux(None)
        self._container.close()
        self._container = None
        self._check_whole()
        if self._format != "matroska":
            self._defragment()

    def _check_whole(self) -> None:
        """Raise where the end could not be written: FFmpeg's muxers do not always say so when they are closed."""
        import av

        with av.open(f"file:{self._path}") as container:
            packets = container.demux(container.streams.video[0])
            count = sum(1 for packet in packets if packet.size and not packet.is_corrupt)
        if count < self.frames_written:
            raise VideoError(
                f"{self.name}: holds only {count} of {self.frames_written} frames: the rest could not be written "
                "(is the disk full?)"
            )

    def _defragment(self) -> None:
        """Rewrite the finished file with its index in front; it stays as it is, and plays, where that fails."""
        import av

        # Links are followed, so that the file is replaced and not the link to it.
        target = self._path.resolve()
        scratch = target.with_name(f".{target.name}.part")
        try:
            with (
                av.open(f"file:{target}") as fragmented,
                av.open(f"file:{scratch}", "w", format=self._format, options=_WHOLE) as whole,
            ):
                stream = fragmented.streams.video[0]
                copy = _stream_like(whole, stream)
                for packet in fragmented.demux(stream):
                    if packet.dts is not None:
                        self._give_duration(packet)
                        packet.stream = copy
                        whole.mux(packet)
            scratch.replace(target)
        except self._errors as error:
            reason = reason_of(error)
            self.problems.append(f"{self.name}: was left in fragments, which some players do not seek in: {reason}")
            logger.info("%s", self.problems[-1])
        finally:
            with contextlib.suppress(OSError):
                scratch.unlink()

    def _give_duration(self, packet: Any) -> None:
        """State how long a picture is shown, which matters for the last: FFmpeg before 8 forgets it in fragments.

        PyAV 12 cannot; the last picture then lasts no time in the index, and is shown all the same.
        """
        if not packet.duration:
            with contextlib.suppress(AttributeError):
                packet.duration = round(1 / self._fps / packet.time_base)

    def _abandon(self) -> None:
        if self._container is not None:
            with contextlib.suppress(*self._errors):
                self._container.close()
            self._container = None


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture with even sides, the last row or column repeated where needed; yuv420p halves both."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _stream_like(container: Any, stream: Any) -> Any:
    """Add a stream that takes the packets of another; PyAV renamed the way to do so in version 14."""
    if hasattr(container, "add_stream_from_template"):
        return container.add_stream_from_template(stream)
    return container.add_stream(template=stream)


def _encoder_threads() -> int:
    """Return the cores less one, which decoding and the networks need: x264 itself takes 1.5 threads a core.

    On two cores with hands-lite or hands-full and 1280x720 this was 1.03 to 1.06 times as many frames per second.
    """
    return max(len(os.sched_getaffinity(0)) - 1, 1)
