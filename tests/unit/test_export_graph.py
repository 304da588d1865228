"""Blocks of ONNX graphs: doubling against OpenCV and ONNX's own Resize, decoding against the decoders, operators."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from handpose_native.errors import ArgumentError, ModelError
from handpose_native.export.decoding import write_joints
from handpose_native.export.exact import ExactRun
from handpose_native.export.graph import OPSETS, GraphWriter, linear_upsampling, write_doubled
from handpose_native.export.hands import without_linear_resizes
from handpose_native.export.operators import ATC_OPERATORS, check_operators
from handpose_native.models import KNOWN_MODELS, Decoded, ModelSpec, make_decoder

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime runs the graphs")

UNET, HOURGLASS = KNOWN_MODELS["unet"], KNOWN_MODELS["hourglass-3d"]


def run(model: Any, **inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, inputs)
    return np.asarray(result)


@pytest.mark.parametrize(("size", "upsampled"), [(5, 10), (64, 224), (7, 7), (1, 4)])
def test_the_matrix_of_linear_upsampling_is_what_opencv_does(size: int, upsampled: int) -> None:
    column = np.random.default_rng(0).uniform(size=(size, 1)).astype(np.float32)
    wanted = cv2.resize(column, (1, upsampled), interpolation=cv2.INTER_LINEAR)
    matrix = linear_upsampling(size, upsampled)
    assert np.abs(matrix @ column - wanted).max() < 1e-5
    assert np.allclose(matrix.sum(axis=1), 1)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("hw", [(6, 5), (1, 3), (4, 1)])
def test_doubling_without_resize_is_what_opencv_does(opset: int, hw: tuple[int, int]) -> None:
    graph = GraphWriter("double", opset=opset)
    value = write_doubled(graph, graph.input("x", (1, 3, *hw)), (1, 3, *hw), "up")
    graph.output(value, "y", (1, 3, 2 * hw[0], 2 * hw[1]))
    model = graph.model({})
    check_operators(model)
    maps = np.random.default_rng(1).normal(size=(1, 3, *hw)).astype(np.float32)
    wanted = [cv2.resize(one, (2 * hw[1], 2 * hw[0]), interpolation=cv2.INTER_LINEAR) for one in maps[0]]
    assert np.abs(run(model, x=maps)[0] - wanted).max() < 1e-6


def gaussians(map_hw: tuple[int, int], seed: int = 0, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: map_hw[0], : map_hw[1]]
    maps = np.empty((1, 21, *map_hw), np.float32)
    for joint in range(21):
        x, y = rng.uniform((0, 0), map_hw[::-1])
        maps[0, joint] = rng.uniform(0.2, 1.3) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
    return maps + rng.normal(0, noise, maps.shape).astype(np.float32) if noise else maps


def folded(maps: np.ndarray, spec: ModelSpec, opset: int = 11) -> Decoded:
    graph = GraphWriter("joints", maps.dtype, opset)
    graph.output(write_joints(graph, graph.input("maps", maps.shape), maps.shape, spec), "joints", (1, 21, 3))
    model = graph.model({})
    check_operators(model)
    joints = run(model, maps=maps)
    inside = dataclasses.replace(spec, family="keypoints", method=None, upsampled_hw=None, peak_offset_px=0.5)
    output = SimpleNamespace(name="joints", shape=joints.shape, dtype=joints.dtype, layout=None)
    assert spec.input_hw is not None
    return make_decoder(inside, [output], spec.input_hw).decode([joints])


def outside(maps: np.ndarray, spec: ModelSpec) -> Decoded:
    output = SimpleNamespace(name="maps", shape=maps.shape, dtype=maps.dtype, layout=None)
    assert spec.input_hw is not None
    return make_decoder(spec, [output], spec.input_hw).decode([maps])


@pytest.mark.parametrize(("opset"), [11, 17])
@pytest.mark.parametrize(
    ("spec", "map_hw"),
    [
        (UNET, (128, 128)),
        (dataclasses.replace(UNET, peak_offset_px=0.5, input_hw=(96, 128)), (24, 32)),
        (HOURGLASS, (64, 64)),
        (dataclasses.replace(HOURGLASS, upsampled_hw=(100, 224), peak_offset_px=0.0), (48, 64)),
    ],
)
def test_joints_inside_the_graph_are_those_of_the_decoder(spec: ModelSpec, map_hw: tuple[int, int], opset: int) -> None:
    maps = gaussians(map_hw, noise=0.0 if spec.method == "expectation" else 0.02)
    given, wanted = folded(maps, spec, opset), outside(maps, spec)
    assert np.abs(given.points - wanted.points).max() < 1e-3
    assert np.abs(given.scores - wanted.scores).max() < 1e-5
    assert wanted.scores.min() > 0.01
    assert np.ptp(wanted.points, axis=0).min() > 50


@pytest.mark.parametrize(("spec", "map_hw"), [(UNET, (128, 128)), (HOURGLASS, (64, 64))])
def test_joints_of_float16_maps(spec: ModelSpec, map_hw: tuple[int, int]) -> None:
    maps = gaussians(map_hw)
    given, wanted = folded(maps.astype(np.float16), spec), outside(maps, spec)
    # Two largest pixels may be one number in float16: half a map's pixel more.
    reach_px = 0.1 if spec.method == "expectation" else 0.1 + 256 / 64
    assert np.abs(given.points - wanted.points).max() < reach_px
    assert np.abs(given.scores - wanted.scores).max() < 2e-3


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_maps_without_a_point(dtype: str) -> None:
    maps = gaussians((128, 128)).astype(dtype)
    maps[0, 3] = 0
    maps[0, 4] = -1
    maps[0, 5] = np.abs(maps[0, 5]) - np.float16(0.05)  # partly negative: only what is positive counts
    given, wanted = folded(maps, UNET), outside(maps, UNET)
    assert np.isnan(given.points[[3, 4]]).all()
    assert (given.scores[[3, 4]] == 0).all()
    assert np.isnan(wanted.points[[3, 4]]).all()
    rest = [joint for joint in range(21) if joint not in (3, 4)]
    assert np.abs(given.points[rest] - wanted.points[rest]).max() < 0.1


def test_the_first_of_equal_pixels_is_taken() -> None:
    level = np.full((1, 21, 64, 64), 0.25, np.float32)
    assert np.allclose(folded(level, HOURGLASS).points, outside(level, HOURGLASS).points, atol=1e-3)


def test_methods_that_cannot_be_folded() -> None:
    graph = GraphWriter("g")
    with pytest.raises(ModelError, match="method 'dark' cannot be folded; expectation and upsampled_argmax can"):
        write_joints(graph, graph.input("m", (1, 21, 8, 8)), (1, 21, 8, 8), dataclasses.replace(UNET, method="dark"))


@pytest.mark.parametrize("opset", [10, 18])
def test_opsets_that_graphs_are_not_written_for(opset: int) -> None:
    with pytest.raises(ArgumentError, match=rf"opset must be 11\.\.17; got {opset}"):
        GraphWriter("g", opset=opset)


def resizing(mode: str = "linear", scales: tuple[float, ...] = (1, 1, 2, 2), transform: str = "half_pixel") -> Any:
    """A model like the palm detector's: something before, something after, and a value that is used twice."""
    height, width = round(6 * scales[2]), round(5 * scales[3])
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node(
            "Resize", ["a", "roi", "scales"], ["b"], name="up", mode=mode, coordinate_transformation_mode=transform
        ),
        helper.make_node("Mul", ["b", "b"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.zeros(0, np.float32), "roi"),
        numpy_helper.from_array(np.array(scales, np.float32), "scales"),
    ]
    shapes = {"x": [1, 4, 6, 5], "y": [1, 4, height, width]}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 11), helper.make_opsetid("ai.onnx.ml", 2)], ir_version=6
    )
    helper.set_model_props(model, {"kept": "yes"})
    onnx.checker.check_model(model)
    return model


def test_linear_resizes_are_rewritten_to_equal_sums() -> None:
    model = resizing()
    with pytest.raises(ModelError, match=r"Resize \(node 'up'\) is linear or cubic"):
        check_operators(model)
    rewritten = without_linear_resizes(model)
    check_operators(rewritten)
    assert "Resize" not in {node.op_type for node in rewritten.graph.node}
    assert {one.key: one.value for one in rewritten.metadata_props} == {"kept": "yes"}
    x = np.random.default_rng(2).normal(size=(1, 4, 6, 5)).astype(np.float32)
    assert np.abs(run(rewritten, x=x) - run(model, x=x)).max() < 1e-6
    nearest = resizing("nearest", transform="asymmetric")
    check_operators(without_linear_resizes(nearest))
    assert [node.op_type for node in without_linear_resizes(nearest).graph.node] == ["Relu", "Resize", "Mul"]


@pytest.mark.parametrize("options", [{"scales": (1, 1, 3, 2)}, {"transform": "align_corners"}])
def test_other_linear_resizes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="node 'up' resizes linearly, but does not double between pixel centres"):
        without_linear_resizes(resizing(**options))


def test_operators_that_atc_does_not_take_are_named() -> None:
    def model(*nodes: Any) -> Any:
        return SimpleNamespace(graph=SimpleNamespace(node=nodes))

    check_operators(model(*(helper.make_node(name, ["x"], ["y"]) for name in ATC_OPERATORS)))
    inverse = helper.make_node("Inverse", ["x"], ["y"], name="k_inverse", domain="com.microsoft")
    sampling = helper.make_node("GridSample", ["x", "g"], ["y"], name="warp")
    with pytest.raises(ModelError) as caught:
        check_operators(model(sampling, inverse, sampling))
    assert str(caught.value) == (
        "export: ATC would not convert this model rightly: GridSample (node 'warp') is not among the operators that "
        "ATC takes; com.microsoft.Inverse (node 'k_inverse') is no standard operator"
    )


def test_an_exact_run_does_not_round() -> None:
    """Large terms cancel: float32 is off by whole numbers, float64 by nothing that shows."""
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(500, 4)).astype(np.float32)
    image = (rng.normal(size=(1, 500)) * 1e6).astype(np.float32)
    graph = GraphWriter("sums")
    value = graph.node("MatMul", [graph.input("x", (1, 500)), graph.constant("w", weights)], "sums")
    graph.output(value, "y", (1, 4))
    model = graph.model({})
    wanted = [[math.fsum(float(a) * float(b) for a, b in zip(image[0], column)) for column in weights.T]]
    assert np.abs(run(model, x=image) - wanted).max() > 0.1
    exact = ExactRun(model)({"x": image})
    assert list(exact) == ["y"]
    assert np.abs(exact["y"] - wanted).max() < 1e-6
