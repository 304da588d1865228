"""Where to look for a hand: regions from palms, and from the joints of the frame before.

Numbers: mediapipe/modules/hand_landmark/*.pbtxt and calculators/hand_landmarks_to_rect_calculator.cc of
google-ai-edge/mediapipe (Apache-2.0).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..skeleton import NUM_JOINTS
from ..types import Roi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .palms import Palm

__all__ = ["KEYPOINT_SCALE", "overlap", "roi_from_keypoints", "roi_from_palm"]

_PALM_SHIFT, _PALM_SCALE = -0.5, 2.6
_KEYPOINT_SHIFT = -0.1
#: Side of a tracking region over the longer side of the box round the joints that make it.
KEYPOINT_SCALE = 2.0
#: The joints that make the next region: wrist, thumb up to its MCP, the others up to their PIP.
_STEADY_JOINTS = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
_WRIST, _INDEX_MCP, _MIDDLE_MCP, _RING_MCP = 0, 5, 9, 13
#: From the wrist to where the hand points: the mean of the middle MCP and the middle of the index and ring MCP.
_TOWARDS_FINGERS = np.zeros(NUM_JOINTS, dtype=np.float32)
_TOWARDS_FINGERS[[_WRIST, _INDEX_MCP, _MIDDLE_MCP, _RING_MCP]] = -1.0, 0.25, 0.5, 0.25
_PALM_WRIST, _PALM_MIDDLE_MCP = 0, 2


def roi_from_palm(palm: Palm) -> Roi:
    """Return the square in which the whole hand of a palm is looked for, fingers up.

    Parameters
    ----------
    palm : Palm
        In pixels of the image.

    Returns
    -------
    Roi
        2.6 times the palm's box, moved by half its height towards the fingers.
    """
    x0, y0, x1, y1 = (float(value) for value in palm.box_xyxy)
    wrist, middle = palm.keypoints[_PALM_WRIST], palm.keypoints[_PALM_MIDDLE_MCP]
    angle = _angle_that_points_up(float(middle[0] - wrist[0]), float(middle[1] - wrist[1]))
    return _square((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, angle, _PALM_SHIFT, _PALM_SCALE)


def roi_from_keypoints(keypoints: NDArray[np.float32]) -> Roi:
    """Return the square in which the hand is looked for in the next frame, fingers up.

    Parameters
    ----------
    keypoints : ndarray, float32, shape (21, 2)
        Pixels of the image, finite.

    Returns
    -------
    Roi
    """
    angle = _angle_that_points_up(*(_TOWARDS_FINGERS @ keypoints).tolist())
    cos, sin = math.cos(angle), math.sin(angle)
    along_box = keypoints[_STEADY_JOINTS] @ np.array([[cos, -sin], [sin, cos]], dtype=np.float32)
    (left, top), (right, bottom) = along_box.min(axis=0).tolist(), along_box.max(axis=0).tolist()
    u, v = (left + right) / 2, (top + bottom) / 2
    centre_x, centre_y = u * cos - v * sin, u * sin + v * cos
    return _square(centre_x, centre_y, right - left, bottom - top, angle, _KEYPOINT_SHIFT, KEYPOINT_SCALE)


def overlap(a: Roi, b: Roi) -> float:
    """Return the intersection over union of two regions as if they were upright (MediaPipe's association rule)."""
    width = min(a.center_x + a.width / 2, b.center_x + b.width / 2) - max(
        a.center_x - a.width / 2, b.center_x - b.width / 2
    )
    height = min(a.center_y + a.height / 2, b.center_y + b.height / 2) - max(
        a.center_y - a.height / 2, b.center_y - b.height / 2
    )
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.width * a.height + b.width * b.height - shared)


def _angle_that_points_up(x: float, y: float) -> float:
    """Return the region's angle for a hand that points along (x, y): 0 where that is up, in (-pi, pi]."""
    angle = math.atan2(y, x) + math.pi / 2
    return angle - 2 * math.pi if angle > math.pi else angle


def _square(
    centre_x: float, centre_y: float, width: float, height: float, angle: float, shift: float, scale: float
) -> Roi:
    """Move a rotated box by `shift` of its height along its own y axis and make it a square of its longer side."""
    centre_x -= math.sin(angle) * height * shift
    centre_y += math.cos(angle) * height * shift
    # Joints that all fall on one point still give a region.
    side = max(width, height, 1.0) * scale
    return Roi(centre_x, centre_y, side, side, angle)
