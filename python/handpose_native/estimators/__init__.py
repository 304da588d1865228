"""From a picture to hands: which networks are run where, and what is made of their outputs."""

from __future__ import annotations

from .base import Estimator, PendingHands
from .hands import HandsEstimator, HandsOptions
from .opening import find_hands_model, open_estimator
from .region import RegionEstimator
from .world import WorldOptions

__all__ = [
    "Estimator",
    "HandsEstimator",
    "HandsOptions",
    "PendingHands",
    "RegionEstimator",
    "WorldOptions",
    "find_hands_model",
    "open_estimator",
]
