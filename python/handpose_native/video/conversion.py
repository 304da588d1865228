"""Decoded pictures to bgr24, into memory that is used again."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BgrConverter"]


class BgrConverter:
    """Turns decoded pictures into bgr24 arrays.

    Matrix and range are those that the picture states. The work is done by a filter graph of FFmpeg, because that takes
    its memory from a pool: a picture that nobody holds any more gives its memory to a later one, while a conversion
    into fresh memory spends as long on page faults as on pixels (1280 x 720: 0.5 and 1.2 ms).
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._made_for: tuple[Any, ...] | None = None

    def __call__(self, picture: Any) -> NDArray[np.uint8]:
        """Convert one picture.

        Parameters
        ----------
        picture : av.VideoFrame

        Returns
        -------
        ndarray, uint8, shape (H, W, 3)
            BGR, writable, rows of any pitch. Keeps its memory alive.
        """
        if picture.format.name == "bgr24":  # the graph would pass the decoder's own memory on, which it may still read
            return _pixels(picture).copy()
        wanted = (picture.width, picture.height, picture.format.name, picture.colorspace, picture.color_range)
        if wanted != self._made_for:
            self._graph = _make_graph(picture)
            self._made_for = wanted
        self._graph.push(picture)
        return _pixels(self._graph.pull())


def _make_graph(picture: Any) -> Any:
    import av.filter

    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.width,
        height=picture.height,
        format=picture.format,
        time_base=picture.time_base or Fraction(1, 1000),
    )
    convert, sink = graph.add("format", "bgr24"), graph.add("buffersink")
    source.link_to(convert)
    convert.link_to(sink)
    graph.configure()
    return graph


def _pixels(picture: Any) -> NDArray[np.uint8]:
    plane = picture.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : picture.width * 3].reshape(plane.height, picture.width, 3)
