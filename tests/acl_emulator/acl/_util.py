"""Pointers and Python objects: ``acl.util``; data buffers' element sizes and half floats of the top level."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._memory import array_at, memory, read
from ._state import Handle, emulator

_BY_NUMBER: dict[int, np.dtype[Any]] = {
    np.dtype(code).num: np.dtype(code) for code in np.typecodes["All"] if code not in "SUVOMm"
}
_BYTES_HEADER = bytes.__basicsize__ - 1


@api("util.bytes_to_ptr", "o", returns=0, init=False, new_only=True)
def bytes_to_ptr(data: Any) -> int:
    if type(data) is not bytes:
        raise ValueError(f"acl.util.bytes_to_ptr: bytes expected, got {type(data).__name__}")
    address = id(data) + _BYTES_HEADER
    memory.remember(address, len(data), data)
    return address


@api("util.ptr_to_bytes", "pp", returns=b"", init=False, new_only=True)
def ptr_to_bytes(pointer: int, size: int) -> bytes:
    _readable("ptr_to_bytes", pointer, size)
    return read(pointer, size)


def _readable(what: str, pointer: int, size: int) -> None:
    block = memory.block_of(pointer, size, what)
    if block is not None and block.trapping:
        raise emulator.breach(25, f"{what}: the CPU of the host cannot read {block.describe()}")


def _owner(array: np.ndarray[Any, Any]) -> Any:
    """Return what keeps an array's bytes alive."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    return owner


def _pointer(function: str, array: Any) -> int:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"acl.util.{function}: ndarray expected, got {type(array).__name__}")
    address = int(array.ctypes.data)
    if memory.block_at(address) is None:
        memory.remember(address, array.nbytes, _owner(array))
    return address


def _deprecated(function: str) -> None:
    if not emulator.profile.is_old:
        warnings.warn(f"acl.util.{function} is deprecated, use the bytes functions", DeprecationWarning, stacklevel=4)


@api("util.numpy_to_ptr", "o", returns=0, init=False)
def numpy_to_ptr(array: Any) -> int:
    _deprecated("numpy_to_ptr")
    if isinstance(array, np.ndarray) and not array.flags.c_contiguous:
        warnings.warn("acl.util.numpy_to_ptr: the array is not contiguous", RuntimeWarning, stacklevel=3)
    return _pointer("numpy_to_ptr", array)


@api("util.numpy_contiguous_to_ptr", "o", returns=(0, None), init=False)
def numpy_contiguous_to_ptr(array: Any) -> tuple[int, Any]:
    _deprecated("numpy_contiguous_to_ptr")
    if isinstance(array, np.ndarray):
        array = np.ascontiguousarray(array)
    return _pointer("numpy_contiguous_to_ptr", array), array


@api("util.ptr_to_numpy", "poi", returns=None, init=False)
def ptr_to_numpy(pointer: int, shape: Sequence[int], number: int) -> np.ndarray[Any, Any]:
    _deprecated("ptr_to_numpy")
    if not isinstance(shape, tuple):
        raise TypeError(f"acl.util.ptr_to_numpy: tuple expected, got {type(shape).__name__}")
    dtype = _BY_NUMBER.get(number)
    if dtype is None:
        raise ValueError(f"acl.util.ptr_to_numpy: NumPy has no type number {number}")
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory.block_of(pointer, size, "ptr_to_numpy")
    return array_at(pointer, tuple(int(side) for side in shape), dtype)


# -- threads for callbacks ---------------------------------------------------------------------------------------------

_threads: dict[int, threading.Thread] = {}


@api("util.start_thread", "oo", returns=(0, RET), init=False)
def start_thread(function: Any, arguments: Any) -> tuple[int, int]:
    if not callable(function) or not isinstance(arguments, (list, tuple)):
        raise TypeError("acl.util.start_thread args parse failed: a callable and a list expected")
    thread = threading.Thread(target=function, args=(arguments,), name="acl callback thread", daemon=True)
    thread.start()
    assert thread.ident is not None
    _threads[thread.ident] = thread
    return thread.ident, codes.SUCCESS


@api("util.stop_thread", "q", init=False)
def stop_thread(number: int) -> int:
    thread = _threads.pop(number, None)
    if thread is None:
        return codes.INVALID_PARAM
    thread.join()
    return codes.SUCCESS


# -- top level ---------------------------------------------------------------------------------------------------------


@api("data_type_size", "i", returns=0, init=False)
def data_type_size(number: int) -> int:
    return codes.DATA_TYPE_SIZES.get(number, 0)


class TensorDescription(Handle):
    """What ``create_tensor_desc`` makes for single operators, which are not emulated."""

    kind = "tensor description"


@api("create_tensor_desc", "ili", returns=0)
def create_tensor_desc(dtype: int, _dims: list[int], _format: int) -> int:
    if dtype not in codes.DATA_TYPE_SIZES:
        raise AclError(codes.INVALID_PARAM, f"data type {dtype}")
    return emulator.add(TensorDescription())


@api("destroy_tensor_desc", "p")
def destroy_tensor_desc(handle: int) -> int:
    emulator.remove(emulator.find(handle, TensorDescription))
    return codes.SUCCESS


@api("float16_to_float", "i", returns=0.0, init=False)
def float16_to_float(bits: int) -> float:
    return float(np.array(bits & 0xFFFF, np.uint16).view(np.float16))


@api("float_to_float16", "f", returns=0, init=False)
def float_to_float16(value: float) -> int:
    return int(np.array(value, np.float16).view(np.uint16))
