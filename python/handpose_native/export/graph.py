"""An ONNX graph as it is written: constants, nodes, and the few blocks that several models are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["OPSETS", "GraphWriter", "linear_upsampling", "write_doubled"]

#: Versions of the operators that a graph can be written for: 11 is the oldest that all versions of ATC since 5.0 read;
#: with 18, operators that are used here take their axes in another way.
OPSETS = range(11, 18)

#: Version of ONNX's file format that came with each of these (github.com/onnx/onnx, docs/Versioning.md).
_IR_VERSIONS = {11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8}

_MAX_HALF = float(np.finfo(np.float16).max)


class GraphWriter:
    """Collects the nodes of a graph in the order of computation.

    Values are named by strings, as in ONNX. Floating-point constants take the dtype of the graph.

    Parameters
    ----------
    name : str
        Of the graph.
    dtype : dtype
        float32 or float16.
    opset : int
        One of :data:`OPSETS`.
    """

    def __init__(self, name: str, dtype: Any = np.float32, opset: int = 11) -> None:
        if opset not in OPSETS:
            raise ArgumentError(f"export: opset must be {OPSETS.start}..{OPSETS.stop - 1}; got {opset}")
        self.name = name
        self.dtype = np.dtype(dtype)
        self._opset = opset
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._names: set[str] = set()
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    @classmethod
    def beginning_as(cls, model: Any) -> GraphWriter:
        """Return a writer with what a float32 model has but its nodes, which are to be added."""
        opset = next(one.version for one in model.opset_import if one.domain == "")
        writer = cls(model.graph.name, np.float32, opset)
        writer._inputs, writer._outputs = list(model.graph.input), list(model.graph.output)
        writer._constants = {one.name: one for one in model.graph.initializer}
        writer._names = {*writer._constants, *(name for node in model.graph.node for name in node.output)}
        return writer

    def add(self, node: Any) -> None:
        """Add a finished onnx.NodeProto."""
        self._nodes.append(node)

    def input(self, name: str, shape: Sequence[int]) -> str:
        """Declare an input of the graph's dtype."""
        self._names.add(name)
        self._inputs.append(self._value(name, shape))
        return name

    def output(self, value: str, name: str, shape: Sequence[int]) -> None:
        """Declare a value as an output of the graph under another name."""
        self.rename(value, name)
        self._outputs.append(self._value(name, shape))

    def rename(self, value: str, name: str) -> None:
        """Give a value another name, wherever it was used so far."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if one == value else one for one in names]

    def constant(self, name: str, values: Any, *, keep_dtype: bool = False) -> str:
        """Add a constant; floating-point values take the graph's dtype unless told otherwise, others stay.

        Raises
        ------
        ModelError
            If values are too large for float16.
        """
        from onnx import numpy_helper

        array = np.asarray(values)
        if array.dtype.kind == "f" and not keep_dtype:
            if self.dtype == np.float16 and array.size and np.abs(array).max() > _MAX_HALF:
                raise ModelError(f"export: {name} has values up to {np.abs(array).max():g}, too large for float16")
            array = array.astype(self.dtype)
        unique = self._unique(name)
        self._constants[unique] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), unique)
        return unique

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node with one output; returns the name of the value."""
        from onnx import helper

        value = self._unique(name)
        self._nodes.append(helper.make_node(operator, list(inputs), [value], name=value, **attributes))
        return value

    def reshape(self, value: str, shape: Sequence[int], name: str) -> str:
        """Add a Reshape."""
        target = self.constant(f"{name}.shape", np.array(shape, dtype=np.int64))
        return self.node("Reshape", [value, target], name)

    def slice(self, value: str, axis: int, start: int, stop: int, name: str) -> str:
        """Add a Slice along one axis."""
        bounds = (("start", start), ("stop", stop), ("axis", axis))
        limits = [self.constant(f"{name}.{what}", np.array([number], dtype=np.int64)) for what, number in bounds]
        return self.node("Slice", [value, *limits], name)

    def model(self, metadata: Mapping[str, str]) -> Any:
        """Return the finished model, checked.

        Parameters
        ----------
        metadata : mapping of str to str
            Texts kept in the file.

        Returns
        -------
        onnx.ModelProto
            With the shape of every value.
        """
        import onnx
        from onnx import helper

        used = {name for node in self._nodes for name in node.input}
        constants = [one for name, one in self._constants.items() if name in used]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, initializer=constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self._opset)],
            producer_name="handpose_native",
            ir_version=_IR_VERSIONS[self._opset],
        )
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)

    def _value(self, name: str, shape: Sequence[int]) -> Any:
        from onnx import helper

        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(self.dtype), list(shape))

    def _unique(self, name: str) -> str:
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name}.{number}"
        self._names.add(unique)
        return unique


def linear_upsampling(size: int, upsampled: int) -> NDArray[np.float64]:
    """Return the matrix of linear interpolation between pixel centres, edges repeated (align_corners False).

    Parameters
    ----------
    size, upsampled : int
        Pixels before and after; `upsampled` at least `size`.

    Returns
    -------
    ndarray, float64, shape (upsampled, size)
        Applied to a column of pixels from the left.
    """
    places = np.clip((np.arange(upsampled) + 0.5) * size / upsampled - 0.5, 0, size - 1)
    low = np.minimum(places.astype(np.intp), max(size - 2, 0))
    matrix = np.zeros((upsampled, size))
    rows = np.arange(upsampled)
    np.add.at(matrix, (rows, low), 1 - (places - low))
    np.add.at(matrix, (rows, np.minimum(low + 1, size - 1)), places - low)
    return matrix


def write_doubled(graph: GraphWriter, value: str, shape: Sequence[int], name: str) -> str:
    """Double height and width by linear interpolation, without Resize.

    ATC is known to compute a linear Resize with half-pixel centres wrongly on Ascend 310B, so the same numbers are made
    of slices, products, sums and joins: each is three quarters of a pixel and one quarter of its neighbour.

    Parameters
    ----------
    graph : GraphWriter
    value : str
    shape : sequence of int
        Of `value`: (N, C, H, W), all known.
    name : str
        What the names of the nodes begin with.

    Returns
    -------
    str
        The value of shape (N, C, 2 H, 2 W).
    """
    batch, channels, height, width = shape
    flat = [batch, channels, height * width, 1]
    # Columns first: even and odd ones beside each other along a last axis of 2, which a Reshape then takes in.
    left, right = _between(graph, value, 3, width, f"{name}.columns")
    pair = [graph.reshape(one, flat, f"{name}.columns.flat") for one in (left, right)]
    wide = graph.node("Concat", pair, f"{name}.columns.joined", axis=3)
    wide = graph.reshape(wide, [batch, channels, height, 2 * width], f"{name}.wide")
    # Then rows: an even and an odd row beside each other are one row of twice the width, and a Reshape cuts it in two.
    upper, lower = _between(graph, wide, 2, height, f"{name}.rows")
    tall = graph.node("Concat", [upper, lower], f"{name}.rows.joined", axis=3)
    return graph.reshape(tall, [batch, channels, 2 * height, 2 * width], name)


def _between(graph: GraphWriter, value: str, axis: int, size: int, name: str) -> tuple[str, str]:
    """Return the even and the odd pixels of twice as many along an axis."""
    near = graph.node("Mul", [value, graph.constant(f"{name}.near", np.float64(0.75))], f"{name}.own")
    far = graph.node("Mul", [value, graph.constant(f"{name}.far", np.float64(0.25))], f"{name}.neighbour")
    first = graph.slice(far, axis, 0, 1, f"{name}.first")
    last = graph.slice(far, axis, size - 1, size, f"{name}.last")
    before, after = [first], [last]
    if size > 1:
        before = [first, graph.slice(far, axis, 0, size - 1, f"{name}.head")]
        after = [graph.slice(far, axis, 1, size, f"{name}.tail"), last]
    shifted = [graph.node("Concat", parts, f"{name}.shifted", axis=axis) for parts in (before, after)]
    even, odd = (graph.node("Add", [near, one], f"{name}.sum") for one in shifted)
    return even, odd
