"""MJPEG that JPEGD decodes on an emulated board: files, and cameras."""

from __future__ import annotations

import gc
import http.server
import threading
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import av
import cv2
import numpy as np
import pytest
from tests.pipeline.mjpeg_camera import Connection, mjpeg_camera
from tests.unit.video_files import picture

from handpose_native.ascend.jpegd import JpegDecoder
from handpose_native.errors import ArgumentError, DeviceError, VideoError
from handpose_native.video import CameraSettings, open_source
from handpose_native.video import cameras as cameras_module
from handpose_native.video import live as live_module

from .test_acl_vdec import make_clip

if TYPE_CHECKING:
    from .conftest import Board


def jpeg(number: int, height: int = 96, width: int = 200, *options: int) -> bytes:
    """Return a picture as a JPEG, 4:2:0 and baseline unless told otherwise."""
    return bytes(cv2.imencode(".jpg", picture(number, height, width), [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1])


def luma_of(data: bytes) -> np.ndarray:
    """Return what FFmpeg makes of a JPEG."""
    context = av.CodecContext.create("mjpeg", "r")
    (frame,) = context.decode(av.Packet(data))
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


@pytest.mark.parametrize("soc", ["Ascend310", "Ascend310B1"])
@pytest.mark.parametrize("size", [(96, 200), (720, 1280), (32, 32), (1080, 1920)])
def test_the_pictures_of_ffmpeg_whatever_the_strides(board: Board, soc: str, size: tuple[int, int]) -> None:
    board.start(run_mode=board.control.profile().run_mode, soc=soc)
    decoder = JpegDecoder("camera 0", 0)
    for number in range(2):
        data = jpeg(number, *size)
        npu = decoder.decode(data)
        assert npu is not None
        assert (npu.height, npu.width) == size
        assert (npu.pixel_format, npu.color_matrix, npu.color_range) == ("nv12", "bt601", "full")
        np.testing.assert_array_equal(npu.planes[0], luma_of(data))
        # Two conversions: FFmpeg's and the kernel's, which weigh chroma differently.
        assert np.abs(npu.to_bgr().astype(int) - picture(number, *size)).mean() < 3
    assert npu.planes[0].strides[0] % (128 if soc == "Ascend310" else 64) == 0
    del npu
    decoder.close()
    assert board.control.living() == ""


@pytest.mark.parametrize(("name", "pix_fmt"), [("a.avi", "yuvj420p"), ("a.avi", "yuvj422p"), ("a.mjpeg", "yuvj422p")])
def test_files_of_mjpeg(board: Board, tmp_path: Path, name: str, pix_fmt: str) -> None:
    clip = make_clip(tmp_path / name, 30, codec="mjpeg", pix_fmt=pix_fmt)
    with open_source(clip) as ours, open_source(clip, decoder="ascend") as npu:
        assert npu.info == ours.info
        npu.planes_wanted = True
        count = 0
        for expected, frame in zip(ours, npu):
            assert (frame.index, frame.pts_s) == (expected.index, expected.pts_s)
            assert (frame.picture.pixel_format, frame.picture.color_range) == ("nv12", "full")
            assert np.abs(frame.image.astype(int) - expected.image).mean() < 3
            count += 1
        assert count == 30
        assert npu.problems == ours.problems == []
    assert board.calls("media.dvpp_malloc") <= 5
    if board.control.profile().run_mode == "rc":
        assert board.calls("rt.memcpy", "rt.memcpy_async") == 0
    else:
        assert board.calls("rt.memcpy_async") == 60


def test_pictures_that_are_kept_and_pictures_of_another_size(board: Board) -> None:
    decoder = JpegDecoder("camera 0", 0)
    kept = []
    for number, size in enumerate([(96, 200), (96, 200), (64, 64), (256, 512)]):
        kept.append(decoder.decode(jpeg(number, *size)))
    decoder.close()
    for number, one in enumerate(kept):
        assert one is not None
        np.testing.assert_array_equal(one.planes[0], luma_of(jpeg(number, one.height, one.width)))
    del kept, one
    assert board.control.living() == ""


def test_a_camera_over_http_that_breaks_off_changes_its_size_and_sends_garbage(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_BACK_OFF_S", (0.02,))

    def program(camera: Connection, number: int) -> None:
        size = (96, 200) if number == 0 else (64, 128)
        for index in range(6):
            camera.send(picture(index, *size))
        camera.send_bytes(b"\xff\xd8 no picture")
        camera.send(picture(7, *size))

    with mjpeg_camera(program) as address, open_source(address, decoder="ascend") as npu:
        assert (npu.info.is_live, npu.info.width, npu.info.height) == (True, 200, 96)
        npu.planes_wanted = True
        sizes = [(frame.picture.pixel_format, frame.picture.height) for frame in islice(npu, 14)]
        assert sizes == [("nv12", 96)] * 7 + [("nv12", 64)] * 7
        assert npu.reconnected == 1
        assert npu.damaged >= 1
    gc.collect()
    assert board.control.living() == ""


def test_live_streams_of_vdec_are_refused(board: Board, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.ts", 30)
    data = (tmp_path / "a.ts").read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)  # without a length, so that nobody knows where it ends
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(VideoError, match="takes h264 from files only, because VDEC holds many frames back"):
                open_source(f"http://127.0.0.1:{server.server_port}/live.ts", decoder="ascend")
        finally:
            server.shutdown()
            thread.join()
    assert board.control.living() == ""


# -- what is refused, what is damaged ----------------------------------------------------------------------------------


def test_progressive_jpegs_are_refused(board: Board) -> None:
    decoder = JpegDecoder("camera 0", 0)
    with pytest.raises(
        VideoError, match=r"camera 0: JPEGD: 148052 .*as a progressive one.*read it without decoder='ascend'"
    ):
        decoder.decode(jpeg(0, 96, 200, cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    assert decoder.decode(jpeg(0)) is not None
    decoder.close()


@pytest.mark.parametrize("size", [(30, 64), (64, 65), (63, 64)])
def test_sizes_that_are_refused(board: Board, size: tuple[int, int]) -> None:
    decoder = JpegDecoder("a.avi", 0)
    with pytest.raises(
        VideoError, match=f"a.avi: JPEGD decodes pictures of even sides from 32 to 8192; this is {size[1]}x"
    ):
        decoder.decode(jpeg(0, *size))
    decoder.close()


def test_damaged_jpegs_are_left_out(board: Board) -> None:
    decoder = JpegDecoder("camera 0", 0)
    whole = jpeg(0)
    assert decoder.decode(b"no JPEG at all") is None
    assert "dvpp_jpeg_get_image_info" in decoder.failure
    assert decoder.decode(whole[:20]) is None
    assert decoder.decode(whole) is not None
    assert decoder.decode(b"\xff\xd8" * 200_000) is None  # larger than the first room for them
    assert decoder.decode(whole) is not None
    decoder.close()


def test_a_board_without_jpegd(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.avi", 2, codec="mjpeg", pix_fmt="yuvj420p")
    monkeypatch.delattr(board.acl.media, "dvpp_jpeg_decode_async")
    with pytest.raises(DeviceError, match="JPEGD is not there: this version of CANN has no function"):
        open_source(clip, decoder="ascend")


# -- cameras -----------------------------------------------------------------------------------------------------------


class Capture:
    """Stands in for cv2.VideoCapture of a camera that gives JPEGs, undecoded where that was asked for."""

    code = "MJPG"
    pictures: ClassVar[list[bytes]] = []

    def __init__(self, device: object, backend: int) -> None:
        self.left = list(self.pictures)
        self.asked: dict[int, float] = {}

    def isOpened(self) -> bool:
        return True

    def get(self, prop: int) -> float:
        return {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*self.code)}[prop]

    def set(self, prop: int, value: float) -> bool:
        self.asked[prop] = value
        return True

    def read(self) -> tuple[bool, object]:
        if not self.left:
            return False, None
        assert self.asked[cv2.CAP_PROP_CONVERT_RGB] == 0
        assert self.asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
        return True, np.frombuffer(self.left.pop(0), np.uint8)[np.newaxis]

    def release(self) -> None:
        self.left.clear()


@pytest.fixture
def camera(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Capture]:
    class OneCapture(Capture):
        pictures: ClassVar[list[bytes]] = [jpeg(number) for number in range(12)]

    (tmp_path / "video0").touch()
    monkeypatch.setattr(cv2, "VideoCapture", OneCapture)
    monkeypatch.setattr(cameras_module, "Path", lambda text: tmp_path / Path(text).name)
    return OneCapture


@pytest.mark.parametrize("planes", [True, False])
def test_a_camera(board: Board, camera: type[Capture], planes: bool) -> None:
    with open_source(0, decoder="ascend", camera=CameraSettings(pixel_format="mjpg")) as source:
        assert (source.info.width, source.info.height, source.info.details) == (200, 96, "MJPG")
        source.planes_wanted = planes
        for number, frame in enumerate(source):
            assert frame.index == number
            assert frame.picture.pixel_format == ("nv12" if planes else "bgr24")
            assert np.abs(frame.image.astype(int) - picture(number, 96, 200)).mean() < 3
        assert number == 11
        assert source.problems == ["camera 0 gave no picture any more after 12 frames"]
    del frame
    assert board.control.living() == ""


def test_a_camera_with_damaged_pictures(board: Board, camera: type[Capture]) -> None:
    camera.pictures[3] = b"\xff\xd8 broken"
    with open_source("/dev/video0", decoder="ascend") as source:
        assert [frame.index for frame in source] == [0, 1, 2, *range(4, 12)]
        assert source.damaged == 1
        assert "1 pictures were damaged" in source.problems[0]
    camera.pictures[:] = [b"broken"] * 40
    with pytest.raises(
        VideoError, match=r"gives no picture.*30 pictures were damaged: acl\.media\.dvpp_jpeg_get_image_info"
    ):
        open_source(0, decoder="ascend")
    assert board.control.living() == ""


def test_a_camera_without_mjpg(board: Board, camera: type[Capture]) -> None:
    camera.code = "YUYV"
    with pytest.raises(VideoError, match="camera 0: decoder='ascend' is for MJPG; the camera gives YUYV"):
        open_source(0, decoder="ascend")
    with pytest.raises(ArgumentError, match=r"camera\.pixel_format is 'YUYV'"):
        open_source(0, decoder="ascend", camera=CameraSettings(pixel_format="YUYV"))
    assert board.control.living() == ""


def test_a_camera_that_is_closed_early(board: Board, camera: type[Capture]) -> None:
    with open_source(0, decoder="ascend") as source:
        assert len(list(islice(source, 2))) == 2
    assert board.control.living() == ""
