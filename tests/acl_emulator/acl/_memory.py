"""Memory that behaves worse than a board's: blocks with guards and garbage, and what is known about host pointers."""

from __future__ import annotations

import bisect
import ctypes
import sys
from collections import deque
from typing import Any

import numpy as np

from . import _codes as codes
from . import _libc as libc
from ._errors import AclError
from ._state import Handle, emulator

GARBAGE = 0xCD  # fresh memory
UNFINISHED = 0xFF  # outputs of a task that has not run: NaN in both float types, -1 in the integers
CANARY = 0xA5  # around every block
FRONT = 64  # canary bytes in front of a block, at least
KEEP_FREED = 256  # freed blocks whose addresses stay reserved, so that a late access traps
KEEP_HOST_BYTES = 64 << 20  # of host objects whose pointers were handed out
HUGE_PAGE = 2 << 20


class Block(Handle):
    """One allocation.

    The address is reserved between pages that trap. The block ends within 128 bytes of its last page, so that a longer
    overrun traps and a shorter one hits the canary.

    Attributes
    ----------
    family
        ``malloc``, ``malloc_host``, ``dvpp_malloc``: what frees it.
    device_view
        Where the emulated device finds the bytes: the address itself on a coherent board, else a second mapping.
    users
        Queued tasks that read or write it.
    buffers
        Handles of the data buffers that point into it.
    """

    kind = "memory"

    def __init__(self, family: str, size: int, charge: int, remainder: int, modulus: int, shadowed: bool) -> None:
        super().__init__()
        self.family, self.size, self.charge = family, size, charge
        data = -(-(size + FRONT + 2 * modulus) // libc.PAGE) * libc.PAGE
        self._region, self._data = data + 2 * libc.PAGE, data
        self.trapping = shadowed and emulator.profile.is_ep
        self.users = 0
        self.buffers: set[int] = set()
        self.device_wrote = False
        self._base = self._map(opened=not self.trapping)
        self._shadow = self._map(opened=True) + libc.PAGE if shadowed else 0
        self.start = self._base + libc.PAGE
        last = self.start + data - size
        self.address = self.handle = last - (last - remainder) % modulus
        offset = self.address - self.start
        self.device_view = self._shadow + offset if shadowed else self.address
        for begin in filter(None, (0 if self.trapping else self.start, self._shadow)):
            libc.fill(begin, CANARY, data)
            libc.fill(begin + offset, GARBAGE, size)

    def _map(self, opened: bool) -> int:
        """Reserve the region, and make what is between its guards ordinary memory."""
        base = libc.reserve(self._region)
        if base == 0 or (opened and not libc.open_range(base + libc.PAGE, self._data)):
            raise AclError(codes.RT_MEMORY_ALLOCATION, f"this machine itself has no {self.size} bytes left")
        return base

    @property
    def end(self) -> int:
        return self.address + self.size

    @property
    def on_device(self) -> bool:
        return self.family != "malloc_host"

    def describe(self) -> str:
        return f"{self.family} memory {self.address:#x}, {self.size} bytes"

    def check_guards(self) -> None:
        """Rule 19: nothing was written in front of the block or behind it."""
        if self.trapping:
            return
        before = read(self.start, self.address - self.start)
        after = read(self.end, self.start + self._data - self.end)
        if before.count(CANARY) != len(before) or after.count(CANARY) != len(after):
            where = "before" if before.count(CANARY) != len(before) else "behind"
            libc.fill(self.start, CANARY, self.address - self.start)
            libc.fill(self.end, CANARY, self.start + self._data - self.end)
            emulator.forbid(19, f"bytes {where} the {self.describe()} were overwritten")

    def close(self) -> None:
        """Let every access to the address trap; the pages go back."""
        libc.close_range(self.start, self._data)
        if self._shadow:
            libc.release(self._shadow - libc.PAGE, self._region)

    def forget(self) -> None:
        libc.release(self._base, self._region)

    def drop(self) -> None:
        memory.remove(self)


class Memory:
    """All blocks of the process, those that were freed, and the host objects whose pointers were handed out."""

    def __init__(self) -> None:
        self.blocks: dict[int, Block] = {}
        self._starts: list[int] = []
        self.freed: deque[Block] = deque()
        self.used = 0
        self.host: dict[int, tuple[int, Any]] = {}
        self._host_bytes = 0

    def reset(self) -> None:
        for block in list(self.blocks.values()):
            self.remove(block)
            block.forget()
        for block in self.freed:
            block.forget()
        self.__init__()  # type: ignore[misc]

    def allocate(self, family: str, size: int, policy: int = 0, extra: int = 32) -> int:
        """Make a block and return its address. ``extra``: what the runtime adds to the size rounded up to 32."""
        if size == 0:
            raise AclError(codes.INVALID_PARAM, "size is 0")
        charge = -(-size // 32) * 32 + extra
        if policy in (1, 4):  # HUGE_ONLY
            charge = -(-charge // HUGE_PAGE) * HUGE_PAGE
        profile = emulator.profile
        on_host = family == "malloc_host" and profile.is_ep
        with emulator.lock:
            if not on_host and self.used + charge > profile.memory_bytes:
                text = f"{size} bytes asked, {profile.memory_bytes - self.used} of {profile.memory_bytes} are free"
                raise AclError(codes.RT_MEMORY_ALLOCATION, text)
            # malloc: 64-byte aligned and no better. malloc_host on a board: not even that. dvpp_malloc: 128, no better.
            if family == "malloc_host":
                remainder, modulus = (64, 128) if profile.is_ep else (16, 128)
            else:
                remainder, modulus = (128, 256) if family == "dvpp_malloc" else (64, 128)
            shadowed = not on_host and (profile.is_ep or profile.non_coherent)
            block = Block(family, size, 0 if on_host else charge, remainder, modulus, shadowed)
            self.blocks[block.address] = block
            bisect.insort(self._starts, block.address)
            self.used += block.charge
        return block.address

    def free(self, address: int, families: tuple[str, ...]) -> None:
        """Free a block made by one of ``families``; everything else breaks rule 20 or 21."""
        if address == 0:
            raise AclError(codes.INVALID_PARAM, "the pointer is null")
        with emulator.lock:
            block = self.blocks.get(address)
            if block is None or block.family not in families:
                # The real call returns 107000; the breach is raised because no program does this on purpose.
                freed = [block for block in self.freed if block.address == address]
                what = f"{freed[-1].describe()} for the second time" if freed else self.name(address)
                emulator.forbid(20, f"free of {what}; {' or '.join(families)} memory expected")
                raise AclError(codes.RT_PARAM_INVALID, f"{address:#x} was not allocated by {' or '.join(families)}")
            if block.users:
                raise emulator.breach(21, f"free of {block.describe()} that a queued task or a loaded model uses")
            if block.buffers:
                emulator.forbid(21, f"free of {block.describe()} that {len(block.buffers)} data buffers point to")
            try:
                block.check_guards()
            finally:
                self.remove(block)
                self.freed.append(block)
                while len(self.freed) > KEEP_FREED:
                    self.freed.popleft().forget()

    def remove(self, block: Block) -> None:
        """Let a block end; its address stays reserved until `Block.forget`."""
        del self.blocks[block.address]
        self._starts.remove(block.address)
        self.used -= block.charge
        block.close()

    # -- pointers -----------------------------------------------------------------------------------------------------

    def block_at(self, address: int) -> Block | None:
        """Return the block that an address lies in; an address in a freed one breaks rule 18."""
        with emulator.lock:
            index = bisect.bisect_right(self._starts, address) - 1
            block = self.blocks[self._starts[index]] if index >= 0 else None
            if block is not None and address < block.end:
                return block
            for freed in self.freed:
                if freed.address <= address < freed.end:
                    raise emulator.breach(18, f"use of {freed.describe()} after it was freed")
        return None

    def block_of(self, address: int, count: int, what: str, rule: int = 22) -> Block | None:
        """Return the block of a range, None for host memory; a range that leaves its block breaks ``rule``."""
        block = self.block_at(address)
        if block is not None:
            if address + count > block.end:
                left = block.end - address
                raise emulator.breach(
                    rule, f"{what}: {count} bytes from {address:#x}, {left} are left in {block.describe()}"
                )
            return block
        self._check_host(address, count, what)
        return None

    def name(self, address: int) -> str:
        """Say what a pointer is, for messages."""
        block = self.block_at(address)
        if block is None:
            return f"{address:#x}, which is no memory of ACL"
        inside = "" if address == block.address else f" (offset {address - block.address})"
        return block.describe() + inside

    # -- host objects -------------------------------------------------------------------------------------------------

    def remember(self, address: int, size: int, owner: Any) -> None:
        """Note the object behind a pointer that was handed out. It is kept, so that its address is not used again."""
        with emulator.lock:
            self._forget_host(address)
            self.host[address] = (size, owner)
            self._host_bytes += size
            while len(self.host) > KEEP_FREED or (len(self.host) > 1 and self._host_bytes > KEEP_HOST_BYTES):
                self._forget_host(next(iter(self.host)))

    def _forget_host(self, address: int) -> None:
        size, _ = self.host.pop(address, (0, None))
        self._host_bytes -= size

    def _check_host(self, address: int, count: int, what: str) -> None:
        with emulator.lock:
            for start, entry in self.host.items():
                if start <= address < start + max(entry[0], 1):
                    left = start + entry[0] - address
                    if count > left:
                        raise emulator.breach(
                            22, f"{what}: {count} bytes from {address:#x}, {left} are left in the object"
                        )
                    # Dead: the only references left are the entry's and the argument's.
                    if sys.getrefcount(entry[1]) <= 2:
                        emulator.forbid(28, f"{what}: the object behind pointer {address:#x} has been collected")
                    return

    # -- the bytes ----------------------------------------------------------------------------------------------------

    def device_address(self, block: Block, address: int) -> int:
        """Return where the device finds ``address``."""
        return block.device_view + (address - block.address)

    def source(self, block: Block | None, address: int) -> int:
        """Return where a copy reads: on a non-coherent board from whichever side wrote last."""
        if block is None or block.device_view == block.address:
            return address
        return self.device_address(block, address) if block.trapping or block.device_wrote else address

    def copy(self, destination: int, source: int, count: int) -> None:
        """Copy between any two pointers, GIL held."""
        into, out_of = self.block_at(destination), self.block_at(source)
        begin = self.source(out_of, source)
        if into is None:
            libc.copy(destination, begin, count)
            return
        libc.copy(self.device_address(into, destination), begin, count)
        if into.device_view != into.address and not into.trapping:
            libc.copy(destination, begin, count)

    def fill(self, address: int, value: int, count: int) -> None:
        block = self.block_at(address)
        if block is None or not block.trapping:
            libc.fill(address, value, count)
        if block is not None and block.device_view != block.address:
            libc.fill(self.device_address(block, address), value, count)


def read(address: int, count: int) -> bytes:
    return ctypes.string_at(address, count)


def array_at(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return an array over memory that somebody else owns."""
    count = dtype.itemsize
    for side in shape:
        count *= side
    if count == 0:
        return np.empty(shape, dtype)
    raw = (ctypes.c_uint8 * count).from_address(address)
    return np.frombuffer(memoryview(raw), np.uint8).view(dtype).reshape(shape)


memory = Memory()
