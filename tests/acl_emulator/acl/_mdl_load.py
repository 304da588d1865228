"""Loading and unloading models: ``acl.mdl.load_*``, ``query_size``, ``unload``, the configuration handle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._memory import Block, memory, read
from ._model import Model, find_model, own_model
from ._om import Om
from ._state import Handle, emulator

_LOAD = codes.GE_FAILURE


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        code = codes.INVALID_FILE if emulator.profile.is_old else codes.GE_MODEL_PATH_INVALID
        raise AclError(code, f"{path}: {error}") from None


def _read_memory(pointer: int, size: int) -> tuple[bytes, Block | None]:
    """Return the bytes, and the block of the runtime's that they are in, if any."""
    if not pointer or not size:
        raise AclError(codes.INVALID_PARAM, "the model's pointer is null or its size 0")
    block = memory.block_of(pointer, size, "the model's bytes")
    if block is not None and block.trapping:
        raise emulator.breach(25, f"the model's bytes must be in host memory, they are in {block.describe()}")
    return read(pointer, size), block


def _load(
    data: bytes, name: str, lent: tuple[int, int, int, int] | None = None, source: Block | None = None
) -> tuple[int, int]:
    om = Om.from_bytes(data)
    if source is not None and any(model.source is source for model in emulator.models.values()):
        raise AclError(codes.GE_LOAD_REPEATED, f"a model was loaded from {source.describe()} and is not unloaded")
    if om.soc != emulator.profile.soc:
        raise AclError(codes.RT_SOC_MISMATCH, f"built for {om.soc}, this is {emulator.profile.soc}")
    blocks: list[Block] = []
    if lent is not None:
        work, work_size, weight, weight_size = lent
        for what, pointer, size, need in (
            ("workspace", work, work_size, om.work_size),
            ("weights", weight, weight_size, om.weight_size),
        ):
            if pointer == 0 and size == 0:  # the runtime allocates it itself
                continue
            block = memory.block_of(pointer, size, what) if pointer else None
            if block is None or not block.on_device or size < need:
                raise AclError(codes.INVALID_PARAM, f"{what}: {need} bytes of device memory expected, got {size}")
            blocks.append(block)
    model = Model(om, name or om.name, blocks, source)
    with emulator.lock:
        for block in blocks:
            block.users += 1
    return emulator.add_model(model), codes.SUCCESS


@api("mdl.load_from_file", "s", returns=(0, RET), context=True, callback_safe=False, fails_with=_LOAD)
def load_from_file(path: str) -> tuple[int, int]:
    return _load(_read_file(path), Path(path).stem)


@api("mdl.load_from_mem", "pp", returns=(0, RET), context=True, callback_safe=False, fails_with=_LOAD)
def load_from_mem(pointer: int, size: int) -> tuple[int, int]:
    data, source = _read_memory(pointer, size)
    return _load(data, "", source=source)


@api("mdl.load_from_file_with_mem", "spppp", returns=(0, RET), context=True, callback_safe=False, fails_with=_LOAD)
def load_from_file_with_mem(path: str, work: int, work_size: int, weight: int, weight_size: int) -> tuple[int, int]:
    return _load(_read_file(path), Path(path).stem, (work, work_size, weight, weight_size))


@api("mdl.load_from_mem_with_mem", "pppppp", returns=(0, RET), context=True, callback_safe=False, fails_with=_LOAD)
def load_from_mem_with_mem(
    pointer: int, size: int, work: int, work_size: int, weight: int, weight_size: int
) -> tuple[int, int]:
    data, source = _read_memory(pointer, size)
    return _load(data, "", (work, work_size, weight, weight_size), source)


@api("mdl.query_size", "s", returns=(0, 0, RET), fails_with=_LOAD)
def query_size(path: str) -> tuple[int, int, int]:
    om = Om.from_bytes(_read_file(path))
    return om.work_size, om.weight_size, codes.SUCCESS


@api("mdl.query_size_from_mem", "pp", returns=(0, 0, RET), fails_with=_LOAD)
def query_size_from_mem(pointer: int, size: int) -> tuple[int, int, int]:
    om = Om.from_bytes(_read_memory(pointer, size)[0])
    return om.work_size, om.weight_size, codes.SUCCESS


@api("mdl.unload", "u", context=True, callback_safe=False, fails_with=_LOAD)
def unload(number: int) -> int:
    find_model(number)
    model = own_model(number)
    if model.users:
        raise emulator.breach(31, f"unload of {model.describe()} while it runs on {model.users[0]}")
    with emulator.lock:
        del emulator.models[number]
        for block in model.blocks:
            block.users -= 1
    return codes.SUCCESS


# -- configuration handle ----------------------------------------------------------------------------------------------

# aclmdlConfigAttr and the load types that its first attribute takes.
_TYPE, _PATH, _ADDRESS, _SIZE, _WEIGHT, _WEIGHT_SIZE, _WORK, _WORK_SIZE = range(1, 9)
_WORK_OPTIMIZE = 13
_FROM_FILE, _FROM_FILE_WITH_MEM, _FROM_MEM, _FROM_MEM_WITH_MEM = range(1, 5)


class Config(Handle):
    kind = "model configuration"

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[int, Any] = {}


@api("mdl.create_config_handle", returns=0)
def create_config_handle() -> int:
    return emulator.add(Config())


@api("mdl.destroy_config_handle", "p")
def destroy_config_handle(handle: int) -> int:
    emulator.remove(emulator.find(handle, Config))
    return codes.SUCCESS


@api("mdl.set_config_opt", "pio")
def set_config_opt(handle: int, attribute: int, value: Any) -> int:
    config = emulator.find(handle, Config)
    if not (0 <= attribute <= _WORK_SIZE or attribute == _WORK_OPTIMIZE):
        raise AclError(codes.INVALID_PARAM, f"attribute {attribute}")
    if not isinstance(value, str if attribute == _PATH else int):
        raise TypeError(f"acl.mdl.set_config_opt args parse failed: attribute {attribute} got {type(value).__name__}")
    config.values[attribute] = value
    return codes.SUCCESS


@api("mdl.load_with_config", "p", returns=(0, RET), context=True, callback_safe=False, fails_with=_LOAD)
def load_with_config(handle: int) -> tuple[int, int]:
    values = emulator.find(handle, Config).values
    kind = values.get(_TYPE)
    source: Block | None = None
    if kind in (_FROM_FILE, _FROM_FILE_WITH_MEM) and _PATH in values:
        path = values[_PATH]
        data, name = _read_file(path), Path(path).stem
    elif kind in (_FROM_MEM, _FROM_MEM_WITH_MEM):
        (data, source), name = _read_memory(values.get(_ADDRESS, 0), values.get(_SIZE, 0)), ""
    else:
        raise AclError(codes.INVALID_PARAM, f"load type {kind} with attributes {sorted(values)}")
    if kind in (_FROM_FILE, _FROM_MEM):
        return _load(data, name, source=source)
    work, work_size, weight, weight_size = (values.get(key, 0) for key in (_WORK, _WORK_SIZE, _WEIGHT, _WEIGHT_SIZE))
    return _load(data, name, (work, work_size, weight, weight_size), source)
