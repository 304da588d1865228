"""Cases of ``threads=``: large work by two threads, and the same by one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..heatmap import heatmap_peaks
from ..preprocess import preprocess
from . import references
from .cases import Case, Definition
from .data import heatmaps, scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["definitions"]

THREADS = 2
# Grey levels and pixels; docs/kernels.md, "Precision".
_LINEAR, _WHOLE_LEVELS, _PX = 0.02, 0.6, 1e-3


def definitions() -> list[Definition]:
    """Return the cases of large work."""
    found = [
        Definition(f"threads/{filter}/3840x2160/{width}x{height}", partial(_picture_case, filter, (height, width)))
        for filter, width, height in (("antialias", 224, 224), ("antialias", 640, 640), ("linear", 1920, 1080))
    ]
    for shape in ((16, 21, 128, 128), (64, 21, 64, 64)):
        name = f"threads/expectation/{'x'.join(map(str, shape))}"
        found.append(Definition(name, partial(_heatmap_case, shape)))
    return found


def _picture_case(filter: str, size_hw: tuple[int, int]) -> Case:
    image = scene(3840, 2160)
    out = np.empty((1, 3, *size_hw), np.float32)
    reference = np.moveaxis(references.resized(image, size_hw, filter), 2, 0)
    case = Case()

    def call(threads: int) -> Array:
        return np.asarray(preprocess(image, filter=filter, channel_order="bgr", scale=1, out=out, threads=threads))

    def error_of(blob: Array) -> float:
        return float(abs(blob[0] - reference).max())

    tolerance = _LINEAR if filter == "linear" else _WHOLE_LEVELS
    case.add_ours(partial(call, THREADS), error_of, tolerance)
    case.add_own("one thread", partial(call, 1), error_of, tolerance)
    return case


def _heatmap_case(shape: tuple[int, int, int, int]) -> Case:
    maps = heatmaps(shape, "float32")
    out = (np.empty((*shape[:2], 2), np.float32), np.empty(shape[:2], np.float32))
    reference = references.expectation(maps)
    case = Case(error_unit="px")

    def call(threads: int) -> Array:
        return np.asarray(heatmap_peaks(maps, method="expectation", out=out, threads=threads)[0])

    def error_of(points: Array) -> float:
        return float(abs(points - reference).max())

    case.add_ours(partial(call, THREADS), error_of, _PX)
    case.add_own("one thread", partial(call, 1), error_of, _PX)
    return case
