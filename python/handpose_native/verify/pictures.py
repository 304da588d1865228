"""The worst pictures, with the joints of both forms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..draw import draw_skeleton
from ..errors import VideoError
from ..picture import Picture
from ..preprocess import preprocess
from ..skeleton import HAND_BONES, NUM_JOINTS
from ..video import open_sink

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from .verification import WorstFrame

__all__ = ["write_worst"]

#: RGB: the form that is believed, and the one that is verified.
_COLORS = ((90, 220, 110), (255, 60, 200))
_MIN_SIDE_PX = 512
_WIDTHS_PX = (7.0, 2.5)


def write_worst(frames: Sequence[WorstFrame], folder: str | os.PathLike[str]) -> list[Path]:
    """Write pictures as ``worst_0_frame_12.png``: the first form broad and green, the second thin and pink.

    Parameters
    ----------
    frames : sequence of WorstFrame
        Those without joints are written as they are.
    folder : path
        Made where it is missing.

    Returns
    -------
    list of Path

    Raises
    ------
    VideoError
        If a picture cannot be written.
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideoError(f"{place}: cannot be made: {error.strerror}") from error
    written = []
    for rank, frame in enumerate(frames):
        path = place / f"worst_{rank}_frame_{frame.frame_index}.png"
        with open_sink(path) as sink:
            sink.write(Picture.from_bgr(_drawn(frame)), 0.0)
        written.append(path)
    return written


def _drawn(frame: WorstFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the picture, enlarged where it is small, with both skeletons."""
    height, width = frame.image.shape[:2]
    factor = max(1, -(-_MIN_SIDE_PX // min(height, width)))
    size_hw = (height * factor, width * factor)
    image = preprocess(frame.image, size_hw=size_hw, channel_order="bgr", layout="NHWC", dtype="uint8")[0]
    for points, color, thickness in zip((frame.points, frame.other_points), _COLORS, _WIDTHS_PX):
        if points is not None:
            draw_skeleton(
                image,
                (points * factor).astype(np.float32),
                bone_colors=np.array([color] * len(HAND_BONES), np.uint8),
                joint_colors=np.array([color] * NUM_JOINTS, np.uint8),
                thickness=thickness,
            )
    return np.asarray(image)
