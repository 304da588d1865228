"""Cameras through OpenCV and V4L2."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, VideoError, missing_dependency
from ..picture import Picture
from ..types import Frame
from .base import Source, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CameraSettings", "CameraSource"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CameraSettings:
    """What a camera is asked for; None leaves the driver's choice.

    Attributes
    ----------
    size : tuple of int, optional
        (width, height) in pixels.
    fps : float, optional
    pixel_format : str, optional
        Four letters as V4L2 names them: ``"MJPG"``, ``"YUYV"``. Larger pictures come at full speed only as MJPG over
        USB 2.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    pixel_format: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not (len(self.size) == 2 and all(side > 0 for side in self.size)):
            raise ArgumentError(f"open_source: camera.size must be (width, height) above 0; got {self.size!r}")
        if self.fps is not None and not self.fps > 0:
            raise ArgumentError(f"open_source: camera.fps must be above 0; got {self.fps!r}")
        if self.pixel_format is not None and not (len(self.pixel_format) == 4 and self.pixel_format.isascii()):
            raise ArgumentError(
                f"open_source: camera.pixel_format must be four letters, as 'MJPG'; got {self.pixel_format!r}"
            )


class CameraSource(Source):
    """A local camera; its frames carry the time at which they were fetched.

    Parameters
    ----------
    device : int or str
        Number of the camera, or the path of its device, e.g. ``"/dev/video0"``.
    settings : CameraSettings, optional
        What to ask for. What the camera gives instead is noted in `problems`; what it gives stands in ``info``.

    Raises
    ------
    VideoError
        If there is no such camera, it is in use, or it gives no picture.
    MissingDependencyError
        If OpenCV is not installed.
    """

    def __init__(self, device: int | str, settings: CameraSettings | None = None) -> None:
        try:
            import cv2
        except ImportError as error:
            raise missing_dependency(error, "cv2", "to read a camera", "opencv-python") from error
        path = Path(f"/dev/video{device}") if isinstance(device, int) else Path(device)
        # OpenCV says nothing of the reason and writes warnings to the terminal, so the usual mistake is caught here.
        if not path.exists():
            raise VideoError(f"camera {device}: there is no device {path}")
        asked = settings or CameraSettings()
        self._capture: Any = cv2.VideoCapture(device, cv2.CAP_V4L2)
        image = None
        if self._capture.isOpened():
            self._ask_for(asked)
            image = self._fetch()
        if image is None:
            self._capture.release()
            raise VideoError(
                f"camera {device}: {path} gives no picture; it may be in use, be no camera, or need permission"
            )
        self._first: tuple[float, NDArray[np.uint8]] | None = (time.monotonic(), image)
        height, width = image.shape[:2]
        code = _fourcc_text(self._capture.get(cv2.CAP_PROP_FOURCC))
        super().__init__(SourceInfo(f"camera {device}", "camera", width, height, self._rate(), None, True, code))
        self._note_refusals(asked)

    def _ask_for(self, asked: CameraSettings) -> None:
        import cv2

        # The format first: sizes and rates are offered per format.
        if asked.pixel_format is not None:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*asked.pixel_format.upper()))
        if asked.size is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, asked.size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, asked.size[1])
        if asked.fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, asked.fps)
        # The oldest of several buffered pictures would be given out first.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _note_refusals(self, asked: CameraSettings) -> None:
        info = self._info
        refused = []
        if asked.pixel_format is not None and asked.pixel_format.upper() != info.details:
            refused.append(f"{asked.pixel_format.upper()}, gives {info.details or 'an unknown format'}")
        if asked.size is not None and tuple(asked.size) != (info.width, info.height):
            refused.append(f"{asked.size[0]}x{asked.size[1]}, gives {info.width}x{info.height}")
        if asked.fps is not None and (info.fps is None or abs(float(info.fps) - asked.fps) > 0.5):
            gives = f"{float(info.fps):g}" if info.fps else "an unknown number of"
            refused.append(f"{asked.fps:g} frames per second, gives {gives}")
        for refusal in refused:
            self.problems.append(f"{info.name} was asked for {refusal}")
            logger.warning("%s", self.problems[-1])

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


def _fourcc_text(value: float) -> str:
    """Return the four letters that a number stands for; empty where the driver does not tell."""
    letters = int(value).to_bytes(4, "little", signed=False) if 0 < value < 2**32 else b""
    return letters.decode("ascii", "replace") if letters.isalnum() else ""
