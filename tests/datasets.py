"""Pictures and annotations of data sets, and a network that finds their joints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tests import networks

import handpose_native as hp
from handpose_native import evaluate

if TYPE_CHECKING:
    from pathlib import Path

MARKERS = hp.ModelSpec(name="markers", family="heatmap", channel_order="rgb", method="expectation")

IMAGE_HW = (160, 200)


def save_model(folder: Path) -> Path:
    """Write a heatmap network that finds 21 colours, with its spec beside it."""
    path = networks.save_marker_network(folder / "markers.onnx", (96, 96))
    path.with_suffix(".json").write_text(json.dumps(MARKERS.to_dict()))
    return path


def save_picture(path: Path, points: np.ndarray, image_hw: tuple[int, int] = IMAGE_HW) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), networks.draw_markers(image_hw, points, 7))


def in_pixel_centres(points: np.ndarray) -> np.ndarray:
    """As annotations count: the centre of the first pixel is (0, 0)."""
    return points - 0.5


def save_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def measured(dataset: evaluate.Dataset, model: Path) -> dict[str, Any]:
    values: dict[str, Any] = evaluate.measure(dataset, evaluate.predict(dataset, model, threads=1)).values
    return values
