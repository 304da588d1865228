"""The nouns of a scene: camera, hands, boards, and the truth about them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError, DTypeError
from .pose import HandPose
from .shading import SKIN_TONES, Lighting

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Board", "Camera", "HandTruth", "Scene", "SceneHand", "SyntheticFrame", "hand_rotation"]

_PALM_CENTER = (0.0, 52.0, 0.0)  # mm, in the frame of the hand


@dataclass(frozen=True)
class Camera:
    """A camera without distortion, its principal point in the middle of the picture.

    Attributes
    ----------
    focal_px : float
        Focal length in pixels, positive.
    size_hw : tuple of int
        Height and width of the picture in pixels, both at least 1.
    """

    focal_px: float = 600.0
    size_hw: tuple[int, int] = (480, 640)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.focal_px) and self.focal_px > 0):
            raise ArgumentError(f"Camera: focal_px must be positive; got {self.focal_px}")
        if len(self.size_hw) != 2 or min(self.size_hw) < 1:
            raise ArgumentError(f"Camera: size_hw must be (height, width), both at least 1; got {self.size_hw}")

    def project(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Return where points are seen.

        Parameters
        ----------
        points_mm : array_like, shape (..., 3)
            In the frame of the camera: x right, y down, z forward; z positive.

        Returns
        -------
        ndarray, float64, shape (..., 2)
            x, y in continuous pixels: the centre of the first pixel is (0.5, 0.5).
        """
        points = np.asarray(points_mm, np.float64)
        if points.shape[-1:] != (3,) or not (points[..., 2] > 0).all():
            raise ArgumentError("Camera.project: points_mm must have shape (..., 3) and lie before the camera (z > 0)")
        height, width = self.size_hw
        return np.asarray(self.focal_px * points[..., :2] / points[..., 2:] + (width / 2, height / 2))


def hand_rotation(roll_deg: float = 0.0, tilt_deg: float = 0.0, turn_deg: float = 0.0) -> NDArray[np.float64]:
    """Return the rotation that takes the frame of a hand to that of the camera.

    Without angles, the palm faces the camera and the fingers point up in the picture: the thumb of a right hand is then
    on the right side of the picture.

    Parameters
    ----------
    roll_deg : float
        In the plane of the picture, clockwise as seen.
    tilt_deg : float
        Of the fingers towards the camera.
    turn_deg : float
        About the line from wrist to fingers; 180 shows the back of the hand.

    Returns
    -------
    ndarray, float64, shape (3, 3)
    """
    roll, tilt, turn = np.radians([roll_deg, tilt_deg, turn_deg])
    about_z = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    about_x = [[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]]
    about_y = [[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]
    facing = np.diag([1.0, -1.0, -1.0])
    return np.asarray(np.array(about_z) @ about_x @ about_y @ facing)


@dataclass(frozen=True)
class SceneHand:
    """One hand in a scene.

    Attributes
    ----------
    pose : HandPose
    center_mm : tuple of float
        Centre of the palm in the frame of the camera: x right, y down, z forward.
    rotation : ndarray, shape (3, 3)
        From :func:`hand_rotation`, or any rotation that takes directions of the hand's frame to the camera's.
    handedness : {"right", "left"}
        Of the person.
    skin : int
        Index into :data:`SKIN_TONES`.
    sleeve_rgb : tuple of int or None
        Colour of the sleeve, sRGB; None for a bare arm.
    scale : float
        1 is the average adult, positive.
    """

    pose: HandPose = field(default_factory=HandPose)
    center_mm: tuple[float, float, float] = (0.0, 0.0, 600.0)
    rotation: NDArray[np.float64] = field(default_factory=hand_rotation)
    handedness: str = "right"
    skin: int = 2
    sleeve_rgb: tuple[int, int, int] | None = (64, 74, 92)
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.pose, HandPose):
            raise DTypeError(f"SceneHand: pose must be a HandPose; got {type(self.pose).__name__}")
        if self.handedness not in ("right", "left"):
            raise ArgumentError(f"SceneHand: handedness must be 'right' or 'left'; got {self.handedness!r}")
        if not 0 <= self.skin < len(SKIN_TONES):
            raise ArgumentError(f"SceneHand: skin must be in 0..{len(SKIN_TONES) - 1}; got {self.skin}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ArgumentError(f"SceneHand: scale must be positive; got {self.scale}")
        if len(self.center_mm) != 3 or not np.isfinite(self.center_mm).all():
            raise ArgumentError(f"SceneHand: center_mm must be three finite numbers; got {self.center_mm}")
        turn = np.asarray(self.rotation, np.float64)
        proper = turn.shape == (3, 3) and np.allclose(turn @ turn.T, np.eye(3), atol=1e-6) and np.linalg.det(turn) > 0
        if not proper:
            raise ArgumentError(f"SceneHand: rotation must be a rotation matrix of shape (3, 3); got {self.rotation!r}")

    def camera_from_hand(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what takes a right hand's points to the camera: a linear part with mirror and scale, and an offset."""
        mirror = np.diag([1.0 if self.handedness == "right" else -1.0, 1.0, 1.0])
        linear = self.scale * np.asarray(self.rotation, np.float64) @ mirror
        return linear, np.asarray(self.center_mm, np.float64) - linear @ np.array(_PALM_CENTER)


@dataclass(frozen=True)
class Board:
    """A flat rectangle that faces the camera, to hide things behind it.

    Attributes
    ----------
    center_mm : tuple of float
        In the frame of the camera; z positive.
    size_mm : tuple of float
        Width and height, positive.
    rgb : tuple of int
        sRGB.
    """

    center_mm: tuple[float, float, float]
    size_mm: tuple[float, float]
    rgb: tuple[int, int, int] = (150, 122, 92)

    def __post_init__(self) -> None:
        numbers = np.isfinite([*self.center_mm, *self.size_mm]).all()
        if not numbers or len(self.center_mm) != 3 or self.center_mm[2] <= 0:
            raise ArgumentError(f"Board: center_mm must be three finite numbers, z positive; got {self.center_mm}")
        if len(self.size_mm) != 2 or min(self.size_mm) <= 0:
            raise ArgumentError(f"Board: size_mm must be (width, height), both positive; got {self.size_mm}")


@dataclass(frozen=True)
class Scene:
    """What is in front of the camera.

    Attributes
    ----------
    hands : tuple of SceneHand
    camera : Camera
    background : ndarray, uint8, shape (H, W, 3), or str
        BGR of the camera's size, or a name of :data:`BACKGROUNDS`.
    boards : tuple of Board
    lighting : Lighting
    noise : float
        Standard deviation of the sensor's noise, grey levels, at least 0.
    seed : int
        Of the background and the noise.
    """

    hands: tuple[SceneHand, ...] = ()
    camera: Camera = field(default_factory=Camera)
    background: NDArray[np.uint8] | str = "gradient"
    boards: tuple[Board, ...] = ()
    lighting: Lighting = field(default_factory=Lighting)
    noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise ArgumentError(f"Scene: noise must be at least 0; got {self.noise}")
        if isinstance(self.background, np.ndarray) and self.background.shape != (*self.camera.size_hw, 3):
            raise ArgumentError(
                f"Scene: background must have the camera's size {self.camera.size_hw}; got {self.background.shape}"
            )


@dataclass(frozen=True)
class HandTruth:
    """Where a hand really is.

    Attributes
    ----------
    keypoints : ndarray, float32, shape (21, 2)
        x, y in continuous pixels, in the order of :data:`handpose_native.JOINT_NAMES`; may lie outside the picture.
    joints_mm : ndarray, float32, shape (21, 3)
        In the frame of the camera: x right, y down, z forward.
    handedness : {"right", "left"}
        Of the person.
    visible : ndarray, bool, shape (21,)
        Inside the picture and not behind a board or another hand.
    self_hidden : ndarray, bool, shape (21,)
        Behind another part of the same hand, as far as inside the picture.
    """

    keypoints: NDArray[np.float32]
    joints_mm: NDArray[np.float32]
    handedness: str
    visible: NDArray[np.bool_]
    self_hidden: NDArray[np.bool_]

    @property
    def size_px(self) -> float:
        """The longer side of the upright box round the keypoints."""
        return float(np.ptp(self.keypoints, axis=0).max())


@dataclass(frozen=True)
class SyntheticFrame:
    """A picture, uint8 (H, W, 3) BGR, with the truth of every hand of the scene in its order."""

    image: NDArray[np.uint8]
    hands: tuple[HandTruth, ...]
