"""The models that come as PyTorch checkpoints: which network each is, and its way to an ONNX file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from ..models import KNOWN_MODELS
from .comparing import compare_with_network
from .decoding import write_joints
from .files import check_target, digest_of, require_packages, spec_metadata, write_model
from .graph import GraphWriter
from .operators import check_operators

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from ..models import ModelSpec

__all__ = ["BACKBONES", "CHECKPOINT_MODELS", "Exported", "export_checkpoint", "open_network"]

#: Models that are exported from checkpoints, with the names of what each returns.
CHECKPOINT_MODELS: dict[str, tuple[str, ...]] = {
    "unet": ("heatmaps",),
    "handpose-x": ("joints",),
    "hourglass-3d": ("heatmaps", "depth"),
}

#: What the network of ``handpose-x`` may be built on; the first unless told.
BACKBONES = ("resnet50", "resnet18", "resnet34", "resnet101", "squeezenet1_0", "squeezenet1_1")

_INPUT = "image"


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes
    ----------
    path : Path
        The ``.onnx`` file; the spec is beside it as ``.json``.
    spec : ModelSpec
        As written.
    differences : dict of str to float
        What :func:`handpose_native.export.comparing.compare_with_network` returned.
    """

    path: Path
    spec: ModelSpec
    differences: dict[str, float]


def open_network(
    name: str,
    weights: str | os.PathLike[str],
    *,
    depth_weights: str | os.PathLike[str] | None = None,
    backbone: str | None = None,
) -> Any:
    """Build a network and fill it with its authors' checkpoint.

    Parameters
    ----------
    name : str
        Of :data:`CHECKPOINT_MODELS`.
    weights : str or path
        The checkpoint; of the heatmap network for ``"hourglass-3d"``.
    depth_weights : str or path, optional
        The checkpoint of the depth network: for ``"hourglass-3d"`` only, and needed there.
    backbone : str, optional
        Of :data:`BACKBONES`, for ``"handpose-x"`` only.

    Returns
    -------
    torch.nn.Module
        Ready for inference, in float32.

    Raises
    ------
    ArgumentError
        For an unknown name, or an option that the model does not have or needs.
    ModelError
        If a checkpoint cannot be read or is not of this network.
    MissingDependencyError
        If torch is not installed.
    """
    _check_options(name, depth_weights, backbone)
    require_packages("to read PyTorch checkpoints", torch="export")
    from .networks.checkpoints import load_checkpoint

    network: Any
    if name == "unet":
        from .networks.unet import UNet

        network = UNet()
    elif name == "handpose-x":
        network = _handpose_x(backbone or BACKBONES[0])
    else:
        from .networks.hourglass import HandPose3D

        network = HandPose3D()
        load_checkpoint(network.heatmaps, weights)
        load_checkpoint(network.depth, depth_weights or "")
        network.eval()
        return network
    load_checkpoint(network, weights)
    return network


def export_checkpoint(
    name: str,
    weights: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    depth_weights: str | os.PathLike[str] | None = None,
    backbone: str | None = None,
    opset: int = 11,
    fold_decode: bool = False,
    half: bool = False,
) -> Exported:
    """Write a checkpoint as an ONNX model with static shapes, compare both on noise, and write the spec beside it.

    Nothing is written unless the model passes ONNX's checker, has only operators that ATC takes, and returns what
    PyTorch returns.

    Parameters
    ----------
    name, weights, depth_weights, backbone
        As for :func:`open_network`.
    output : str or path
        A ``.onnx`` file; replaced where it is there.
    opset : int
        Version of the operators, 11 to 17.
    fold_decode : bool
        True: joints are read from heatmaps inside the graph, and the output is (1, 21, 3): x and y in parts of the
        input's width and height, and a score. Not for ``"handpose-x"``, which returns numbers anyway.
    half : bool
        True: input, weights and outputs are float16.

    Raises
    ------
    ArgumentError, ModelError, MissingDependencyError
        As :func:`open_network`; also if a value is too large for float16, or the results differ.
    """
    target = check_target(output)
    _check_options(name, depth_weights, backbone)
    if fold_decode and KNOWN_MODELS[name].family != "heatmap":
        raise ArgumentError(f"export: {name} returns its joints as numbers; there is no decoding to fold")
    require_packages("to write and check .onnx models", onnx="export", onnxruntime="export")
    network = open_network(name, weights, depth_weights=depth_weights, backbone=backbone)
    spec = _spec(name, weights, depth_weights, fold_decode=fold_decode)
    graph = GraphWriter(name, np.float16 if half else np.float32, opset)
    model = _write(graph, network, name, spec, fold_decode=fold_decode)
    check_operators(model)
    differences = compare_with_network(network, model, KNOWN_MODELS[name])
    if fold_decode:
        _drop_output(model, "heatmaps")
    return Exported(target, write_model(model.SerializeToString(), spec, target), differences)


def _check_options(name: str, depth_weights: object, backbone: str | None) -> None:
    if name not in CHECKPOINT_MODELS:
        raise ArgumentError(f"export: model must be one of {', '.join(CHECKPOINT_MODELS)}; got {name!r}")
    if backbone is not None and name != "handpose-x":
        raise ArgumentError(f"export: backbone is for handpose-x; got {backbone!r} for {name}")
    if backbone is not None and backbone not in BACKBONES:
        raise ArgumentError(f"export: backbone must be one of {', '.join(BACKBONES)}; got {backbone!r}")
    if (depth_weights is None) == (name == "hourglass-3d"):
        raise ArgumentError(
            "export: depth_weights are those of hourglass-3d's second network, needed there and only there; "
            f"model is {name}"
        )


def _handpose_x(backbone: str) -> Any:
    from .networks.resnet import RESNETS, ResNet
    from .networks.squeezenet import SqueezeNet

    return ResNet(backbone) if backbone in RESNETS else SqueezeNet(backbone)


def _spec(name: str, weights: Any, depth_weights: Any, *, fold_decode: bool) -> ModelSpec:
    files = [weights] if depth_weights is None else [weights, depth_weights]
    outputs = CHECKPOINT_MODELS[name]
    spec = replace(KNOWN_MODELS[name], output=outputs[0], weights_sha256=tuple(map(digest_of, files)))
    if not fold_decode:
        return spec
    return replace(spec, family="keypoints", method=None, upsampled_hw=None, peak_offset_px=0.5, output="joints")


def _write(graph: GraphWriter, network: Any, name: str, spec: ModelSpec, *, fold_decode: bool) -> Any:
    from .networks.tracing import write_network

    known = KNOWN_MODELS[name]
    assert known.input_hw is not None
    shape = (1, 3, *known.input_hw)
    image = graph.input(_INPUT, shape)
    for result, output in zip(write_network(graph, network, image, shape), CHECKPOINT_MODELS[name]):
        if fold_decode and output == "heatmaps":
            graph.output(write_joints(graph, result.value, result.shape, known), "joints", (1, 21, 3))
        # Maps that are folded stand beside the joints until the two have been compared.
        graph.output(result.value, output, result.shape)
    return graph.model(spec_metadata(spec))


def _drop_output(model: Any, name: str) -> None:
    """Make an output an inner value."""
    kept = [one for one in model.graph.output if one.name != name]
    model.graph.value_info.extend(one for one in model.graph.output if one.name == name)
    del model.graph.output[:]
    model.graph.output.extend(kept)
