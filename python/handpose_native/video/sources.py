"""`open_source`: from what the user names to the source that reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, DTypeError, VideoError
from .ascend import AscendSource, device_of
from .base import IMAGE_SUFFIXES, Source, as_rate
from .cameras import CameraSettings, CameraSource
from .files import StreamSource
from .images import ImageSource, find_images
from .iterables import ArraySource
from .live import LoopingSource, RealtimeSource, ReconnectingSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

__all__ = ["open_source"]

_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+://")
_PATTERN = re.compile(r"[*?\[]")


#: Addresses of cameras and broadcasts, which are connected to again when they break off. An ``http`` address may be
#: that of a file; it is one of a camera where it sends picture after picture.
_ENDLESS = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp")
_ENDLESS_FORMATS = ("mpjpeg",)


def open_source(
    source: Any,
    *,
    fps: Fraction | float = 30,
    realtime: bool = False,
    loop: bool = False,
    reconnect: bool | None = None,
    camera: CameraSettings | None = None,
    decoder: str = "cpu",
) -> Source:
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
    realtime : bool
        True: frames of files come at their own times, as from a camera; the source counts as live.
    loop : bool
        True: a file, folder or pattern begins again when it ends, until the source is closed.
    reconnect : bool, optional
        Whether a live source that ends is opened again and again, until it is closed, with growing pauses between the
        attempts. Unless given, so it is for ``rtsp``, ``rtmp``, ``srt``, ``udp`` and ``rtp`` addresses, and for what
        sends JPEG pictures over ``http``; not for cameras. Opening for the first time is never repeated.
    camera : CameraSettings, optional
        What to ask a local camera for.
    decoder : {"cpu", "ascend", "ascend:N"}
        ``"ascend"``: files of H.264 and H.265, and MJPEG from files, addresses and local cameras, are decoded by the
        media engines of an Ascend board or card, VDEC and JPEGD (of device 0, or N), into pictures that ``preprocess``
        reads where they are. What they cannot decode is an error; nothing is decoded by the CPU instead.

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
        If PyAV or OpenCV is needed and not installed, or pyACL for `decoder`.
    DeviceError
        If the board has no such engine, or it fails.
    """
    rate = as_rate("open_source", fps)
    device = device_of(decoder)
    if device is not None and not isinstance(source, (str, os.PathLike, int, np.integer)):
        raise ArgumentError(f"open_source: decoder={decoder!r} is for files, addresses and cameras")
    if isinstance(source, Source):
        opened = source
    elif isinstance(source, (int, np.integer)) and not isinstance(source, bool):
        opened = _open_camera(int(source), reconnect, camera, device)
    elif isinstance(source, (str, os.PathLike)):
        opened = _open_text(os.fspath(source), rate, reconnect, camera, device)
    elif isinstance(source, (bytes, dict)) or not isinstance(source, (np.ndarray, Iterable)):
        raise DTypeError(
            "open_source: source must be a path, an address, a camera's number, an array or an iterable of arrays; "
            f"got {type(source).__name__}"
        )
    else:
        opened = ArraySource(source, rate)
    if loop:
        if opened.info.is_live or not isinstance(source, (str, os.PathLike)):
            opened.close()
            raise ArgumentError(f"open_source: loop is for files; got {opened.info.name}, which cannot begin again")
        opened = LoopingSource(opened, lambda: _open_text(os.fspath(source), rate, reconnect, camera, device))
    return RealtimeSource(opened) if realtime and not opened.info.is_live else opened


def _open_text(
    text: str, rate: Fraction, reconnect: bool | None, camera: CameraSettings | None, device: int | None
) -> Source:
    videos, options = (StreamSource, {}) if device is None else (AscendSource, {"device": device})
    if _ADDRESS.match(text):
        return _open_lasting(lambda: videos.from_address(text, **options), reconnect)
    path = Path(text)
    if text.startswith("/dev/") or (text.isdecimal() and not path.exists()):
        return _open_camera(int(text) if text.isdecimal() else text, reconnect, camera, device)
    if path.exists() and not path.is_dir() and path.suffix.lower() not in IMAGE_SUFFIXES:
        return videos.from_file(path, **options)
    if not (path.exists() or _PATTERN.search(text)):
        raise VideoError(f"{text}: no such file")
    if device is not None:
        raise ArgumentError(f"open_source: decoder='ascend' is for videos and cameras; {text} are picture files")
    if path.is_file():
        return ImageSource([path], name=text, rate=rate)
    return ImageSource(find_images(path if path.is_dir() else text), name=text, rate=rate)


def _open_camera(
    camera: int | str, reconnect: bool | None, settings: CameraSettings | None, device: int | None
) -> Source:
    return _open_lasting(lambda: CameraSource(camera, settings, device), reconnect or False)


def _open_lasting(open_it: Callable[[], Source], reconnect: bool | None) -> Source:
    """Open a source that is connected to again when it ends, if it is live and that is wanted."""
    first = open_it()
    if reconnect is None:
        reconnect = first.info.name.split("://")[0].lower() in _ENDLESS or first.info.details in _ENDLESS_FORMATS
    return ReconnectingSource(first, open_it) if reconnect and first.info.is_live else first
