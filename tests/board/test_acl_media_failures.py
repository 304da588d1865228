"""Every call of reading a file with a media engine fails once, and is interrupted once: the right error comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests import networks

import handpose_native as hp
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
    "media.dvpp_destroy_resize_config",
    "media.dvpp_destroy_roi_config",
    "media.vdec_destroy_channel",
    "media.vdec_destroy_channel_desc",
}
#: What the engine says of one picture, 0 of which is success.
QUERIES = {"media.dvpp_get_pic_desc_ret_code"}
#: VDEC, JPEGD, and VPC with the whole pipeline.
KINDS = ["vdec", "jpegd", "vpc"]


@pytest.fixture(params=KINDS)
def job(request: pytest.FixtureRequest, board: Board, tmp_path: Path) -> Job:
    return Job(board, tmp_path, request.param)


class Job:
    """The whole use of an engine, up to the exit of the interpreter; returns the times of the pictures."""

    def __init__(self, board: Board, folder: Path, kind: str) -> None:
        self._board = board
        if kind == "vdec":
            self._clip = make_clip(folder / "a.mp4", 3)
        else:
            self._clip = make_clip(folder / "a.avi", 2, codec="mjpeg", pix_fmt="yuvj420p")
        network = networks.save_marker_network(folder / "m.onnx", (64, 64))
        self._model = board.om(network) if kind == "vpc" else None

    def __call__(self) -> list[float]:
        try:
            if self._model is not None:
                spec = hp.ModelSpec("markers", "heatmap", "rgb", method="expectation", fit="stretch")
                with hp.Pipeline(self._model, spec=spec, min_presence=0.0, crop="vpc") as pipe:
                    results = pipe.stream(self._clip, decoder="ascend", planes=True)
                    return [result.pts_s for result in results if result.hands]
            with open_source(self._clip, decoder="ascend") as npu:
                npu.planes_wanted = True
                return [frame.pts_s for frame in npu]
        finally:
            self._board.end()


def cases(board: Board, work: Job) -> Iterator[tuple[Any, list[float]]]:
    """Yield each failure with what would have come out, on a board that has not seen one."""
    profile = {"run_mode": board.control.profile().run_mode}
    board.start(**profile)
    times = work()
    counts = board.control.calls()
    counts["rt.process_report"] = min(3, counts.get("rt.process_report", 0))  # which is called as often as time allows
    for failure in list(board.control.failures_of(counts)):
        board.start(**profile, record_only=failure.function in MEDIA_RELEASES)
        yield failure, times


def test_every_call_fails_once(board: Board, job: Job) -> None:
    wrong, seen = [], 0
    for failure, times in cases(board, job):
        seen += 1
        code = 507899 if failure.function == "rt.process_report" else failure.code
        board.control.inject(failure.function, failure.nth, code)
        try:
            found: object = job()
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


def test_every_call_is_interrupted_once(board: Board, job: Job) -> None:
    # Called in other threads than the main one, too, or while a picture is let go of, where Python ignores it.
    elsewhere = QUERIES | {"rt.process_report", "rt.get_context", "rt.set_context"}
    elsewhere |= {"media.dvpp_free", "rt.free_host", "media.dvpp_destroy_pic_desc"}
    wrong = []
    for failure, _ in cases(board, job):
        if failure.function in elsewhere:
            continue
        board.control.inject(failure.function, failure.nth, raises=KeyboardInterrupt)
        try:
            found: object = job()
        except KeyboardInterrupt as error:
            found = error
        if not board.control.injected_failures():
            continue
        released = failure.function in MEDIA_RELEASES
        if not isinstance(found, KeyboardInterrupt) or (not released and board.control.living()):
            wrong.append((failure, found, board.control.living()))
        board.control.reset()
    board.checks.clear()
    assert wrong == []
