"""The operators of ONNX that ATC takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ATC_OPERATORS", "check_operators"]

# Standard operators that the lists of CANN 5.0.4 (for boards such as the Atlas 200 DK) and of CANN 8.0 both name, as
# far as networks like these use them: "Supported ONNX operators" of the two manuals at hiascend.com.
_NAMES = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv
    ConvTranspose DepthToSpace Div Dropout Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gemm
    GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization
    LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean Min Mod Mul Neg Not OneHot Or PRelu Pad Pow Range
    Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Resize Round Selu
    Shape Sigmoid Sign Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose
    Unsqueeze Where Xor
"""

#: Names of the operators, as in ONNX.
ATC_OPERATORS = frozenset(_NAMES.split())


def check_operators(model: Any) -> None:
    """Refuse a model with operators that ATC does not take, or is known to compute wrongly.

    Parameters
    ----------
    model : onnx.ModelProto

    Raises
    ------
    ModelError
        It names the operators and nodes.
    """
    refused = sorted({_refusal(node) for node in model.graph.node} - {""})
    if refused:
        raise ModelError(f"export: ATC would not convert this model rightly: {'; '.join(refused)}")


def _refusal(node: Any) -> str:
    if node.domain not in ("", "ai.onnx"):
        return f"{node.domain}.{node.op_type} (node {node.name!r}) is no standard operator"
    if node.op_type not in ATC_OPERATORS:
        return f"{node.op_type} (node {node.name!r}) is not among the operators that ATC takes"
    if node.op_type == "Resize" and _text(node.attribute, "mode") in ("linear", "cubic"):
        return f"Resize (node {node.name!r}) is linear or cubic, which differs on Ascend 310B"
    return ""


def _text(attributes: Iterable[Any], name: str) -> str:
    return next((one.s.decode() for one in attributes if one.name == name), "")
