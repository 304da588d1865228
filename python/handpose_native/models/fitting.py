"""Whether a spec and an opened model fit: which input, and which outputs are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ModelError
from ..skeleton import NUM_JOINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from .spec import ModelSpec

__all__ = ["TensorLike", "check_input", "choose_depth_output", "choose_input", "choose_output"]

#: What ``preprocess`` writes.
_INPUT_DTYPES = ("float32", "float16", "uint8")
#: What ``heatmap_peaks`` reads.
_OUTPUT_DTYPES = ("float32", "float16")


class TensorLike(Protocol):
    """What is asked of the description of an input or output; a backend's ``TensorInfo`` has it."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def layout(self) -> str | None: ...


def check_input(spec: ModelSpec, inputs: Sequence[TensorLike]) -> tuple[str, tuple[int, int]]:
    """Compare a spec with the inputs of an opened model.

    Parameters
    ----------
    spec : ModelSpec
    inputs : sequence of TensorLike
        ``Backend.inputs``.

    Returns
    -------
    layout : {"NCHW", "NHWC"}
    input_hw : tuple of int
        Height and width in pixels.

    Raises
    ------
    ModelError
        Where they disagree, with both sides, or where the model needs other inputs than the spec gives.
    """
    image = inputs[choose_input(spec, inputs)]
    what = f"spec {spec.name!r}: the model's input {image.name!r} is {image.dtype} {image.layout} {image.shape}"
    if image.layout not in ("NCHW", "NHWC") or len(image.shape) != 4 or image.shape[0] != 1:
        raise ModelError(f"{what}; one image, (1, 3, h, w) or (1, h, w, 3), is needed")
    if image.dtype.name not in _INPUT_DTYPES:
        raise ModelError(f"{what}; its dtype must be one of {', '.join(_INPUT_DTYPES)}")
    if spec.input_layout not in (None, image.layout):
        raise ModelError(f"{what}, but the spec says input_layout {spec.input_layout!r}")
    height, width = image.shape[2:] if image.layout == "NCHW" else image.shape[1:3]
    if spec.input_hw not in (None, (height, width)):
        raise ModelError(f"{what}, but the spec says input_hw {spec.input_hw}")
    return str(image.layout), (height, width)


def choose_input(spec: ModelSpec, inputs: Sequence[TensorLike]) -> int:
    """Return the index of the input that is the image, once the spec has a value for each of the others.

    Parameters
    ----------
    spec : ModelSpec
    inputs : sequence of TensorLike
        ``Backend.inputs``, the image being the one with a layout.

    Raises
    ------
    ModelError
        If an input has no value, or a value no input.
    """
    index = next((place for place, one in enumerate(inputs) if one.layout is not None), 0)
    others = {one.name for place, one in enumerate(inputs) if place != index}
    if not inputs or others != set(spec.constants):
        names = [one.name for one in inputs]
        besides = f" besides the constants {sorted(spec.constants)}" if spec.constants else ""
        raise ModelError(f"spec {spec.name!r}: a model with one input{besides} is needed; it has {names}")
    return index


def choose_output(spec: ModelSpec, outputs: Sequence[TensorLike]) -> int:
    """Return the index of the output that the spec means.

    Parameters
    ----------
    spec : ModelSpec
    outputs : sequence of TensorLike
        ``Backend.outputs``.

    Raises
    ------
    ModelError
        If there is none, several, or the one that the spec names has another shape or dtype; it says both sides.
    """
    listed = _listed(outputs)
    expected = f"spec {spec.name!r}: family {spec.family!r} needs an output {_expected_output(spec)}"
    if spec.output is None:
        fitting = [index for index, one in enumerate(outputs) if _fits(spec, one)]
        if not fitting:
            raise ModelError(f"{expected}; the model has {listed}")
        if len(fitting) > 1:
            raise ModelError(f"{expected}; several fit, say which with the field output; the model has {listed}")
        return fitting[0]
    index = _find_output(spec, spec.output, outputs)
    if not _fits(spec, outputs[index]):
        raise ModelError(f"{expected}; output {spec.output!r} is {outputs[index].dtype} {outputs[index].shape}")
    return index


def choose_depth_output(spec: ModelSpec, outputs: Sequence[TensorLike]) -> int | None:
    """Return the index of the output that holds depths; None where the spec says that there is none.

    Parameters
    ----------
    spec : ModelSpec
    outputs : sequence of TensorLike
        ``Backend.outputs``.

    Raises
    ------
    ModelError
        If the output that the spec names is not there, or has another shape or dtype; it says both sides.
    """
    if spec.depth_output is None:
        return None
    index = _find_output(spec, spec.depth_output, outputs)
    one = outputs[index]
    if one.dtype.name not in _OUTPUT_DTYPES or one.shape not in ((NUM_JOINTS - 1,), (1, NUM_JOINTS - 1)):
        raise ModelError(
            f"spec {spec.name!r}: depth_output needs an output of shape ({NUM_JOINTS - 1},) or (1, {NUM_JOINTS - 1}), "
            f"{' or '.join(_OUTPUT_DTYPES)}; output {spec.depth_output!r} is {one.dtype} {one.shape}"
        )
    return index


def _find_output(spec: ModelSpec, wanted: str | int, outputs: Sequence[TensorLike]) -> int:
    names = [one.name for one in outputs]
    index = names.index(wanted) if wanted in names else wanted
    if isinstance(index, str) or index >= len(outputs):
        raise ModelError(f"spec {spec.name!r}: there is no output {wanted!r}; the model has {_listed(outputs)}")
    return index


def _listed(outputs: Sequence[TensorLike]) -> str:
    return ", ".join(f"{one.name!r} {one.dtype} {one.shape}" for one in outputs)


def _expected_output(spec: ModelSpec) -> str:
    shapes = {
        "heatmap": f"(1, {NUM_JOINTS}, h, w)",
        "regression": f"({2 * NUM_JOINTS},), (1, {2 * NUM_JOINTS}) or (1, {2 * NUM_JOINTS}, 1, 1)",
        "keypoints": f"(1, {NUM_JOINTS}, 3)",
    }
    return f"of shape {shapes[spec.family]}, {' or '.join(_OUTPUT_DTYPES)}"


def _fits(spec: ModelSpec, output: TensorLike) -> bool:
    if output.dtype.name not in _OUTPUT_DTYPES:
        return False
    if spec.family == "heatmap":
        return len(output.shape) == 4 and output.shape[:2] == (1, NUM_JOINTS) and 0 not in output.shape
    if spec.family == "keypoints":
        return output.shape == (1, NUM_JOINTS, 3)
    return output.shape in ((2 * NUM_JOINTS,), (1, 2 * NUM_JOINTS), (1, 2 * NUM_JOINTS, 1, 1))
