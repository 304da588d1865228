"""A float32 model as a chip computes it that rounds to fp16 after every layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def rounded_to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with the same inputs and outputs whose weights, and all values between nodes, are fp16 numbers.

    Sums are in float32, as in the cube unit of Ascend chips; what goes from one operator to the next is not.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    inferred = onnx.shape_inference.infer_shapes(model)
    floats = {
        one.name
        for one in (*inferred.graph.value_info, *inferred.graph.output)
        if one.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    for constant in changed.graph.initializer:
        if constant.data_type == TensorProto.FLOAT:
            halves = numpy_helper.to_array(constant).astype(np.float16)
            constant.CopyFrom(numpy_helper.from_array(halves.astype(np.float32), constant.name))
    image = changed.graph.input[0].name
    nodes = _rounding(image, f"{image}.rounded")
    for node in changed.graph.node:
        node.input[:] = [f"{image}.rounded" if one == image else one for one in node.input]
        results = list(node.output)
        node.output[:] = [f"{one}.exact" if one in floats else one for one in results]
        nodes.append(node)
        nodes += [step for one in results if one in floats for step in _rounding(f"{one}.exact", one)]
    del changed.graph.node[:]
    del changed.graph.value_info[:]
    changed.graph.node.extend(nodes)
    onnx.checker.check_model(changed)
    return changed


def _rounding(value: str, result: str) -> list[Any]:
    return [
        helper.make_node("Cast", [value], [f"{result}.half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", [f"{result}.half"], [result], to=TensorProto.FLOAT),
    ]
