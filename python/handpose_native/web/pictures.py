"""The newest picture as JPEG: made only when a viewer asks for it, and once for all of them."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..draw import draw_hands
from ..errors import VideoError, missing_dependency

if TYPE_CHECKING:
    from .feed import Feed, Shot

__all__ = ["BOUNDARY", "PART_HEAD", "Jpeg", "Pictures"]

BOUNDARY = "picture"
#: What comes before each picture of a stream. It cannot tell the length, as it is sent before the picture is there.
PART_HEAD = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()


@dataclass(frozen=True)
class Jpeg:
    """An encoded picture.

    Attributes
    ----------
    number : int
        Of the result, as in :class:`~handpose_native.web.feed.Entry`.
    index, pts_s
        As in :class:`~handpose_native.types.FrameResult`.
    data : bytes
    part : bytes
        The same as the body of a part of ``multipart/x-mixed-replace``, with `PART_HEAD` of the next part after it:
        Chromium shows a picture only once it has read the headers of the following one.
    """

    number: int
    index: int
    pts_s: float
    data: bytes
    part: bytes


class Pictures:
    """Encodes the newest pictures of a feed for the tasks of one event loop.

    Parameters
    ----------
    feed : Feed
    draws : bool
        Whether the hands are still to be drawn.
    quality : int
        Of the JPEG, 1..100.
    fps : float
        No more pictures per second than these.

    Attributes
    ----------
    encoded : int
        How many were, so far.
    encode_s : float
        Seconds that took, in all.

    Raises
    ------
    MissingDependencyError
        If OpenCV is not installed.
    """

    def __init__(self, feed: Feed, *, draws: bool, quality: int, fps: float) -> None:
        try:
            import cv2  # noqa: F401
        except ImportError as error:
            raise missing_dependency(error, "cv2", "to show pictures", "opencv-python") from error
        self.encoded = 0
        self.encode_s = 0.0
        self._feed = feed
        self._draws = draws
        self._quality = quality
        self._period_s = 1 / fps
        self._due_s = 0.0
        self._newest: Jpeg | None = None
        self._coming: asyncio.Task[None] | None = None
        # One thread of its own, because the work is done without the GIL and must not keep the event loop.
        self._pool = ThreadPoolExecutor(1, "encode")

    async def after(self, number: int) -> Jpeg | None:
        """Return the newest picture once there is one with a higher number; None where none will come."""
        while self._newest is None or self._newest.number <= number:
            if self._feed.ended and self._feed.number <= number:
                return None
            if self._coming is None:
                self._coming = asyncio.ensure_future(self._encode_next())
            await asyncio.shield(self._coming)
        return self._newest

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown(wait=False)

    async def _encode_next(self) -> None:
        try:
            await asyncio.sleep(max(self._due_s - time.monotonic(), 0.0))
            last = self._newest.number if self._newest is not None else 0
            await self._feed.wait_after(last)
            shot = self._feed.newest
            if shot is None or shot.number == last:  # the end has come instead
                return
            began_s = time.monotonic()
            # A late one is made up for by the next; else a source of just this rate would lose some.
            self._due_s = max(self._due_s, began_s - self._period_s) + self._period_s
            self._newest = await asyncio.get_running_loop().run_in_executor(self._pool, self._encode, shot)
            self.encoded += 1
            self.encode_s += time.monotonic() - began_s
        finally:
            self._coming = None

    def _encode(self, shot: Shot) -> Jpeg:
        """Draw and encode.

        Measured at 1280 x 720 on x86-64 from yuv420p: conversion to BGR and libjpeg-turbo (OpenCV) 1.7 ms, FFmpeg's
        mjpeg with its change of range 2.3 ms and with BT.709 colours left wrong.
        """
        import cv2

        image = shot.picture.to_bgr()
        if self._draws:
            draw_hands(image, shot.hands)
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        if not done:
            raise VideoError(f"frame {shot.index} cannot be encoded as JPEG")
        jpeg = data.tobytes()
        return Jpeg(shot.number, shot.index, shot.pts_s, jpeg, jpeg + b"\r\n" + PART_HEAD)
