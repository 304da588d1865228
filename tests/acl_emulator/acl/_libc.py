"""The C library, called with the GIL held, as pyACL holds it while it works."""

from __future__ import annotations

import ctypes
import mmap
import time

# PyDLL keeps the GIL during a call; CDLL would release it.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.memcpy.restype = ctypes.c_void_p
_libc.memcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_libc.memset.restype = ctypes.c_void_p
_libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
_libc.usleep.argtypes = [ctypes.c_uint]

PAGE = mmap.PAGESIZE
_NONE, _READ_WRITE = 0, 3
_PRIVATE_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_DONTNEED = 4
_MAP_FAILED = ctypes.c_void_p(-1).value


def reserve(size: int) -> int:
    """Reserve ``size`` bytes of address space that trap on every access; 0 where there is none."""
    address = _libc.mmap(None, size, _NONE, _PRIVATE_ANONYMOUS, -1, 0)
    return 0 if address in (None, _MAP_FAILED) else int(address)


def open_range(address: int, size: int) -> bool:
    """Make a reserved range ordinary memory."""
    return int(_libc.mprotect(address, size, _READ_WRITE)) == 0


def close_range(address: int, size: int) -> None:
    """Give the pages back and let every access trap from now on."""
    _libc.madvise(address, size, _DONTNEED)
    _libc.mprotect(address, size, _NONE)


def release(address: int, size: int) -> None:
    """Give the address space back."""
    _libc.munmap(address, size)


copy = _libc.memcpy
fill = _libc.memset


def sleep_with_gil(seconds: float) -> None:
    """Sleep and let no other Python thread run."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        _libc.usleep(max(1, min(int(left * 1e6), 500_000)))


def sleep_until(end: float) -> None:
    """Sleep without the GIL until ``time.monotonic()`` says ``end``."""
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)
