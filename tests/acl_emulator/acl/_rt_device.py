"""Start and end, devices and contexts: ``acl.init`` to ``acl.rt.get_context``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from . import _codes as codes
from . import _leaks as leaks
from ._api import RET, api
from ._errors import AclError
from ._memory import memory
from ._state import emulator
from ._streams import Context, Device, Stream


@api("init", "|s", init=False, fails_with=codes.GE_FAILURE)
def init(config: str = "") -> int:
    text = _config(config)
    with emulator.lock:
        if emulator.initialized:
            if text != emulator.config:
                raise AclError(codes.INVALID_PARAM, "the configuration differs from that of the first acl.init")
            emulator.references += 1
            raise AclError(codes.REPEAT_INITIALIZE, "harmless")
        if emulator.finalized and emulator.profile.is_old:
            emulator.forbid(9, "acl.init after acl.finalize: old CANN does not promise that it works")
        emulator.initialized, emulator.finalized = True, False
        emulator.config, emulator.references = text, 1
    return codes.SUCCESS


def _config(path: str) -> str:
    """Return the configuration in a form that can be compared."""
    if not path:
        return "{}"
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.dumps(json.loads(text or "{}"), sort_keys=True)
    except (OSError, ValueError) as error:
        raise AclError(codes.INVALID_FILE, f"{path}: {error}") from None


@api("finalize", init=False, fails_with=codes.GE_FAILURE)
def finalize() -> int:
    if sys.is_finalizing():
        raise emulator.breach(15, "acl.finalize while the interpreter shuts down (from a __del__?)")
    if not emulator.initialized:
        raise AclError(codes.REPEAT_FINALIZE, "acl was finalised before or never initialised")
    if emulator.profile.slow:
        time.sleep(2.0)
    try:
        leaks.require_none("acl.finalize")
        open_devices = [device.number for device in emulator.devices.values() if device.references]
        if open_devices:
            emulator.forbid(14, f"acl.finalize before acl.rt.reset_device of devices {open_devices}")
    finally:
        for device in emulator.devices.values():
            _release(device)
        emulator.initialized, emulator.finalized = False, True
        emulator.references = 0
    return codes.SUCCESS


@api("finalize_reference", returns=(0, RET), init=False, new_only=True)
def finalize_reference() -> tuple[int, int]:
    if not emulator.initialized:
        raise AclError(codes.REPEAT_FINALIZE, "acl was finalised before or never initialised")
    emulator.references -= 1
    if emulator.references == 0:
        code = finalize()
        if code:
            raise AclError(code)
    return emulator.references, codes.SUCCESS


@api("get_version", returns=(0, 0, 0, RET))
def get_version() -> tuple[int, int, int, int]:
    return 1, 0 if emulator.profile.is_old else 1, 0, codes.SUCCESS


@api("get_soc_name", returns=None)
def get_soc_name() -> str:
    return emulator.profile.soc


@api("get_recent_err_msg", returns=None, init=False, new_only=True)
def get_recent_err_msg() -> str | None:
    return emulator.this_thread().last_error


@api("rt.get_run_mode", returns=(0, RET))
def get_run_mode() -> tuple[int, int]:
    return codes.RUN_MODE_HOST if emulator.profile.is_ep else codes.RUN_MODE_DEVICE, codes.SUCCESS


@api("rt.get_device_count", returns=(0, RET))
def get_device_count() -> tuple[int, int]:
    return emulator.profile.devices, codes.SUCCESS


def _device(number: int) -> Device:
    if not 0 <= number < emulator.profile.devices:
        raise AclError(codes.RT_INVALID_DEVICE, f"device {number}, there are {emulator.profile.devices}")
    with emulator.lock:
        return emulator.devices.setdefault(number, Device(number))  # type: ignore[no-any-return]


@api("rt.set_device", "i", fails_with=codes.RT_INVALID_DEVICE)
def set_device(number: int) -> int:
    device = _device(number)
    with emulator.lock:
        first, emulator.opened_before = not emulator.opened_before, True
        device.references += 1
        if device.default is None:
            device.default = Context(device, default=True)
            emulator.add(device.default)
        emulator.this_thread().context = device.default
    if first and emulator.profile.slow:
        time.sleep(2.0)
    return codes.SUCCESS


@api("rt.reset_device", "i", callback_safe=False)
def reset_device(number: int) -> int:
    device = _opened(number)
    device.references -= 1
    if device.references == 0:
        _reset(device)
    return codes.SUCCESS


@api("rt.reset_device_force", "i", callback_safe=False, new_only=True)
def reset_device_force(number: int) -> int:
    _reset(_opened(number))
    return codes.SUCCESS


def _opened(number: int) -> Device:
    device = _device(number)
    if device.references == 0:
        emulator.forbid(10, f"reset_device({number}) without set_device({number})")
        raise AclError(codes.RT_INVALID_DEVICE, f"device {number} was not set")
    return device


def _reset(device: Device) -> None:
    try:
        leaks.require_none(f"acl.rt.reset_device({device.number})", device.number)
    finally:
        _release(device)


def _release(device: Device) -> None:
    device.references = 0
    if device.default is not None:
        device.default.close("reset_device")
        emulator.remove(device.default)
        device.default = None
    state = emulator.this_thread()
    if state.context is not None and state.context.device is device:
        state.context = None


@api("rt.get_device", returns=(0, RET), context=True)
def get_device() -> tuple[int, int]:
    return emulator.context().device.number, codes.SUCCESS


@api("rt.create_context", "i", returns=(0, RET), callback_safe=False, fails_with=codes.RT_INVALID_DEVICE)
def create_context(number: int) -> tuple[int, int]:
    context = Context(_device(number), default=False)
    emulator.this_thread().context = context
    return emulator.add(context), codes.SUCCESS


@api("rt.destroy_context", "p", callback_safe=False)
def destroy_context(handle: int) -> int:
    context = _context(handle)
    if context.is_default:
        raise AclError(codes.RT_PARAM_INVALID, "the default context is destroyed by reset_device")
    context.close("destroy_context")
    emulator.remove(context)
    state = emulator.this_thread()
    if state.context is context:
        state.context = None
    return codes.SUCCESS


@api("rt.set_context", "p", fails_with=codes.INVALID_PARAM)
def set_context(handle: int) -> int:
    emulator.this_thread().context = _context(handle)
    return codes.SUCCESS


def _context(handle: int) -> Context:
    if handle in emulator.destroyed:
        emulator.forbid(12, f"context {handle:#x} was destroyed")
    return emulator.find(handle, Context, codes.RT_INVALID_HANDLE)


@api("rt.get_context", "|o", returns=(0, RET))
def get_context(_ignored: Any = None) -> tuple[int, int]:
    return emulator.context().handle, codes.SUCCESS


@api("rt.synchronize_device", context=True, callback_safe=False)
def synchronize_device() -> int:
    device = emulator.context().device
    streams = emulator.living(Stream)
    defaults = [context.default_stream for context in emulator.living(Context)]
    for stream in [*streams, *defaults]:
        if stream.context.device is device:
            stream.synchronize()
    return codes.SUCCESS


@api("rt.get_mem_info", "i", returns=(0, 0, RET), context=True)
def get_mem_info(attribute: int) -> tuple[int, int, int]:
    if attribute != 0:
        raise AclError(codes.FEATURE_NOT_SUPPORTED, "these chips have DDR (0) only")
    total = emulator.profile.memory_bytes
    return total - memory.used, total, codes.SUCCESS
