"""Runtimes that run a model: one class per runtime behind one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, ModelError
from .base import Backend, HostBuffer, InputBuffer, TensorInfo, images_of

if TYPE_CHECKING:
    import os

__all__ = ["Backend", "HostBuffer", "InputBuffer", "TensorInfo", "images_of", "open_backend"]

#: Options that only some runtimes have, by suffix.
_ONLY = {"threads": (".onnx", ".tflite"), "device_id": (".om",), "flush": (".om",)}


def open_backend(
    path: str | os.PathLike[str],
    *,
    slots: int | None = None,
    threads: int | None = None,
    device_id: int | None = None,
    flush: bool | None = None,
    eager: bool = False,
    input_layout: str | None = None,
    input_hw: tuple[int, int] | None = None,
    image_input: str | int | None = None,
) -> Backend:
    """Open a model with the runtime that its suffix asks for.

    Parameters
    ----------
    path : str or path
        The model file: ``.onnx`` for ONNX Runtime, ``.tflite`` for LiteRT, ``.om`` for Ascend NPUs.
    slots : int, optional
        Frames in flight, at least 1; each slot has memory of its own for inputs and outputs. Unless given, 1 on the
        CPU and 2 on an NPU, which works beside the CPU.
    threads : int, optional
        ``.onnx`` and ``.tflite`` only: threads of the model; the runtime's own choice unless given.
    device_id : int, optional
        ``.om`` only: which NPU; 0 unless given.
    flush : bool, optional
        ``.om`` only: see :class:`~handpose_native.backends.acl.AclBackend`; False unless given.
    eager : bool
        A hint that the run is what everything waits for, so that its threads had better not sleep while they wait for
        each other. Heard by :class:`~handpose_native.backends.onnxruntime.OnnxRuntimeBackend`; LiteRT's never do, and
        NPUs have none.
    input_layout : {"NCHW", "NHWC"}, optional
        Needed only where the model's shape does not tell; an error where it tells otherwise.
    input_hw : tuple of int, optional
        Height and width of the input; needed only where the model leaves them open, an error where it has others.
    image_input : str or int, optional
        Name or index of the input that is the image; needed only where several could be.

    Returns
    -------
    Backend
        To be closed by the caller.

    Raises
    ------
    ModelError
        If there is no such file, no runtime for it, or the model does not load or does not fit.
    ArgumentError
        For a wrong value, or an option that the runtime does not have.
    MissingDependencyError
        If the runtime is not installed.
    DeviceError
        If an NPU fails.
    """
    file = Path(path)
    if file.is_dir():
        raise ModelError(f"open_backend: a model file is needed; {file} is a folder")
    if not file.is_file():
        raise ModelError(f"open_backend: there is no model file {file}")
    suffix = file.suffix.lower()
    given = {"slots": slots, "threads": threads, "device_id": device_id, "flush": flush}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in options:
        if suffix not in _ONLY.get(name, (suffix,)):
            raise ArgumentError(f"open_backend: {name} is for {' and '.join(_ONLY[name])} models only; got {file}")
    options.update(input_layout=input_layout, input_hw=input_hw, image_input=image_input)
    if suffix == ".onnx":
        from .onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(file, eager=eager, **options)
    if suffix == ".tflite":
        from .litert import LiteRtBackend

        return LiteRtBackend(file, **options)
    if suffix == ".om":
        from .acl import AclBackend

        return AclBackend(file, **options)
    raise ModelError(f"open_backend: the suffix of a model file must be .onnx, .tflite or .om; got {file}")
