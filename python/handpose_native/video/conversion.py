"""Decoded pictures as the package's own, in memory that is used again."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ..picture import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DecodedPicture", "PictureReader", "colors_of", "copy_planar"]

#: FFmpeg's names of formats whose planes the kernels read, and ours; the "j" ones have the full range.
_PLANE_FORMATS = {"yuv420p": "yuv420p", "yuvj420p": "yuv420p", "nv12": "nv12"}
#: AVColorSpace (libavutil/pixfmt.h): BT.709; unspecified, which FFmpeg takes for BT.601, BT.470BG and SMPTE 170M, which
#: both are BT.601.
_MATRICES = {1: "bt709", 2: "bt601", 5: "bt601", 6: "bt601"}
#: AVColorRange: full ("JPEG").
_FULL_RANGE = 2


def colors_of(av_frame: Any) -> tuple[str | None, bool]:
    """Return a decoded picture's matrix, None where the kernels do not know it, and whether its range is full."""
    is_full = av_frame.color_range == _FULL_RANGE or av_frame.format.name.startswith("yuvj")
    return _MATRICES.get(int(av_frame.colorspace)), is_full


class DecodedPicture(Picture):
    """Planes in the memory of one of FFmpeg's frames, which can be handed on to an encoder.

    Attributes
    ----------
    av_frame : av.VideoFrame
        Owns the memory; nobody else reads it.
    """

    __slots__ = ("_reader", "av_frame")

    def __init__(self, av_frame: Any, reader: PictureReader) -> None:
        pixel_format = _PLANE_FORMATS[av_frame.format.name]
        matrix, is_full = colors_of(av_frame)
        assert matrix is not None  # else it is converted
        super().__init__(_planes(av_frame, pixel_format), pixel_format, matrix, "full" if is_full else "limited")
        self.av_frame = av_frame
        self._reader = reader

    def _converted(self) -> NDArray[np.uint8]:
        return self._reader.to_bgr(self.av_frame)


def copy_planar(picture: Picture, frame: Any) -> None:
    """Copy an ``nv12`` picture into a frame of FFmpeg's in ``yuv420p``."""
    luma, chroma = picture.planes
    for plane, values in zip(_planes(frame, "yuv420p"), (luma, chroma[..., 0], chroma[..., 1])):
        np.copyto(plane, values)


class PictureReader:
    """Turns decoded pictures into writable ones that nobody else holds.

    The work is done by a filter graph of FFmpeg, because that takes its memory from a pool: a picture that nobody holds
    any more gives its memory to a later one, while a conversion into fresh memory spends as long on page faults as on
    pixels (1280 x 720 to BGR: 0.5 and 1.2 ms). Matrix and range of a conversion are those that the picture states.

    May be used from several threads.
    """

    def __init__(self) -> None:
        self._to_bgr = _Graph("format", "bgr24")
        self._copy = _Graph("copy", None)

    def read(self, av_frame: Any, planes_wanted: bool) -> Picture:
        """Take one decoded picture.

        Parameters
        ----------
        av_frame : av.VideoFrame
            Not kept: a decoder goes on reading its pictures, so they are copied at least.
        planes_wanted : bool
            Whether YUV planes may stay as they are.
        """
        matrix, _ = colors_of(av_frame)
        if planes_wanted and av_frame.format.name in _PLANE_FORMATS and matrix is not None:
            return DecodedPicture(self._copy(av_frame), self)
        return Picture.from_bgr(self.to_bgr(av_frame))

    def to_bgr(self, av_frame: Any) -> NDArray[np.uint8]:
        """Convert one picture; uint8 (H, W, 3), rows of any pitch."""
        if av_frame.format.name == "bgr24":  # the graph would pass the decoder's own memory on, which it may still read
            return _bgr_pixels(av_frame).copy()
        return _bgr_pixels(self._to_bgr(av_frame))


class _Graph:
    """A filter graph with one filter, made anew where the pictures change their kind."""

    def __init__(self, name: str, arguments: str | None) -> None:
        self._filter = (name, arguments)
        self._graph: Any = None
        self._made_for: tuple[Any, ...] | None = None
        self._lock = threading.Lock()

    def __call__(self, av_frame: Any) -> Any:
        wanted = (av_frame.width, av_frame.height, av_frame.format.name, av_frame.colorspace, av_frame.color_range)
        with self._lock:
            if wanted != self._made_for:
                self._graph = self._make(av_frame)
                self._made_for = wanted
            self._graph.push(av_frame)
            return self._graph.pull()

    def _make(self, av_frame: Any) -> Any:
        import av.filter

        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=av_frame.width,
            height=av_frame.height,
            format=av_frame.format,
            time_base=av_frame.time_base or Fraction(1, 1000),
        )
        step, sink = graph.add(*self._filter), graph.add("buffersink")
        source.link_to(step)
        step.link_to(sink)
        graph.configure()
        return graph


def _planes(av_frame: Any, pixel_format: str) -> tuple[NDArray[np.uint8], ...]:
    width, height = av_frame.width, av_frame.height
    half_w, half_h = (width + 1) // 2, (height + 1) // 2
    luma, *chroma = (np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in av_frame.planes)
    if pixel_format == "nv12":
        (both,) = chroma
        return luma[:height, :width], both[:half_h, : 2 * half_w].reshape(half_h, half_w, 2)
    return (luma[:height, :width], *(plane[:half_h, :half_w] for plane in chroma))


def _bgr_pixels(av_frame: Any) -> NDArray[np.uint8]:
    plane = av_frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : av_frame.width * 3].reshape(plane.height, av_frame.width, 3)
