"""Runtimes that run a model: one class per runtime behind one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError
from .base import Backend, HostBuffer, InputBuffer, TensorInfo

if TYPE_CHECKING:
    import os

__all__ = ["Backend", "HostBuffer", "InputBuffer", "TensorInfo", "open_backend"]

_NOT_YET = {".om": "Ascend"}


def open_backend(
    path: str | os.PathLike[str],
    *,
    slots: int = 1,
    threads: int | None = None,
    input_layout: str | None = None,
    input_hw: tuple[int, int] | None = None,
) -> Backend:
    """Open a model with the runtime that its suffix asks for.

    Parameters
    ----------
    path : str or path
        The model file: ``.onnx`` for ONNX Runtime, ``.tflite`` for LiteRT.
    slots : int
        Frames in flight, at least 1; each slot has memory of its own for inputs and outputs.
    threads : int, optional
        Threads of the model; the runtime's own choice unless given.
    input_layout : {"NCHW", "NHWC"}, optional
        Needed only where the model's shape does not tell; an error where it tells otherwise.
    input_hw : tuple of int, optional
        Height and width of the input; needed only where the model leaves them open, an error where it has others.

    Returns
    -------
    Backend
        To be closed by the caller.

    Raises
    ------
    ModelError
        If there is no such file, no runtime for it, or the model does not load or does not fit.
    MissingDependencyError
        If the runtime is not installed.
    """
    file = Path(path)
    if file.is_dir():
        raise ModelError(f"open_backend: a model file is needed; {file} is a folder")
    if not file.is_file():
        raise ModelError(f"open_backend: there is no model file {file}")
    suffix = file.suffix.lower()
    if suffix in _NOT_YET:
        raise ModelError(
            f"open_backend: this version cannot run {suffix} ({_NOT_YET[suffix]}) models, only .onnx and .tflite; "
            f"got {file}"
        )
    if suffix == ".onnx":
        from .onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(file, slots=slots, threads=threads, input_layout=input_layout, input_hw=input_hw)
    if suffix == ".tflite":
        from .litert import LiteRtBackend

        return LiteRtBackend(file, slots=slots, threads=threads, input_layout=input_layout, input_hw=input_hw)
    raise ModelError(f"open_backend: the suffix of a model file must be .onnx or .tflite; got {file}")
