"""Cameras through OpenCV and V4L2."""

from __future__ import annotations

import contextlib
import logging
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import VideoError, missing_dependency
from ..picture import Picture
from ..types import Frame
from .base import Source, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CameraSource"]

logger = logging.getLogger(__name__)


class CameraSource(Source):
    """A local camera; its frames carry the time at which they were fetched.

    Parameters
    ----------
    device : int or str
        Number of the camera, or the path of its device, e.g. ``"/dev/video0"``.

    Raises
    ------
    VideoError
        If there is no such camera, it is in use, or it gives no picture.
    MissingDependencyError
        If OpenCV is not installed.
    """

    def __init__(self, device: int | str) -> None:
        try:
            import cv2
        except ImportError as error:
            raise missing_dependency(error, "cv2", "to read a camera", "opencv-python") from error
        path = Path(f"/dev/video{device}") if isinstance(device, int) else Path(device)
        # OpenCV says nothing of the reason and writes warnings to the terminal, so the usual mistake is caught here.
        if not path.exists():
            raise VideoError(f"camera {device}: there is no device {path}")
        self._capture: Any = cv2.VideoCapture(device, cv2.CAP_V4L2)
        image = None
        if self._capture.isOpened():
            image = self._fetch()
        if image is None:
            self._capture.release()
            raise VideoError(
                f"camera {device}: {path} gives no picture; it may be in use, be no camera, or need permission"
            )
        self._first: tuple[float, NDArray[np.uint8]] | None = (time.monotonic(), image)
        height, width = image.shape[:2]
        super().__init__(SourceInfo(f"camera {device}", "camera", width, height, self._rate(), None, True))

    def _rate(self) -> Fraction | None:
        import cv2

        value = float(self._capture.get(cv2.CAP_PROP_FPS))
        # Drivers that do not know answer 0, -1 or a nonsense value.
        return Fraction(value).limit_denominator(1001) if 0.01 < value < 1000 else None

    def _fetch(self) -> NDArray[np.uint8] | None:
        taken, image = self._capture.read()
        return image if taken and image is not None else None

    def _frames(self) -> Iterator[Frame]:
        if self._first is None:
            return
        start, image = self._first
        self._first = None
        now, index = start, 0
        while True:
            yield Frame(index, now - start, Picture.from_bgr(image))
            if self._closed:
                return
            following = self._fetch()
            if following is None:
                self.problems.append(f"{self._info.name} gave no picture any more after {index + 1} frames")
                logger.info("%s", self.problems[-1])
                return
            image, now, index = following, time.monotonic(), index + 1

    def _release(self) -> None:
        self._first = None
        with contextlib.suppress(Exception):  # the device may be gone already
            self._capture.release()
