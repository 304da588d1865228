"""Hands over time: palms, regions, identities, smoothing, scores. Arithmetic only: no model is run here."""

from __future__ import annotations

from .palms import NUM_CANDIDATES, PALM_JOINTS, Palm, decode_palms
from .quality import JointScores, is_hand_like
from .regions import overlap, roi_from_keypoints, roi_from_palm
from .smoothing import SMOOTHING, OneEuroFilter, Smoothing
from .tracker import Observation, Track, Tracker

__all__ = [
    "NUM_CANDIDATES",
    "PALM_JOINTS",
    "SMOOTHING",
    "JointScores",
    "Observation",
    "OneEuroFilter",
    "Palm",
    "Smoothing",
    "Track",
    "Tracker",
    "decode_palms",
    "is_hand_like",
    "overlap",
    "roi_from_keypoints",
    "roi_from_palm",
]
