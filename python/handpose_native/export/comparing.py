"""An exported model beside the one that it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..backends.onnxruntime import import_onnxruntime
from ..errors import ModelError
from ..models import make_decoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..models import ModelSpec

__all__ = ["check_difference", "compare_with_network"]

#: The largest difference that is put down to rounding, in parts of 1 or of the largest value, whichever is larger. In
#: float32 the sums of a convolution differ by their order; in float16 each of up to 200 layers rounds to 11 bits.
_BOUNDS = {"float32": 1e-5, "float16": 2e-2}

#: Joints decoded inside a float32 graph lie within this of those that are decoded of its maps outside.
_BOUND_PX = 0.01


class _Output(NamedTuple):
    """What a decoder asks of an output."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    layout: str | None = None


def compare_with_network(network: Any, model: Any, spec: ModelSpec) -> dict[str, float]:
    """Run a PyTorch network and its ONNX model on the same noise.

    Parameters
    ----------
    network : torch.nn.Module
        In inference mode and float32.
    model : onnx.ModelProto
        Its outputs are those of the network by name, and ``joints`` if decoding is folded.
    spec : ModelSpec
        Of the network; decodes its maps.

    Returns
    -------
    dict of str to float
        Per output of the network the largest absolute difference; ``joints_px``: the largest distance between joints
        decoded inside and outside the graph, in pixels of the input, along x or y.

    Raises
    ------
    ModelError
        If a difference is more than rounding. Of float16 maps no pixel is the largest beyond doubt, so that
        ``joints_px`` is only told there.
    """
    import torch

    session = import_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    half = image.type == "tensor(float16)"
    noise = np.random.default_rng(0).normal(size=image.shape).astype(np.float32)
    with torch.no_grad():
        returned = network(torch.from_numpy(noise))
    wanted = [one.numpy() for one in (returned if isinstance(returned, tuple) else (returned,))]
    names = [one.name for one in session.get_outputs()]
    given = dict(zip(names, session.run(None, {image.name: noise.astype(np.float16) if half else noise})))
    own = [name for name in names if name != "joints" or spec.family != "heatmap"]
    bound = _BOUNDS["float16" if half else "float32"]
    differences = {
        name: check_difference(name, one, given[name], bound * max(1.0, float(np.abs(one).max())))
        for name, one in zip(own, wanted)
    }
    if len(own) < len(names):
        distance_px = _joint_distance(spec, given["heatmaps"], given["joints"])
        if not half and not distance_px <= _BOUND_PX:
            raise ModelError(
                f"export: joints decoded in the graph are off by {distance_px:.3g} px; at most {_BOUND_PX}"
            )
        differences["joints_px"] = distance_px
    return differences


def check_difference(
    name: str, wanted: NDArray[Any], given: NDArray[Any], limit: float, where: str = "from the original"
) -> float:
    """Return the largest absolute difference of two arrays, if it is within a limit.

    Parameters
    ----------
    name : str
        Of the output, for messages.
    wanted, given : ndarray
        Of one shape.
    limit : float
        What the difference may be.
    where : str
        Of what it is one, for messages.

    Raises
    ------
    ModelError
        If it is more, or not a number.
    """
    if wanted.shape != given.shape:
        raise ModelError(f"export: output {name!r} must have shape {wanted.shape}; got {given.shape}")
    difference = float(np.abs(wanted.astype(np.float64) - given).max())
    if not difference <= limit:
        raise ModelError(f"export: output {name!r} differs by {difference:.3g} {where}; at most {limit:.3g}")
    return difference


def _joint_distance(spec: ModelSpec, heatmaps: NDArray[Any], joints: NDArray[Any]) -> float:
    assert spec.input_hw is not None
    outputs: Sequence[_Output] = [_Output("heatmaps", heatmaps.shape, heatmaps.dtype)]
    outside = make_decoder(spec, outputs, spec.input_hw).decode([heatmaps]).points
    inside = joints[0, :, :2].astype(np.float64) * spec.input_hw[::-1]
    return float(np.nan_to_num(np.abs(inside[list(np.argsort(spec.joint_order))] - outside)).max())
