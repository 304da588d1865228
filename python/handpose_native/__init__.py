"""Video in, 21-joint hand poses out, as fast as the hardware allows."""

from __future__ import annotations

try:
    from . import _native
except ImportError as error:
    raise ImportError(
        "handpose_native: the compiled module _native cannot be loaded; install the package with 'pip install .' "
        f"and import it from outside its source folder ({error})"
    ) from error

from .camera import Intrinsics
from .diagnostics import build_config, show_config
from .draw import draw_hands, draw_skeleton
from .errors import (
    ArgumentError,
    DeviceError,
    DeviceMemoryError,
    DTypeError,
    HandposeError,
    MissingDependencyError,
    ModelError,
    VideoError,
)
from .geometry import compose, input_from_roi, invert, letterbox, stretch, transform_points
from .heatmap import heatmap_peaks
from .isa import active_isa, isa, isa_levels
from .models import HandsModel, ModelSpec
from .palette import palette_map
from .picture import Picture
from .pipeline import Pipeline
from .preprocess import preprocess, yuv_planes
from .report import RunReport, StageTimes
from .skeleton import BONE_COLORS, FINGERS, HAND_BONES, JOINT_COLORS, JOINT_NAMES, NUM_JOINTS
from .types import Frame, FrameResult, Hand, Roi
from .video import (
    CameraSettings,
    Sink,
    Source,
    SourceInfo,
    WindowSink,
    open_keypoint_writer,
    open_sink,
    open_source,
    read_keypoints,
)

__version__ = _native.VERSION
__all__ = [
    "BONE_COLORS",
    "FINGERS",
    "HAND_BONES",
    "JOINT_COLORS",
    "JOINT_NAMES",
    "NUM_JOINTS",
    "ArgumentError",
    "CameraSettings",
    "DTypeError",
    "DeviceError",
    "DeviceMemoryError",
    "Frame",
    "FrameResult",
    "Hand",
    "HandposeError",
    "HandsModel",
    "Intrinsics",
    "MissingDependencyError",
    "ModelError",
    "ModelSpec",
    "Picture",
    "Pipeline",
    "Roi",
    "RunReport",
    "Sink",
    "Source",
    "SourceInfo",
    "StageTimes",
    "VideoError",
    "WindowSink",
    "active_isa",
    "build_config",
    "compose",
    "draw_hands",
    "draw_skeleton",
    "heatmap_peaks",
    "input_from_roi",
    "invert",
    "isa",
    "isa_levels",
    "letterbox",
    "open_keypoint_writer",
    "open_sink",
    "open_source",
    "palette_map",
    "preprocess",
    "read_keypoints",
    "show_config",
    "stretch",
    "transform_points",
    "yuv_planes",
]
