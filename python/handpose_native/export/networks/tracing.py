"""From a PyTorch network to nodes of an ONNX graph.

The network is followed once with ``torch.fx``, and every layer that it is made of is written by a function of its own:
there are a dozen. BatchNorm is folded on the way: into the convolution or matrix product before it where nothing else
reads that, which is exact; elsewhere (before an activation, or before a convolution that pads with zeros) it becomes a
product and a sum per channel.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from ...errors import ModelError
from ..graph import GraphWriter, write_doubled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Traced", "write_network"]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_FOLDS_INTO = (nn.Conv2d, nn.Linear)


class Traced:
    """A value of the network in the graph.

    Attributes
    ----------
    value : str
        Its name in the graph.
    shape : tuple of int
    """

    def __init__(self, value: str, shape: Sequence[int]) -> None:
        self.value = value
        self.shape = tuple(shape)


def write_network(graph: GraphWriter, network: nn.Module, image: str, shape: Sequence[int]) -> list[Traced]:
    """Write a network's nodes into a graph.

    Parameters
    ----------
    graph : GraphWriter
    network : torch.nn.Module
        In inference mode. Only read.
    image : str
        The network's input in the graph.
    shape : sequence of int
        Of the input.

    Returns
    -------
    list of Traced
        What the network returns.

    Raises
    ------
    ModelError
        If the network holds a layer that cannot be written; it names the layer.
    """
    if network.training:
        raise ModelError(f"export: {type(network).__name__} is in training mode; call eval() first")
    traced = fx.symbolic_trace(network)
    with torch.no_grad():
        ShapeProp(traced).propagate(torch.zeros(tuple(shape)))
    return _Writer(graph, traced, image).write()


class _Writer:
    """Goes through the steps of a traced network."""

    def __init__(self, graph: GraphWriter, traced: fx.GraphModule, image: str) -> None:
        self.graph = graph
        self._steps = list(traced.graph.nodes)
        self._modules = dict(traced.named_modules())
        self._values: dict[Any, str] = {}
        self._image = image
        self._folded = {step: norm for step in self._steps if (norm := self._norm_to_fold(step)) is not None}
        self._norms_gone = set(self._folded.values())

    def write(self) -> list[Traced]:
        for step in self._steps:
            if step.op == "placeholder":
                self._values[step] = self._image
            elif step.op == "output":
                results = step.args[0] if isinstance(step.args[0], (tuple, list)) else [step.args[0]]
                return [Traced(self._values[one], one.meta["tensor_meta"].shape) for one in results]
            else:
                self._values[step] = self._write(step)
        raise ModelError("export: the network returns nothing")

    def _write(self, step: Any) -> str:
        if step in self._norms_gone:
            return self._values[step.args[0]]
        if step.op == "call_module":
            layer = self._modules[step.target]
            write = _LAYERS.get(type(layer))
            what = f"layer {step.target} ({type(layer).__name__})"
        else:
            layer, write = None, _FUNCTIONS.get(step.target)
            what = f"operation {step.name}"
        if write is None:
            raise ModelError(f"export: {what} cannot be written as ONNX")
        return write(self, step, layer)

    def inputs(self, step: Any) -> list[str]:
        return [self._values[one] for one in step.all_input_nodes]

    def weights(self, step: Any, layer: nn.Module) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return weight and bias with the BatchNorm after them, in float64."""
        weight = _array(layer.weight)
        bias = None if layer.bias is None else _array(layer.bias)
        norm = self._folded.get(step)
        if norm is None:
            return weight, bias
        scale, shift = _scale_and_shift(self._modules[norm.target])
        weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        return weight, shift if bias is None else bias * scale + shift

    def _norm_to_fold(self, step: Any) -> Any:
        """Return the BatchNorm that is the only one to read this convolution or product; None where there is none."""
        if step.op != "call_module" or not isinstance(self._modules[step.target], _FOLDS_INTO):
            return None
        users = list(step.users)
        if len(users) != 1 or users[0].op != "call_module":
            return None
        return users[0] if isinstance(self._modules[users[0].target], _NORMS) else None


def _array(tensor: Any) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.detach().to(torch.float64).cpu().numpy()
    return array


def _scale_and_shift(norm: nn.Module) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what BatchNorm multiplies with and adds in inference, in float64."""
    scale = 1 / np.sqrt(_array(norm.running_var) + norm.eps)
    if norm.affine:
        scale = scale * _array(norm.weight)
    shift = -_array(norm.running_mean) * scale
    return scale, shift + _array(norm.bias) if norm.affine else shift


def _pair(value: Any) -> list[int]:
    return list(value) if isinstance(value, (tuple, list)) else [value, value]


def _conv(writer: _Writer, step: Any, layer: Any) -> str:
    weight, bias = writer.weights(step, layer)
    names = [writer.graph.constant(f"{step.target}.weight", weight)]
    if bias is not None:
        names.append(writer.graph.constant(f"{step.target}.bias", bias))
    return writer.graph.node(
        "Conv",
        [*writer.inputs(step), *names],
        step.target,
        kernel_shape=_pair(layer.kernel_size),
        strides=_pair(layer.stride),
        pads=_pair(layer.padding) * 2,
        dilations=_pair(layer.dilation),
        group=layer.groups,
    )


def _linear(writer: _Writer, step: Any, layer: Any) -> str:
    weight, bias = writer.weights(step, layer)
    names = [writer.graph.constant(f"{step.target}.weight", weight)]
    if bias is not None:
        names.append(writer.graph.constant(f"{step.target}.bias", bias))
    return writer.graph.node("Gemm", [*writer.inputs(step), *names], step.target, transB=1)


def _norm(writer: _Writer, step: Any, layer: Any) -> str:
    scale, shift = _scale_and_shift(layer)
    rank = len(step.meta["tensor_meta"].shape)
    shape = (1, -1, *[1] * (rank - 2))
    graph = writer.graph
    scaled = graph.node(
        "Mul",
        [*writer.inputs(step), graph.constant(f"{step.target}.scale", scale.reshape(shape))],
        f"{step.target}.scaled",
    )
    return graph.node("Add", [scaled, graph.constant(f"{step.target}.shift", shift.reshape(shape))], step.target)


def _max_pool(writer: _Writer, step: Any, layer: Any) -> str:
    return writer.graph.node(
        "MaxPool",
        writer.inputs(step),
        step.name,
        kernel_shape=_pair(layer.kernel_size),
        strides=_pair(layer.stride),
        pads=_pair(layer.padding) * 2,
        ceil_mode=int(layer.ceil_mode),
    )


def _average_pool(writer: _Writer, step: Any, layer: Any) -> str:
    kernel = _pair(layer.kernel_size)
    if _pair(layer.padding) != [0, 0] or layer.ceil_mode:
        raise ModelError(f"export: layer {step.target} (AvgPool2d) with padding or ceil_mode cannot be written")
    return writer.graph.node(
        "AveragePool", writer.inputs(step), step.name, kernel_shape=kernel, strides=_pair(layer.stride)
    )


def _global_average_pool(writer: _Writer, step: Any, layer: Any) -> str:
    if _pair(layer.output_size) != [1, 1]:
        raise ModelError(f"export: layer {step.target} (AdaptiveAvgPool2d) to more than one pixel cannot be written")
    return writer.graph.node("GlobalAveragePool", writer.inputs(step), step.name)


def _upsample(writer: _Writer, step: Any, layer: Any) -> str:
    (value,) = writer.inputs(step)
    if float(layer.scale_factor or 0) != 2.0 or layer.mode not in ("nearest", "bilinear") or layer.align_corners:
        raise ModelError(f"export: layer {step.target} (Upsample) must double, nearest or bilinear between centres")
    if layer.mode == "bilinear":
        return write_doubled(writer.graph, value, step.args[0].meta["tensor_meta"].shape, step.name)
    # The region is not read in this mode, but opset 11 wants it to be there.
    region = writer.graph.constant(f"{step.name}.roi", np.zeros(0, dtype=np.float32), keep_dtype=True)
    scales = writer.graph.constant(f"{step.name}.scales", np.array([1, 1, 2, 2], dtype=np.float32), keep_dtype=True)
    return writer.graph.node(
        "Resize",
        [value, region, scales],
        step.name,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _flatten(writer: _Writer, step: Any, _: Any) -> str:
    return writer.graph.node("Flatten", writer.inputs(step), step.name, axis=step.args[1])


def _concat(writer: _Writer, step: Any, _: Any) -> str:
    return writer.graph.node("Concat", writer.inputs(step), step.name, axis=step.args[1])


def _same(writer: _Writer, step: Any, _: Any) -> str:
    return writer.inputs(step)[0]


def _plain(name: str) -> Callable[[_Writer, Any, Any], str]:
    """Return the function that writes an operator without attributes."""
    return lambda writer, step, _: writer.graph.node(name, writer.inputs(step), step.name)


_Write = Callable[[_Writer, Any, Any], str]
_LAYERS: dict[type[nn.Module], _Write] = {
    nn.Conv2d: _conv,
    nn.Linear: _linear,
    nn.BatchNorm1d: _norm,
    nn.BatchNorm2d: _norm,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool2d: _global_average_pool,
    nn.Upsample: _upsample,
    nn.Dropout: _same,
    nn.ReLU: _plain("Relu"),
    nn.Sigmoid: _plain("Sigmoid"),
}
_FUNCTIONS: dict[Any, _Write] = {operator.add: _plain("Add"), torch.cat: _concat, torch.flatten: _flatten}
