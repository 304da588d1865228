"""The compiled kernels. Private: the functions of handpose_native are their documented face."""

from typing import Any

VERSION: str
COMPILER: str
FLAGS: str
ARCHITECTURE: str
PYBIND11_VERSION: str
DEBUG: bool

def isa_levels() -> list[str]: ...
def active_isa() -> str: ...
def set_isa(level: str) -> None: ...
def preprocess(
    image: Any,
    size_hw: Any,
    input_from_image: Any,
    source_format: Any,
    filter: Any,
    border: Any,
    border_value: Any,
    channel_order: Any,
    scale: Any,
    mean: Any,
    std: Any,
    layout: Any,
    dtype: Any,
    color_matrix: Any,
    color_range: Any,
    out: Any,
    threads: Any,
    /,
) -> Any: ...
def heatmap_peaks(
    heatmaps: Any, method: Any, upsampled_hw: Any, blur_kernel: Any, spreads: bool, out: Any, threads: Any, /
) -> tuple[Any, ...]: ...
def draw_skeleton(
    image: Any,
    points: Any,
    scores: Any,
    source_format: Any,
    bones: Any,
    bone_colors: Any,
    joint_colors: Any,
    thickness: Any,
    joint_radius: Any,
    min_score: Any,
    opacity: Any,
    color_matrix: Any,
    color_range: Any,
    /,
) -> Any: ...
def palette_map(image: Any, lut: Any, out: Any, /) -> Any: ...
def palette_map_changed(image: Any, lut: Any, tolerance: int, held: Any, out: Any, /) -> None: ...
