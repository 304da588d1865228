"""JPEGD and JPEGE: JPEG to YUV420SP and back. The pixels are computed by PyAV."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._media_desc import open_channel
from ._memory import array_at, memory, read
from ._pictures import NV12, NV21, YUV, Array, Picture, bytes_of, engine_seconds, layout_of, media_block, store
from ._state import Handle, emulator
from ._streams import Task, later, stream_of

_BASELINE = (0xC0, 0xC1)  # SOF markers; the others are progressive, lossless or arithmetic
_NO_LENGTH = (0x01, *range(0xD0, 0xDA))


def parse_header(data: bytes) -> tuple[int, int, int, int]:
    """Return width, height, components and SOF marker of a JPEG."""
    at = 2
    if data[:2] != b"\xff\xd8":
        raise AclError(codes.INVALID_PARAM, "no JPEG: it does not begin with FFD8")
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker in _NO_LENGTH or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 10 <= len(data):
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return width, height, data[at + 9], marker
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise AclError(codes.INVALID_PARAM, "no JPEG: it has no frame header")


def _header(pointer: int, size: int, what: str) -> tuple[int, int, int, int]:
    """Parse on the CPU: the bytes must be where the CPU can read them."""
    if not pointer or not size:
        raise AclError(codes.INVALID_PARAM, f"{what}: null pointer or size 0")
    block = memory.block_of(pointer, size, what)
    if block is not None and block.trapping:
        raise emulator.breach(25, f"{what}: the CPU of the host reads the header, the bytes are in {block.describe()}")
    return parse_header(read(pointer, size))


@api("media.dvpp_jpeg_get_image_info", "pu", returns=(0, 0, 0, RET))
def dvpp_jpeg_get_image_info(pointer: int, size: int) -> tuple[int, int, int, int]:
    width, height, components, _ = _header(pointer, size, "jpeg_get_image_info")
    return width, height, components, codes.SUCCESS


def _aligned(width: int, height: int) -> tuple[int, int]:
    across, down = emulator.profile.chip.jpegd_stride
    return -(-width // across) * across, -(-height // down) * down


@api("media.dvpp_jpeg_predict_dec_size", "pui", returns=(0, RET))
def dvpp_jpeg_predict_dec_size(pointer: int, size: int, pixel_format: int) -> tuple[int, int]:
    width, height, _, _ = _header(pointer, size, "jpeg_predict_dec_size")
    if pixel_format not in YUV:
        raise AclError(codes.INVALID_PARAM, f"format {pixel_format}; NV12 and NV21 are emulated")
    return bytes_of(pixel_format, *_aligned(width, height)), codes.SUCCESS


@api("media.dvpp_jpeg_decode_async", "ppupp", context=True, callback_safe=False)
def dvpp_jpeg_decode_async(channel: int, pointer: int, size: int, target: int, stream: int) -> int:
    open_channel(channel)
    queue = stream_of(stream)
    source = media_block(pointer, size, "jpeg_decode input")
    picture = emulator.find(target, Picture)
    wanted = media_block(picture.data, picture.size, "jpeg_decode output")
    data = ctypes.string_at(memory.device_address(source, pointer), size)
    width, height, _, marker = parse_header(data)
    even = width + width % 2, height + height % 2
    stride, rows = _aligned(*even)
    picture.width, picture.height = picture.width or even[0], picture.height or even[1]
    picture.width_stride, picture.height_stride = picture.width_stride or stride, picture.height_stride or rows
    layout = layout_of(picture, "jpeg_decode output", emulator.profile.chip.jpegd_stride, (NV12, NV21))
    if (picture.width, picture.height) != even:
        raise AclError(codes.INVALID_PARAM, f"the JPEG has {even} pixels, the output {picture.width, picture.height}")

    def run(ready: float) -> float:
        try:
            current = ctypes.string_at(memory.device_address(source, pointer), size)
            if marker not in _BASELINE:
                raise AclError(codes.JPEG_NOT_SUPPORTED, "progressive or arithmetic")
            planes = decode(current, even)
            store(planes if picture.format == NV12 else [planes[0], planes[1][:, :, ::-1]], layout)
            picture.ret_code = codes.SUCCESS
        except AclError as error:  # rule 50: the result of a picture is in its description
            picture.ret_code = error.code
        return later(engine_seconds("jpegd", *even))(ready)

    queue.submit(Task("jpeg_decode", run, [source, wanted]))
    return codes.SUCCESS


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise AclError(codes.FEATURE_NOT_SUPPORTED, "the emulated media engines need PyAV (pip install av)") from None
    return av


def decode(data: bytes, even: tuple[int, int]) -> list[Array]:
    """Return luma and NV12 chroma of a JPEG, the sides made even by repeating the last row and column."""
    av = _av()
    try:
        context = av.CodecContext.create("mjpeg", "r")
        frames = context.decode(av.Packet(data)) + context.decode(None)
    except av.error.FFmpegError as error:
        raise AclError(codes.INTERNAL, f"the JPEG does not decode: {error}") from None
    if not frames:
        raise AclError(codes.INTERNAL, "the JPEG does not decode")
    return nv12_planes(frames[0], even)


def nv12_planes(frame: Any, even: tuple[int, int]) -> list[Array]:
    """Return the planes of a decoded frame as H x W x 1 and H/2 x W/2 x 2; chroma of other formats is averaged."""
    width, height = frame.width, frame.height
    planes = [_plane(plane, plane.width, plane.height) for plane in frame.planes]
    luma = np.pad(planes[0][:height, :width], ((0, even[1] - height), (0, even[0] - width)), mode="edge")
    half = (even[1] // 2, even[0] // 2)
    if len(planes) == 1:  # gray
        return [luma[:, :, np.newaxis], np.full((*half, 2), 128, np.uint8)]
    return [luma[:, :, np.newaxis], np.stack([_halved(plane, half) for plane in planes[1:3]], axis=2)]


def _plane(plane: Any, width: int, height: int) -> Array:
    rows = np.frombuffer(plane, np.uint8)[: plane.line_size * height].reshape(height, plane.line_size)
    return rows[:, :width]


def _halved(plane: Array, half: tuple[int, int]) -> Array:
    down, across = max(1, round(plane.shape[0] / half[0])), max(1, round(plane.shape[1] / half[1]))
    wanted = half[0] * down, half[1] * across
    filled = np.pad(plane, [(0, max(0, size - have)) for size, have in zip(wanted, plane.shape)], mode="edge")
    filled = filled[: wanted[0], : wanted[1]]
    if (down, across) == (1, 1):
        return filled
    mean = filled.reshape(half[0], down, half[1], across).mean(axis=(1, 3))
    rounded: Array = np.floor(mean + 0.5).astype(np.uint8)
    return rounded


# -- JPEGE ------------------------------------------------------------------------------------------------------------


class JpegeConfig(Handle):
    kind = "jpege configuration"
    level = 100


@api("media.dvpp_create_jpege_config", returns=0)
def dvpp_create_jpege_config() -> int:
    return emulator.add(JpegeConfig())


@api("media.dvpp_destroy_jpege_config", "p")
def dvpp_destroy_jpege_config(handle: int) -> int:
    emulator.remove(emulator.find(handle, JpegeConfig))
    return codes.SUCCESS


@api("media.dvpp_set_jpege_config_level", "pu")
def dvpp_set_jpege_config_level(handle: int, level: int) -> int:
    if level > 100:
        raise AclError(codes.INVALID_PARAM, f"level {level}, 0 to 100 are possible")
    emulator.find(handle, JpegeConfig).level = level
    return codes.SUCCESS


_JPEGE_STRIDE = (16, 1)


@api("media.dvpp_jpeg_predict_enc_size", "pp", returns=(0, RET))
def dvpp_jpeg_predict_enc_size(source: int, config: int) -> tuple[int, int]:
    emulator.find(config, JpegeConfig)
    layout = layout_of(emulator.find(source, Picture), "jpeg_predict_enc_size", _JPEGE_STRIDE, YUV)
    return bytes_of(layout.format, layout.stride, layout.rows) + 4096, codes.SUCCESS


@api("media.dvpp_jpeg_encode_async", "pppppp", context=True, callback_safe=False)
def dvpp_jpeg_encode_async(channel: int, source: int, target: int, size: int, config: int, stream: int) -> int:
    """``size`` points to a uint32: the room on the way in, the length of the JPEG after synchronising."""
    open_channel(channel)
    queue = stream_of(stream)
    level = emulator.find(config, JpegeConfig).level
    picture = emulator.find(source, Picture)
    given = layout_of(picture, "jpeg_encode input", _JPEGE_STRIDE, YUV)
    if not size:
        raise AclError(codes.INVALID_PARAM, "jpeg_encode: the size is null")
    memory.block_of(size, 4, "jpeg_encode size")
    room = int(array_at(size, (1,), np.dtype(np.uint32))[0])
    block = media_block(target, room, "jpeg_encode output")

    def run(ready: float) -> float:
        data = _encode(given.planes(), given.format, level)
        if len(data) > room:
            picture.ret_code = codes.INVALID_PARAM
            return ready
        ctypes.memmove(memory.device_address(block, target), data, len(data))
        block.device_wrote = True
        array_at(size, (1,), np.dtype(np.uint32))[0] = len(data)
        return later(engine_seconds("jpegd", given.width, given.height))(ready)

    queue.submit(Task("jpeg_encode", run, [given.block, block]))
    return codes.SUCCESS


def _encode(planes: list[Array], pixel_format: int, level: int) -> bytes:
    av = _av()
    luma, chroma = planes[0][:, :, 0], planes[1]
    u, v = (chroma[:, :, 0], chroma[:, :, 1]) if pixel_format == NV12 else (chroma[:, :, 1], chroma[:, :, 0])
    height, width = luma.shape
    frame = av.VideoFrame(width, height, "yuvj420p")
    for plane, values in zip(frame.planes, (luma, u, v)):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[: values.shape[0], : values.shape[1]] = values
        plane.update(rows.tobytes())
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
    context.framerate = 25
    context.options = {"qmin": "1", "qmax": str(max(1, 31 - level * 30 // 100))}
    return b"".join(bytes(packet) for packet in context.encode(frame) + context.encode(None))
