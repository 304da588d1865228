"""A hand nobody owns: rendered hands with exact joints, for tests and demonstrations."""

from __future__ import annotations

from .backgrounds import BACKGROUNDS, make_background
from .comparing import HandMatch, match_hands
from .motions import MOTIONS, Clip, iter_clip, render_clip
from .pose import POSES, HandPose
from .rendering import render, render_exposure
from .scene import Board, Camera, HandTruth, Scene, SceneHand, SyntheticFrame, hand_rotation
from .shading import SKIN_TONES, Lighting

__all__ = [
    "BACKGROUNDS",
    "MOTIONS",
    "POSES",
    "SKIN_TONES",
    "Board",
    "Camera",
    "Clip",
    "HandMatch",
    "HandPose",
    "HandTruth",
    "Lighting",
    "Scene",
    "SceneHand",
    "SyntheticFrame",
    "hand_rotation",
    "iter_clip",
    "make_background",
    "match_hands",
    "render",
    "render_clip",
    "render_exposure",
]
