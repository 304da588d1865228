"""Joints inside the graph: from heatmaps to (1, 21, 3) numbers, x and y in parts of the input and a score.

What is computed is what ``HeatmapDecoder`` computes of the maps. No float is larger than the number of a map's pixels,
and no index is a float, so that float16, which ATC uses inside by default, spoils neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from ..skeleton import NUM_JOINTS
from .graph import GraphWriter, linear_upsampling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..models import ModelSpec

__all__ = ["write_joints"]

#: The smallest positive normal number of float16: a map whose sum is less has no centroid.
_TINY = float(np.finfo(np.float16).tiny)
_PIXEL_CENTRE = 0.5


def write_joints(graph: GraphWriter, heatmaps: str, shape: Sequence[int], spec: ModelSpec) -> str:
    """Write the decoding of heatmaps.

    Parameters
    ----------
    graph : GraphWriter
    heatmaps : str
    shape : sequence of int
        Of `heatmaps`: (1, 21, H, W).
    spec : ModelSpec
        Of family ``"heatmap"`` with method ``"expectation"`` or ``"upsampled_argmax"``.

    Returns
    -------
    str
        The value of shape (1, 21, 3).

    Raises
    ------
    ModelError
        For another method.
    """
    map_hw = (shape[2], shape[3])
    flat = graph.reshape(heatmaps, [NUM_JOINTS, map_hw[0] * map_hw[1]], "joints.maps")
    rows = flat
    if spec.method == "expectation":
        places, pixels = _centroids(graph, flat, map_hw, spec.peak_offset_px)
    elif spec.method == "upsampled_argmax" and spec.upsampled_hw is not None:
        rows = _upsampled(graph, heatmaps, map_hw, spec.upsampled_hw)
        places, pixels = _first_maxima(graph, rows, map_hw, spec.upsampled_hw, spec.peak_offset_px)
    else:
        raise ModelError(f"export: method {spec.method!r} cannot be folded; expectation and upsampled_argmax can")
    scores = _scores(graph, flat, rows, pixels)
    joined = graph.node("Concat", [places, scores], "joints.joined", axis=1)
    return graph.reshape(joined, [1, NUM_JOINTS, 3], "joints")


def _centroids(graph: GraphWriter, flat: str, map_hw: tuple[int, int], offset: float) -> tuple[str, str]:
    """Return the centroids of the positive values, in parts of the map, and the index of the pixel that holds each."""
    height, width = map_hw
    rows, columns = np.divmod(np.arange(height * width), width)
    # The sums of x, of y and of the values themselves are one product of matrices.
    coordinates = np.stack([(columns + offset) / width, (rows + offset) / height, np.ones(height * width)], axis=1)
    positive = graph.node("Relu", [flat], "joints.positive")
    sums = graph.node("MatMul", [positive, graph.constant("joints.coordinates", coordinates)], "joints.sums")
    weighted = graph.slice(sums, 1, 0, 2, "joints.weighted")
    total = graph.slice(sums, 1, 2, 3, "joints.total")
    places = graph.node("Div", [weighted, total], "joints.places")
    # A map without a positive value has the place 0 / 0, not a number; its pixel must be one all the same.
    bounded = graph.node("Max", [total, graph.constant("joints.tiny", np.float64(_TINY))], "joints.bounded")
    safe = graph.node("Div", [weighted, bounded], "joints.safe")
    size = graph.constant("joints.map_wh", np.array([width, height], dtype=np.float64))
    scaled = graph.node("Mul", [safe, size], "joints.scaled")
    to_corner = graph.constant("joints.to_corner", np.float64(_PIXEL_CENTRE - offset))
    whole = graph.node("Floor", [graph.node("Add", [scaled, to_corner], "joints.continuous")], "joints.whole")
    pixel = _as_integers(graph, whole, "joints.pixel")
    column = graph.slice(pixel, 1, 0, 1, "joints.column")
    row = graph.slice(pixel, 1, 1, 2, "joints.row")
    return places, _index(graph, row, column, width)


def _upsampled(graph: GraphWriter, heatmaps: str, map_hw: tuple[int, int], upsampled_hw: tuple[int, int]) -> str:
    """Return the maps resized bilinearly, one row each, as two products with matrices that hold the weights."""
    height, width = map_hw
    upsampled_h, upsampled_w = upsampled_hw
    turned = graph.node("Transpose", [heatmaps], "joints.turned", perm=[0, 1, 3, 2])
    columns = graph.reshape(turned, [NUM_JOINTS * width, height], "joints.columns")
    tall = graph.constant("joints.rows_from_map", linear_upsampling(height, upsampled_h).T)
    columns = graph.node("MatMul", [columns, tall], "joints.tall")
    columns = graph.reshape(columns, [1, NUM_JOINTS, width, upsampled_h], "joints.tall_maps")
    turned = graph.node("Transpose", [columns], "joints.upright", perm=[0, 1, 3, 2])
    rows = graph.reshape(turned, [NUM_JOINTS * upsampled_h, width], "joints.rows")
    wide = graph.constant("joints.columns_from_map", linear_upsampling(width, upsampled_w).T)
    rows = graph.node("MatMul", [rows, wide], "joints.wide")
    return graph.reshape(rows, [NUM_JOINTS, upsampled_h * upsampled_w], "joints.upsampled")


def _first_maxima(
    graph: GraphWriter, upsampled: str, map_hw: tuple[int, int], upsampled_hw: tuple[int, int], offset: float
) -> tuple[str, str]:
    """Return the first largest pixels, in parts of the map, and the index of the pixel of the map that holds each."""
    found = graph.node("ArgMax", [upsampled], "joints.found", axis=1, keepdims=1)
    found = _as_integers(graph, found, "joints.found_int")
    fine_width = _integer(graph, "joints.fine_width", upsampled_hw[1])
    row = graph.node("Div", [found, fine_width], "joints.fine_row")
    column = graph.node("Sub", [found, graph.node("Mul", [row, fine_width], "joints.before")], "joints.fine_column")
    places, pixels = [], []
    for fine, size, fine_size, what in (
        (column, map_hw[1], upsampled_hw[1], "x"),
        (row, map_hw[0], upsampled_hw[0], "y"),
    ):
        centre = graph.node(
            "Add",
            [
                graph.node("Cast", [fine], f"joints.{what}_number", to=_element(graph.dtype)),
                graph.constant(f"joints.{what}_centre", np.float64(_PIXEL_CENTRE)),
            ],
            f"joints.{what}_fine",
        )
        part = graph.node(
            "Div", [centre, graph.constant(f"joints.{what}_size", np.float64(fine_size))], f"joints.{what}"
        )
        moved = graph.constant(f"joints.{what}_offset", np.float64((offset - _PIXEL_CENTRE) / size))
        places.append(graph.node("Add", [part, moved], f"joints.{what}_place"))
        # In halves of a fine pixel, so that all numbers are whole: (2 fine + 1) size / (2 fine_size).
        doubled = graph.node("Mul", [fine, _integer(graph, f"joints.{what}_two", 2 * size)], f"joints.{what}_doubled")
        halves = graph.node("Add", [doubled, _integer(graph, f"joints.{what}_one", size)], f"joints.{what}_halves")
        pixels.append(
            graph.node("Div", [halves, _integer(graph, f"joints.{what}_fold", 2 * fine_size)], f"joints.{what}_pixel")
        )
    together = graph.node("Concat", places, "joints.places", axis=1)
    return together, _index(graph, pixels[1], pixels[0], map_hw[1])


def _scores(graph: GraphWriter, flat: str, rows: str, pixels: str) -> str:
    """Return sqrt(peak * value), both clipped to 0..1: the largest value of `rows`, and that of the map in a pixel."""
    limits = [graph.constant(f"joints.{name}", np.float64(value)) for name, value in (("least", 0), ("most", 1))]
    peak = graph.node("ReduceMax", [rows], "joints.largest", axes=[1], keepdims=1)
    value = graph.node("GatherElements", [flat, pixels], "joints.value", axis=1)
    clipped = [graph.node("Clip", [one, *limits], f"joints.{what}") for one, what in ((peak, "peak"), (value, "here"))]
    return graph.node("Sqrt", [graph.node("Mul", clipped, "joints.square")], "joints.scores")


def _index(graph: GraphWriter, row: str, column: str, width: int) -> str:
    """Return the index of a pixel among those of its map."""
    before = graph.node("Mul", [row, _integer(graph, "joints.width", width)], "joints.rows_before")
    return graph.node("Add", [before, column], "joints.index")


def _integer(graph: GraphWriter, name: str, value: int) -> str:
    return graph.constant(name, np.array(value, dtype=np.int32))


def _as_integers(graph: GraphWriter, value: str, name: str) -> str:
    return graph.node("Cast", [value], name, to=_element(np.dtype(np.int32)))


def _element(dtype: np.dtype[Any]) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(dtype))
