"""Pictures in device memory: descriptions, their layout, and the pixel work of the media engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _codes as codes
from ._errors import AclError
from ._memory import Block, array_at, memory
from ._state import Handle, emulator

Array = np.ndarray[Any, Any]

GRAY, NV12, NV21, RGB, BGR = 0, 1, 2, 12, 13
YUV = (NV12, NV21)
INTERLEAVED = (RGB, BGR)
PADDING = 0xAB  # columns and rows beyond the picture: never black

# Frames per second of one channel at 1920 x 1080, for the slow mode.
RATES = {"Ascend310": {"vpc": 360.0, "jpegd": 128.0, "vdec": 300.0}}
RATES_310B = {"vpc": 800.0, "jpegd": 512.0, "vdec": 300.0}


def engine_seconds(engine: str, width: int, height: int) -> float:
    """Return how long an engine works at a picture; 0 unless the profile is slow."""
    if not emulator.profile.slow:
        return 0.0
    rate = RATES.get(emulator.profile.soc, RATES_310B)[engine]
    return width * height / (1920 * 1080) / rate


class Picture(Handle):
    """A picture description."""

    kind = "picture description"

    def __init__(self) -> None:
        super().__init__()
        self.data = self.size = self.format = self.width = self.height = 0
        self.width_stride = self.height_stride = self.ret_code = 0


@dataclass
class Layout:
    """Where a picture lies, checked: the view of its bytes, and sizes in pixels and bytes."""

    view: Array
    block: Block
    format: int
    width: int
    height: int
    stride: int
    rows: int

    def planes(self) -> list[Array]:
        """Return H x W x C views of the planes: luma and half-size chroma, or one."""
        if self.format in INTERLEAVED:
            shape, strides = (self.height, self.width, 3), (self.stride, 3, 1)
            return [np.lib.stride_tricks.as_strided(self.view, shape, strides)]
        luma = self.view[: self.stride * self.rows].reshape(self.rows, self.stride)
        found = [luma[: self.height, : self.width, np.newaxis]]
        if self.format in YUV:
            start, count = self.stride * self.rows, self.stride * (self.rows // 2)
            chroma = self.view[start : start + count].reshape(self.rows // 2, self.stride // 2, 2)
            found.append(chroma[: self.height // 2, : self.width // 2])
        return found


def bytes_of(pixel_format: int, stride: int, rows: int) -> int:
    return stride * rows * 3 // 2 if pixel_format in YUV else stride * rows


def media_block(address: int, size: int, what: str) -> Block:
    """Rule 49: the engines work on dvpp memory; on the 310B also on that of ``rt.malloc``."""
    if not address or not size:
        raise AclError(codes.INVALID_PARAM, f"{what}: null pointer or size 0")
    block = memory.block_of(address, size, what)
    allowed = ("dvpp_malloc", "himpi.dvpp_malloc", *(("malloc",) if emulator.profile.chip.himpi else ()))
    if block is None or block.family not in allowed:
        raise emulator.breach(49, f"{what}: {' or '.join(allowed)} memory expected, it is {memory.name(address)}")
    return block


def layout_of(picture: Picture, what: str, stride_rule: tuple[int, int], formats: tuple[int, ...]) -> Layout:
    """Check a description against the chip's rules."""
    if picture.format not in formats:
        raise AclError(codes.INVALID_PARAM, f"{what}: format {picture.format}, {formats} are possible")
    width, height = picture.width, picture.height
    if not width or not height:
        raise AclError(codes.INVALID_PARAM, f"{what}: {width} x {height} pixels")
    if picture.format in YUV and (width % 2 or height % 2):
        raise AclError(codes.INVALID_PARAM, f"{what}: {width} x {height}, YUV420 needs even sides")
    channels = 3 if picture.format in INTERLEAVED else 1
    stride, rows = picture.width_stride, picture.height_stride
    if stride < width * channels or rows < height:
        text = f"{what}: strides {stride} x {rows} for {width} x {height} pixels of {channels} bytes"
        raise AclError(codes.INVALID_PARAM, text)
    if stride % (stride_rule[0] * channels) or rows % stride_rule[1]:
        text = f"{what}: strides {stride} x {rows} are no multiples of {stride_rule[0] * channels} x {stride_rule[1]}"
        raise AclError(codes.RESOURCE_NOT_ALIGNED, text)
    need = bytes_of(picture.format, stride, rows)
    if picture.size < need:
        raise AclError(codes.INVALID_PARAM, f"{what}: {picture.size} bytes, {need} are needed")
    block = media_block(picture.data, picture.size, what)
    view = array_at(memory.device_address(block, picture.data), (picture.size,), np.dtype(np.uint8))
    return Layout(view, block, picture.format, width, height, stride, rows)


# -- pixels -----------------------------------------------------------------------------------------------------------


def resize(plane: Array, width: int, height: int, nearest: bool = False) -> Array:
    """Bilinear between pixel centres, without antialiasing; uint8 in and out."""
    if plane.shape[:2] == (height, width):
        return plane
    y0, y1, fy = _taps(plane.shape[0], height, nearest)
    x0, x1, fx = _taps(plane.shape[1], width, nearest)
    source = plane.astype(np.float32)
    rows = source[y0] * (1 - fy)[:, None, None] + source[y1] * fy[:, None, None]
    mixed = rows[:, x0] * (1 - fx)[None, :, None] + rows[:, x1] * fx[None, :, None]
    rounded: Array = np.clip(np.floor(mixed + 0.5), 0, 255).astype(np.uint8)
    return rounded


def _taps(count: int, target: int, nearest: bool) -> tuple[Array, Array, Array]:
    centre = (np.arange(target) + 0.5) * (count / target) - 0.5
    if nearest:
        index = np.clip(np.floor(centre + 0.5), 0, count - 1).astype(np.intp)
        return index, index, np.zeros(target, np.float32)
    first = np.floor(centre).astype(np.intp)
    fraction = (centre - first).astype(np.float32)
    return np.clip(first, 0, count - 1), np.clip(first + 1, 0, count - 1), fraction


def convert(planes: list[Array], source: int, target: int) -> list[Array]:
    """Change the pixel format; between YUV and RGB with BT.601, narrow range."""
    if source == target:
        return planes
    if source in YUV and target in YUV:
        return [planes[0], planes[1][:, :, ::-1]]
    if source in INTERLEAVED and target in INTERLEAVED:
        return [planes[0][:, :, ::-1]]
    if source == GRAY and target in YUV:
        half = planes[0].shape[0] // 2, planes[0].shape[1] // 2, 2
        return [planes[0], np.full(half, 128, np.uint8)]
    if target == GRAY and source in YUV:
        return [planes[0]]
    if source in YUV and target in INTERLEAVED:
        return [_to_rgb(planes, source)[:, :, :: 1 if target == RGB else -1]]
    if source in INTERLEAVED and target in YUV:
        rgb = planes[0][:, :, :: 1 if source == RGB else -1]
        return _from_rgb(rgb, target)
    raise AclError(codes.INVALID_PARAM, f"no conversion from format {source} to {target}")


def _to_rgb(planes: list[Array], source: int) -> Array:
    luma = planes[0][:, :, 0].astype(np.float32) - 16
    chroma = planes[1].repeat(2, axis=0).repeat(2, axis=1).astype(np.float32) - 128
    u, v = (chroma[:, :, 0], chroma[:, :, 1]) if source == NV12 else (chroma[:, :, 1], chroma[:, :, 0])
    scaled = 1.164 * luma
    rgb = np.stack([scaled + 1.596 * v, scaled - 0.392 * u - 0.813 * v, scaled + 2.017 * u], axis=2)
    rounded: Array = np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8)
    return rounded


def _from_rgb(rgb: Array, target: int) -> list[Array]:
    red, green, blue = (rgb[:, :, i].astype(np.float32) for i in range(3))
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    u = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    v = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    pair = (u, v) if target == NV12 else (v, u)
    height, width = luma.shape
    halves = [c.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)) for c in pair]
    chroma = np.stack(halves, axis=2)
    return [np.clip(np.floor(p + 0.5), 0, 255).astype(np.uint8) for p in (luma[:, :, np.newaxis], chroma)]


def store(planes: list[Array], target: Layout) -> None:
    """Write a picture of the target's size and format; everything beside it becomes garbage (rule 51)."""
    kept = [plane.copy() for plane in planes]
    target.view[:] = PADDING
    for plane, place in zip(kept, target.planes()):
        place[:] = plane
    target.block.device_wrote = True
