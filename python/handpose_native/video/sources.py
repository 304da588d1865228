"""`open_source`: from what the user names to the source that reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError, VideoError
from .base import IMAGE_SUFFIXES, Source, as_rate
from .cameras import CameraSource
from .files import StreamSource
from .images import ImageSource, find_images
from .iterables import ArraySource

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["open_source"]

_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+://")
_PATTERN = re.compile(r"[*?\[]")


def open_source(source: Any, *, fps: Fraction | float = 30) -> Source:
    """Open anything that frames can come from.

    Parameters
    ----------
    source : str, path, int, array, iterable or Source
        - a video file or GIF (whatever FFmpeg opens), or a picture file;
        - a folder of pictures, or a pattern such as ``"shots/*.png"``, in natural order (2 before 10);
        - a camera: its number, also as text (``"0"``), or its path ``"/dev/video0"``;
        - an address: ``rtsp://``, ``http://``, ``https://`` and what else FFmpeg knows;
        - an array uint8 (H, W, 3) or (N, H, W, 3), or an iterable of arrays uint8 (H, W, 3), BGR;
        - a source, which is returned as it is.
    fps : Fraction or float
        Frames per second that give times to pictures and arrays; other sources have their own times.

    Returns
    -------
    Source
        Its frames belong to the caller; arrays given here are copied frame by frame, never drawn upon.

    Raises
    ------
    VideoError
        If there is no such file, it is no video, or it holds no frame.
    DTypeError, ArgumentError
        If `source` is of no such kind.
    MissingDependencyError
        If PyAV or OpenCV is needed and not installed.
    """
    rate = as_rate("open_source", fps)
    if isinstance(source, Source):
        return source
    if isinstance(source, (int, np.integer)) and not isinstance(source, bool):
        return CameraSource(int(source))
    if isinstance(source, (str, os.PathLike)):
        return _open_text(os.fspath(source), rate)
    if isinstance(source, (bytes, dict)) or not isinstance(source, (np.ndarray, Iterable)):
        raise DTypeError(
            "open_source: source must be a path, an address, a camera's number, an array or an iterable of arrays; "
            f"got {type(source).__name__}"
        )
    return ArraySource(source, rate)


def _open_text(text: str, rate: Fraction) -> Source:
    if _ADDRESS.match(text):
        return StreamSource.from_address(text)
    path = Path(text)
    if text.startswith("/dev/"):
        return CameraSource(text)
    if path.is_dir():
        return ImageSource(find_images(path), name=text, rate=rate)
    if path.exists():
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return ImageSource([path], name=text, rate=rate)
        return StreamSource.from_file(path)
    if text.isdecimal():
        return CameraSource(int(text))
    if _PATTERN.search(text):
        return ImageSource(find_images(text), name=text, rate=rate)
    raise VideoError(f"{text}: no such file")
