"""Local cameras, by the kernel's own interface (Video4Linux, linux/videodev2.h)."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from .findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .machine import Machine

    Ioctl = Callable[[int, int, bytearray], object]

__all__ = ["describe_camera", "examine_cameras"]

_VIDIOC_QUERYCAP, _VIDIOC_ENUM_FMT, _VIDIOC_ENUM_FRAMESIZES = 0x80685600, 0xC0405602, 0xC02C564A
_CAP_VIDEO_CAPTURE, _CAP_DEVICE_CAPS = 0x1, 0x80000000
_BUF_TYPE_VIDEO_CAPTURE, _FRAME_SIZE_DISCRETE = 1, 1
#: More than any camera lists; an end for drivers that never say that there are no more.
_MOST = 64


def examine_cameras(machine: Machine) -> Iterator[Finding]:
    """List cameras with their formats, and those that may not be opened."""
    count = 0
    for name in machine.matches("/dev", "video*"):
        if not machine.may_use(name):
            group = machine.group_of(name)
            fix = f"sudo usermod -aG {group} $USER, then log in again"
            yield Finding("cameras", name, "error", f"no permission; it belongs to the group {group}", fix)
            count += 1
            continue
        try:
            described = _open_and_describe(machine, name)
        except OSError as error:
            fix = "plug it in again; dmesg says what is wrong with it"
            yield Finding("cameras", name, "warning", f"cannot be asked: {error.strerror}", fix)
            count += 1
            continue
        if described is not None:
            yield Finding("cameras", name, "ok", described)
            count += 1
    if not count:
        yield Finding("cameras", "cameras", "note", "none (/dev/video*)")


def _open_and_describe(machine: Machine, name: str) -> str | None:
    import fcntl

    descriptor = os.open(machine.path(name), os.O_RDWR | os.O_NONBLOCK)
    try:
        return describe_camera(descriptor, fcntl.ioctl)
    finally:
        os.close(descriptor)


def describe_camera(descriptor: int, ioctl: Ioctl) -> str | None:
    """Return name, formats and sizes in words; None for what is no camera, as the second node that cameras have.

    Raises
    ------
    OSError
        If the device does not answer.
    """
    capability = bytearray(104)
    ioctl(descriptor, _VIDIOC_QUERYCAP, capability)
    card = bytes(capability[16:48]).split(b"\0")[0].decode("utf-8", "replace")
    capabilities, device_capabilities = struct.unpack_from("<II", capability, 84)
    if capabilities & _CAP_DEVICE_CAPS:
        capabilities = device_capabilities
    if not capabilities & _CAP_VIDEO_CAPTURE:
        return None
    formats = []
    for code in _formats(descriptor, ioctl):
        sizes = list(_sizes(descriptor, ioctl, code))
        name = struct.pack("<I", code).decode("ascii", "replace").rstrip()
        formats.append(f"{name} {' '.join(sizes)}".rstrip())
    return f"{card}: {'; '.join(formats) or 'no formats'}"


def _formats(descriptor: int, ioctl: Ioctl) -> Iterator[int]:
    for index in range(_MOST):
        description = bytearray(64)
        struct.pack_into("<II", description, 0, index, _BUF_TYPE_VIDEO_CAPTURE)
        try:
            ioctl(descriptor, _VIDIOC_ENUM_FMT, description)
        except OSError:  # there are no more
            return
        yield struct.unpack_from("<I", description, 44)[0]


def _sizes(descriptor: int, ioctl: Ioctl, code: int) -> Iterator[str]:
    for index in range(_MOST):
        entry = bytearray(44)
        struct.pack_into("<II", entry, 0, index, code)
        try:
            ioctl(descriptor, _VIDIOC_ENUM_FRAMESIZES, entry)
        except OSError:
            return
        kind, width, height = struct.unpack_from("<III", entry, 8)
        if kind == _FRAME_SIZE_DISCRETE:
            yield f"{width}x{height}"
        else:  # from, to and step of both
            most_width, _, least_height, most_height = struct.unpack_from("<IIII", entry, 16)
            yield f"{width}x{least_height} to {most_width}x{most_height}"
            return
