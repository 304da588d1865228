"""Small real networks, written as .tflite files for the tests, without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: The numbers of the operators in the schema (tensorflow/compiler/mlir/lite/schema/schema.fbs).
OPERATORS = {"ADD": 0, "MUL": 18, "CUSTOM": 32, "GATHER": 36, "CAST": 53, "EQUAL": 71, "WHERE": 109}
#: Those whose options may not be left out.
OPTIONS: dict[str, tuple[Any, Any]] = {
    "ADD": (schema.BuiltinOptions.AddOptions, schema.AddOptionsT),
    "MUL": (schema.BuiltinOptions.MulOptions, schema.MulOptionsT),
    "GATHER": (schema.BuiltinOptions.GatherOptions, schema.GatherOptionsT),
}
TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
    "string": schema.TensorType.STRING,
}


class Tensor(NamedTuple):
    """A tensor of a network; `value` makes it a constant, `open_shape` has -1 for open sizes."""

    dtype: str
    shape: Sequence[int]
    value: NDArray[Any] | None = None
    open_shape: Sequence[int] | None = None
    scale: float | None = None
    zero_point: int = 0


def save(
    path: Path,
    tensors: Mapping[str, Tensor],
    operators: Sequence[tuple[str, Sequence[str], Sequence[str]]],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> Path:
    """Write a network; an operator is its name, its inputs and its outputs, in the order of execution."""
    numbers = {name: number for number, name in enumerate(tensors)}
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version = 3
    model.buffers = [schema.BufferT()]  # the first one is by definition empty
    graph.tensors = [_tensor(model.buffers, name, one) for name, one in tensors.items()]
    graph.inputs = [numbers[name] for name in inputs]
    graph.outputs = [numbers[name] for name in outputs]
    graph.operators, model.operatorCodes = [], []
    for kind, sources, results in operators:
        operator, code = schema.OperatorT(), schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = OPERATORS[kind]
        code.version = 1
        code.customCode = "NoSuchOperator" if kind == "CUSTOM" else None
        operator.opcodeIndex = len(model.operatorCodes)
        operator.inputs = [numbers[name] for name in sources]
        operator.outputs = [numbers[name] for name in results]
        if kind in OPTIONS:
            operator.builtinOptionsType, options = OPTIONS[kind]
            operator.builtinOptions = options()
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _tensor(buffers: list[Any], name: str, described: Tensor) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape = name, TYPES[described.dtype], list(described.shape)
    tensor.shapeSignature = None if described.open_shape is None else list(described.open_shape)
    tensor.buffer = 0
    if described.value is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(described.value.tobytes(), dtype=np.uint8)
        tensor.buffer = len(buffers)
        buffers.append(buffer)
    if described.scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [described.scale]
        tensor.quantization.zeroPoint = [described.zero_point]
    return tensor


def save_affine(
    path: Path,
    shape: Sequence[int] = (1, 4, 5, 3),
    *,
    open_shape: Sequence[int] | None = None,
    dtype: str = "float32",
    scale: float | None = None,
    zero_point: int = 0,
) -> Path:
    """Write a network with the outputs ``double`` = 2 x and ``more`` = 2 x + 1, float32, of the input's shape.

    An input of another dtype is cast, so that x are its stored numbers.
    """
    tensors = {
        "image": Tensor(dtype, shape, open_shape=open_shape, scale=scale, zero_point=zero_point),
        "numbers": Tensor("float32", shape, open_shape=open_shape),
        "two": Tensor("float32", [1], np.array([2], np.float32)),
        "one": Tensor("float32", [1], np.array([1], np.float32)),
        "double": Tensor("float32", shape, open_shape=open_shape),
        "more": Tensor("float32", shape, open_shape=open_shape),
    }
    source = "image" if dtype == "float32" else "numbers"
    operators: list[tuple[str, Sequence[str], Sequence[str]]] = [
        ("MUL", [source, "two"], ["double"]),
        ("ADD", ["double", "one"], ["more"]),
    ]
    if dtype == "float32":
        del tensors["numbers"]
    else:
        operators.insert(0, ("CAST", ["image"], ["numbers"]))
    return save(path, tensors, operators, ["image"], ["double", "more"])
