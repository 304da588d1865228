"""Pictures in planes: from the decoder to the kernels, the drawing and the encoder."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from tests.unit.video_files import make_video, photo, psnr_db, read_video

import handpose_native as hp
from handpose_native.video.conversion import DecodedPicture

#: What each tag stands for: AVColorSpace, then Kr and Kb of the standard (ITU-R BT.709-6 and BT.601-7).
MATRICES = {"bt709": (1, 0.2126, 0.0722), "bt470bg": (5, 0.299, 0.114), "unspecified": (2, 0.299, 0.114)}


def planes_of(path: Path) -> list[hp.Picture]:
    with hp.open_source(path) as source:
        source.planes_wanted = True
        return [frame.picture for frame in source]


def bgr_exactly(picture: hp.Picture, kr: float, kb: float) -> np.ndarray:
    """The conversion of the standard in float64, for chroma that is constant in each 2x2 block."""
    luma, u, v = (plane.astype(np.float64) for plane in picture.planes)
    u, v = (np.repeat(np.repeat(plane, 2, 0), 2, 1)[: luma.shape[0], : luma.shape[1]] for plane in (u, v))
    limited = picture.color_range == "limited"
    y = (luma - 16) / 219 if limited else luma / 255
    pb, pr = ((plane - 128) / (224 if limited else 255) for plane in (u, v))
    r, b = y + 2 * (1 - kr) * pr, y + 2 * (1 - kb) * pb
    g = (y - kr * r - kb * b) / (1 - kr - kb)
    return np.clip(np.dstack([b, g, r]), 0, 1) * 255


def uniform_video(path: Path, tag: str, color_range: str) -> None:
    """Patches of one colour each, 32 pixels wide, so that no interpolation of chroma matters inside them."""
    rng = np.random.default_rng(5)
    planes = np.empty((144, 128), np.uint8)
    planes[:96] = np.repeat(np.repeat(rng.integers(60, 190, (3, 4)), 32, 0), 32, 1)
    chroma = np.repeat(np.repeat(rng.integers(100, 156, (2, 3, 4)), 16, 1), 16, 2)
    planes[96:] = chroma.reshape(48, 128)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = 128, 96
        stream.pix_fmt = "yuv420p" if color_range == "tv" else "yuvj420p"
        stream.options = {"qp": "0", "colorspace": tag, "color_range": color_range}
        frame = av.VideoFrame.from_ndarray(planes, format=stream.pix_fmt)
        frame.colorspace = MATRICES[tag][0]
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.mark.parametrize("color_range", ["tv", "pc"])
@pytest.mark.parametrize("tag", sorted(MATRICES))
def test_planes_carry_the_colours_that_the_file_names(tmp_path: Path, tag: str, color_range: str) -> None:
    path = tmp_path / "patches.mkv"
    uniform_video(path, tag, color_range)
    (picture,) = planes_of(path)
    assert picture.pixel_format == "yuv420p"
    exact = bgr_exactly(picture, *MATRICES[tag][1:])
    inside = np.zeros((96, 128), bool)
    for y in range(0, 96, 32):
        for x in range(0, 128, 32):
            inside[y + 4 : y + 28, x + 4 : x + 28] = True
    read = hp.preprocess(picture, size_hw=(96, 128), dtype="uint8", layout="NHWC", channel_order="bgr")[0]
    assert np.abs(read - exact)[inside].max() <= 1
    # FFmpeg's fast conversion is up to two levels off the exact one.
    assert np.abs(picture.to_bgr() - exact)[inside].max() <= 2.5


def test_drawing_onto_planes_does_not_reach_the_decoder(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_video(path, images=[photo(number) for number in range(12)], gop=12)
    untouched = [picture.to_bgr() for picture in planes_of(path)]
    with hp.open_source(path) as source:
        source.planes_wanted = True
        for frame, expected in zip(source, untouched):
            np.testing.assert_array_equal(frame.image, expected)
            for plane in frame.picture.planes:
                plane[:] = 255


@pytest.mark.parametrize(("height", "width"), [(48, 64), (50, 70), (34, 1000)])
def test_planes_are_views_with_the_pictures_size(tmp_path: Path, height: int, width: int) -> None:
    path = tmp_path / "clip.mp4"
    make_video(path, images=[photo(0, height, width)])
    (picture,) = planes_of(path)
    assert (picture.height, picture.width) == (height, width)
    assert [plane.shape for plane in picture.planes] == [(height, width), *[(height // 2, width // 2)] * 2]
    assert all(plane.flags.writeable for plane in picture.planes)


@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv444p"), ("ffv1", "yuv420p10le"), ("ffv1", "bgr0")])
def test_formats_that_no_kernel_reads_come_as_bgr(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 64, pix_fmt
        frame = av.VideoFrame.from_ndarray(photo(0, 48, 64), format="bgr24").reformat(format=pix_fmt)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    (picture,) = planes_of(path)
    assert picture.pixel_format == "bgr24"


def test_an_mp4_takes_planes_as_they_are(tmp_path: Path) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    make_video(first, images=[photo(number) for number in range(8)])
    pictures = planes_of(first)
    assert all(isinstance(picture, DecodedPicture) for picture in pictures)
    points = np.array([(100.0, 80.0), (200.0, 150.0)], np.float32)
    for picture in pictures:
        hp.draw_skeleton(picture, points, bones=[(0, 1)], bone_colors=[(255, 0, 0)], joint_colors=[(0, 255, 0)] * 2)
    with hp.open_sink(second, fps=30) as sink:
        assert sink.takes_planes
        for number, picture in enumerate(pictures):
            sink.write(picture, number / 30)
    images, times = read_video(second)
    assert [float(time) for time in times] == pytest.approx([number / 30 for number in range(8)], abs=1e-3)
    assert psnr_db(images, [picture.to_bgr() for picture in pictures]) > 38
    assert images[0][115, 150, 2] > 180 > 90 > images[0][115, 150, 0]  # the bone is red there
    with av.open(str(second)) as container:
        frame = next(container.decode(video=0))
        assert int(frame.colorspace) in (5, 6)  # BT.601, which the untagged source was taken for
        container.seek(0)
        keys = sum(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    assert keys == 1  # the source has two; where the key frames are is the encoder's business


def test_planes_and_bgr_may_follow_each_other_in_an_mp4(tmp_path: Path) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    originals = make_video(first, images=[photo(number) for number in range(4)])
    pictures = planes_of(first)
    with hp.open_sink(second, fps=30) as sink:
        for number, picture in enumerate(pictures):
            sink.write(picture if number % 2 else picture.to_bgr(), number / 30)
    images, _ = read_video(second)
    assert psnr_db(images, originals) > 33


def test_a_picture_says_what_it_needs() -> None:
    luma = np.zeros((4, 4), np.uint8)
    with pytest.raises(hp.ArgumentError, match=r"pixel_format must be one of bgr24, nv12, yuv420p; got 'rgba'"):
        hp.Picture((luma,), "rgba")
    with pytest.raises(hp.ArgumentError, match=r"nv12 has 2 planes; got 1"):
        hp.Picture((luma,), "nv12")
    with pytest.raises(hp.DTypeError, match=r"image must have dtype uint8; got float64"):
        hp.Picture.from_bgr(np.zeros((4, 4, 3)))


@pytest.mark.parametrize("pixel_format", ["nv12", "yuv420p"])
def test_own_planes_become_bgr(pixel_format: str) -> None:
    packed = np.full((72, 64), 98, np.uint8)
    packed[:48] = 102
    if pixel_format == "nv12":
        packed[48:, 1::2] = 179
    else:
        packed[60:] = 179
    picture = hp.Picture(hp.yuv_planes(packed, pixel_format), pixel_format, "bt709")
    assert np.abs(picture.to_bgr().astype(int) - (37, 79, 192)).max() <= 1
    assert picture.to_bgr() is picture.to_bgr()
