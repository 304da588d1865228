"""What an ``.om`` file says of itself: inputs, outputs, their sizes, and what becomes of the image inside."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeviceError, ModelError
from .acl_codes import UNFIT_MODEL
from .arguments import image_index, image_info, other_info
from .base import TensorInfo

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from .acl_runtime import AclLibrary

__all__ = ["AclModel", "describe_model", "load_model"]

#: ``aclDataType`` of acl/acl_base.h, by what NumPy calls it; 13 is STRING, 27 BF16, which it does not have.
_DTYPES: dict[int, str] = {
    0: "float32",
    1: "float16",
    2: "int8",
    3: "int32",
    4: "uint8",
    6: "int16",
    7: "uint16",
    8: "uint32",
    9: "int64",
    10: "uint64",
    11: "float64",
    12: "bool",
}
#: ``aclFormat`` of acl/acl_base.h, those that an image can have.
_LAYOUTS = {0: "NCHW", 1: "NHWC"}
#: ``aclmdlInputAippType`` of acl/acl_mdl.h.
_STATIC_AIPP = 1
#: Names that ATC gives to inputs that it adds.
_BATCH_INPUT, _AIPP_INPUT = "ascend_mbatch_shape_data", "ascend_dynamic_aipp_data"


@dataclass(frozen=True)
class AclModel:
    """Description of a model.

    Attributes
    ----------
    all_inputs : tuple of TensorInfo
        In the model's order, at the smallest of its batch sizes.
    outputs : tuple of TensorInfo
    input_nbytes, output_nbytes : tuple of int
        What the model asks for; more than the infos have where it has several batch sizes.
    batch_index : int or None
        The input that holds the batch size, where the model has several.
    batch : int
    """

    all_inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    input_nbytes: tuple[int, ...]
    output_nbytes: tuple[int, ...]
    batch_index: int | None
    batch: int

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Those that are for the caller to write."""
        return tuple(one for index, one in enumerate(self.all_inputs) if index != self.batch_index)


def load_model(library: AclLibrary, file: Path, resources: ExitStack) -> int:
    """Load a copy of the model into the context of this thread and return its id.

    Parameters
    ----------
    library : AclLibrary
    file : Path
    resources : ExitStack
        Takes over the model.

    Raises
    ------
    ModelError
        If the file is not a model, or one for another chip.
    DeviceError
        If the runtime fails.
    """
    try:
        (model,) = library.values("mdl.load_from_file", str(file))
    except DeviceError as error:
        if error.code not in UNFIT_MODEL:
            raise
        raise ModelError(f"{file}: not a model for this device, {library.soc}: {error}") from error
    resources.callback(library.status, "mdl.unload", model)
    return int(model)


def describe_model(
    library: AclLibrary,
    file: Path,
    model: int,
    input_layout: str | None,
    input_hw: tuple[int, int] | None,
    image: str | int | None,
) -> AclModel:
    """Read what a loaded model takes and returns.

    Parameters
    ----------
    library : AclLibrary
    file : Path
        For messages.
    model : int
    input_layout, input_hw, image
        As for :func:`~handpose_native.backends.open_backend`.

    Raises
    ------
    ModelError
        If sizes in the model disagree, or it needs what is not supported; before anything is run.
    DeviceError
        If the runtime fails.
    """
    description = library.handle("mdl.create_desc")
    try:
        library.status("mdl.get_desc", description, model)
        reader = _Reader(library, file, model, description)
        return reader.read(input_layout, input_hw, image)
    finally:
        library.status("mdl.destroy_desc", description)


@dataclass(frozen=True)
class _Tensor:
    """One input or output as the model has it: sizes may be open (-1), bytes are those of the largest batch."""

    name: str
    dims: tuple[int, ...]
    dtype: np.dtype[Any]
    layout: int
    nbytes: int


class _Reader:
    """Reads one model's description."""

    def __init__(self, library: AclLibrary, file: Path, model: int, description: int) -> None:
        self._library, self._file = library, file
        self._model, self._description = model, description

    def read(self, input_layout: str | None, input_hw: tuple[int, int] | None, image: str | int | None) -> AclModel:
        mdl = self._library.acl.mdl
        inputs = [self._tensor("input", index) for index in range(mdl.get_num_inputs(self._description))]
        outputs = [self._tensor("output", index) for index in range(mdl.get_num_outputs(self._description))]
        names = [one.name for one in inputs]
        if _AIPP_INPUT in names:
            raise ModelError(
                f"{self._file}: the model has a dynamic AIPP, which is set anew for each run; convert it with a static "
                "one (aipp_mode: static)"
            )
        batch_index = names.index(_BATCH_INPUT) if _BATCH_INPUT in names else None
        batches = self._batches() if batch_index is not None else [1]
        for_caller = [(one.name, one.dims) for index, one in enumerate(inputs) if index != batch_index]
        if not for_caller or not outputs:
            raise ModelError(f"{self._file}: the model has no {'output' if for_caller else 'input'}")
        image_name = for_caller[image_index(self._file, for_caller, image)][0]
        return AclModel(
            all_inputs=tuple(
                self._image(index, one, batches, input_layout, input_hw)
                if one.name == image_name
                else self._other("input", one, batches)
                for index, one in enumerate(inputs)
            ),
            outputs=tuple(self._other("output", one, batches) for one in outputs),
            input_nbytes=tuple(one.nbytes for one in inputs),
            output_nbytes=tuple(one.nbytes for one in outputs),
            batch_index=batch_index,
            batch=min(batches),
        )

    def _tensor(self, kind: str, index: int) -> _Tensor:
        mdl = self._library.acl.mdl
        name = str(getattr(mdl, f"get_{kind}_name_by_index")(self._description, index))
        if kind == "output":  # ATC writes "node:0:name" for an output that ONNX calls "name"
            name = name.split(":")[-1] if name.count(":") == 2 else name
        (dims,) = self._library.values(f"mdl.get_{kind}_dims", self._description, index)
        code = getattr(mdl, f"get_{kind}_data_type")(self._description, index)
        if code not in _DTYPES:
            raise ModelError(f"{self._file}: {kind} {name!r} has the ACL data type {code}, which NumPy does not have")
        nbytes = getattr(mdl, f"get_{kind}_size_by_index")(self._description, index)
        layout = getattr(mdl, f"get_{kind}_format")(self._description, index)
        return _Tensor(name, tuple(dims["dims"]), np.dtype(_DTYPES[code]), layout, int(nbytes))

    def _batches(self) -> list[int]:
        """Return the batch sizes that the model was made for."""
        (found,) = self._library.values("mdl.get_dynamic_batch", self._description)
        batches = [int(batch) for batch in found["batch"][: found["batchCount"]]]
        if not batches:
            raise ModelError(f"{self._file}: the sizes of a model may be open in the batch only")
        return batches

    def _image(
        self,
        index: int,
        tensor: _Tensor,
        batches: list[int],
        input_layout: str | None,
        input_hw: tuple[int, int] | None,
    ) -> TensorInfo:
        """Describe the image input. With an AIPP it is uint8 NHWC whatever the network inside takes."""
        by_aipp = tensor.dtype == np.uint8 and self._has_aipp(index)
        layout = "NHWC" if by_aipp and input_layout is None else input_layout
        if layout is None and len(tensor.dims) == 4 and tensor.dims[1] == tensor.dims[3]:
            layout = _LAYOUTS.get(tensor.layout)
        shape = self._sized("input", tensor, batches, " (its AIPP must take RGB888_U8)" if by_aipp else "")
        info = image_info(self._file, tensor.name, shape, tensor.dtype, layout, input_hw)
        if by_aipp and info.layout != "NHWC":
            raise ModelError(
                f"{self._file}: input {tensor.name!r} has an AIPP and so is NHWC; input_layout is {layout!r}"
            )
        return replace(info, normalises=by_aipp)

    def _other(self, kind: str, tensor: _Tensor, batches: list[int]) -> TensorInfo:
        return other_info(self._file, tensor.name, self._sized(kind, tensor, batches), tensor.dtype, kind)

    def _sized(self, kind: str, tensor: _Tensor, batches: list[int], hint: str = "") -> tuple[int, ...]:
        """Return the shape at the smallest batch; that at the largest must be as many bytes as the model asks for."""
        largest, smallest = ((batch, *tensor.dims[1:]) for batch in (max(batches), min(batches)))
        if tensor.dims[:1] != (-1,):
            largest = smallest = tensor.dims
        nbytes = math.prod(largest) * tensor.dtype.itemsize
        if nbytes != tensor.nbytes:
            raise ModelError(
                f"{self._file}: {kind} {tensor.name!r}, {tensor.dtype} {largest}, has {nbytes} bytes, but the model "
                f"asks for {tensor.nbytes}{hint}"
            )
        return smallest

    def _has_aipp(self, index: int) -> bool:
        """Tell whether an input has a static AIPP."""
        kind, _ = self._library.values("mdl.get_aipp_type", self._model, index)
        return bool(kind == _STATIC_AIPP)
