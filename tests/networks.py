"""Small real networks, written as ONNX files for the tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

NUM_JOINTS = 21
OPSET = 13
IR_VERSION = 8
ELEMENTS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def load_demo() -> ModuleType:
    """Import examples/make_demo.py, which is not part of the package."""
    path = Path(__file__).parent.parent / "examples" / "make_demo.py"
    description = importlib.util.spec_from_file_location("make_demo", path)
    assert description is not None
    assert description.loader is not None
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


DEMO = load_demo()
MARKER_COLORS: tuple[tuple[int, ...], ...] = DEMO.MARKER_COLORS


def save_marker_network(
    path: Path,
    input_hw: tuple[int, int] = (64, 64),
    *,
    dtype: str = "float32",
    layout: str = "NCHW",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a heatmap network that finds 21 colours; see ``marker_network`` in examples/make_demo.py.

    Input RGB, 0..1 for float dtypes and 0..255 for uint8; output ``heatmaps`` (1, 21, h / 2, w / 2), float16 for a
    float16 input and else float32.
    """
    model = DEMO.marker_network(input_hw)
    graph = model.graph
    shape = [1, 3, *input_hw] if layout == "NCHW" else [1, *input_hw, 3]
    graph.input[0].CopyFrom(helper.make_tensor_value_info("pixels", ELEMENTS[dtype], shape))
    before = [helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT)]
    order = [0, 1, 2, 3] if layout == "NCHW" else [0, 3, 1, 2]
    before.append(helper.make_node("Transpose", ["numbers"], ["planes"], perm=order))
    before.append(helper.make_node("Mul", ["planes", "unit"], ["image"]))
    unit = np.float32(1 / 255 if dtype == "uint8" else 1)
    graph.initializer.append(numpy_helper.from_array(np.array(unit), "unit"))
    nodes = [*before, *graph.node]
    if dtype == "float16":
        nodes[-1].output[0] = "maps"
        nodes.append(helper.make_node("Cast", ["maps"], ["heatmaps"], to=TensorProto.FLOAT16))
        graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    del graph.node[:]
    graph.node.extend(nodes)
    helper.set_model_props(model, dict(metadata or {}))
    return save(model, path)


def draw_markers(image_hw: tuple[int, int], points: NDArray[Any], radius_px: float) -> NDArray[np.uint8]:
    """Return a dark grey BGR picture with a disc of each marker's colour round its point (continuous pixels)."""
    picture = np.full((*image_hw, 3), 60, np.uint8)
    for (x, y), (r, g, b) in zip(np.rint((np.asarray(points) - 0.5) * 16).astype(int).tolist(), MARKER_COLORS):
        cv2.circle(picture, (x, y), round(radius_px * 16), (b, g, r), cv2.FILLED, cv2.LINE_AA, 4)
    return picture


def marker_points(image_hw: tuple[int, int], seed: int = 0) -> NDArray[np.float64]:
    """Return 21 points that stand well apart: one somewhere in the middle of each cell of a 5x5 grid; (21, 2)."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(25)[:NUM_JOINTS]
    corners = np.stack([cells % 5, cells // 5], axis=1)
    size = np.array([image_hw[1], image_hw[0]]) / 5
    return (corners + rng.uniform(0.45, 0.55, (NUM_JOINTS, 2))) * size


def save_regression_network(
    path: Path, values: Sequence[float], *, output_shape: Sequence[int] = (1, 42), dtype: str = "float32"
) -> Path:
    """Write a network that returns `values` plus the mean of its input (1, 3, 8, 8)."""
    flat = np.asarray(values, np.float32).astype(dtype)
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Add", ["values", "mean"], ["sum"]),
        helper.make_node("Reshape", ["sum", "shape"], ["joints"]),
    ]
    constants = {"values": flat, "shape": np.array(output_shape, np.int64)}
    return save_graph(path, nodes, {"image": (dtype, [1, 3, 8, 8])}, {"joints": (dtype, list(output_shape))}, constants)


def save_identity(
    path: Path, input_shape: Sequence[int | str | None], *, dtype: str = "float32", output_shape: Any = None
) -> Path:
    """Write a network that returns its input; sizes may be left open by a name or None."""
    nodes = [helper.make_node("Identity", ["image"], ["result"])]
    shape = input_shape if output_shape is None else output_shape
    return save_graph(path, nodes, {"image": (dtype, input_shape)}, {"result": (dtype, shape)}, {})


def save_graph(
    path: Path,
    nodes: list[Any],
    inputs: Mapping[str, tuple[str, Any]],
    outputs: Mapping[str, tuple[str, Any]],
    constants: Mapping[str, NDArray[Any]],
) -> Path:
    """Write any graph; inputs and outputs as name: (dtype, shape)."""
    tensors = [
        [helper.make_tensor_value_info(name, ELEMENTS[dtype], shape) for name, (dtype, shape) in side.items()]
        for side in (inputs, outputs)
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "test", tensors[0], tensors[1], initializers)
    return save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION), path)


def save(model: onnx.ModelProto, path: Path) -> Path:
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
