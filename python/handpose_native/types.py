"""The nouns of the package: what goes in and what comes out. No work is done here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import ArgumentError
from .timing import FrameTimes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .picture import Picture

__all__ = ["Frame", "FrameResult", "Hand", "Roi"]


@dataclass(frozen=True)
class Roi:
    """A rotated rectangle of an image, in continuous pixel coordinates.

    Attributes
    ----------
    center_x, center_y : float
        Centre in pixels.
    width, height : float
        Side lengths in pixels along the rectangle's own axes, positive.
    angle_rad : float
        Rotation of the rectangle's x axis from the image's x axis towards the image's y axis (clockwise as seen).
    """

    center_x: float
    center_y: float
    width: float
    height: float
    angle_rad: float = 0.0

    def __post_init__(self) -> None:
        values = (self.center_x, self.center_y, self.width, self.height, self.angle_rad)
        if not all(map(math.isfinite, values)) or self.width <= 0 or self.height <= 0:
            raise ArgumentError(f"Roi: all values must be finite, width and height positive; got {values}")

    @classmethod
    def from_xywh(cls, x: float, y: float, width: float, height: float) -> Roi:
        """Return the upright rectangle with its left top corner at (x, y), all in pixels."""
        return cls(x + width / 2, y + height / 2, width, height)

    def corners(self) -> tuple[tuple[float, float], ...]:
        """Return the corners left top, right top, right bottom, left bottom (in the rectangle's own axes) as (x, y)."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        half_w, half_h = self.width / 2, self.height / 2
        return tuple(
            (self.center_x + dx * cos - dy * sin, self.center_y + dx * sin + dy * cos)
            for dx, dy in ((-half_w, -half_h), (half_w, -half_h), (half_w, half_h), (-half_w, half_h))
        )


@dataclass(frozen=True)
class Hand:
    """One hand in one image.

    Attributes
    ----------
    keypoints : ndarray, float32, shape (21, 2)
        x, y in pixels of the image, continuous; wrist first, then thumb to little finger, each from the palm out.
    scores : ndarray, float32, shape (21,)
        Per keypoint, 0..1; NaN where the model gives no estimate.
    presence : float
        How sure it is that this is a hand, 0..1; NaN where the model gives no estimate.
    handedness : {"left", "right"} or None
        Of the person; None where the model does not tell.
    handedness_score : float
        0..1; NaN without handedness.
    world : ndarray, float32, shape (21, 3), or None
        Metres; None where the model does not tell. Of ``"hands"``: in the axes of the picture, from the middle of the
        hand. Of models that give depths: in the frame of the camera, x to the right, y down, z forward.
    roi : Roi or None
        Where the model looked.
    track_id : int or None
        Stable identity within a video; None without tracking.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    presence: float = math.nan
    handedness: str | None = None
    handedness_score: float = math.nan
    world: NDArray[np.float32] | None = None
    roi: Roi | None = None
    track_id: int | None = None


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes
    ----------
    index : int
        Position in the source, from 0; frames that were skipped are counted.
    pts_s : float
        Presentation time in seconds, from 0 at the source's first frame.
    picture : Picture
        Writable; belongs to whoever holds the frame.
    """

    index: int
    pts_s: float
    picture: Picture

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture as BGR, uint8 (H, W, 3), writable, rows of any pitch: see :meth:`Picture.to_bgr`."""
        return self.picture.to_bgr()


@dataclass(frozen=True)
class FrameResult:
    """One frame with its hands.

    Attributes
    ----------
    index, pts_s
        As in :class:`Frame`.
    picture : Picture
        The very picture the hands were found in.
    hands : list of Hand
        Empty where there is none.
    timings_ms : FrameTimes
        Milliseconds by stage.
    """

    index: int
    pts_s: float
    picture: Picture
    hands: list[Hand]
    timings_ms: FrameTimes = field(default_factory=FrameTimes)

    @property
    def frame(self) -> NDArray[np.uint8]:
        """The picture as BGR, uint8 (H, W, 3): see :meth:`Picture.to_bgr`."""
        return self.picture.to_bgr()
