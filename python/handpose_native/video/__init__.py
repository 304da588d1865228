"""Where frames come from and where pictures and keypoints go: files, cameras, streams, images, GIF, MP4, JSON Lines."""

from __future__ import annotations

from .base import Sink, Source, SourceInfo
from .keypoints import KeypointWriter, open_keypoint_writer, read_keypoints
from .readahead import can_read_ahead, read_frames
from .sinks import open_sink
from .sources import open_source
from .window import WindowSink

__all__ = [
    "KeypointWriter",
    "Sink",
    "Source",
    "SourceInfo",
    "WindowSink",
    "can_read_ahead",
    "open_keypoint_writer",
    "open_sink",
    "open_source",
    "read_frames",
    "read_keypoints",
]
