"""What an ``.om`` file says of itself: inputs, outputs, their sizes, and what becomes of the image inside."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ascend.codes import UNFIT_MODEL
from ..errors import DeviceError, ModelError
from .arguments import image_index, image_info, other_info
from .base import TensorInfo

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from ..ascend.runtime import AclLibrary

__all__ = ["AclDescription", "AclTensors", "load_model"]

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
_NO_AIPP = 145015
#: ATC calls an output "node:index:name" where the network calls it "name".
_OWN_NAME = re.compile(r"^.+?:\d+:(?=.)")
#: Names that ATC gives to inputs that it adds.
_BATCH_INPUT, _AIPP_INPUT = "ascend_mbatch_shape_data", "ascend_dynamic_aipp_data"


@dataclass(frozen=True)
class AclTensors:
    """All inputs or all outputs of a model.

    Attributes
    ----------
    infos : tuple of TensorInfo
        In the model's order, at the smallest of its batch sizes.
    nbytes : tuple of int
        What the model asks for; more than the infos have where it has several batch sizes.
    """

    infos: tuple[TensorInfo, ...]
    nbytes: tuple[int, ...]


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


@dataclass(frozen=True)
class _Tensor:
    """One input or output as the model has it: sizes may be open (-1), bytes are those of the largest batch."""

    name: str
    dims: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int


class AclDescription:
    """Description of a loaded model.

    Parameters
    ----------
    library : AclLibrary
    file : Path
        For messages.
    model : int
    resources : ExitStack
        Takes over the description.

    Attributes
    ----------
    batch_index : int or None
        The input that holds the batch size, where the model was made for several.
    batches : tuple of int
        All of these, the smallest first; 1 where there is no such input.

    Raises
    ------
    ModelError
        From all methods, if sizes in the model disagree, or it needs what is not supported; before anything is run.
    DeviceError
        If the runtime fails.
    """

    def __init__(self, library: AclLibrary, file: Path, model: int, resources: ExitStack) -> None:
        self._library, self._file, self._model = library, file, model
        self._description = library.result("mdl.create_desc")
        resources.callback(library.status, "mdl.destroy_desc", self._description)
        library.status("mdl.get_desc", self._description, model)
        names = self._names("input")
        if _AIPP_INPUT in names:
            raise ModelError(
                f"{file}: the model has a dynamic AIPP, which is set anew for each run; convert it with a static one "
                "(aipp_mode: static)"
            )
        self.batch_index = names.index(_BATCH_INPUT) if _BATCH_INPUT in names else None
        self.batches = (1,) if self.batch_index is None else self._read_batches()
        self._inputs = [self._tensor("input", index, name) for index, name in enumerate(names)]

    def inputs(
        self, input_layout: str | None, input_hw: tuple[int, int] | None, image_input: str | int | None
    ) -> AclTensors:
        """Return all inputs; arguments as for :func:`~handpose_native.backends.open_backend`."""
        for_caller = [(one.name, one.dims) for index, one in enumerate(self._inputs) if index != self.batch_index]
        if not for_caller:
            raise ModelError(f"{self._file}: the model has no input")
        image = for_caller[image_index(self._file, for_caller, image_input)][0]
        infos = [
            self._image(index, one, input_layout, input_hw)
            if one.name == image
            else other_info(self._file, one.name, self._sized("input", one), one.dtype)
            for index, one in enumerate(self._inputs)
        ]
        return AclTensors(tuple(infos), tuple(one.nbytes for one in self._inputs))

    def outputs(self) -> AclTensors:
        """Return all outputs; where the model has several batch sizes, at the one that is set."""
        names = [_OWN_NAME.sub("", name) for name in self._names("output")]
        outputs = [self._tensor("output", index, name) for index, name in enumerate(names)]
        infos = []
        for index, one in enumerate(outputs):
            shape = self._sized("output", one)
            if self.batch_index is not None:
                (dims,) = self._library.values("mdl.get_cur_output_dims", self._description, index)
                shape = tuple(dims["dims"][: dims["dimCount"]])
                if math.prod(shape) * one.dtype.itemsize > one.nbytes:
                    raise ModelError(
                        f"{self._file}: output {one.name!r}, {one.dtype} {shape}, does not fit the {one.nbytes} bytes "
                        "that the model has for it"
                    )
            infos.append(other_info(self._file, one.name, shape, one.dtype, "output"))
        return AclTensors(tuple(infos), tuple(one.nbytes for one in outputs))

    def _names(self, kind: str) -> list[str]:
        count = self._library.result(f"mdl.get_num_{kind}s", self._description)
        get_name = f"mdl.get_{kind}_name_by_index"
        return [self._library.result(get_name, self._description, index, failure="") for index in range(count)]

    def _tensor(self, kind: str, index: int, name: str) -> _Tensor:
        library, where = self._library, (self._description, index)
        (dims,) = library.values(f"mdl.get_{kind}_dims", *where)
        code = library.result(f"mdl.get_{kind}_data_type", *where, failure=-1)
        if code not in _DTYPES:
            raise ModelError(f"{self._file}: {kind} {name!r} has the ACL data type {code}, which NumPy does not have")
        nbytes = library.result(f"mdl.get_{kind}_size_by_index", *where)
        return _Tensor(name, tuple(dims["dims"][: dims["dimCount"]]), np.dtype(_DTYPES[code]), int(nbytes))

    def _read_batches(self) -> tuple[int, ...]:
        (found,) = self._library.values("mdl.get_dynamic_batch", self._description)
        batches = tuple(sorted(int(batch) for batch in found["batch"][: found["batchCount"]]))
        if not batches:
            raise ModelError(
                f"{self._file}: the sizes of a model may be open in the batch only, not in height or width"
            )
        return batches

    def _image(
        self, index: int, tensor: _Tensor, input_layout: str | None, input_hw: tuple[int, int] | None
    ) -> TensorInfo:
        """Describe the image input. With an AIPP it is uint8 NHWC, whatever the network inside takes."""
        by_aipp = self._has_aipp(index)
        layout = "NHWC" if by_aipp and input_layout is None else input_layout
        if layout is None and len(tensor.dims) == 4 and tensor.dims[1] == tensor.dims[3]:
            layout = _LAYOUTS.get(self._library.acl.mdl.get_input_format(self._description, index))
        shape = self._sized("input", tensor, " (its AIPP must take RGB888_U8)" if by_aipp else "")
        info = image_info(self._file, tensor.name, shape, tensor.dtype, layout, input_hw)
        if by_aipp and not (info.layout == "NHWC" and info.dtype == np.uint8):
            raise ModelError(
                f"{self._file}: input {tensor.name!r} has an AIPP, so is uint8 NHWC; here it is {info.dtype} {layout}"
            )
        return replace(info, normalises=by_aipp)

    def _sized(self, kind: str, tensor: _Tensor, hint: str = "") -> tuple[int, ...]:
        """Return the shape at the smallest batch; that at the largest must be as many bytes as the model asks for."""
        largest = smallest = tensor.dims
        if tensor.dims[:1] == (-1,):
            largest, smallest = ((batch, *tensor.dims[1:]) for batch in (self.batches[-1], self.batches[0]))
        nbytes = math.prod(largest) * tensor.dtype.itemsize
        if nbytes != tensor.nbytes:
            raise ModelError(
                f"{self._file}: {kind} {tensor.name!r}, {tensor.dtype} {largest}, has {nbytes} bytes, but the model "
                f"asks for {tensor.nbytes}{hint}"
            )
        return smallest

    def _has_aipp(self, index: int) -> bool:
        """Tell whether an input has a static AIPP."""
        try:
            kind, _ = self._library.values("mdl.get_aipp_type", self._model, index)
        except DeviceError as error:
            if error.code == _NO_AIPP:
                return False
            raise
        return bool(kind == _STATIC_AIPP)
