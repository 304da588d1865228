"""Sources that are missing, damaged, cut off or empty: one clear line, and nothing that could be read is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from tests.unit.video_files import make_video, photo, psnr_db

from handpose_native.errors import HandposeError, VideoError
from handpose_native.video import open_source

FASTSTART = {"movflags": "faststart"}


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"missing\.mp4: no such file"):
        open_source(tmp_path / "missing.mp4")
    assert issubclass(VideoError, OSError)
    assert issubclass(VideoError, HandposeError)


@pytest.mark.parametrize("name", ["a.mp4", "notes.txt", "a.gif", "noise.mkv"])
def test_not_a_video(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("This is text and no video.\n" * 50)
    with pytest.raises(VideoError, match="not a video"):
        open_source(tmp_path / name)


def test_empty_file_folder_and_pattern(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(VideoError, match="the file is empty"):
        open_source(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match="holds no picture"):
        open_source(tmp_path)
    with pytest.raises(VideoError, match="matches no picture"):
        open_source(f"{tmp_path}/*.png")


def test_sound_only(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video in it, only audio"):
        open_source(tmp_path / "a.mkv")


def test_recording_that_was_not_finished(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, 12)
    cut(path, 0.6)  # the index stands at the end
    with pytest.raises(VideoError, match=r"a\.mp4: its index \(the moov atom\) is missing") as caught:
        open_source(path)
    assert isinstance(caught.value.__cause__, av.FFmpegError)


def test_corrupt_header(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, 12, options=FASTSTART)
    data = bytearray(path.read_bytes())
    at = data.index(b"moov") + 4
    data[at : at + 300] = b"\xa5" * 300
    path.write_bytes(bytes(data))
    with pytest.raises(VideoError, match=r"a\.mp4: "):
        open_source(path)


@pytest.mark.parametrize(("name", "options"), [("a.mp4", FASTSTART), ("a.mkv", {}), ("a.avi", {})])
def test_cut_off_in_the_middle(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    path = tmp_path / name
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    originals = make_video(path, images=[photo(n, 96, 128) for n in range(60)], codec=codec, options=options)
    cut(path, 0.6)
    with open_source(path) as source:
        frames = list(source)
    assert 25 <= len(frames) <= 45
    # Every one but the last, of which a part may be missing, is whole.
    assert psnr_db([frame.image for frame in frames[:-1]], originals) > 28
    assert len([text for text in source.problems if f"ended after {len(frames)} of " in text and "60" in text]) == 1


def test_gif_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    make_video(path, 12, codec="gif", pix_fmt="rgb8")
    cut(path, 0.5)
    with open_source(path) as source:
        frames = list(source)
    assert 2 <= len(frames) < 12
    assert any("cut off" in text for text in source.problems)


def test_damaged_bytes_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    images = [photo(n, 96, 128) for n in range(40)]
    make_video(path, images=images, codec="mjpeg", pix_fmt="yuvj420p", options=FASTSTART)
    data = bytearray(path.read_bytes())
    # Two whole pictures lose their start, which no decoder can guess.
    starts = [at for at in range(len(data) - 3) if data[at : at + 3] == b"\xff\xd8\xff"]
    assert len(starts) >= 40
    for start in starts[20:22]:
        data[start : start + 700] = bytes(700)
    path.write_bytes(bytes(data))
    with open_source(path) as source:
        frames = list(source)
    assert 38 <= len(frames) + 2 <= 40
    assert frames[-1].pts_s == pytest.approx(39 / 30, abs=1e-3)
    assert frames[-1].index == 39
    assert source.problems == [f"{path}: 2 damaged frames were left out"]


def test_a_video_without_any_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, 3, codec="mjpeg", pix_fmt="yuvj420p", options=FASTSTART)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    data[at:] = bytes(len(data) - at)
    path.write_bytes(bytes(data))
    with pytest.raises(VideoError, match="no frame can be read from it: all 3 are damaged"):
        open_source(path)


def test_size_that_changes_is_given_out_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mjpeg"
    small, large = tmp_path / "s.mjpeg", tmp_path / "l.mjpeg"
    make_video(small, images=[photo(n, 48, 64) for n in range(3)], codec="mjpeg", pix_fmt="yuvj420p")
    make_video(large, images=[photo(n, 96, 128) for n in range(3)], codec="mjpeg", pix_fmt="yuvj420p")
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with open_source(path) as source:
        sizes = [frame.image.shape[:2] for frame in source]
    assert sizes == [(48, 64)] * 3 + [(96, 128)] * 3


def test_times_never_decrease(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, 20)
    with open_source(path) as source:
        times = [frame.pts_s for frame in source]
    assert times[0] == 0.0
    assert times == sorted(times)


def test_ffmpeg_writes_nothing_to_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, images=[photo(n, 96, 128) for n in range(30)], options=FASTSTART)
    cut(path, 0.7)
    program = (
        "import sys, logging; logging.getLogger('handpose_native').setLevel(logging.CRITICAL)\n"
        "from handpose_native.video import open_source\n"
        "with open_source(sys.argv[1]) as source: print(len(list(source)) > 5)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
