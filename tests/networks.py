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
ELEMENTS = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
}


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


#: Joints of the hand that `save_hand_networks` sees, in crop pixels from the centre of its red square: fingers up, of
#: such a size that the region which follows from it is as large as the one before.
HAND_SHAPE_PX = np.array(
    [[0, 44]] + [[24 * finger - 48, -20 - 24 * joint] for finger in range(5) for joint in range(4)], dtype=np.float32
)
#: Side of the box that the palm network puts round a red square, in pixels of its 192 x 192 input.
PALM_BOX_PX = 26.0


def save_hand_networks(folder: Path) -> Path:
    """Write ``palm_detection_toy.onnx`` and ``hand_landmark_toy.onnx``, whose hands are red squares on black.

    They have the inputs and outputs of MediaPipe's networks. The palm network marks cells of 8 x 8 pixels that are red
    for more than half. The landmark network puts a fixed hand at the centroid of the red in its crop; presence is 0.9
    where there are 400 red pixels, else 0; handedness is 0.9 where the red also has green, else 0.1.
    """
    onnx.save(_palm_network(), str(folder / "palm_detection_toy.onnx"))
    onnx.save(_landmark_network(), str(folder / "hand_landmark_toy.onnx"))
    return folder


def open_batch(path: Path) -> Path:
    """Leave the first size of all inputs and outputs of a network open, which must not depend on it."""
    model = onnx.load(str(path))
    for one in (*model.graph.input, *model.graph.output):
        one.type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.save(model, str(path))
    return path


def _constant(name: str, values: Any, dtype: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def _palm_network() -> onnx.ModelProto:
    near, far = 24 * 24 * 2, 12 * 12 * 6
    values = np.zeros((1, near + far, 18), np.float32)
    values[..., 2:4] = PALM_BOX_PX
    keypoints = np.array([[0, 10], [-8, -10], [0, -10], [8, -10], [10, -5], [-5, 8], [-10, 0]], np.float32)
    values[..., 4:] = keypoints.reshape(-1)
    nodes = [
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Slice", ["planes", "zero", "one", "channel"], ["red"]),
        helper.make_node("AveragePool", ["red"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Sub", ["cells", "half"], ["above"]),
        helper.make_node("Mul", ["above", "steep"], ["cell_logits"]),
        helper.make_node("Reshape", ["cell_logits", "flat"], ["flat_logits"]),
        helper.make_node("Concat", ["flat_logits", "flat_logits"], ["both"], axis=2),
        helper.make_node("Reshape", ["both", "near_shape"], ["near_logits"]),
        helper.make_node("Concat", ["near_logits", "far_logits"], ["Identity_1"], axis=1),
        helper.make_node("Identity", ["constant_values"], ["Identity"]),
    ]
    constants = [
        _constant("zero", [0], np.int64),
        _constant("one", [1], np.int64),
        _constant("channel", [1], np.int64),
        _constant("half", 0.5),
        _constant("steep", 20.0),
        _constant("flat", [1, 24 * 24, 1], np.int64),
        _constant("near_shape", [1, near, 1], np.int64),
        _constant("far_logits", np.full((1, far, 1), -10.0)),
        _constant("constant_values", values),
    ]
    outputs = {"Identity": [1, near + far, 18], "Identity_1": [1, near + far, 1]}
    return _hand_model(nodes, constants, 192, outputs)


def _landmark_network() -> onnx.ModelProto:
    axis = np.arange(224, dtype=np.float32) + 0.5
    xs, ys = np.meshgrid(axis, axis)
    points = np.concatenate([HAND_SHAPE_PX, np.zeros((NUM_JOINTS, 1), np.float32)], axis=1).reshape(1, -1)
    world = points * (0.09 / 64)  # a palm of 9 cm

    def total(source: str, result: str) -> list[Any]:
        return [
            helper.make_node("ReduceSum", [source, "image_axes"], [f"{result}_4d"], keepdims=1),
            helper.make_node("Reshape", [f"{result}_4d", "column"], [result]),
        ]

    nodes = [
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Slice", ["planes", "zero", "one", "channel"], ["red"]),
        helper.make_node("Slice", ["planes", "one", "two", "channel"], ["green"]),
        helper.make_node("Mul", ["red", "xs"], ["red_x"]),
        helper.make_node("Mul", ["red", "ys"], ["red_y"]),
        *total("red", "mass"),
        *total("red_x", "mass_x"),
        *total("red_y", "mass_y"),
        *total("green", "mass_g"),
        helper.make_node("Max", ["mass", "tiny"], ["divisor"]),
        helper.make_node("Div", ["mass_x", "divisor"], ["x"]),
        helper.make_node("Div", ["mass_y", "divisor"], ["y"]),
        helper.make_node("Mul", ["x", "every_x"], ["all_x"]),
        helper.make_node("Mul", ["y", "every_y"], ["all_y"]),
        helper.make_node("Add", ["all_x", "all_y"], ["centre"]),
        helper.make_node("Add", ["centre", "shape"], ["Identity"]),
        helper.make_node("Greater", ["mass", "enough"], ["is_there"]),
        helper.make_node("Where", ["is_there", "sure", "none"], ["Identity_1"]),
        helper.make_node("Div", ["mass_g", "divisor"], ["yellow"]),
        helper.make_node("Greater", ["yellow", "half"], ["is_yellow"]),
        helper.make_node("Where", ["is_yellow", "sure", "unsure"], ["Identity_2"]),
        helper.make_node("Mul", ["mass", "nothing"], ["no_mass"]),
        helper.make_node("Add", ["no_mass", "metres"], ["Identity_3"]),
    ]
    every = np.zeros((2, 1, 3 * NUM_JOINTS), np.float32)
    every[0, 0, 0::3] = every[1, 0, 1::3] = 1
    constants = [
        *(_constant(name, [value], np.int64) for name, value in (("zero", 0), ("one", 1), ("two", 2), ("channel", 1))),
        _constant("image_axes", [1, 2, 3], np.int64),
        _constant("column", [-1, 1], np.int64),
        _constant("nothing", 0.0),
        _constant("xs", xs),
        _constant("ys", ys),
        _constant("tiny", 1e-6),
        _constant("every_x", every[0]),
        _constant("every_y", every[1]),
        _constant("shape", points),
        _constant("enough", 400.0),
        _constant("half", 0.5),
        _constant("sure", [[0.9]]),
        _constant("unsure", [[0.1]]),
        _constant("none", [[0.0]]),
        _constant("metres", world),
    ]
    outputs = {"Identity": [1, 63], "Identity_1": [1, 1], "Identity_2": [1, 1], "Identity_3": [1, 63]}
    return _hand_model(nodes, constants, 224, outputs)


def _hand_model(nodes: list[Any], constants: list[Any], side: int, outputs: Mapping[str, list[int]]) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, side, side, 3])
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(nodes, "hands", [image], results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model
