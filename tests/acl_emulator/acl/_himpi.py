"""DVPP V2 (``acl.himpi``), which Ascend 310 has not: memory, VPC channels, resize."""

from __future__ import annotations

import itertools
from typing import Any

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._media_vpc import scale
from ._memory import memory
from ._pictures import NV12, NV21, Picture, convert, engine_seconds, layout_of, store
from ._state import Handle, emulator
from ._streams import Stream, Task, later

# Return codes are unsigned 32-bit numbers of their own: 0xA0000000 | module << 16 | level << 13 | reason.
_VPC_ILLEGAL, _VPC_NOT_THERE, _SYS_NOT_READY, _VPC_NO_RESULT = 0xA0078003, 0xA0078005, 0xA0028010, 0xA007800E
_FIELDS = {
    "picture_address": "data",
    "picture_buffer_size": "size",
    "picture_width": "width",
    "picture_height": "height",
    "picture_width_stride": "width_stride",
    "picture_height_stride": "height_stride",
    "picture_format": "format",
}


class _System:
    started = 0
    chip_epoch = -1


class VpcChannel(Handle):
    """A channel and the tasks whose results were not fetched."""

    kind = "himpi vpc channel"

    def __init__(self) -> None:
        super().__init__()
        self.stream = Stream(emulator.context())
        self.tasks: set[int] = set()
        self.next_task = itertools.count(1)

    def drop(self) -> None:
        self.stream.close()


_channels: dict[int, VpcChannel] = {}


def _require_system() -> None:
    if _System.chip_epoch != emulator.epoch or not _System.started:
        raise AclError(_SYS_NOT_READY, "call acl.himpi.sys_init first")


@api("himpi.sys_init", context=True)
def sys_init() -> int:
    if _System.chip_epoch != emulator.epoch:
        _System.started, _System.chip_epoch = 0, emulator.epoch
        _channels.clear()
    _System.started += 1
    return codes.SUCCESS


@api("himpi.sys_exit", context=True)
def sys_exit() -> int:
    _require_system()
    _System.started -= 1
    return codes.SUCCESS


@api("himpi.dvpp_malloc", "up", returns=(0, RET), context=True, fails_with=codes.RT_MEMORY_ALLOCATION)
def dvpp_malloc(_device: int, size: int) -> tuple[int, int]:
    _require_system()
    return memory.allocate("himpi.dvpp_malloc", size), codes.SUCCESS


@api("himpi.dvpp_free", "p", context=True)
def dvpp_free(pointer: int) -> int:
    memory.free(pointer, ("himpi.dvpp_malloc",))
    return codes.SUCCESS


@api("himpi.vpc_sys_create_chn", "o", returns=(0, RET), context=True, fails_with=_VPC_ILLEGAL)
def vpc_sys_create_chn(attributes: Any) -> tuple[int, int]:
    _require_system()
    if not isinstance(attributes, dict):
        raise TypeError("acl.himpi.vpc_sys_create_chn args parse failed: dict expected")
    channel = VpcChannel()
    emulator.add(channel)
    number = next(number for number in itertools.count() if number not in _channels)
    _channels[number] = channel
    return number, codes.SUCCESS


@api("himpi.vpc_destroy_chn", "i", context=True, fails_with=_VPC_NOT_THERE)
def vpc_destroy_chn(number: int) -> int:
    channel = _channel(number)
    channel.drop()
    emulator.remove(channel)
    del _channels[number]
    return codes.SUCCESS


def _channel(number: int) -> VpcChannel:
    channel = _channels.get(number)
    if channel is None or channel.handle not in emulator.handles:
        raise AclError(_VPC_NOT_THERE, f"channel {number}")
    return channel


def _picture(values: Any, what: str) -> Picture:
    if not isinstance(values, dict) or set(_FIELDS) - set(values):
        raise TypeError(f"acl.himpi.vpc_resize args parse failed: {what} must be a dict with {', '.join(_FIELDS)}")
    picture = Picture()
    for key, field in _FIELDS.items():
        setattr(picture, field, int(values[key]))
    return picture


@api("himpi.vpc_resize", "iooffui", returns=(0, RET), context=True, fails_with=_VPC_ILLEGAL)
def vpc_resize(
    number: int, source: Any, target: Any, _fx: float, _fy: float, interpolation: int, _timeout: int
) -> tuple[int, int]:
    """The ratios follow from the pictures, as the real call allows with 0."""
    channel = _channel(number)
    try:
        rule = emulator.profile.chip.vpc_stride
        given = layout_of(_picture(source, "source"), "vpc_resize source", rule, (NV12, NV21))
        wanted = layout_of(_picture(target, "target"), "vpc_resize target", rule, (NV12, NV21))
    except AclError as error:
        raise AclError(_VPC_ILLEGAL, str(error)) from None

    def run(ready: float) -> float:
        planes = scale(given.planes(), wanted.width, wanted.height, interpolation == 2)
        store(convert(planes, given.format, wanted.format), wanted)
        return later(engine_seconds("vpc", given.width, given.height))(ready)

    channel.stream.submit(Task("himpi.vpc_resize", run, [given.block, wanted.block]))
    task = next(channel.next_task)
    channel.tasks.add(task)
    return task, codes.SUCCESS


@api("himpi.vpc_get_process_result", "iui", context=True, fails_with=_VPC_NO_RESULT)
def vpc_get_process_result(number: int, task: int, milliseconds: int) -> int:
    channel = _channel(number)
    if task not in channel.tasks:
        raise AclError(_VPC_NO_RESULT, f"no task {task}")
    try:
        channel.stream.synchronize(None if milliseconds < 0 else milliseconds / 1000)
    except AclError as error:
        raise AclError(_VPC_NO_RESULT, str(error)) from None
    channel.tasks.discard(task)
    return codes.SUCCESS
