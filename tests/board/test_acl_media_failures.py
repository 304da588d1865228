"""Every call of reading a file with a media engine fails once, and is interrupted once: the right error comes out."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from handpose_native.errors import DeviceError, HandposeError
from handpose_native.video import open_source

from .test_acl_failures import HARMLESS, RELEASES
from .test_acl_vdec import make_clip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Board

#: What gives back; those of the media engines besides.
MEDIA_RELEASES = RELEASES | {
    "media.dvpp_destroy_pic_desc",
    "media.dvpp_destroy_stream_desc",
    "media.dvpp_free",
    "media.dvpp_destroy_channel",
    "media.dvpp_destroy_channel_desc",
    "media.vdec_destroy_channel",
    "media.vdec_destroy_channel_desc",
}
#: What the engine says of one picture, 0 of which is success.
QUERIES = {"media.dvpp_get_pic_desc_ret_code"}
#: VDEC and JPEGD.
KINDS = [("a.mp4", "libx264", "yuv420p"), ("a.avi", "mjpeg", "yuvj420p")]


def work(board: Board, clip: Path) -> list[float]:
    """The whole use, up to the exit of the interpreter; returns the times of the pictures."""
    try:
        with open_source(clip, decoder="ascend") as npu:
            npu.planes_wanted = True
            return [frame.pts_s for frame in npu]
    finally:
        board.end()


def cases(board: Board, clip: Path) -> Iterator[tuple[Any, list[float]]]:
    """Yield each failure with what would have come out, on a board that has not seen one."""
    profile = {"run_mode": board.control.profile().run_mode}
    board.start(**profile)
    times = work(board, clip)
    counts = board.control.calls()
    counts["rt.process_report"] = min(3, counts.get("rt.process_report", 0))  # which is called as often as time allows
    for failure in list(board.control.failures_of(counts)):
        board.start(**profile, record_only=failure.function in MEDIA_RELEASES)
        yield failure, times


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), KINDS)
def test_every_call_fails_once(board: Board, tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    clip = make_clip(tmp_path / name, 3, codec=codec, pix_fmt=pix_fmt)
    wrong, seen = [], 0
    for failure, times in cases(board, clip):
        seen += 1
        code = 507899 if failure.function == "rt.process_report" else failure.code
        board.control.inject(failure.function, failure.nth, code)
        try:
            found: object = work(board, clip)
        except HandposeError as error:
            found = error
        if not board.control.injected_failures():  # how much memory is in use at once depends on time
            continue
        released = failure.function in MEDIA_RELEASES
        silent = failure.function in HARMLESS | QUERIES or failure.function == "finalize"
        # A picture's memory is freed, and a late report comes, when nobody may wait for it any more.
        late = failure.function in (
            "rt.process_report",
            "media.dvpp_free",
            "rt.free_host",
            "media.dvpp_destroy_pic_desc",
        )
        right = isinstance(found, DeviceError) or ((silent or late) and found == times)
        if failure.function == "media.dvpp_jpeg_get_image_info":  # which only says that the JPEG is damaged
            right = isinstance(found, list) and len(found) == len(times) - 1
        if not right or (not released and (board.control.living() or board.control.violations())):
            wrong.append((failure, found, board.control.living(), board.control.violations()))
        if released and failure.function != "rt.reset_device":
            board.control.reset()
    board.checks.clear()
    assert wrong == []
    assert seen > 50


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), KINDS)
def test_every_call_is_interrupted_once(board: Board, tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    clip = make_clip(tmp_path / name, 3, codec=codec, pix_fmt=pix_fmt)
    # Called in other threads than the main one, too, or while a picture is let go of, where Python ignores it.
    elsewhere = QUERIES | {"rt.process_report", "rt.get_context", "rt.set_context"}
    elsewhere |= {"media.dvpp_free", "rt.free_host", "media.dvpp_destroy_pic_desc"}
    wrong = []
    for failure, _ in cases(board, clip):
        if failure.function in elsewhere:
            continue
        board.control.inject(failure.function, failure.nth, raises=KeyboardInterrupt)
        try:
            found: object = work(board, clip)
        except KeyboardInterrupt as error:
            found = error
        if not board.control.injected_failures():
            continue
        gc.collect()
        board.end()
        released = failure.function in MEDIA_RELEASES
        if not isinstance(found, KeyboardInterrupt) or (not released and board.control.living()):
            wrong.append((failure, found, board.control.living()))
        board.control.reset()
    board.checks.clear()
    assert wrong == []
