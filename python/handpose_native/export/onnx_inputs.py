"""What a conversion needs to know of an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, missing_dependency
from ..models import METADATA_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from ..models import ModelSpec

__all__ = ["OnnxFacts", "read_onnx"]

_DTYPES = {1: "float32", 2: "uint8", 10: "float16"}


@dataclass(frozen=True)
class OnnxFacts:
    """The image input of an ONNX file, and its opset.

    Attributes
    ----------
    name : str
    sizes : tuple of int or None
        None for a size that the file leaves open.
    dtype : {"float32", "float16", "uint8"}
    layout : {"NCHW", "NHWC"}
    opset : int
    metadata : dict of str to str
    """

    name: str
    sizes: tuple[int | None, ...]
    dtype: str
    layout: str
    opset: int
    metadata: dict[str, str]

    @property
    def is_open(self) -> bool:
        """Whether the file leaves a size open."""
        return None in self.sizes

    @property
    def has_spec(self) -> bool:
        """Whether the file carries its spec."""
        return METADATA_KEY in self.metadata

    def input_shape(self, spec: ModelSpec | None) -> tuple[int, ...]:
        """Return the shape with open sizes filled: a batch of 1, height and width from the spec.

        Raises
        ------
        ModelError
            If the spec does not tell them, or tells others than the file.
        """
        height_axis = 2 if self.layout == "NCHW" else 1
        wanted = dict(zip((height_axis, height_axis + 1), spec.input_hw if spec and spec.input_hw else (None, None)))
        result = []
        for axis, size in enumerate(self.sizes):
            filled = size if size is not None else 1 if axis == 0 else wanted.get(axis)
            if filled is None:
                raise ModelError(f"input {self.name!r} has open sizes {self.sizes}; say input_hw in the spec")
            if wanted.get(axis) not in (None, filled):
                raise ModelError(
                    f"input {self.name!r} is {self.sizes}, but the spec says input_hw {spec and spec.input_hw}"
                )
            result.append(filled)
        return tuple(result)


def read_onnx(file: Path) -> OnnxFacts:
    """Read the facts; weights outside the file are not.

    Raises
    ------
    ModelError
        If the file cannot be read, or has not just one image input.
    MissingDependencyError
        If onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing_dependency(error, "onnx", "to read .onnx models", "handpose_native[export]") from error
    try:
        model: Any = onnx.load(str(file), load_external_data=False)
    except OSError as error:
        raise ModelError(f"{file}: the model cannot be read: {error.strerror}") from error
    except Exception as error:  # protobuf's DecodeError, which has another home in every version
        raise ModelError(f"{file}: this is no ONNX model: {error}") from error
    constants = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in constants]
    if len(inputs) != 1:
        raise ModelError(f"{file}: a model with one input is needed; it has {[one.name for one in inputs]}")
    tensor = inputs[0].type.tensor_type
    sizes = tuple(one.dim_value if one.dim_value > 0 else None for one in tensor.shape.dim)
    what = f"{file}: input {inputs[0].name!r}"
    if tensor.elem_type not in _DTYPES:
        raise ModelError(f"{what} must be one of {', '.join(_DTYPES.values())}; got element type {tensor.elem_type}")
    layouts = [name for name, axis in (("NCHW", 1), ("NHWC", 3)) if len(sizes) == 4 and sizes[axis] == 3]
    if not layouts or sizes[0] not in (None, 1):
        raise ModelError(f"{what} must be one image, (1, 3, h, w) or (1, h, w, 3); got {sizes}")
    opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    metadata = {one.key: one.value for one in model.metadata_props}
    return OnnxFacts(inputs[0].name, sizes, _DTYPES[tensor.elem_type], layouts[0], opset, metadata)
