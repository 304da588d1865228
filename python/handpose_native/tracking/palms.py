"""From the palm detector's outputs to palms: anchors, decoding, weighted non-maximum suppression.

Numbers: mediapipe/modules/palm_detection/palm_detection_{cpu,gpu}.pbtxt and ssd_anchors_calculator.cc of
google-ai-edge/mediapipe (Apache-2.0).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["INPUT_SIZE_PX", "NUM_CANDIDATES", "PALM_JOINTS", "Palm", "decode_palms", "merge_palms"]

#: Side of the detector's square input.
INPUT_SIZE_PX = 192
#: A grid of 24 x 24 cells with 2 candidates each, then one of 12 x 12 with 6.
NUM_CANDIDATES = 24 * 24 * 2 + 12 * 12 * 6
#: Which of the 21 joints the detector's 7 keypoints are: wrist, the four MCP joints, thumb CMC and MCP.
PALM_JOINTS = (0, 5, 9, 13, 17, 1, 2)
#: Candidates that overlap the best one by more are the same palm.
_SAME_PALM_IOU = 0.3


class Palm(NamedTuple):
    """One palm, in pixels of whatever the points are given in.

    Attributes
    ----------
    box_xyxy : ndarray, float32, shape (4,)
        Upright box round the palm, without the fingers.
    keypoints : ndarray, float32, shape (7, 2)
        See `PALM_JOINTS`.
    score : float
        0..1.
    """

    box_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    score: float


def _anchor_centres_px() -> NDArray[np.float32]:
    """Centres of the candidates in input pixels, shape (2016, 2): the middle of each cell, rows first."""
    centres = []
    for cells, candidates in ((24, 2), (12, 6)):
        axis = (np.arange(cells) + 0.5) * (INPUT_SIZE_PX / cells)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        centres.append(np.repeat(grid, candidates, axis=0))
    return np.concatenate(centres).astype(np.float32)


_ANCHORS = _anchor_centres_px()


def decode_palms(values: NDArray[np.float32], logits: NDArray[np.float32], min_score: float) -> list[Palm]:
    """Read the palms from the detector's two outputs.

    Parameters
    ----------
    values : ndarray, float32, shape (2016, 18)
        Per candidate: offset of the box's centre from the anchor, width, height, then 7 keypoints as offsets; all in
        input pixels. Only read.
    logits : ndarray, float32, shape (2016,)
        Before the sigmoid. Only read.
    min_score : float
        0..1, exclusive; candidates that are not above it are not looked at.

    Returns
    -------
    list of Palm
        In pixels of the 192 x 192 input, best first; overlapping candidates are merged.
    """
    # In logits, so that the sigmoid of 2016 numbers is not needed. A NaN is not above anything.
    chosen = np.flatnonzero(logits > math.log(min_score / (1.0 - min_score)))
    if not chosen.size:
        return []
    scores = (1.0 / (1.0 + np.exp(-np.clip(logits[chosen], -100.0, 100.0)))).astype(np.float32)
    raw = values[chosen]
    points = raw.reshape(-1, 9, 2).copy()
    anchors = _ANCHORS[chosen]
    points[:, 0] += anchors
    points[:, 2:] += anchors[:, None]
    half = points[:, 1] / 2
    boxes = np.concatenate([points[:, 0] - half, points[:, 0] + half], axis=1)
    return merge_palms(boxes, points[:, 2:], scores)


def merge_palms(boxes: NDArray[np.float32], keypoints: NDArray[np.float32], scores: NDArray[np.float32]) -> list[Palm]:
    """Weighted non-maximum suppression: each best box becomes the mean of those that overlap it, by score.

    Parameters
    ----------
    boxes : ndarray, float32, shape (N, 4)
        xyxy.
    keypoints : ndarray, float32, shape (N, 7, 2)
    scores : ndarray, float32, shape (N,)

    Returns
    -------
    list of Palm
        Best first, with the best one's own score.

    Notes
    -----
    As WeightedNonMaxSuppression in mediapipe/calculators/util/non_max_suppression_calculator.cc.
    """
    palms = []
    rest = np.argsort(-scores, kind="stable")
    while rest.size:
        best = rest[0]
        same = _overlap(boxes[best], boxes[rest]) > _SAME_PALM_IOU
        same[0] = True  # also where the box has no area
        merged = rest[same]
        weights = scores[merged] / scores[merged].sum()
        palms.append(Palm(weights @ boxes[merged], np.tensordot(weights, keypoints[merged], 1), float(scores[best])))
        rest = rest[~same]
    return palms


def _overlap(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one xyxy box with others; 0 where both are empty."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared
    result: NDArray[np.float32] = np.where(union > 0, shared / np.where(union > 0, union, 1), 0)
    return result
