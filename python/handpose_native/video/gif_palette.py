"""Palettes for GIF: choosing 255 colours, and the table that takes any colour to the nearest of them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Palette", "choose_colors", "nearest_color_table"]

#: The palette is chosen from about so many pixels of each picture (more cost time and give no better PSNR), and its
#: error measured on about so many.
_PALETTE_PIXELS = 160 * 120
_ERROR_PIXELS = 1024
#: Cells of the table per axis, and per side of the blocks that share their candidates.
_CELLS = 64
_BLOCK = 8


class Palette:
    """255 colours for a run of pictures, chosen from the first of them.

    Attributes
    ----------
    argb : ndarray, uint8, shape (256, 4)
        As FFmpeg's pal8 takes it; one entry is transparent, which stands for "as in the picture before".
    lut : ndarray, uint8, shape (64, 64, 64)
        Index of the nearest opaque colour for each cell of 4x4x4 RGB colours: what ``palette_map`` takes.
    error : float
        Mean squared error per channel of the pictures it was chosen from, in grey levels squared.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]]) -> None:
        self.argb = choose_colors(images)
        self.lut = nearest_color_table(self.argb)
        self.error = max(self.error_of(image) for image in images)

    def error_of(self, image: NDArray[np.uint8]) -> float:
        """Return the mean squared error per channel of a BGR picture under this palette, from some of its pixels."""
        sample = _thinned(image, _ERROR_PIXELS).reshape(-1, 3)[:, ::-1]
        cells = sample >> 2
        shown = self.argb[self.lut[cells[:, 0], cells[:, 1], cells[:, 2]], 1:]
        return float(np.mean((sample.astype(np.float32) - shown) ** 2))

    def fits(self, image: NDArray[np.uint8]) -> bool:
        """Return whether a picture still looks about as good as those the palette was chosen from.

        A new palette costs as much as several frames and makes the following ones larger, so the error must have
        doubled, which is 3 dB, and a little more where it was next to nothing.
        """
        return self.error_of(image) <= 2.0 * self.error + 4.0


def choose_colors(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return FFmpeg's ``palettegen`` palette (median cut over all pixels) of BGR pictures of one size.

    Returns
    -------
    ndarray, uint8, shape (256, 4)
        ARGB; exactly one entry has alpha 0, the others 255.
    """
    import av

    thinned = [np.ascontiguousarray(_thinned(image, _PALETTE_PIXELS)) for image in images]
    height, width = thinned[0].shape[:2]
    graph: Any = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format="bgr24", time_base=Fraction(1, 100))
    palettegen = graph.add("palettegen", "stats_mode=full:reserve_transparent=1")
    result = graph.add("buffersink")
    source.link_to(palettegen)
    palettegen.link_to(result)
    graph.configure()
    for number, image in enumerate(thinned):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = number, Fraction(1, 100)
        source.push(frame)
    source.push(None)
    argb: NDArray[np.uint8] = result.pull().to_ndarray(format="argb").reshape(256, 4).copy()
    argb[:, 0] = 255
    argb[255, 0] = 0
    return argb


def nearest_color_table(argb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the index of the opaque colour nearest to the centre of each cell of 4x4x4 RGB colours.

    Exact: a block of 8x8x8 cells only leaves out colours that are farther from the block's centre than the nearest
    one by more than the block's diameter, which no cell in it can prefer.

    Parameters
    ----------
    argb : ndarray, uint8, shape (256, 4)

    Returns
    -------
    ndarray, uint8, shape (64, 64, 64)
        New; indexed by r >> 2, g >> 2, b >> 2.
    """
    opaque = np.flatnonzero(argb[:, 0])
    colors = argb[opaque, 1:].astype(np.float64)
    cell = 256 // _CELLS
    offsets = (np.indices((_BLOCK,) * 3, dtype=np.float64).reshape(3, -1) + 0.5) * cell - 0.5
    diameter = np.sqrt(3.0) * cell * (_BLOCK - 1)
    blocks = _CELLS // _BLOCK
    corners = np.indices((blocks,) * 3, dtype=np.float64).reshape(3, -1).T * (cell * _BLOCK)
    centers = corners + (cell * _BLOCK - 1) / 2
    distances = np.sqrt(((centers[:, np.newaxis] - colors) ** 2).sum(axis=2))
    near = distances <= distances.min(axis=1, keepdims=True) + diameter + 0.01
    table = np.empty((blocks, blocks, blocks, _BLOCK**3), np.uint8)
    for block, corner in enumerate(corners):
        candidates = np.flatnonzero(near[block])
        chosen = colors[candidates] - corner
        # |offset - colour|^2 without its first term, which is the same for all colours: an integer, as cell centres
        # lie at multiples of a half. The index in its last eight bits makes a minimum of the search, which is faster.
        keys = (-512.0 * chosen) @ offsets + ((chosen**2).sum(axis=1) * 256 + opaque[candidates])[:, np.newaxis]
        table.reshape(blocks**3, -1)[block] = keys.min(axis=0).astype(np.int64) & 0xFF
    cells = table.reshape((blocks,) * 3 + (_BLOCK,) * 3).transpose(0, 3, 1, 4, 2, 5)
    return np.ascontiguousarray(cells.reshape((_CELLS,) * 3))


def _thinned(image: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """Return every n-th pixel of every n-th row, about so many of them; a view."""
    step = max(1, round((image.shape[0] * image.shape[1] / pixels) ** 0.5))
    return image[::step, ::step]
