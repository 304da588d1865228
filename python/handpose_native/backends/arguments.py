"""What the arguments of a backend and the shapes in a model file settle together, alike for every runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, ModelError
from .base import TensorInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

__all__ = ["check_arguments", "image_index", "image_info", "other_info"]

#: Position of channels, height and width.
_AXES = {"NCHW": (1, 2, 3), "NHWC": (3, 1, 2)}
_COLOR_CHANNELS = 3


def check_arguments(backend: str, threads: int | None, input_layout: str | None) -> None:
    """Check what does not depend on the model.

    Parameters
    ----------
    backend : str
        The class, for messages.
    threads : int or None
    input_layout : str or None

    Raises
    ------
    ArgumentError
        If `threads` is no positive integer, or `input_layout` is unknown.
    """
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ArgumentError(f"{backend}: threads must be an integer of at least 1, or None; got {threads!r}")
    if input_layout not in (None, *_AXES):
        raise ArgumentError(f"{backend}: input_layout must be 'NCHW', 'NHWC' or None; got {input_layout!r}")


def image_info(
    file: object,
    name: str,
    shape: Sequence[Any],
    dtype: np.dtype[Any],
    layout: str | None,
    input_hw: tuple[int, int] | None,
) -> TensorInfo:
    """Settle layout and sizes of the image input.

    Parameters
    ----------
    file : path
        For messages.
    name : str
    shape : sequence
        As in the model; what is no positive integer is a size that it leaves open.
    dtype : numpy.dtype
    layout : {"NCHW", "NHWC"} or None
        As the caller says; None to read it from where the 3 colour channels stand.
    input_hw : tuple of int or None
        As the caller says.

    Returns
    -------
    TensorInfo
        With an open batch as 1.

    Raises
    ------
    ModelError
        If the model is no image's, leaves open what the caller does not say, or contradicts the caller.
    """
    sizes = _sizes(shape)
    what = f"{file}: input {name!r} has the shape {tuple(shape)}"
    if len(sizes) != 4:
        raise ModelError(f"{what}; an image of four dimensions, NCHW or NHWC, is needed")
    found = [one for one, axes in _AXES.items() if sizes[axes[0]] == _COLOR_CHANNELS]
    if layout is None:
        if len(found) != 1:
            raise ModelError(
                f"{what}, which does not tell NCHW from NHWC: exactly one of the second and the last size must be 3; "
                "say it with input_layout"
            )
        layout = found[0]
    channel_axis, *spatial_axes = _AXES[layout]
    if sizes[channel_axis] not in (None, _COLOR_CHANNELS):
        raise ModelError(f"{what}, but input_layout is {layout!r}, which needs 3 channels there")
    wanted = input_hw or (None, None)
    for axis, size in zip(spatial_axes, wanted):
        if sizes[axis] is None and size is None:
            raise ModelError(f"{what}, which leaves height or width open; say them with input_hw")
        if None not in (sizes[axis], size) and sizes[axis] != size:
            raise ModelError(f"{what} ({layout}), but input_hw is {tuple(wanted)}")
        sizes[axis] = sizes[axis] or size
    sizes[0] = sizes[0] or 1
    sizes[channel_axis] = _COLOR_CHANNELS
    return TensorInfo(name, tuple(int(size or 0) for size in sizes), dtype, layout)


def image_index(file: object, inputs: Sequence[tuple[str, Sequence[Any]]], wanted: str | int | None) -> int:
    """Return which input is the image.

    Parameters
    ----------
    file : path
        For messages.
    inputs : sequence of (name, shape)
        At least one.
    wanted : str, int or None
        Name or index, as the caller says; None: the only one of four dimensions with 3 channels, or the first where
        none is such.

    Raises
    ------
    ModelError
        If there is no such input, or the caller has to say which.
    """
    names = [name for name, _ in inputs]
    if wanted is None:
        fitting = [index for index, (_, shape) in enumerate(inputs) if _may_be_image(_sizes(shape))]
        if len(fitting) > 1:
            raise ModelError(f"{file}: several inputs of {names} may be the image; say which with image_input")
        return fitting[0] if fitting else 0
    index = names.index(wanted) if wanted in names else wanted
    if not isinstance(index, int) or not 0 <= index < len(names):
        raise ModelError(f"{file}: image_input is {wanted!r}, but the inputs are {names}")
    return index


def other_info(file: object, name: str, shape: Sequence[Any], dtype: np.dtype[Any], kind: str = "input") -> TensorInfo:
    """Describe an input that is no image, or an output; parameters as in :func:`image_info`.

    Raises
    ------
    ModelError
        If the model leaves a size open.
    """
    sizes = _sizes(shape)
    if None in sizes:
        raise ModelError(
            f"{file}: {kind} {name!r} has the shape {tuple(shape)}; only the image input may leave sizes open"
        )
    return TensorInfo(name, tuple(int(size or 0) for size in sizes), dtype)


def _may_be_image(sizes: list[int | None]) -> bool:
    return len(sizes) == 4 and any(sizes[axes[0]] in (None, _COLOR_CHANNELS) for axes in _AXES.values())


def _sizes(shape: Sequence[Any]) -> list[int | None]:
    """Return the sizes, None for open ones: a name or None in ONNX Runtime, -1 in LiteRT."""
    return [size if isinstance(size, int) and size > 0 else None for size in shape]
