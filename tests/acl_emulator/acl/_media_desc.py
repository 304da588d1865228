"""Memory and descriptions of DVPP V1: what the media calls take and return."""

from __future__ import annotations

from collections.abc import Callable

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._memory import memory
from ._pictures import Picture
from ._state import Handle, emulator


@api(
    "media.dvpp_malloc", "p", returns=(0, RET), context=True, callback_safe=False, fails_with=codes.RT_MEMORY_ALLOCATION
)
def dvpp_malloc(size: int) -> tuple[int, int]:
    return memory.allocate("dvpp_malloc", size), codes.SUCCESS


@api("media.dvpp_free", "p", context=True, callback_safe=False)
def dvpp_free(pointer: int) -> int:
    memory.free(pointer, ("dvpp_malloc",))
    return codes.SUCCESS


class Channel(Handle):
    """A channel description of VPC and JPEG; ``created`` between create_channel and destroy_channel."""

    kind = "dvpp channel description"
    created = False
    mode = 0


class Bitstream(Handle):
    """A stream description: encoded bytes for the decoder."""

    kind = "stream description"

    def __init__(self) -> None:
        super().__init__()
        self.data = self.size = self.format = self.timestamp = self.eos = self.ret_code = 0


class Roi(Handle):
    kind = "roi configuration"

    def __init__(self, left: int, right: int, top: int, bottom: int) -> None:
        super().__init__()
        self.left, self.right, self.top, self.bottom = left, right, top, bottom


class ResizeConfig(Handle):
    kind = "resize configuration"
    interpolation = 0


@api("media.dvpp_create_channel_desc", returns=0)
def dvpp_create_channel_desc() -> int:
    return emulator.add(Channel())


@api("media.dvpp_destroy_channel_desc", "p")
def dvpp_destroy_channel_desc(handle: int) -> int:
    channel = emulator.find(handle, Channel)
    if channel.created:
        emulator.forbid(49, "dvpp_destroy_channel_desc before dvpp_destroy_channel")
    emulator.remove(channel)
    return codes.SUCCESS


@api("media.dvpp_set_channel_desc_mode", "pi")
def dvpp_set_channel_desc_mode(handle: int, mode: int) -> int:
    emulator.find(handle, Channel).mode = mode
    return codes.SUCCESS


@api("media.dvpp_create_channel", "p", context=True, callback_safe=False, fails_with=codes.RT_DRIVER_RESOURCE)
def dvpp_create_channel(handle: int) -> int:
    channel = emulator.find(handle, Channel)
    if channel.created:
        raise AclError(codes.INVALID_PARAM, "the channel exists")
    channel.created = True
    return codes.SUCCESS


@api("media.dvpp_destroy_channel", "p", context=True, callback_safe=False)
def dvpp_destroy_channel(handle: int) -> int:
    open_channel(handle).created = False
    return codes.SUCCESS


def open_channel(handle: int) -> Channel:
    channel = emulator.find(handle, Channel)
    if not channel.created:
        raise AclError(codes.INVALID_PARAM, "the channel does not exist: call dvpp_create_channel")
    return channel


@api("media.dvpp_create_pic_desc", returns=0)
def dvpp_create_pic_desc() -> int:
    return emulator.add(Picture())


@api("media.dvpp_destroy_pic_desc", "p")
def dvpp_destroy_pic_desc(handle: int) -> int:
    emulator.remove(emulator.find(handle, Picture))
    return codes.SUCCESS


@api("media.dvpp_create_stream_desc", returns=0)
def dvpp_create_stream_desc() -> int:
    return emulator.add(Bitstream())


@api("media.dvpp_destroy_stream_desc", "p")
def dvpp_destroy_stream_desc(handle: int) -> int:
    emulator.remove(emulator.find(handle, Bitstream))
    return codes.SUCCESS


def _declare_fields(prefix: str, kind: type[Handle], fields: dict[str, str]) -> None:
    """Declare ``set_<field>(desc, value)`` and ``get_<field>(desc)`` of a description."""

    def setter(field: str) -> Callable[[int, int], int]:
        def set_field(handle: int, value: int) -> int:
            setattr(emulator.find(handle, kind), field, value)
            return codes.SUCCESS

        return set_field

    def getter(field: str) -> Callable[[int], int]:
        def get_field(handle: int) -> int:
            return int(getattr(emulator.find(handle, kind), field))

        return get_field

    for field, letter in fields.items():
        api(f"media.dvpp_set_{prefix}_{field}", f"p{letter}")(setter(field))
        api(f"media.dvpp_get_{prefix}_{field}", "p", returns=0)(getter(field))


_PICTURE_FIELDS = {"data": "p", "size": "u", "format": "i", "width": "u", "height": "u"}
_PICTURE_FIELDS |= {"width_stride": "u", "height_stride": "u", "ret_code": "u"}
_STREAM_FIELDS = {"data": "p", "size": "u", "format": "i", "timestamp": "q", "eos": "u", "ret_code": "u"}
_declare_fields("pic_desc", Picture, _PICTURE_FIELDS)
_declare_fields("stream_desc", Bitstream, _STREAM_FIELDS)


@api("media.dvpp_create_roi_config", "uuuu", returns=0)
def dvpp_create_roi_config(left: int, right: int, top: int, bottom: int) -> int:
    return emulator.add(Roi(left, right, top, bottom))


@api("media.dvpp_destroy_roi_config", "p")
def dvpp_destroy_roi_config(handle: int) -> int:
    emulator.remove(emulator.find(handle, Roi))
    return codes.SUCCESS


@api("media.dvpp_create_resize_config", returns=0)
def dvpp_create_resize_config() -> int:
    return emulator.add(ResizeConfig())


@api("media.dvpp_destroy_resize_config", "p")
def dvpp_destroy_resize_config(handle: int) -> int:
    emulator.remove(emulator.find(handle, ResizeConfig))
    return codes.SUCCESS


@api("media.dvpp_set_resize_config_interpolation", "pu")
def dvpp_set_resize_config_interpolation(handle: int, mode: int) -> int:
    if mode not in (0, 1, 2):
        raise AclError(codes.INVALID_PARAM, f"interpolation {mode}; 0, 1 (bilinear) and 2 (nearest) are emulated")
    emulator.find(handle, ResizeConfig).interpolation = mode
    return codes.SUCCESS


class PictureBatch(Handle):
    """Pictures of one batch call."""

    kind = "batch picture description"

    def __init__(self, count: int) -> None:
        super().__init__()
        self.pictures = [Picture() for _ in range(count)]


@api("media.dvpp_create_batch_pic_desc", "u", returns=0)
def dvpp_create_batch_pic_desc(count: int) -> int:
    if not 1 <= count <= 256:
        raise AclError(codes.INVALID_PARAM, f"{count} pictures, 1 to 256 are possible")
    batch = PictureBatch(count)
    for picture in batch.pictures:  # owned by the batch: found by handle, destroyed with it
        emulator.add(picture)
    return emulator.add(batch)


@api("media.dvpp_destroy_batch_pic_desc", "p")
def dvpp_destroy_batch_pic_desc(handle: int) -> int:
    batch = emulator.find(handle, PictureBatch)
    for thing in (*batch.pictures, batch):
        emulator.remove(thing)
    return codes.SUCCESS


@api("media.dvpp_get_pic_desc", "pu", returns=0)
def dvpp_get_pic_desc(handle: int, index: int) -> int:
    pictures = emulator.find(handle, PictureBatch).pictures
    if index >= len(pictures):
        raise AclError(codes.INVALID_PARAM, f"picture {index} of {len(pictures)}")
    return pictures[index].handle
