"""`open_sink`: from what the user names to the sink that writes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, DTypeError
from .base import IMAGE_SUFFIXES, Sink, as_rate, check_output_path
from .frames import ImageSink
from .gif import GifSink
from .mp4 import FORMAT_BY_SUFFIX, H264Sink

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["open_sink"]


def open_sink(target: Any, *, fps: Fraction | float | None = None) -> Sink:
    """Open an output for pictures.

    Parameters
    ----------
    target : str, path or Sink
        - ``.gif``: an animated GIF, looping for ever;
        - ``.mp4``, ``.m4v``, ``.mov``, ``.mkv``: H.264;
        - a folder (it exists, or has no suffix, or ends in ``/``): numbered PNG files, ``000000.png`` and so on;
        - a numbered pattern such as ``"out_%05d.jpg"``, or one picture file for one picture;
        - a sink, which is returned as it is.
    fps : Fraction or float, optional
        Average rate of what will be written. Times come with each picture; the rate only says how long the last one is
        shown and how often the video gets a key frame.

    Returns
    -------
    Sink
        Nothing is created before its first picture.

    Raises
    ------
    ArgumentError
        If the suffix is none of these.
    VideoError
        If the folder to write in does not exist or cannot be written to.
    MissingDependencyError
        If PyAV (videos and GIF) or OpenCV (pictures) is not installed.
    """
    rate = None if fps is None else as_rate("open_sink", fps)
    if isinstance(target, Sink):
        return target
    if not isinstance(target, (str, os.PathLike)):
        raise DTypeError(f"open_sink: target must be a path or a Sink; got {type(target).__name__}")
    text = os.fspath(target)
    path = Path(text)
    suffix = path.suffix.lower()
    is_folder = path.is_dir() or text.endswith(("/", os.sep)) or not suffix
    known = suffix == ".gif" or suffix in FORMAT_BY_SUFFIX or suffix in IMAGE_SUFFIXES
    if not text or not (is_folder or known):
        suffixes = " ".join((".gif", *FORMAT_BY_SUFFIX, *IMAGE_SUFFIXES))
        raise ArgumentError(
            f"open_sink: target must end in one of {suffixes}, or be a folder (with / at its end if it has a dot); "
            f"got {text!r}"
        )
    check_output_path(path)
    if is_folder:
        return ImageSink(path / "%06d.png", creates_folder=True)
    if suffix == ".gif":
        return GifSink(path, rate)
    if suffix in FORMAT_BY_SUFFIX:
        return H264Sink(path, rate)
    return ImageSink(path)
