"""Where frames come from and where pictures and keypoints go: files, cameras, streams, images, GIF, MP4, JSON Lines."""

from __future__ import annotations

from .base import Sink, Source, SourceInfo
from .cameras import CameraSettings
from .images import natural_key, read_image
from .keypoints import KeypointWriter, open_keypoint_writer, read_keypoints
from .reading import POLICIES, default_policy, read_frames
from .sinks import open_sink
from .sources import open_source
from .window import WindowSink

__all__ = [
    "POLICIES",
    "CameraSettings",
    "KeypointWriter",
    "Sink",
    "Source",
    "SourceInfo",
    "WindowSink",
    "default_policy",
    "natural_key",
    "open_keypoint_writer",
    "open_sink",
    "open_source",
    "read_frames",
    "read_image",
    "read_keypoints",
]
