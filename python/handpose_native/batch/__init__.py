"""Many videos: found, done one by one by several workers, each recorded when it is done."""

from __future__ import annotations

from .batch import BatchReport, run_batch
from .cluster import run_on_ray
from .manifest import Manifest
from .options import KEYPOINT_FORMATS, BatchOptions
from .processes import run_in_processes
from .videos import Video, find_videos
from .work import Outcome, VideoWorker

__all__ = [
    "KEYPOINT_FORMATS",
    "BatchOptions",
    "BatchReport",
    "Manifest",
    "Outcome",
    "Video",
    "VideoWorker",
    "find_videos",
    "run_batch",
    "run_in_processes",
    "run_on_ray",
]
