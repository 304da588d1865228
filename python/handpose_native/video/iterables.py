"""Arrays in memory, and iterables of arrays, as a source."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, VideoError
from ..picture import Picture, check_image
from ..types import Frame
from .base import Source, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from fractions import Fraction

    from numpy.typing import NDArray

__all__ = ["ArraySource"]


class ArraySource(Source):
    """Frames from an array or an iterable, `rate` per second.

    Each frame is a copy: the pipeline draws in place on the frame given, and neither the caller's arrays nor a buffer
    that the iterable fills again may change under anyone's hands.

    Parameters
    ----------
    frames : ndarray or iterable
        uint8 (H, W, 3) for one frame, (N, H, W, 3) for several, or an iterable of uint8 (H, W, 3); BGR. An iterator is
        only advanced when the source is read.
    rate : Fraction
        Frames per second.

    Raises
    ------
    DTypeError, ArgumentError
        If an array is not as above; for an iterable when its frame is reached.
    VideoError
        If there is no frame; for an iterable when it is read.
    """

    def __init__(self, frames: Iterable[Any] | NDArray[Any], rate: Fraction) -> None:
        self._rate = rate
        width = height = None
        name = type(frames).__name__
        if isinstance(frames, np.ndarray):
            name = f"array {frames.shape}"
            if frames.ndim not in (3, 4):
                raise ArgumentError(f"open_source: an array must be (H, W, 3) or (N, H, W, 3); got {frames.shape}")
            frames = frames[np.newaxis] if frames.ndim == 3 else frames
            if len(frames) == 0:
                raise VideoError(f"{name}: there is no frame in it")
            check_image("open_source", "each frame of the array", frames[0])
            height, width = frames.shape[1:3]
        count = len(frames) if isinstance(frames, Sized) else None
        if count == 0:
            raise VideoError(f"{name}: there is no frame in it")
        self._arrays: Iterable[Any] = frames
        super().__init__(SourceInfo(name, "frames", width, height, rate, count))

    def _frames(self) -> Iterator[Frame]:
        index = -1
        for index, image in enumerate(self._arrays):
            check_image("open_source", f"frame {index} of the iterable", image)
            yield Frame(index, float(index / self._rate), Picture.from_bgr(np.array(image, order="C")))
        if index < 0:
            raise VideoError(f"{self._info.name}: there is no frame in it")

    def _release(self) -> None:
        self._arrays = ()
