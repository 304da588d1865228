"""Memory: ``acl.rt.malloc`` and its family, copies, fills, cache calls."""

from __future__ import annotations

from . import _codes as codes
from . import _libc as libc
from ._api import RET, api
from ._errors import AclError
from ._memory import Block, memory
from ._state import emulator
from ._streams import Task, at_once, stream_of

_MALLOC = ("malloc",)
_POLICIES = range(8)
_LOCATIONS = {codes.HOST_TO_HOST: (False, False), codes.HOST_TO_DEVICE: (False, True)}
_LOCATIONS |= {codes.DEVICE_TO_HOST: (True, False), codes.DEVICE_TO_DEVICE: (True, True)}


def _allocate(size: int, policy: int, extra: int) -> tuple[int, int]:
    if policy not in _POLICIES:
        emulator.forbid(16, f"malloc policy {policy}; 0 to 7 are defined")
    if policy >= 3:
        raise AclError(codes.FEATURE_NOT_SUPPORTED, f"policy {policy}: no P2P memory and no 1G pages on this chip")
    return memory.allocate("malloc", size, policy, extra), codes.SUCCESS


_NO_MEMORY = codes.RT_MEMORY_ALLOCATION


@api("rt.malloc", "pi", returns=(0, RET), context=True, callback_safe=False, fails_with=_NO_MEMORY)
def malloc(size: int, policy: int) -> tuple[int, int]:
    return _allocate(size, policy, 32)


@api(
    "rt.malloc_align32", "pi", returns=(0, RET), context=True, callback_safe=False, fails_with=_NO_MEMORY, new_only=True
)
def malloc_align32(size: int, policy: int) -> tuple[int, int]:
    return _allocate(size, policy, 0)


@api("rt.malloc_cached", "pi", returns=(0, RET), context=True, callback_safe=False, fails_with=_NO_MEMORY)
def malloc_cached(size: int, policy: int) -> tuple[int, int]:
    if policy != 2:
        raise AclError(codes.FEATURE_NOT_SUPPORTED, "malloc_cached serves policy NORMAL_ONLY (2) only")
    return _allocate(size, policy, 32)


@api(
    "rt.malloc_with_cfg",
    "pip",
    returns=(0, RET),
    context=True,
    callback_safe=False,
    fails_with=_NO_MEMORY,
    new_only=True,
)
def malloc_with_cfg(size: int, policy: int, config: int) -> tuple[int, int]:
    if config:
        raise AclError(codes.FEATURE_NOT_SUPPORTED, "no configuration is emulated")
    return _allocate(size, policy, 32)


@api("rt.free", "p", context=True, callback_safe=False)
def free(pointer: int) -> int:
    memory.free(pointer, _MALLOC)
    return codes.SUCCESS


@api("rt.malloc_host", "p", returns=(0, RET), context=True, callback_safe=False, fails_with=_NO_MEMORY)
def malloc_host(size: int) -> tuple[int, int]:
    return memory.allocate("malloc_host", size, extra=0), codes.SUCCESS


@api("rt.free_host", "p", context=True, callback_safe=False)
def free_host(pointer: int) -> int:
    memory.free(pointer, ("malloc_host",))
    return codes.SUCCESS


# -- copies ------------------------------------------------------------------------------------------------------------


def _check_copy(
    what: str, dst: int, dst_max: int, src: int, count: int, kind: int
) -> tuple[Block | None, Block | None]:
    """Rules 22 and 23; returns the blocks of destination and source, None for host memory."""
    if not dst or not src:
        raise AclError(codes.INVALID_PARAM, f"{what}: {'destination' if not dst else 'source'} is null")
    if not 0 <= kind <= (3 if emulator.profile.is_old else 7):
        raise AclError(codes.INVALID_PARAM, f"{what}: kind {kind}")
    into = memory.block_of(dst, dst_max, f"{what}: dst_max")
    out_of = memory.block_of(src, count, f"{what}: source")
    if dst < src + count and src < dst + count:
        raise emulator.breach(22, f"{what}: source and destination overlap")
    for block in (into, out_of):
        if block is not None:
            block.check_guards()
    if emulator.profile.is_ep and kind in _LOCATIONS:
        for block, on_device, end in (
            (out_of, _LOCATIONS[kind][0], "source"),
            (into, _LOCATIONS[kind][1], "destination"),
        ):
            if (block is not None and block.on_device) != on_device:
                place = "device" if on_device else "host"
                name = memory.name(src if end == "source" else dst)
                emulator.forbid(23, f"{what}: kind {kind} says that the {end} is {place} memory, it is {name}")
    return into, out_of


def _check_count(what: str, room: int, count: int) -> None:
    if count > room:
        raise AclError(codes.RT_PARAM_INVALID, f"{what}: {count} bytes into {room}")


@api("rt.memcpy", "ppppi", context=True)
def memcpy(dst: int, dst_max: int, src: int, count: int, kind: int) -> int:
    if dst and src and count == 0:
        return codes.SUCCESS
    _check_count("memcpy", dst_max, count)
    _check_copy("memcpy", dst, dst_max, src, count, kind)
    memory.copy(dst, src, count)
    return codes.SUCCESS


@api("rt.memcpy_async", "ppppip", context=True, callback_safe=False)
def memcpy_async(dst: int, dst_max: int, src: int, count: int, kind: int, stream: int) -> int:
    queue = stream_of(stream)
    if dst and src and count == 0:
        return codes.SUCCESS
    _check_count("memcpy_async", dst_max, count)
    into, out_of = _check_copy("memcpy_async", dst, dst_max, src, count, kind)
    if emulator.profile.is_ep and kind == codes.HOST_TO_HOST:
        raise AclError(codes.FEATURE_NOT_SUPPORTED, "memcpy_async from host to host")
    if into is None or out_of is None:  # pageable memory: the runtime waits for the stream and copies at once
        queue.synchronize()
        memory.copy(dst, src, count)
        return codes.SUCCESS
    # On a board every copy between two blocks runs as one from device to device.
    if (not emulator.profile.is_ep or kind == codes.DEVICE_TO_DEVICE) and (dst % 64 or src % 64):
        emulator.forbid(24, f"memcpy_async from device to device: {src:#x} -> {dst:#x} are not both 64-byte aligned")
    queue.submit(Task("memcpy_async", at_once(lambda: memory.copy(dst, src, count)), [into, out_of]))
    return codes.SUCCESS


def _check_rows(
    what: str, dst: int, dpitch: int, src: int, spitch: int, width: int, height: int, kind: int
) -> list[Block]:
    if not 0 < width <= min(dpitch, spitch) or not height:
        raise AclError(codes.RT_PARAM_INVALID, f"{what}: width {width}, height {height}, pitches {spitch} -> {dpitch}")
    reach = dpitch * (height - 1) + width, spitch * (height - 1) + width
    return [block for block in _check_copy(what, dst, reach[0], src, reach[1], kind) if block is not None]


def _copy_rows(dst: int, dpitch: int, src: int, spitch: int, width: int, height: int) -> None:
    for row in range(height):
        memory.copy(dst + row * dpitch, src + row * spitch, width)


@api("rt.memcpy2d", "ppppppi", context=True)
def memcpy2d(dst: int, dpitch: int, src: int, spitch: int, width: int, height: int, kind: int) -> int:
    _check_rows("memcpy2d", dst, dpitch, src, spitch, width, height, kind)
    _copy_rows(dst, dpitch, src, spitch, width, height)
    return codes.SUCCESS


@api("rt.memcpy2d_async", "ppppppip", context=True, callback_safe=False)
def memcpy2d_async(
    dst: int, dpitch: int, src: int, spitch: int, width: int, height: int, kind: int, stream: int
) -> int:
    queue = stream_of(stream)
    blocks = _check_rows("memcpy2d_async", dst, dpitch, src, spitch, width, height, kind)
    if len(blocks) < 2:
        queue.synchronize()
        _copy_rows(dst, dpitch, src, spitch, width, height)
        return codes.SUCCESS
    work = at_once(lambda: _copy_rows(dst, dpitch, src, spitch, width, height))
    queue.submit(Task("memcpy2d_async", work, blocks))
    return codes.SUCCESS


# -- fills and the cache -----------------------------------------------------------------------------------------------


def _check_fill(what: str, pointer: int, room: int, count: int) -> Block | None:
    if not pointer:
        raise AclError(codes.INVALID_PARAM, f"{what}: the pointer is null")
    _check_count(what, room, count)
    return memory.block_of(pointer, room, what)


@api("rt.memset", "ppip", context=True)
def memset(pointer: int, room: int, value: int, count: int) -> int:
    _check_fill("memset", pointer, room, count)
    memory.fill(pointer, value & 0xFF, count)
    return codes.SUCCESS


@api("rt.memset_async", "ppipp", context=True, callback_safe=False)
def memset_async(pointer: int, room: int, value: int, count: int, stream: int) -> int:
    queue = stream_of(stream)
    block = _check_fill("memset_async", pointer, room, count)
    work = at_once(lambda: memory.fill(pointer, value & 0xFF, count))
    queue.submit(Task("memset_async", work, [block] if block is not None else []))
    return codes.SUCCESS


def _cache_range(what: str, pointer: int, size: int) -> Block | None:
    if not pointer or not size:
        raise AclError(codes.INVALID_PARAM, f"{what}: null pointer or size 0")
    block = memory.block_of(pointer, size, what)
    return block if block is not None and emulator.profile.non_coherent else None


@api("rt.mem_flush", "pp", context=True)
def mem_flush(pointer: int, size: int) -> int:
    block = _cache_range("mem_flush", pointer, size)
    if block is not None:
        libc.copy(memory.device_address(block, pointer), pointer, size)
    return codes.SUCCESS


@api("rt.mem_invalidate", "pp", context=True)
def mem_invalidate(pointer: int, size: int) -> int:
    block = _cache_range("mem_invalidate", pointer, size)
    if block is not None:
        libc.copy(pointer, memory.device_address(block, pointer), size)
        block.device_wrote = False
    return codes.SUCCESS
