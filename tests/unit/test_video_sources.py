"""Sources: every kind but cameras, read to its end."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.unit.video_files import HEIGHT, WIDTH, make_video, picture, psnr_db, rotate_mp4

from handpose_native.errors import ArgumentError, DTypeError, VideoError
from handpose_native.video import Source, open_source
from handpose_native.video import files as files_module
from handpose_native.video.images import natural_key


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "least_db"),
    [
        ("a.mp4", "libx264", "yuv420p", 33),
        ("a.mov", "libx264", "yuv420p", 33),
        ("a.mkv", "libx264", "yuv420p", 33),
        ("a.avi", "mpeg4", "yuv420p", 28),
        ("a.webm", "libvpx", "yuv420p", 28),
        ("a.gif", "gif", "rgb8", 15),
    ],
)
def test_reads_every_container(tmp_path: Path, name: str, codec: str, pix_fmt: str, least_db: float) -> None:
    originals = make_video(tmp_path / name, 12, codec=codec, pix_fmt=pix_fmt, rate=25)
    with open_source(tmp_path / name) as source:
        assert (source.info.kind, source.info.width, source.info.height) == ("video", WIDTH, HEIGHT)
        assert source.info.fps == 25
        assert not source.info.is_live
        frames = list(source)
    assert source.problems == []
    assert [frame.index for frame in frames] == list(range(12))
    np.testing.assert_allclose([frame.pts_s for frame in frames], np.arange(12) / 25, atol=0.0011)
    assert all(f.image.dtype == np.uint8 and f.image.flags.writeable and f.image.flags.c_contiguous for f in frames)
    assert psnr_db([frame.image for frame in frames], originals) > least_db


def test_frame_count_and_rate_are_exact(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", 7, rate=Fraction(30000, 1001))
    with open_source(str(tmp_path / "a.mp4")) as source:
        assert source.info.frame_count == 7
        assert source.info.fps == Fraction(30000, 1001)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_phone_videos_come_upright(tmp_path: Path, turns: int) -> None:
    path = tmp_path / "phone.mp4"
    originals = make_video(path, 4)
    rotate_mp4(path, turns)
    with open_source(path) as source:
        frames = list(source)
    upright = [np.rot90(image, -turns) for image in originals]
    assert (source.info.height, source.info.width) == upright[0].shape[:2] == frames[0].image.shape[:2]
    assert psnr_db([frame.image for frame in frames], upright) > 33


def test_name_that_looks_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "a.mp4", 2)
    (tmp_path / "a.mp4").rename(tmp_path / "rtp:12.mp4")
    monkeypatch.chdir(tmp_path)
    with open_source("rtp:12.mp4") as source:
        assert len(list(source)) == 2


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux lists the threads of a process there")
def test_a_closed_source_has_no_threads_left(tmp_path: Path) -> None:
    def threads() -> set[str]:
        return {path.name for path in Path("/proc/self/task").iterdir()}

    make_video(tmp_path / "a.mp4", 3)
    others = threads()
    source = open_source(tmp_path / "a.mp4")
    of_decoder = threads() - others
    if not of_decoder:
        pytest.skip("FFmpeg decodes without threads of its own here")
    source.close()
    patience = time.monotonic() + 10
    while of_decoder & threads() and time.monotonic() < patience:  # a joined thread is listed a moment longer
        time.sleep(0.001)
    assert not of_decoder & threads()


def test_a_source_is_read_once_and_closes_twice(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", 3)
    source = open_source(tmp_path / "a.mp4")
    assert open_source(source) is source
    assert len(list(source)) == 3
    with pytest.raises(VideoError, match="only once"):
        iter(source)
    source.close()
    source.close()
    with pytest.raises(VideoError, match="closed"):
        iter(source)


def test_picture_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture(0))
    with open_source(tmp_path / "a.png") as source:
        frames = list(source)
    assert (source.info.kind, source.info.frame_count) == ("images", 1)
    assert len(frames) == 1
    np.testing.assert_array_equal(frames[0].image, picture(0))


@pytest.mark.parametrize("kind", ["grey", "alpha", "16 bit"])
def test_other_pictures_become_bgr(tmp_path: Path, kind: str) -> None:
    image = picture(0)
    written = {
        "grey": image[..., 0],
        "alpha": np.dstack([image, np.full(image.shape[:2], 7, np.uint8)]),
        "16 bit": image.astype(np.uint16) * 257,
    }[kind]
    cv2.imwrite(str(tmp_path / "a.png"), written)
    with open_source(tmp_path / "a.png") as source:
        (frame,) = source
    expected = np.dstack([image[..., 0]] * 3) if kind == "grey" else image
    np.testing.assert_array_equal(frame.image, expected)


def test_folder_and_pattern_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"shot{number}.png"), np.full((4, 6, 3), number, np.uint8))
    cv2.imwrite(str(tmp_path / "other3.bmp"), np.full((4, 6, 3), 3, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    with open_source(tmp_path, fps=Fraction(10)) as source:
        assert source.info.frame_count == 4
        assert [(f.image[0, 0, 0], f.pts_s) for f in source] == [(3, 0.0), (1, 0.1), (2, 0.2), (10, 0.3)]
    with open_source(f"{tmp_path}/shot*.png") as source:
        assert [frame.image[0, 0, 0] for frame in source] == [1, 2, 10]
        assert source.info.fps == 30


def test_natural_key() -> None:
    names = ["b1", "a10", "a2", "a02b", "10", "9", "A3"]
    assert sorted(names, key=natural_key) == ["9", "10", "a2", "a02b", "A3", "a10", "b1"]


def test_damaged_picture_in_a_folder_is_left_out(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(number))
    for number in (0, 2):
        (tmp_path / f"{number}.png").write_bytes(b"no picture at all")
    with open_source(tmp_path) as source:
        assert [frame.index for frame in source] == [1, 3]
    assert len(source.problems) == 2
    assert "0.png" in source.problems[0]
    assert "2.png" in source.problems[1]


def test_only_damaged_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    with pytest.raises(VideoError, match=r"a\.png: the picture is damaged"):
        open_source(tmp_path)
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(VideoError, match=r"none of the 2 pictures.*b\.png: the file is empty"):
        open_source(tmp_path)


def test_array_of_one_frame_and_of_several() -> None:
    with open_source(picture(0)) as source:
        assert [frame.image.shape for frame in source] == [(HEIGHT, WIDTH, 3)]
    stack = np.stack([picture(number) for number in range(3)])
    with open_source(stack, fps=25) as source:
        assert (source.info.kind, source.info.frame_count, source.info.width) == ("frames", 3, WIDTH)
        assert [frame.pts_s for frame in source] == [0.0, 0.04, 0.08]


def test_the_callers_arrays_are_never_drawn_upon() -> None:
    frozen = picture(0)
    frozen.flags.writeable = False
    mine = [picture(1), frozen, np.asfortranarray(picture(2)), picture(3)[:, ::-1]]
    kept = [image.copy() for image in mine]
    for image in (*mine,):
        with open_source([image]) as source:
            for frame in source:
                frame.image[:] = 0
    for image, before in zip(mine, kept):
        np.testing.assert_array_equal(image, before)


def test_generator_that_fills_one_buffer_again() -> None:
    buffer = np.zeros((4, 5, 3), np.uint8)

    def fill() -> object:
        for value in range(3):
            buffer[:] = value
            yield buffer

    with open_source(fill()) as source:
        assert source.info.frame_count is None
        assert [frame.image[0, 0, 0] for frame in list(source)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (np.zeros((4, 5, 3), np.float32), DTypeError, "frame 1.*float32"),
        (np.zeros((4, 5), np.uint8), ArgumentError, r"frame 1.*\(4, 5\)"),
        (np.zeros((4, 5, 4), np.uint8), ArgumentError, r"frame 1.*\(4, 5, 4\)"),
        (np.zeros((0, 5, 3), np.uint8), ArgumentError, "frame 1"),
        ("text", DTypeError, "frame 1.*str"),
    ],
)
def test_iterables_are_checked(bad: object, error: type[Exception], message: str) -> None:
    frames = iter(open_source([picture(0), bad]))
    next(frames)
    with pytest.raises(error, match=message):
        next(frames)


def test_no_frames_in_memory() -> None:
    for empty in ([], np.zeros((0, 4, 5, 3), np.uint8)):
        with pytest.raises(VideoError, match="no frame"):
            open_source(empty)
    with open_source(iter([])) as source, pytest.raises(VideoError, match="no frame"):
        list(source)
    with pytest.raises(ArgumentError, match="H, W, 3"):
        open_source(np.zeros((4, 5), np.uint8))


@pytest.mark.parametrize("wrong", [None, 1.5, True, b"a.mp4", object()])
def test_not_a_source(wrong: object) -> None:
    with pytest.raises(DTypeError, match="open_source"):
        open_source(wrong)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), "fast", None])
def test_wrong_rate(fps: object) -> None:
    with pytest.raises(ArgumentError, match="fps"):
        open_source([picture(0)], fps=fps)  # type: ignore[arg-type]


def test_http_address(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", 6, options={"movflags": "faststart"})

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            return

    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        root = f"127.0.0.1:{server.server_port}"
        with open_source(f"http://me:secret@{root}/a.mp4") as source:
            assert source.info.name == f"http://{root}/a.mp4"
            assert (source.info.kind, source.info.is_live) == ("stream", False)
            assert len(list(source)) == 6
        with pytest.raises(VideoError, match="cannot be opened") as caught:
            open_source(f"http://me:secret@{root}/missing.mp4")
        assert "secret" not in str(caught.value)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "NETWORK_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/live"
        with pytest.raises(VideoError, match=r"live: no answer within 0\.3 s"):
            open_source(address)


def test_stopping_early(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", 30)
    with open_source(tmp_path / "a.mp4") as source:
        frames = iter(source)
        assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    assert list(frames) == []
    assert source.problems == []


def test_source_is_the_public_class() -> None:
    assert isinstance(open_source(picture(0)), Source)


@pytest.mark.parametrize(("tag", "bgr"), [(1, (37, 79, 192)), (5, (40, 70, 182)), (2, (40, 70, 182))])
def test_colours_follow_the_matrix_that_the_file_names(tmp_path: Path, tag: int, bgr: tuple[int, int, int]) -> None:
    # Y, U, V = 102, 98, 179 in limited range, by the formulas of BT.709 and, named or not, BT.601.
    path = tmp_path / "plain.mkv"
    planes = np.full((72, 64), 98, np.uint8)
    planes[:48] = 102
    planes[60:] = 179
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        names = {1: "bt709", 5: "bt470bg", 2: "unspecified"}
        stream.options = {"qp": "0", "colorspace": names[tag]}
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.colorspace = tag
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    with open_source(path) as source:
        (shown,) = source
    # FFmpeg's fast conversion is up to two levels off the exact one.
    assert np.abs(shown.image.astype(int) - bgr).max() <= 2
