"""Sources: cameras, by OpenCV's capture."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import cv2
import pytest
from tests.unit.video_files import HEIGHT, WIDTH, picture

from handpose_native.errors import ArgumentError, VideoError
from handpose_native.video import CameraSettings, open_source
from handpose_native.video import cameras as cameras_module


class FakeCapture:
    """Stands in for cv2.VideoCapture: gives `pictures` frames and then nothing."""

    pictures = 3
    opened = True
    rate = 15.0
    code = "YUYV"
    released = 0
    asked: ClassVar[list[tuple[int, float]]] = []

    def __init__(self, device: object, backend: int) -> None:
        assert backend == cv2.CAP_V4L2
        self.left = self.pictures

    def isOpened(self) -> bool:
        return self.opened

    def get(self, prop: int) -> float:
        return {cv2.CAP_PROP_FPS: self.rate, cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*self.code)}[prop]

    def set(self, prop: int, value: float) -> bool:
        self.asked.append((prop, value))
        return True

    def read(self) -> tuple[bool, object]:
        self.left -= 1
        return (True, picture(self.left)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        type(self).released += 1


@pytest.fixture
def fake_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeCapture]:
    class Capture(FakeCapture):
        asked: ClassVar[list[tuple[int, float]]] = []

    (tmp_path / "video0").touch()
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    monkeypatch.setattr(cameras_module, "Path", lambda text: tmp_path / Path(text).name)
    return Capture


def test_camera_that_stops(fake_camera: type[FakeCapture]) -> None:
    with open_source(0) as source:
        assert source.info.is_live
        assert (source.info.kind, source.info.fps, source.info.frame_count) == ("camera", 15, None)
        frames = list(source)
    assert len(frames) == 3
    assert frames[0].pts_s == 0.0
    assert all(a.pts_s <= b.pts_s for a, b in zip(frames, frames[1:]))
    assert source.problems == ["camera 0 gave no picture any more after 3 frames"]
    assert fake_camera.released == 1


@pytest.mark.parametrize("name", ["0", "/dev/video0"])
def test_camera_by_text(fake_camera: type[FakeCapture], name: str) -> None:
    fake_camera.rate = 0.0
    with open_source(name) as source:
        assert source.info.kind == "camera"
        assert source.info.fps is None


def test_what_a_camera_is_asked_for(fake_camera: type[FakeCapture]) -> None:
    fake_camera.code = "MJPG"
    settings = CameraSettings(size=(WIDTH, HEIGHT), fps=15, pixel_format="mjpg")
    with open_source(0, camera=settings) as source:
        assert source.info.details == "MJPG"
        assert source.problems == []
    properties = [prop for prop, _ in fake_camera.asked]
    # the format before the size, since sizes are offered per format
    assert properties.index(cv2.CAP_PROP_FOURCC) < properties.index(cv2.CAP_PROP_FRAME_WIDTH)
    asked = dict(fake_camera.asked)
    assert asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert (asked[cv2.CAP_PROP_FRAME_WIDTH], asked[cv2.CAP_PROP_FRAME_HEIGHT]) == (WIDTH, HEIGHT)
    assert asked[cv2.CAP_PROP_FPS] == 15


def test_what_a_camera_refuses_is_told(fake_camera: type[FakeCapture]) -> None:
    with open_source(0, camera=CameraSettings(size=(1920, 1080), fps=60, pixel_format="MJPG")) as source:
        assert source.problems == [
            "camera 0 was asked for MJPG, gives YUYV",
            f"camera 0 was asked for 1920x1080, gives {WIDTH}x{HEIGHT}",
            "camera 0 was asked for 60 frames per second, gives 15",
        ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": (0, 480)}, "size must be"),
        ({"size": (640,)}, "size must be"),
        ({"fps": 0}, "fps must be above 0"),
        ({"fps": float("nan")}, "fps must be above 0"),
        ({"pixel_format": "jpeg2"}, "four letters"),
    ],
)
def test_wrong_camera_settings(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        CameraSettings(**wrong)


def test_camera_without_pictures(fake_camera: type[FakeCapture]) -> None:
    fake_camera.pictures = 0
    with pytest.raises(VideoError, match="gives no picture"):
        open_source(0)
    fake_camera.opened = False
    with pytest.raises(VideoError, match="gives no picture"):
        open_source(0)
    assert fake_camera.released == 2


def test_no_such_camera() -> None:
    with pytest.raises(VideoError, match=r"there is no device /dev/video97"):
        open_source(97)
