"""A window on the screen as a sink."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from ..errors import VideoError, missing_dependency
from .base import Sink

if TYPE_CHECKING:
    from ..picture import Picture

__all__ = ["WindowSink"]

_ESCAPE_KEY = 27


class WindowSink(Sink):
    """Shows each picture at once. Escape, q or closing the window sets `wants_stop`.

    Use it from one thread only, as OpenCV's windows ask.

    Parameters
    ----------
    title : str
        Of the window.

    Raises
    ------
    VideoError
        If there is no display, the installed OpenCV has no windows, or PyAV was loaded before OpenCV.
    MissingDependencyError
        If OpenCV is not installed.
    """

    def __init__(self, title: str = "handpose_native") -> None:
        super().__init__("the window")
        is_late = "av" in sys.modules and "cv2" not in sys.modules
        try:
            import cv2
        except ImportError as error:
            raise missing_dependency(error, "cv2", "to show a window", "opencv-python") from error
        # Asked beforehand, because Qt ends the whole process when it finds no display.
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise VideoError("the window cannot be shown: there is no display (DISPLAY is not set)")
        if is_late and "QT:" in cv2.getBuildInformation():
            # Both bring their own libxcb, and Qt loops for ever on PyAV's: github.com/PyAV-Org/PyAV/issues/1050
            raise VideoError(
                "the window cannot be shown: PyAV was loaded before OpenCV, whose windows then hang; make the "
                "WindowSink, or import cv2, before the first video is opened"
            )
        try:
            cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE)
        except cv2.error as error:
            raise VideoError(
                "the window cannot be shown: this OpenCV has no windows (opencv-python-headless); install opencv-python"
            ) from error
        self._title = title
        self._errors = (OSError, cv2.error)

    def _write(self, picture: Picture, pts_s: float) -> bool:
        import cv2

        if self.wants_stop:
            return False
        cv2.imshow(self._title, picture.to_bgr())
        key = cv2.waitKey(1) & 0xFF
        is_closed = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        self.wants_stop = is_closed or key in (_ESCAPE_KEY, ord("q"))
        return True

    def _finish(self) -> None:
        self._abandon()

    def _abandon(self) -> None:
        import cv2

        with contextlib.suppress(cv2.error):  # the user may have closed it
            cv2.destroyWindow(self._title)
