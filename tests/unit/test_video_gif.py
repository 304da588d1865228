"""The GIF sink, read back with Pillow, with FFmpeg, and block by block."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import imageio
import numpy as np
import pytest
from PIL import Image
from tests.unit.video_files import gif_delays_cs, photo, picture, psnr_db, read_video

from handpose_native.errors import ArgumentError, DTypeError, VideoError
from handpose_native.video import open_sink
from handpose_native.video.gif_palette import Palette, choose_colors, nearest_color_table

ROOT = Path(__file__).resolve().parents[2]


def pillow_frames(path: Path) -> list[np.ndarray]:
    """Return all pictures as BGR, read with Pillow alone."""
    with Image.open(path) as image:
        frames = []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB"))[..., ::-1].copy())
    return frames


def write_gif(path: Path, images: list[np.ndarray], fps: float | Fraction = 25) -> list[str]:
    with open_sink(path, fps=fps) as sink:
        for number, image in enumerate(images):
            sink.write(image, float(number / fps))
    return sink.problems


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 12])
def test_pillow_and_ffmpeg_read_the_same_pictures(tmp_path: Path, frames: int) -> None:
    images = [photo(number, 97, 131) for number in range(frames)]
    assert write_gif(tmp_path / "a.gif", images) == []
    from_pillow, (from_ffmpeg, times) = pillow_frames(tmp_path / "a.gif"), read_video(tmp_path / "a.gif")
    assert len(from_pillow) == len(from_ffmpeg) == frames
    for one, other in zip(from_pillow, from_ffmpeg):
        np.testing.assert_array_equal(one, other)
    assert psnr_db(from_pillow, images) > 30
    assert times == [Fraction(4 * number, 100) for number in range(frames)]
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0


def test_no_worse_than_imageio(tmp_path: Path) -> None:
    images = [photo(number) for number in range(10)]
    write_gif(tmp_path / "ours.gif", images)
    imageio.mimsave(tmp_path / "theirs.gif", [image[..., ::-1] for image in images], duration=40)
    ours = psnr_db(pillow_frames(tmp_path / "ours.gif"), images)
    theirs = psnr_db(pillow_frames(tmp_path / "theirs.gif"), images)
    assert ours >= theirs


def test_new_palette_where_the_scene_changes(tmp_path: Path) -> None:
    first = [photo(number) for number in range(6)]
    second = [255 - photo(number)[..., [1, 2, 0]] // 3 for number in range(6)]
    images = first + second + first
    write_gif(tmp_path / "a.gif", images)
    read = pillow_frames(tmp_path / "a.gif")
    for part in (slice(0, 6), slice(6, 12), slice(12, 18)):
        assert psnr_db(read[part], images[part]) > 33
    for one, other in zip(read, read_video(tmp_path / "a.gif")[0]):
        np.testing.assert_array_equal(one, other)
    assert gif_delays_cs(tmp_path / "a.gif") == [4] * 18


def test_small_changes_after_a_new_palette(tmp_path: Path) -> None:
    """A still picture with a moving square, so that most of each later picture is transparent."""
    images = []
    for number in range(16):
        image = photo(0) if number < 6 else 255 - photo(0)[..., [1, 2, 0]] // 2
        image[50:80, number * 9 : number * 9 + 30] = (30, 90, 160)
        images.append(image)
    write_gif(tmp_path / "a.gif", images)
    read = pillow_frames(tmp_path / "a.gif")
    assert min(psnr_db([one], [other]) for one, other in zip(read, images)) > 33
    for one, other in zip(read, read_video(tmp_path / "a.gif")[0]):
        np.testing.assert_array_equal(one, other)


def test_still_pictures_cost_next_to_nothing(tmp_path: Path) -> None:
    write_gif(tmp_path / "one.gif", [photo(0)])
    write_gif(tmp_path / "many.gif", [photo(0)] * 20)
    assert (tmp_path / "many.gif").stat().st_size < (tmp_path / "one.gif").stat().st_size + 20 * 100
    assert len(pillow_frames(tmp_path / "many.gif")) == 20


@pytest.mark.parametrize("fps", [30, 25, 24, Fraction(30000, 1001), 50, 10])
def test_times_do_not_drift(tmp_path: Path, fps: int | Fraction) -> None:
    images = [picture(number) for number in range(60)]
    assert write_gif(tmp_path / "a.gif", images, fps) == []
    ends = np.cumsum(gif_delays_cs(tmp_path / "a.gif"))
    np.testing.assert_allclose(ends, [float(100 * (number + 1) / fps) for number in range(60)], atol=0.5 + 1e-9)


def test_variable_times(tmp_path: Path) -> None:
    times = np.cumsum([0.0, 0.033, 0.5, 0.021, 2.0, 0.1234])
    with open_sink(tmp_path / "a.gif") as sink:
        for number, time_s in enumerate(times):
            sink.write(picture(number), float(time_s))
    delays = gif_delays_cs(tmp_path / "a.gif")
    np.testing.assert_allclose(np.cumsum([0, *delays[:-1]]), times * 100, atol=0.5)
    assert delays[-1] == delays[-2]


def test_more_than_50_frames_a_second(tmp_path: Path) -> None:
    with open_sink(tmp_path / "a.gif", fps=60) as sink:
        for number in range(60):
            sink.write(picture(number), number / 60)
    delays = gif_delays_cs(tmp_path / "a.gif")
    assert min(delays) >= 2
    assert abs(sum(delays) - 100) <= 2
    assert len(delays) == sink.frames_written < 60
    left_out = 60 - len(delays)
    assert sink.problems == [
        f"{tmp_path / 'a.gif'}: {left_out} frames were left out, because GIF shows no more than 50 per second"
    ]


def test_size_that_changes_is_fitted_into_the_first(tmp_path: Path) -> None:
    with open_sink(tmp_path / "a.gif") as sink:
        for number in range(6):
            sink.write(picture(number), number / 10)
        for number in range(6, 9):
            sink.write(np.full((48, 32, 3), 200, np.uint8), number / 10)
    assert sink.problems == [
        f"{tmp_path / 'a.gif'}: from frame 6 on the size changes from 64x48 to 32x48; such frames are fitted into the "
        "first size"
    ]
    last = pillow_frames(tmp_path / "a.gif")[-1].astype(int)
    assert last.shape == (48, 64, 3)
    assert abs(last[:, 20:44] - 200).max() < 12
    assert last[:, :12].max() < 12


def test_nothing_is_created_before_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(b"an older file")
    with open_sink(path) as sink:
        with pytest.raises(DTypeError, match="float32"):
            sink.write(np.zeros((4, 4, 3), np.float32), 0.0)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match=r"\(4, 4\)"):
            sink.write(np.zeros((4, 4), np.uint8), 0.0)
        with pytest.raises(ArgumentError, match="pts_s"):
            sink.write(picture(0), float("nan"))
    assert path.read_bytes() == b"an older file"
    with pytest.raises(VideoError, match="is closed"):
        sink.write(picture(0), 0.0)


def test_pictures_are_not_kept_nor_changed(tmp_path: Path) -> None:
    image = picture(0)
    with open_sink(tmp_path / "a.gif", fps=10) as sink:
        for number in range(8):
            image[:] = picture(number)
            image.flags.writeable = False
            sink.write(image, number / 10)
            image.flags.writeable = True
    assert psnr_db(pillow_frames(tmp_path / "a.gif"), [picture(number) for number in range(8)]) > 38


def test_a_file_that_is_being_written_can_be_opened(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "a.gif", fps=10)
    for number in range(9):
        sink.write(picture(number), number / 10)
    copy = tmp_path / "copy.gif"
    copy.write_bytes((tmp_path / "a.gif").read_bytes())
    assert len(pillow_frames(copy)) == 8
    assert len(gif_delays_cs(copy)) == 8
    sink.close()
    assert len(pillow_frames(tmp_path / "a.gif")) == 9


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from handpose_native.errors import VideoError
from handpose_native.video import open_sink
from tests.unit.video_files import photo
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
sink = open_sink(sys.argv[1], fps=25)
try:
    for number in range(200):
        sink.write(photo(number, 120, 160), number / 25)
except VideoError as error:
    assert isinstance(error.__cause__, OSError), error.__cause__
    print(error)
else:
    print("no error")
sink.close()
sink.close()
"""


def test_full_disk_leaves_every_whole_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout == f"{path}: cannot be written: File too large\n"
    frames = pillow_frames(path)
    assert len(frames) == len(gif_delays_cs(path)) > 4
    assert len(read_video(path)[0]) == len(frames)
    assert psnr_db(frames, [photo(number, 120, 160) for number in range(len(frames))]) > 30


FLAT_MEMORY = """
import resource, sys
from handpose_native.video import open_sink
from tests.unit.video_files import photo
images = [photo(number, 240, 320) for number in range(8)]
with open_sink(sys.argv[1], fps=25) as sink:
    for number in range(60):
        sink.write(images[number % 8], number / 25)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(60, 300):
        sink.write(images[number % 8], number / 25)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FLAT_MEMORY, str(tmp_path / "a.gif")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=120,
    )
    # 240 pictures of 320x240 are 54 MB.
    assert int(done.stdout) < 6 * 1024


def test_palette_is_the_nearest_color_and_one_is_transparent() -> None:
    argb = choose_colors([photo(0), photo(1)])
    assert np.flatnonzero(argb[:, 0] == 0).tolist() == [255]
    table = nearest_color_table(argb)
    cells = np.random.default_rng(0).integers(0, 64, (500, 3))
    distances = ((cells[:, np.newaxis] * 4 + 1.5 - argb[:255, 1:]) ** 2).sum(axis=2)
    chosen = table[tuple(cells.T)]
    np.testing.assert_allclose(distances[np.arange(500), chosen], distances.min(axis=1))


def test_palette_of_a_single_color_and_of_a_single_pixel() -> None:
    for image in (np.full((8, 8, 3), (10, 20, 30), np.uint8), np.full((1, 1, 3), (10, 20, 30), np.uint8)):
        palette = Palette([image])
        assert palette.error_of(image) < 1
        assert palette.fits(image)
        assert not palette.fits(255 - image)


def test_smallest_picture(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", [np.full((1, 1, 3), value, np.uint8) for value in (0, 100, 250)])
    assert [int(frame[0, 0, 0]) for frame in pillow_frames(tmp_path / "a.gif")] == pytest.approx([0, 100, 250], abs=4)
