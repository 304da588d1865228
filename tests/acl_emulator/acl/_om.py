"""The model file of the emulator: a header that says what ATC would have compiled, and the ONNX model that computes it.

Layout: `MAGIC`, length of the header (uint64, little endian), the header (JSON), the ONNX model.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import _codes as codes
from ._aipp import Aipp
from ._errors import AclError

MAGIC = b"ACL-EMULATOR-OM\x03"
_LENGTH = struct.Struct("<Q")
BATCH_INPUT = "ascend_mbatch_shape_data"
AIPP_INPUT = "ascend_dynamic_aipp_data"


@dataclass
class Tensor:
    """One input or output.

    Attributes
    ----------
    dtype, format, shape
        What the program sees; -1 in ``shape`` where the gear decides.
    tensor, element
        Name and type in the ONNX model; both empty for inputs that ATC adds.
    """

    name: str
    dtype: str
    format: str
    shape: list[int]
    tensor: str
    element: str
    aipp: Aipp | None = None

    @property
    def itemsize(self) -> int:
        return np.dtype(self.dtype).itemsize


@dataclass
class Om:
    """A compiled model.

    Attributes
    ----------
    gear_kind
        ``batch``, ``hw``, ``dims`` or empty.
    gears
        What each gear sets: ``[batch]``, ``[h, w]``, or every dimension that is -1, input after input.
    input_shapes, output_shapes
        Per gear, the shapes of all ONNX inputs and outputs; one entry without gears.
    """

    name: str
    soc: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    gear_kind: str
    gears: list[list[int]]
    input_shapes: list[list[list[int]]]
    output_shapes: list[list[list[int]]]
    work_size: int
    weight_size: int
    network: bytes = b""

    @property
    def largest_gear(self) -> int:
        volumes = [sum(math.prod(shape) for shape in shapes) for shapes in self.input_shapes]
        return volumes.index(max(volumes))

    @property
    def data_inputs(self) -> list[Tensor]:
        return [tensor for tensor in self.inputs if tensor.tensor]

    def input_index(self, name: str) -> int | None:
        names = [tensor.name for tensor in self.inputs]
        return names.index(name) if name in names else None

    def input_bytes(self, index: int, gear: int, aipp: Aipp | None = None) -> int:
        """Return the bytes of an input at a gear; ``aipp``: parameters that were set at run time."""
        tensor = self.inputs[index]
        if not tensor.tensor:
            return math.prod(tensor.shape) * tensor.itemsize
        shape = self.input_shapes[gear][self.data_inputs.index(tensor)]
        aipp = aipp or tensor.aipp
        if aipp is not None and aipp.width:
            return shape[0] * aipp.bytes_per_picture()
        return math.prod(shape) * tensor.itemsize

    def output_bytes(self, index: int, gear: int) -> int:
        return math.prod(self.output_shapes[gear][index]) * self.outputs[index].itemsize

    def to_bytes(self) -> bytes:
        fields = asdict(self)
        fields.pop("network")
        header = json.dumps(fields, default=_plain).encode()
        return MAGIC + _LENGTH.pack(len(header)) + header + self.network

    @classmethod
    def from_bytes(cls, data: bytes) -> Om:
        start = len(MAGIC) + _LENGTH.size
        if len(data) < start:
            raise AclError(codes.GE_MODEL_SIZE_INVALID, f"{len(data)} bytes are no model")
        if not data.startswith(MAGIC):
            raise AclError(codes.GE_PARAM_INVALID, "not a model of this emulator (make_om.py makes one from ONNX)")
        (length,) = _LENGTH.unpack_from(data, len(MAGIC))
        if len(data) < start + length:
            raise AclError(codes.GE_MODEL_SIZE_INVALID, "the model is cut off")
        fields: dict[str, Any] = json.loads(data[start : start + length])
        for side in ("inputs", "outputs"):
            fields[side] = [_tensor(values) for values in fields[side]]
        return cls(**fields, network=data[start + length :])


def _tensor(values: dict[str, Any]) -> Tensor:
    aipp = values.pop("aipp")
    return Tensor(**values, aipp=None if aipp is None else Aipp.from_json(aipp))


def _plain(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} in the header of an om")
