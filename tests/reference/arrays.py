"""Pictures, views with odd pitches, and memory with guards round it, for the kernel tests."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

SOURCE_FORMATS = ("bgr24", "rgb24", "gray8", "nv12", "yuv420p")
FILTERS = ("linear", "antialias", "cubic")
GUARD = 0xA5


def half_up(size: int) -> int:
    """Size of a chroma plane."""
    return (size + 1) // 2


def plane_shapes(source_format: str, height: int, width: int) -> list[tuple[int, ...]]:
    """Shapes of the planes of a picture."""
    chroma = half_up(height), half_up(width)
    return {
        "bgr24": [(height, width, 3)],
        "rgb24": [(height, width, 3)],
        "bgra32": [(height, width, 4)],
        "gray8": [(height, width)],
        "nv12": [(height, width), (*chroma, 2)],
        "yuv420p": [(height, width), chroma, chroma],
    }[source_format]


def join(planes: list[np.ndarray]) -> Any:
    """One array, or a tuple of planes, as the kernels take it."""
    return planes[0] if len(planes) == 1 else tuple(planes)


def split(image: Any) -> list[np.ndarray]:
    """The planes of what ``join`` made."""
    return list(image) if isinstance(image, tuple) else [image]


def noise(rng: np.random.Generator, source_format: str, height: int, width: int) -> Any:
    """A picture of independent random bytes."""
    shapes = plane_shapes(source_format, height, width)
    return join([rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes])


def copy_of(image: Any) -> Any:
    """A packed copy, always new memory."""
    return join([plane.copy(order="C") for plane in split(image)])


def repitch(image: Any, padding: int, *, flipped: bool = False, garbage: int = GUARD) -> Any:
    """The same pixels in rows that lie further apart, or upside down in memory; the gaps hold ``garbage``."""
    planes = []
    for plane in split(image):
        height, width = plane.shape[:2]
        canvas = np.full((height + 2, width + padding, *plane.shape[2:]), garbage, dtype=plane.dtype)
        view = canvas[1 : height + 1, padding // 2 : padding // 2 + width]
        if flipped:
            view = view[::-1]
        view[...] = plane
        planes.append(view)
    return join(planes)


class Buffer:
    """Foreign memory as a kernel sees it: address, shape and dtype over a ctypes block with guards on both sides."""

    def __init__(self, shape: tuple[int, ...], dtype: Any, guard_bytes: int = 64) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self._size = int(np.prod(shape)) * self.dtype.itemsize
        self._guard = guard_bytes
        self._memory = (ctypes.c_uint8 * (self._size + 2 * guard_bytes))()
        ctypes.memset(self._memory, GUARD, len(self._memory))
        self.address = ctypes.addressof(self._memory) + guard_bytes

    def array(self) -> np.ndarray:
        """A copy of the contents."""
        data = bytes(self._memory)[self._guard : self._guard + self._size]
        return np.frombuffer(data, dtype=self.dtype).reshape(self.shape)

    def guards_intact(self) -> bool:
        """Whether nothing was written outside."""
        data = bytes(self._memory)
        return set(data[: self._guard]) | set(data[self._guard + self._size :]) == {GUARD}


class DeviceBuffer(Buffer):
    """Memory that the CPU cannot reach."""

    host_accessible = False


def guarded(shape: tuple[int, ...], dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """A contiguous array, and the flat bytes of the larger one that it lies in, filled with guard values."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    flat = np.full(size + 128, GUARD, dtype=np.uint8)
    return flat[64 : 64 + size].view(dtype).reshape(shape), flat


def guards_intact(flat: np.ndarray) -> bool:
    """Whether the guards of ``guarded`` hold."""
    return bool((flat[:64] == GUARD).all() and (flat[-64:] == GUARD).all())
