"""Cameras through OpenCV and V4L2."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ascend.jpegd import JpegDecoder
from ..ascend.pictures import ConvertedPicture, DevicePicture
from ..errors import ArgumentError, VideoError, missing_dependency
from ..picture import Picture
from ..types import Frame
from .base import Source, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CameraSettings", "CameraSource"]

logger = logging.getLogger(__name__)

#: Pictures in a row that cannot be decoded, after which a camera counts as broken.
_MOST_DAMAGED = 30


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
    camera : int or str
        Number of the camera, or the path of its device, e.g. ``"/dev/video0"``.
    settings : CameraSettings, optional
        What to ask for. What the camera gives instead is noted in `problems`; what it gives stands in ``info``.
    device : int, optional
        Which NPU's JPEGD decodes the camera's MJPG, which is then asked for; OpenCV decodes unless given.

    Raises
    ------
    VideoError
        If there is no such camera, it is in use, or it gives no picture, or none that JPEGD decodes.
    MissingDependencyError
        If OpenCV is not installed.
    """

    def __init__(self, camera: int | str, settings: CameraSettings | None = None, device: int | None = None) -> None:
        try:
            import cv2
        except ImportError as error:
            raise missing_dependency(error, "cv2", "to read a camera", "opencv-python") from error
        name = f"camera {camera}"
        path = Path(f"/dev/video{camera}") if isinstance(camera, int) else Path(camera)
        # OpenCV says nothing of the reason and writes warnings to the terminal, so the usual mistake is caught here.
        if not path.exists():
            raise VideoError(f"{name}: there is no device {path}")
        asked = settings or CameraSettings()
        if device is not None:
            if (asked.pixel_format or "MJPG").upper() != "MJPG":
                raise ArgumentError(
                    f"open_source: decoder='ascend' is for MJPG; camera.pixel_format is {asked.pixel_format!r}"
                )
            asked = replace(asked, pixel_format="MJPG")
        self._engine = JpegDecoder(name, device) if device is not None else None
        self._capture: Any = cv2.VideoCapture(camera, cv2.CAP_V4L2)
        try:
            picture, code = None, ""
            if self._capture.isOpened():
                self._ask_for(asked)
                code = _fourcc_text(self._capture.get(cv2.CAP_PROP_FOURCC))
                if self._engine is not None and code != "MJPG":
                    raise VideoError(
                        f"{name}: decoder='ascend' is for MJPG; the camera gives {code or 'an unknown format'}"
                    )
                picture = self._fetch()
            if picture is None:
                raise VideoError(
                    f"{name}: {path} gives no picture; it may be in use, be no camera, or need permission"
                    f"{self._why_damaged()}"
                )
        except BaseException:
            self._release()
            raise
        self._first: tuple[float, Picture] | None = (time.monotonic(), picture)
        size = picture.width, picture.height
        super().__init__(SourceInfo(name, "camera", *size, self._rate(), None, True, code))
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
        if self._engine is not None:
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # else it is decoded before it comes here
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

    def _fetch(self) -> Picture | None:
        """Return the next picture that can be decoded; None where the camera gives none any more."""
        for _ in range(_MOST_DAMAGED):
            taken, image = self._capture.read()
            if not taken or image is None:
                return None
            if self._engine is None:
                return Picture.from_bgr(image)
            picture = self._engine.decode(image.reshape(-1))
            if picture is not None:
                return picture
            self.damaged += 1
        return None

    def _why_damaged(self) -> str:
        return (
            f"; {self.damaged} pictures were damaged: {self._engine.failure}" if self._engine and self.damaged else ""
        )

    def _frames(self) -> Iterator[Frame]:
        if self._first is None:
            return
        start, picture = self._first
        self._first = None
        now, index = start, 0
        damaged_before = self.damaged
        while True:
            yield Frame(index + self.damaged - damaged_before, now - start, self._wanted(picture))
            del picture  # else its memory would be held while the next one is decoded
            following = self._fetch()
            if following is None:
                self.problems.append(
                    f"{self._info.name} gave no picture any more after {index + 1} frames{self._why_damaged()}"
                )
                logger.info("%s", self.problems[-1])
                return
            picture, now, index = following, time.monotonic(), index + 1
            del following

    def _wanted(self, picture: Picture) -> Picture:
        if self.planes_wanted or not isinstance(picture, DevicePicture):
            return picture
        return ConvertedPicture(picture)

    def _release(self) -> None:
        self._first = None
        with contextlib.suppress(Exception):  # the device may be gone already
            self._capture.release()
        if self._engine is not None:
            self._engine.close()


def _fourcc_text(value: float) -> str:
    """Return the four letters that a number stands for; empty where the driver does not tell."""
    letters = int(value).to_bytes(4, "little", signed=False) if 0 < value < 2**32 else b""
    return letters.decode("ascii", "replace") if letters.isalnum() else ""
