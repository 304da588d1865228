"""What an ONNX model would return if its sums were not rounded: run in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["ExactRun"]


class ExactRun:
    """Runs a float32 model in float64, by ONNX's own reference, which is written in NumPy: a second or so a picture.

    Two runtimes that add in different orders differ, and neither is right. This result is: its own rounding is 2**-29
    of theirs.

    Parameters
    ----------
    model : onnx.ModelProto
        With float32 inputs, outputs and weights, and no node that asks for float32 by name.
    """

    def __init__(self, model: Any) -> None:
        from onnx.reference import ReferenceEvaluator

        self._evaluator = ReferenceEvaluator(_widened(model))

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs by name, for inputs by name."""
        wide = {name: np.asarray(one, np.float64) for name, one in inputs.items()}
        return dict(zip(self._evaluator.output_names, self._evaluator.run(None, wide)))


def _widened(model: Any) -> Any:
    """Return a copy whose float32 constants, inputs and outputs are float64."""
    from onnx import ModelProto, TensorProto, numpy_helper

    wide = ModelProto()
    wide.CopyFrom(model)
    del wide.graph.value_info[:]
    for constant in wide.graph.initializer:
        if constant.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(constant).astype(np.float64)
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))
    for value in (*wide.graph.input, *wide.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return wide
