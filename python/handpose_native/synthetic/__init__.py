"""A hand nobody owns: rendered hands with exact joints, for tests and demonstrations."""

from __future__ import annotations

from .backgrounds import BACKGROUNDS, make_background
from .pose import POSES, HandPose
from .rendering import render
from .scene import Board, Camera, HandTruth, Scene, SceneHand, SyntheticFrame, hand_rotation
from .shading import SKIN_TONES, Lighting

__all__ = [
    "BACKGROUNDS",
    "POSES",
    "SKIN_TONES",
    "Board",
    "Camera",
    "HandPose",
    "HandTruth",
    "Lighting",
    "Scene",
    "SceneHand",
    "SyntheticFrame",
    "hand_rotation",
    "make_background",
    "render",
]
