"""The arguments that say what to read, shared by the commands that read one source."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .common import positive

if TYPE_CHECKING:
    from ..video import Source

__all__ = ["add_decoder_argument", "add_source_arguments", "open_source_of"]


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``SOURCE`` and how it is read."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="video, GIF or image file, folder, 'pattern*.jpg', camera number or /dev/video0, rtsp:// or http:// URL",
    )
    parser.add_argument("--loop", action="store_true", help="begin a file again when it ends, until Ctrl-C")
    add_decoder_argument(parser)
    live = parser.add_argument_group("for cameras and streams")
    live.add_argument(
        "--realtime",
        action=argparse.BooleanOptionalAction,
        help="play a file at its own speed, as if it were a camera (else by serve only)",
    )
    live.add_argument(
        "--policy",
        choices=["all", "latest", "block"],
        help="of frames that come faster than they are worked on: all wait (else for files); only the latest does, "
        "the others are dropped (else for cameras and streams); block: read one when the last is done",
    )
    live.add_argument(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        help="connect again when the source breaks off (else for rtsp, rtmp, srt, udp, rtp and MJPEG over http)",
    )
    live.add_argument("--camera-size", type=_size, metavar="WxH", help="ask the camera for this size")
    live.add_argument("--camera-fps", type=float, metavar="N", help="ask the camera for so many frames per second")
    live.add_argument("--camera-format", metavar="FOURCC", help="ask the camera for a format: MJPG, YUYV, ...")


def add_decoder_argument(parser: argparse.ArgumentParser) -> None:
    """Add what decodes."""
    parser.add_argument(
        "--decoder",
        default="cpu",
        metavar="cpu|ascend|ascend:N",
        help="ascend: the media engines of an Ascend board (VDEC, JPEGD) decode files of H.264 and H.265, and MJPEG",
    )


def open_source_of(options: argparse.Namespace, *, realtime: bool = False) -> Source:
    """Open what the arguments say; `realtime` is how files are played where they say nothing of it."""
    from ..video import CameraSettings, open_source

    return open_source(
        options.source,
        realtime=realtime if options.realtime is None else options.realtime,
        loop=options.loop,
        reconnect=options.reconnect,
        camera=CameraSettings(options.camera_size, options.camera_fps, options.camera_format),
        decoder=options.decoder,
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    try:
        return positive(width), positive(height)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, as 1280x720; got {text!r}") from None
