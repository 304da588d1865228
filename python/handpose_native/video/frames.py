"""Pictures as a sink: numbered files, or a single one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ArgumentError, VideoError, missing_dependency
from .base import Sink

if TYPE_CHECKING:
    from ..picture import Picture

__all__ = ["ImageSink"]


class ImageSink(Sink):
    """Numbered picture files, or one picture; sizes may differ.

    Parameters
    ----------
    path : Path
        Its name holds one printf number such as ``%05d``, counted from 0, or none for a single picture. The suffix
        decides the kind.
    creates_folder : bool
        Whether the folder is made, where missing, with the first picture.

    Raises
    ------
    ArgumentError
        If the name is no such pattern.
    MissingDependencyError
        If OpenCV is not installed.
    """

    def __init__(self, path: Path, *, creates_folder: bool = False) -> None:
        super().__init__(str(path.parent if creates_folder else path))
        self._folder, self._pattern = path.parent, path.name
        self._creates_folder = creates_folder
        self._is_numbered = "%" in path.name
        if self._is_numbered:
            try:
                names = {path.name % number for number in (0, 1)}
            except (TypeError, ValueError):
                names = set()
            if len(names) != 2:
                raise ArgumentError(f"open_sink: a pattern must hold one number such as %05d; got {path.name!r}")
        try:
            import cv2
        except ImportError as error:
            raise missing_dependency(error, "cv2", "to write picture files", "opencv-python") from error
        self._errors = (OSError, cv2.error)

    def _write(self, picture: Picture, pts_s: float) -> bool:
        import cv2

        if self.frames_written and not self._is_numbered:
            raise VideoError(
                f"{self.name}: takes one picture only; name a pattern such as "
                f"{Path(self._pattern).stem}_%05d{Path(self._pattern).suffix} or a folder"
            )
        if self._creates_folder:
            self._folder.mkdir(exist_ok=True)
        path = self._folder / (self._pattern % self.frames_written if self._is_numbered else self._pattern)
        encoded, data = cv2.imencode(path.suffix.lower(), picture.to_bgr())
        if not encoded:
            raise VideoError(f"{path}: the picture cannot be encoded")
        try:
            path.write_bytes(data.tobytes())
        except OSError:
            with contextlib.suppress(OSError):  # a half written picture is of no use to anyone
                path.unlink()
            raise
        return True

    def _finish(self) -> None:
        return
