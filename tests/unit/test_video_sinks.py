"""MP4, MOV, Matroska, picture and window sinks, and the choice between them."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.unit.video_files import photo, picture, psnr_db, read_video

from handpose_native.errors import ArgumentError, DTypeError, VideoError
from handpose_native.video import WindowSink, open_sink, open_source

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = [".mp4", ".m4v", ".mov", ".mkv"]


def write_all(path: Path, images: list[np.ndarray], fps: Fraction | float = 30) -> list[str]:
    with open_sink(path, fps=fps) as sink:
        for number, image in enumerate(images):
            sink.write(image, float(number / fps))
    assert sink.frames_written == len(images)
    return sink.problems


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h264_as_browsers_play_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    images = [photo(number, 120, 160) for number in range(40)]
    assert write_all(path, images) == []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert container.duration == pytest.approx(40 / 30 * 1e6, abs=1e6 / 30)
        assert stream.average_rate == pytest.approx(30, rel=0.02)
        if suffix != ".mkv":
            assert stream.frames == 40
        frame = next(container.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)  # BT.709, limited
    read, times = read_video(path)
    np.testing.assert_allclose([float(time) for time in times], np.arange(40) / 30, atol=1e-3)
    assert psnr_db(read, images) > 32
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_index_stands_in_front(tmp_path: Path, suffix: str) -> None:
    write_all(tmp_path / f"a{suffix}", [picture(number) for number in range(5)])
    data = (tmp_path / f"a{suffix}").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert b"moof" not in data


def test_colors_survive(tmp_path: Path) -> None:
    colors = [(30, 60, 200), (200, 40, 40), (40, 200, 60), (128, 128, 128), (0, 0, 0), (255, 255, 255)]
    for number, color in enumerate(colors):
        path = tmp_path / f"{number}.mp4"
        write_all(path, [np.full((32, 32, 3), color, np.uint8)])
        with open_source(path) as source:
            (frame,) = source
        # FFmpeg before 8 rounds down on the way to YUV and back.
        np.testing.assert_allclose(frame.image[16, 16], color, atol=6)


@pytest.mark.parametrize(("height", "width"), [(47, 64), (48, 63), (47, 63), (1, 1), (2, 3)])
def test_odd_sizes_become_even(tmp_path: Path, height: int, width: int) -> None:
    images = [picture(number)[:height, :width] for number in range(3)]
    write_all(tmp_path / "a.mp4", images)
    read, _ = read_video(tmp_path / "a.mp4")
    assert read[0].shape == (height + height % 2, width + width % 2, 3)
    assert psnr_db([image[:height, :width] for image in read], images) > 25


def test_variable_and_repeated_times(tmp_path: Path) -> None:
    times = [0.0, 0.033, 0.5, 0.5, 0.52, 3.0]
    with open_sink(tmp_path / "a.mp4", fps=10) as sink:
        for number, time_s in enumerate(times):
            sink.write(picture(number), time_s)
    read = [float(time) for time in read_video(tmp_path / "a.mp4")[1]]
    np.testing.assert_allclose(read, times, atol=1e-3)
    assert all(a < b for a, b in zip(read, read[1:]))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_not_closed_plays_up_to_the_last_second(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    images = [photo(number, 96, 128) for number in range(150)]
    sink = open_sink(path, fps=10)
    for number, image in enumerate(images):
        sink.write(image, number / 10)
    copy = tmp_path / f"copy{suffix}"
    copy.write_bytes(path.read_bytes())
    read, _ = read_video(copy)
    # x264 looks some frames ahead, and a second is under way.
    assert len(read) >= 150 - 10 - 30
    assert psnr_db(read, images) > 30
    sink.close()
    assert len(read_video(path)[0]) == 150


FULL_DISK = """
import resource, signal, sys
from handpose_native.errors import VideoError
from handpose_native.video import open_sink
from tests.unit.video_files import photo
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
sink = open_sink(sys.argv[1], fps=10)
try:
    for number in range(int(sys.argv[3])):
        sink.write(photo(number, 96, 128), number / 10)
    sink.close()
except VideoError as error:
    print(error)
sink.close()
sink.close()
print(len(sink.problems))
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_disk_leaves_a_video_that_plays(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), "20000", "200"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=120,
    )
    assert done.stdout == f"{path}: cannot be written: File too large\n0\n"
    assert done.stderr == ""
    with open_source(path) as source:
        assert len(list(source)) > 10


def test_mp4_that_cannot_be_rewritten_stays_in_fragments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    problems = write_all(tmp_path / "a.mp4", [picture(number) for number in range(5)])
    assert len(problems) == 1
    assert "left in fragments" in problems[0]
    assert "No space left" in problems[0]
    assert len(read_video(tmp_path / "a.mp4")[0]) == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


def test_rewriting_follows_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "real" / "a.mp4")
    write_all(tmp_path / "link.mp4", [picture(0)])
    assert (tmp_path / "link.mp4").is_symlink()
    assert len(read_video(tmp_path / "real" / "a.mp4")[0]) == 1


def test_ffmpeg_without_x264(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"gif"})
    with pytest.raises(VideoError, match="no libx264"):
        open_sink(tmp_path / "a.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_size_that_changes_is_fitted_into_the_first(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    images = [picture(number) for number in range(3)] + [np.full((96, 64, 3), 200, np.uint8)] * 3
    problems = write_all(path, images)
    assert problems == [
        f"{path}: from frame 3 on the size changes from 64x48 to 64x96; such frames are fitted into the first size"
    ]
    last = read_video(path)[0][-1].astype(int)
    assert last.shape == (48, 64, 3)
    assert abs(last[:, 20:44] - 200).max() < 16
    assert last[:, :12].max() < 24


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png", "folder"])
def test_no_frame_no_file(tmp_path: Path, name: str) -> None:
    with open_sink(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.png"])
def test_existing_file_is_kept_until_the_first_frame(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"an older file")
    with open_sink(tmp_path / name) as sink:
        assert sink.name == str(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"an older file"
    with open_sink(tmp_path / name) as sink:
        sink.write(picture(0), 0.0)
    assert (tmp_path / name).read_bytes() != b"an older file"


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png", "frames/"])
def test_folder_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoError, match=r"the folder .*/nowhere does not exist"):
        open_sink(f"{tmp_path}/nowhere/{name}")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.png", "frames/"])
def test_folder_without_permission(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(VideoError, match="no permission to write"):
        open_sink(f"{tmp_path}/{name}")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.png"])
def test_file_that_cannot_be_created(tmp_path: Path, name: str) -> None:
    sink = open_sink(tmp_path / "gone" / name) if (tmp_path / "gone").mkdir() is None else None
    assert sink is not None
    (tmp_path / "gone").rmdir()
    with pytest.raises(VideoError, match=rf"{name}: cannot be written: No such file") as caught:
        sink.write(picture(0), 0.0)
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(VideoError, match="failed before"):
        sink.write(picture(0), 0.0)
    sink.close()
    sink.close()


@pytest.mark.parametrize("target", ["a.xyz", "a.txt", "", "a.webm"])
def test_unknown_suffix_lists_what_works(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=r"\.gif .*\.mp4 .*\.png"):
        open_sink(target)


@pytest.mark.parametrize("target", [None, 3, b"a.gif"])
def test_wrong_type(target: object) -> None:
    with pytest.raises(DTypeError, match="open_sink"):
        open_sink(target)


def test_a_sink_passes_through(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "a.gif")
    assert open_sink(sink) is sink


@pytest.mark.parametrize("target", ["new", "new.v2/", "old.v1"])
def test_folder_of_pictures(tmp_path: Path, target: str) -> None:
    (tmp_path / "old.v1").mkdir()
    with open_sink(f"{tmp_path}/{target}") as sink:
        sink.write(picture(0), 0.0)
        sink.write(picture(1)[:20, :30], 0.1)
    folder = tmp_path / target
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "000001.png"]
    np.testing.assert_array_equal(cv2.imread(str(folder / "000001.png")), picture(1)[:20, :30])


def test_numbered_pattern(tmp_path: Path) -> None:
    with open_sink(tmp_path / "out_%03d.jpg") as sink:
        for number in range(3):
            sink.write(picture(number), number / 30)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out_000.jpg", "out_001.jpg", "out_002.jpg"]
    for name in ("%s_%d.png", "a%.png", "a%d%d.png", "%%.png"):
        with pytest.raises(ArgumentError, match="one number such as %05d"):
            open_sink(tmp_path / name)


def test_half_a_picture_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_sink(tmp_path / "%d.png") as sink:
        sink.write(picture(0), 0.0)

        def full(self: Path, data: bytes) -> int:
            with self.open("wb") as file:
                file.write(data[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(VideoError, match="cannot be written: No space left"):
            sink.write(picture(1), 0.1)
    assert [path.name for path in tmp_path.iterdir()] == ["0.png"]


def test_single_picture(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "a.jpg")
    sink.write(picture(0), 0.0)
    with pytest.raises(VideoError, match=r"one picture only; name a pattern such as a_%05d\.jpg"):
        sink.write(picture(1), 0.1)
    sink.close()
    assert cv2.imread(str(tmp_path / "a.jpg")).shape == (48, 64, 3)


class FakeWindows:
    """Stands in for the window functions of cv2."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key, self.visible, self.shown, self.destroyed = -1, 1.0, 0, 0
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: None)
        monkeypatch.setattr(cv2, "imshow", self.show)
        monkeypatch.setattr(cv2, "waitKey", lambda delay: self.key)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda title, prop: self.visible)
        monkeypatch.setattr(cv2, "destroyWindow", self.destroy)

    def show(self, title: str, image: np.ndarray) -> None:
        self.shown += 1

    def destroy(self, title: str) -> None:
        self.destroyed += 1


@pytest.mark.parametrize("way", ["escape", "q", "closed"])
def test_window_that_the_user_ends(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    windows = FakeWindows(monkeypatch)
    with WindowSink() as sink:
        sink.write(picture(0), 0.0)
        assert not sink.wants_stop
        windows.key = {"escape": 27, "q": ord("q"), "closed": -1}[way]
        windows.visible = 0.0 if way == "closed" else 1.0
        sink.write(picture(1), 0.1)
        assert sink.wants_stop
        sink.write(picture(2), 0.2)
    assert (windows.shown, sink.frames_written, windows.destroyed) == (2, 2, 1)


def test_window_without_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(VideoError, match="no display"):
        WindowSink()


def test_window_with_headless_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(title: str, flags: int) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", missing)
    with pytest.raises(VideoError, match="install opencv-python"):
        WindowSink()


def test_mp4_colours_are_bt709_and_say_so(tmp_path: Path) -> None:
    image = np.empty((48, 64, 3), np.uint8)
    image[:] = (40, 80, 200)
    with open_sink(tmp_path / "o.mp4") as sink:
        sink.write(image, 0.0)
    with av.open(str(tmp_path / "o.mp4")) as container:
        frame = next(container.decode(video=0))
    assert frame.colorspace == 1
    planes = frame.to_ndarray()
    # The formulas of BT.709, limited range, give 104, 98, 182.
    assert [int(planes[y, 8]) for y in (8, 52, 64)] == pytest.approx([104, 98, 182], abs=1)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_an_end_that_could_not_be_written_is_an_error(tmp_path: Path, suffix: str) -> None:
    """A disk that another output filled: everything so far is still in FFmpeg's hands when the sink is closed."""
    path = tmp_path / f"o{suffix}"
    code = f"""
import resource, signal
from handpose_native.errors import VideoError
from handpose_native.video import open_sink
from tests.unit.video_files import photo
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sink = open_sink({str(path)!r})
try:
    for number in range(9):
        sink.write(photo(number), number / 30)
    sink.close()
except VideoError as error:
    print("refused:", error)
sink.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "refused:" in done.stdout
    assert path.name in done.stdout


def test_a_window_after_pyav_is_refused_and_does_not_hang() -> None:
    code = """
import av, handpose_native as hp
try:
    hp.WindowSink()
except hp.VideoError as error:
    print(error)
"""
    environment = {**os.environ, "DISPLAY": ":77"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    has_qt = "QT:" in cv2.getBuildInformation()
    assert ("PyAV was loaded before OpenCV" if has_qt else "has no windows") in done.stdout
