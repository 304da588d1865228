"""Forms of the network that finds coloured markers, compared on pictures of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper
from tests import networks

import handpose_native as hp
from handpose_native.verify import Verification, open_form, verify_forms

if TYPE_CHECKING:
    from pathlib import Path

MARKERS = hp.ModelSpec(name="markers", family="heatmap", channel_order="rgb", method="expectation")

IMAGE_HW = (120, 160)


def marker_pictures(count: int = 3) -> list[hp.Picture]:
    points = [networks.marker_points(IMAGE_HW, seed) for seed in range(count)]
    return [hp.Picture.from_bgr(networks.draw_markers(IMAGE_HW, one, 6)) for one in points]


def compared(a: Path, b: Path, *, spec: Any = MARKERS, **options: Any) -> Verification:
    forms = [open_form(path, spec, {"threads": 1}) for path in (a, b)]
    try:
        return verify_forms(*forms, marker_pictures(), source="markers", **options)
    finally:
        for form in forms:
            form.close()


def changed(original: Path, name: str, change: Any) -> Path:
    """Write a copy whose constants of float32 go through `change`."""
    model = onnx.load(str(original))
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(change(values), np.float32), tensor.name))
    path = original.with_name(name)
    onnx.save(model, str(path))
    return path
