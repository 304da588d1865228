"""VPC: axis-aligned crop, resize, paste and colour conversion of pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._media_desc import PictureBatch, ResizeConfig, Roi, open_channel
from ._pictures import BGR, GRAY, NV12, NV21, RGB, Array, Layout, Picture, convert, engine_seconds, layout_of, resize
from ._pictures import store as store_picture
from ._state import emulator
from ._streams import Task, later, stream_of

Box = tuple[int, int, int, int]  # left, top, right (exclusive), bottom (exclusive)
_INPUTS = (GRAY, NV12, NV21, RGB, BGR)
SMALLEST = (10, 6)


def _outputs() -> tuple[int, ...]:
    return (NV12, NV21, RGB, BGR) if emulator.profile.chip.himpi else (NV12, NV21)


def _layouts(source: int, target: int) -> tuple[Picture, Layout, Picture, Layout]:
    """Check both pictures; sizes as on the 310B, which are the wider ones."""
    rule = emulator.profile.chip.vpc_stride
    first, second = emulator.find(source, Picture), emulator.find(target, Picture)
    given = layout_of(first, "vpc input", rule, _INPUTS)
    wanted = layout_of(second, "vpc output", rule, _outputs())
    for layout, widest in ((given, 8192), (wanted, 4096)):
        if not (SMALLEST[0] <= layout.width <= widest and SMALLEST[1] <= layout.height <= 8192):
            raise AclError(codes.INVALID_PARAM, f"vpc: {layout.width} x {layout.height} pixels")
    return first, given, second, wanted


def box_of(roi: Roi, layout: Layout) -> Box:
    """Return an area; starts must be even and ends odd (rule 49)."""
    if roi.left % 2 or roi.top % 2 or roi.right % 2 == 0 or roi.bottom % 2 == 0:
        text = f"area {roi.left}..{roi.right} x {roi.top}..{roi.bottom}: starts must be even, ends odd"
        raise AclError(codes.INVALID_PARAM, text)
    if not (roi.left < roi.right < layout.width and roi.top < roi.bottom < layout.height):
        text = f"area {roi.left}..{roi.right} x {roi.top}..{roi.bottom} of {layout.width} x {layout.height}"
        raise AclError(codes.INVALID_PARAM, text)
    return roi.left, roi.top, roi.right + 1, roi.bottom + 1


def cut(planes: list[Array], box: Box) -> list[Array]:
    left, top, right, bottom = box
    found = [planes[0][top:bottom, left:right]]
    return found + [plane[top // 2 : bottom // 2, left // 2 : right // 2] for plane in planes[1:]]


def scale(planes: list[Array], width: int, height: int, nearest: bool) -> list[Array]:
    found = [resize(planes[0], width, height, nearest)]
    return found + [resize(plane, width // 2, height // 2, nearest) for plane in planes[1:]]


def _submit(stream: int, name: str, pair: tuple[Picture, Layout, Picture, Layout], work: Callable[[], None]) -> int:
    _, given, second, wanted = pair
    queue = stream_of(stream)
    seconds = engine_seconds("vpc", max(given.width, wanted.width), max(given.height, wanted.height))

    def run(ready: float) -> float:
        work()
        second.ret_code = codes.SUCCESS
        return later(seconds)(ready)

    queue.submit(Task(name, run, [given.block, wanted.block]))
    return codes.SUCCESS


def _transform(
    name: str, channel: int, source: int, target: int, stream: int, roi: int | None, config: int | None
) -> int:
    """Crop if there is an area, resize to the output (only if there is a configuration), convert."""
    open_channel(channel)
    pair = _layouts(source, target)
    _, given, _, wanted = pair
    whole = (0, 0, given.width, given.height)
    box = whole if roi is None else box_of(emulator.find(roi, Roi), given)
    nearest = config is not None and emulator.find(config, ResizeConfig).interpolation == 2
    size = (box[2] - box[0], box[3] - box[1])
    if config is not None:
        for ratio in (wanted.width / size[0], wanted.height / size[1]):
            if not 1 / 32 <= ratio <= 16:
                raise AclError(codes.INVALID_PARAM, f"{name}: scale {ratio:.4g}, 1/32 to 16 are possible")

    def work() -> None:
        planes = scale(cut(given.planes(), box), wanted.width, wanted.height, nearest)
        store_picture(convert(planes, given.format, wanted.format), wanted)

    return _submit(stream, name, pair, work)


@api("media.dvpp_vpc_resize_async", "ppppp", context=True, callback_safe=False)
def dvpp_vpc_resize_async(channel: int, source: int, target: int, config: int, stream: int) -> int:
    return _transform("vpc_resize", channel, source, target, stream, None, config)


@api("media.dvpp_vpc_crop_async", "ppppp", context=True, callback_safe=False)
def dvpp_vpc_crop_async(channel: int, source: int, target: int, roi: int, stream: int) -> int:
    return _transform("vpc_crop", channel, source, target, stream, roi, None)


@api("media.dvpp_vpc_crop_resize_async", "pppppp", context=True, callback_safe=False)
def dvpp_vpc_crop_resize_async(channel: int, source: int, target: int, roi: int, config: int, stream: int) -> int:
    return _transform("vpc_crop_resize", channel, source, target, stream, roi, config)


@api("media.dvpp_vpc_convert_color_async", "pppp", context=True, callback_safe=False)
def dvpp_vpc_convert_color_async(channel: int, source: int, target: int, stream: int) -> int:
    first, second = emulator.find(source, Picture), emulator.find(target, Picture)
    if (first.width, first.height) != (second.width, second.height):
        raise AclError(codes.INVALID_PARAM, "vpc_convert_color: the pictures differ in size")
    return _transform("vpc_convert_color", channel, source, target, stream, None, None)


@api("media.dvpp_vpc_crop_and_paste_async", "pppppp", context=True, callback_safe=False)
def dvpp_vpc_crop_and_paste_async(channel: int, source: int, target: int, crop: int, paste: int, stream: int) -> int:
    open_channel(channel)
    pair = _layouts(source, target)
    _, given, _, wanted = pair
    box = box_of(emulator.find(crop, Roi), given)
    place = box_of(emulator.find(paste, Roi), wanted)
    if place[0] % 16:
        raise AclError(codes.INVALID_PARAM, f"vpc_crop_and_paste: the left offset {place[0]} must be a multiple of 16")

    def work() -> None:
        planes = scale(cut(given.planes(), box), place[2] - place[0], place[3] - place[1], False)
        converted = convert(planes, given.format, wanted.format)
        for plane, spot in zip(converted, cut(wanted.planes(), place)):  # the rest of the output stays
            spot[:] = plane
        wanted.block.device_wrote = True

    return _submit(stream, "vpc_crop_and_paste", pair, work)


@api("media.dvpp_vpc_batch_crop_async", "pplplp", returns=(0, RET), context=True, callback_safe=False)
def dvpp_vpc_batch_crop_async(
    channel: int, sources: int, counts: list[int], targets: int, rois: list[int], stream: int
) -> tuple[int, int]:
    given, wanted = emulator.find(sources, PictureBatch).pictures, emulator.find(targets, PictureBatch).pictures
    total = int(np.sum(counts))
    if len(counts) != len(given) or not 1 <= total <= 256 or total != len(rois) or total != len(wanted):
        text = f"{len(given)} pictures, counts {counts}, {len(rois)} areas, {len(wanted)} outputs"
        raise AclError(codes.INVALID_PARAM, f"vpc_batch_crop: {text}")
    owners = [picture for picture, count in zip(given, counts) for _ in range(count)]
    for source, target, roi in zip(owners, wanted, rois):
        _transform("vpc_batch_crop", channel, source.handle, target.handle, stream, roi, None)
    return targets, codes.SUCCESS
