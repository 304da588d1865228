"""Files that VDEC decodes on an emulated board: the pictures and times of FFmpeg, in memory that is used again."""

from __future__ import annotations

import gc
import queue
import threading
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from tests import networks
from tests.unit.video_files import picture, rotate_mp4

import handpose_native as hp
from handpose_native.ascend import vdec
from handpose_native.ascend.vdec import VideoDecoder, VideoFormat
from handpose_native.errors import ArgumentError, DeviceError, MissingDependencyError, VideoError
from handpose_native.video import open_source

from .test_acl_lifecycle import script

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Board

HEIGHT, WIDTH = 144, 176


def make_clip(
    path: Path,
    frames: int = 12,
    *,
    hidden: int = 0,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Path:
    """Write a video whose pictures are not stored in the order in which they are shown, the first of them hidden."""

    def mux(packets: list[Any]) -> None:
        for packet in packets:
            packet.pts, packet.dts = packet.pts - hidden, packet.dts - hidden
            container.mux(packet)

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = 10
        options = {"libx264": {"bf": "3", "b_strategy": "0"}, "libx265": {"x265-params": "log-level=none:bframes=3"}}
        stream.options = options.get(codec, {})
        for number in range(frames):
            image = av.VideoFrame.from_ndarray(picture(number, *size), format="bgr24").reformat(format=pix_fmt)
            image.pts = number
            mux(stream.encode(image))
        mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 40)


def assert_same(clip: Path, decoder: str = "ascend") -> int:
    """Compare every frame with FFmpeg's; return how many there were."""
    count = 0
    with open_source(clip) as ours, open_source(clip, decoder=decoder) as npu:
        assert npu.info == ours.info
        ours.planes_wanted = npu.planes_wanted = True
        for expected, frame in zip(ours, npu):
            assert (frame.index, frame.pts_s) == (expected.index, expected.pts_s)
            assert frame.picture.pixel_format == "nv12"
            assert frame.picture.color_matrix == expected.picture.color_matrix
            assert frame.picture.color_range == expected.picture.color_range
            luma, *chroma = expected.picture.planes
            np.testing.assert_array_equal(frame.picture.planes[0], luma)
            np.testing.assert_array_equal(frame.picture.planes[1], np.stack(chroma, axis=2))
            count += 1
        assert next(iter(npu._pictures), None) is None
        assert npu.problems == ours.problems == []
    return count


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.h264", "libx264"), ("a.ts", "libx264"), ("a.mkv", "libx265")]
)
def test_the_pictures_and_times_of_ffmpeg(board: Board, tmp_path: Path, name: str, codec: str) -> None:
    assert assert_same(make_clip(tmp_path / name, 30, codec=codec)) == 30
    assert board.control.living() == ""


def test_shorter_than_what_vdec_holds_back(board: Board, tmp_path: Path) -> None:
    assert assert_same(make_clip(tmp_path / "a.mp4", 1)) == 1
    assert assert_same(make_clip(tmp_path / "a.mp4", 3), "ascend:0") == 3


def test_pictures_that_an_edit_list_hides(board: Board, tmp_path: Path) -> None:
    assert assert_same(make_clip(tmp_path / "a.mp4", 20, hidden=6)) == 14


def test_what_is_turned_stands_upright(board: Board, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 3)
    rotate_mp4(clip, 1)
    with open_source(clip) as ours, open_source(clip, decoder="ascend") as npu:
        assert (npu.info.width, npu.info.height) == (HEIGHT, WIDTH)
        for expected, frame in zip(ours, npu):
            assert frame.image.shape == (WIDTH, HEIGHT, 3)
            # Two conversions of the same planes: FFmpeg's and the kernel's, which weigh chroma differently.
            assert np.abs(frame.image.astype(int) - expected.image).mean() < 2


def test_pictures_that_are_kept_are_not_written_over(board: Board, clip: Path) -> None:
    with open_source(clip, decoder="ascend") as npu:
        npu.planes_wanted = True
        frames = list(npu)
    assert len(frames) == 40
    with open_source(clip) as ours:
        ours.planes_wanted = True
        for expected, frame in zip(ours, frames):
            np.testing.assert_array_equal(frame.picture.planes[0], expected.picture.planes[0])
    assert "40 x picture description" in board.control.living()
    part = frames[7].picture.planes[0][3:5]  # which alone keeps its picture's memory
    shown = part.copy()
    del frames, frame
    assert "1 x picture description" in board.control.living()
    np.testing.assert_array_equal(part, shown)
    del part
    assert board.control.living() == ""


def test_memory_is_made_for_what_is_in_use_at_once_and_nothing_is_copied_on_a_board(
    board: Board, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "a.mp4", 200)
    with open_source(clip, decoder="ascend") as npu:
        npu.planes_wanted = True
        assert sum(1 for _ in npu) == 200
    # Room for packets and pictures in the decoder, and for the pictures of two loops round here.
    assert board.calls("media.dvpp_malloc") <= 2 * vdec._IN_FLIGHT + 4
    assert board.calls("rt.malloc") == 0
    copies = board.calls("rt.memcpy", "rt.memcpy_async")
    assert copies == (0 if board.control.profile().run_mode == "rc" else 400)  # a packet in, a picture out


def test_the_whole_job(board: Board, tmp_path: Path) -> None:
    """The model finds the same in pictures of either decoder; drawing and writing go on the device's memory."""
    size = (192, 192)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for seed in range(30):
            image = networks.draw_markers(size, networks.marker_points(size, seed), 8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    model = board.om(networks.save_marker_network(tmp_path / "m.onnx", size))
    spec = hp.ModelSpec("markers", "heatmap", "rgb", method="expectation")
    found: list[list[Any]] = []
    with hp.Pipeline(model, spec=spec, min_presence=0.0) as pipe:
        for decoder in ("cpu", "ascend"):
            hands: list[Any] = []
            report = pipe.run(
                tmp_path / "a.mp4",
                tmp_path / f"{decoder}.mp4",
                decoder=decoder,
                on_frame=lambda result, hands=hands: hands.append(result.hands[0].keypoints),
            )
            assert report.problems == []
            found.append(hands)
    assert len(found[0]) == len(found[1]) == 30
    np.testing.assert_allclose(found[0], found[1], atol=0.6)
    with open_source(tmp_path / "cpu.mp4") as expected, open_source(tmp_path / "ascend.mp4") as written:
        for one, other in zip(expected, written):
            np.testing.assert_array_equal(other.image, one.image)
    if board.control.profile().run_mode == "rc":
        assert board.calls("rt.memcpy", "rt.memcpy_async") == 0
    assert board.control.living() == ""


def test_stopping_early_and_closing_in_another_thread(board: Board, clip: Path) -> None:
    npu = open_source(clip, decoder="ascend")
    frames = iter(npu)
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    thread = threading.Thread(target=npu.close)
    thread.start()
    thread.join()
    assert list(frames) == []
    assert board.control.living() == ""


def test_pictures_that_other_threads_let_go_of_while_it_is_closed(board: Board, clip: Path) -> None:
    for kept in (0, 3, 10):
        held: queue.Queue[Any] = queue.Queue()

        def let_go(held: queue.Queue[Any] = held) -> None:
            while held.get() is not None:
                pass

        threads = [threading.Thread(target=let_go) for _ in range(3)]
        with open_source(clip, decoder="ascend") as npu:
            npu.planes_wanted = True
            for frame in islice(npu, 25):
                held.put(frame)
                if frame.index == kept:
                    for thread in threads:
                        thread.start()
            del frame
        for _ in threads:
            held.put(None)
        for thread in threads:
            thread.join()
        assert board.control.living() == ""


def test_beginning_again(board: Board, clip: Path) -> None:
    with open_source(clip, decoder="ascend", loop=True) as npu:
        assert [frame.index for frame in islice(npu, 90)] == list(range(90))
    gc.collect()
    assert board.control.living() == ""


def test_two_at_once(board: Board, clip: Path) -> None:
    with open_source(clip, decoder="ascend") as one, open_source(clip, decoder="ascend") as other:
        for first, second in zip(one, other):
            assert first.pts_s == second.pts_s
            np.testing.assert_array_equal(first.image, second.image)
    assert board.calls("rt.set_device") == 1


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size", "what"),
    [
        ("mpeg4", "yuv420p", (144, 176), "takes H.264, H.265 and MJPEG .* this is mpeg4"),
        ("libx264", "yuv422p", (144, 176), "this is h264, yuv422p"),
        (
            "libx264",
            "yuv420p",
            (120, 176),
            "VDEC of Ascend310B4 decodes h264 of 128x128 to 8192x8192 pixels; this is 176x120",
        ),
    ],
)
def test_what_vdec_does_not_decode(
    board: Board, tmp_path: Path, codec: str, pix_fmt: str, size: tuple[int, int], what: str
) -> None:
    clip = make_clip(tmp_path / "a.mp4", 3, codec=codec, pix_fmt=pix_fmt, size=size)
    with pytest.raises(VideoError, match=what):
        open_source(clip, decoder="ascend")
    assert board.control.living() == ""


@pytest.mark.parametrize(
    ("soc", "codec", "size", "fits"),
    [
        ("Ascend310", "h264", (4096, 4096), True),
        ("Ascend310", "h264", (4098, 2160), False),
        ("Ascend310B1", "h264", (8192, 8192), True),
        ("Ascend310B1", "hevc", (5402, 2160), False),
        ("Ascend310B1", "hevc", (5400, 8192), True),
    ],
)
def test_sizes_by_chip(blank_board: Board, soc: str, codec: str, size: tuple[int, int], fits: bool) -> None:
    blank_board.start(soc=soc)
    video = VideoFormat(codec, "Main", *size, "bt709", False)
    if fits:
        VideoDecoder("a.mp4", 0, video).close()
    else:
        with pytest.raises(VideoError, match=f"VDEC of {soc} decodes {codec}.*this is {size[0]}x{size[1]}"):
            VideoDecoder("a.mp4", 0, video)


def test_profiles_that_are_not_decoded(board: Board) -> None:
    with pytest.raises(VideoError, match="this is h264 High 10: read it without"):
        VideoDecoder("a.mp4", 0, VideoFormat("h264", "High 10", 640, 480, "bt709", False))


def test_only_videos_and_cameras_are_decoded(board: Board, tmp_path: Path, clip: Path) -> None:
    for decoder in ("Ascend", "ascend:x", "vdec", None):
        with pytest.raises(ArgumentError, match=r"decoder must be 'cpu', 'ascend' or 'ascend:N'"):
            open_source(clip, decoder=decoder)  # type: ignore[arg-type]
    (tmp_path / "a.png").touch()
    for source in (tmp_path / "a.png", tmp_path, str(tmp_path / "*.png")):
        with pytest.raises(ArgumentError, match="picture files"):
            open_source(source, decoder="ascend")
    for other in (np.zeros((4, 4, 3), np.uint8), open_source(clip), iter([np.zeros((4, 4, 3), np.uint8)])):
        with pytest.raises(ArgumentError, match="is for files, addresses and cameras"):
            open_source(other, decoder="ascend")
    with pytest.raises(VideoError, match="no such file"):
        open_source(tmp_path / "none.mp4", decoder="ascend")
    with pytest.raises(DeviceError, match="107001"):
        open_source(clip, decoder="ascend:7")


def test_a_board_without_vdec(board: Board, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(board.acl.media, "vdec_send_frame")
    with pytest.raises(DeviceError, match=r"VDEC is not there: this version of CANN has no function acl\.media\.vdec"):
        open_source(clip, decoder="ascend")
    assert board.control.living() == ""


def test_without_pyacl(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "acl", None)
    with pytest.raises(MissingDependencyError, match=r"acl \(pyACL\) is needed to use an Ascend NPU"):
        open_source(clip, decoder="ascend")


# -- failures ----------------------------------------------------------------------------------------------------------


def test_damaged_packets_are_counted(board: Board, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 24)
    with av.open(str(clip)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(clip.read_bytes())
    data[places[23] : places[23] + 4] = b"\xff" * 4  # more bytes than there are
    clip.write_bytes(bytes(data))
    with open_source(clip, decoder="ascend") as npu:
        assert len(list(npu)) == 23
        assert npu.damaged == 1
        assert npu.problems == [f"{clip}: 1 damaged frame was left out"]


def test_what_cannot_be_decoded_takes_no_other_s_time(board: Board, clip: Path) -> None:
    shown = []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        annex_b = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
        decoder = VideoDecoder("a", 0, VideoFormat("h264", "High", WIDTH, HEIGHT, "bt601", False))
        for packet in container.demux(stream):
            for part in annex_b.filter(packet) if packet.size else ():
                shown += decoder.decode(memoryview(part), part.pts)
                if part.is_keyframe:
                    shown += decoder.decode(b"no picture", part.pts + 1)
        shown += decoder.finish()
    assert [one.pts for one in shown] == [number * 512 for number in range(40)]
    assert decoder.failed == 4
    del shown
    decoder.close()


def test_pictures_that_are_only_needed_by_others(board: Board, clip: Path) -> None:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        annex_b = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", stream)
        decoder = VideoDecoder("a", 0, VideoFormat("h264", "High", WIDTH, HEIGHT, "bt601", False))
        shown = []
        for packet in container.demux(stream):
            for part in annex_b.filter(packet) if packet.size else ():
                shown += decoder.decode(memoryview(part), part.pts, wanted=part.pts >= 10 * 512)
        shown += decoder.finish()
    assert [one.pts for one in shown] == [number * 512 for number in range(10, 40)]
    assert decoder.failed == 0
    del shown
    decoder.close()
    decoder.close()
    with pytest.raises(DeviceError, match="given back already"):
        decoder.finish()


def test_a_decoder_that_keeps_silent(board: Board, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vdec, "_PATIENCE_S", 0.001)
    monkeypatch.setattr(vdec, "_MOST_IN_FLIGHT", 22)
    posted: list[tuple[int, Callable[[], None]]] = []
    reports = __import__("acl._rt_stream", fromlist=["reports"]).reports
    post = reports.post
    monkeypatch.setattr(reports, "post", lambda *call: posted.append(call))
    close = vdec.VideoDecoder.close

    def close_answering(decoder: VideoDecoder) -> None:
        monkeypatch.setattr(reports, "post", post)
        for call in posted:
            post(*call)
        close(decoder)

    monkeypatch.setattr(vdec.VideoDecoder, "close", close_answering)
    with pytest.raises(DeviceError, match="VDEC has taken 22 packets and gives no picture"):
        open_source(clip, decoder="ascend")


def test_what_fails_late_is_told(board: Board, clip: Path) -> None:
    with open_source(clip, decoder="ascend") as npu:
        frames = iter(npu)
        next(frames)
        board.control.inject("rt.process_report", code=507899)
        with pytest.raises(DeviceError, match=r"acl\.rt\.process_report: 507899"):
            list(frames)
    gc.collect()
    assert board.control.living() == ""


@pytest.mark.parametrize("ending", ["", "1 / 0", "del source", "source.close()"])
def test_the_interpreter_exits_with_pictures_in_use(clip: Path, tmp_path: Path, ending: str) -> None:
    text = f"""
    from handpose_native.video import open_source
    source = open_source(MODEL, decoder="ascend")
    source.planes_wanted = True
    frames = iter(source)
    kept = [next(frames) for _ in range(5)]
    {ending}
    """
    result = script(tmp_path, clip, text)
    assert result.returncode == (1 if ending == "1 / 0" else 0)
    assert result.stderr.splitlines()[-1:] == (["ZeroDivisionError: division by zero"] if ending == "1 / 0" else [])
