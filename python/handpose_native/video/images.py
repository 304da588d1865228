"""Pictures as a source: one file, a folder, a pattern."""

from __future__ import annotations

import glob
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import VideoError, missing_dependency
from ..picture import Picture
from ..types import Frame
from .base import IMAGE_SUFFIXES, Source, SourceInfo, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from numpy.typing import NDArray

__all__ = ["ImageSource", "find_images", "natural_key", "read_image"]

logger = logging.getLogger(__name__)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return the sort key under which ``frame2`` comes before ``frame10``."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in parts if part]


def find_images(where: Path | str) -> list[Path]:
    """Return the picture files of a folder (Path) or of a pattern (str), in natural order.

    Raises
    ------
    VideoError
        If there is none.
    """
    if isinstance(where, Path):
        found = [path for path in where.iterdir() if not path.name.startswith(".")]
    else:
        found = [Path(name) for name in glob.glob(where, recursive=True)]  # noqa: PTH207 - absolute patterns too
    images = [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if not images:
        kind = "the folder holds" if isinstance(where, Path) else "the pattern matches"
        raise VideoError(f"{where}: {kind} no picture ({' '.join(IMAGE_SUFFIXES)})")
    return sorted(images, key=lambda path: natural_key(str(path)))


class ImageSource(Source):
    """Picture files one after another, `rate` per second; a damaged one is left out and noted.

    Parameters
    ----------
    paths : list of Path
        At least one.
    name : str
        What the user named.
    rate : Fraction
        Pictures per second.

    Raises
    ------
    VideoError
        If none of the pictures can be read.
    """

    def __init__(self, paths: list[Path], *, name: str, rate: Fraction) -> None:
        self._paths = paths
        self._rate = rate
        found: list[str] = []
        for self._start, path in enumerate(paths):
            try:
                first = read_image(path)
                break
            except VideoError as error:
                found.append(str(error))
                if path is paths[-1]:
                    if len(paths) == 1:
                        raise
                    raise VideoError(f"{name}: none of the {len(paths)} pictures can be read: {error}") from error
        height, width = first.shape[:2]
        super().__init__(SourceInfo(name, "images", width, height, rate, len(paths)))
        self.problems.extend(f"left out: {text}" for text in found)
        self._first: NDArray[np.uint8] | None = first

    def _frames(self) -> Iterator[Frame]:
        for index in range(self._start, len(self._paths)):
            image, self._first = self._first, None
            if image is None:
                try:
                    image = read_image(self._paths[index])
                except VideoError as error:
                    logger.info("left out: %s", error)
                    self.problems.append(f"left out: {error}")
                    continue
            yield Frame(index, float(index / self._rate), Picture.from_bgr(image))

    def _release(self) -> None:
        self._first = None


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return a picture file as BGR, upright by its EXIF orientation; grey and 16 bit are converted, alpha dropped.

    Raises
    ------
    VideoError
        If the file cannot be read, or is damaged.
    MissingDependencyError
        If OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise missing_dependency(error, "cv2", "to read picture files", "opencv-python") from error
    try:
        data = path.read_bytes()
    except OSError as error:
        raise VideoError(f"{path}: cannot be read: {reason_of(error)}") from error
    if not data:
        raise VideoError(f"{path}: the file is empty")
    # From memory, because imread cannot tell a missing file from a damaged one.
    try:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise VideoError(f"{path}: the picture is damaged or of an unknown kind") from error
    if image is None:
        raise VideoError(f"{path}: the picture is damaged or of an unknown kind")
    bgr: NDArray[np.uint8] = image
    return bgr
