"""Regions that VPC crops and scales on an emulated board."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest
from tests import networks

import handpose_native as hp
from handpose_native.ascend.jpegd import JpegDecoder
from handpose_native.ascend.vpc import Area, VpcCropper
from handpose_native.batch import BatchOptions, find_videos
from handpose_native.batch.work import VideoWorker
from handpose_native.cli import main
from handpose_native.errors import ArgumentError, DeviceError
from handpose_native.geometry import input_from_roi
from handpose_native.picture import Picture
from handpose_native.types import Roi
from handpose_native.video import open_source

from .conftest import save_hand_models
from .test_acl_jpegd import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Board

HW = (240, 320)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Markers in the middle of larger pictures."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *HW, "yuv420p"
        for seed in range(4):
            image = np.full((*HW, 3), 30, np.uint8)
            image[24:216, 60:252] = networks.draw_markers((192, 192), networks.marker_points((192, 192), seed), 8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def model(board: Board, tmp_path: Path) -> Path:
    return board.om(networks.save_marker_network(tmp_path / "m.onnx", (96, 96)))


def pipeline(model: Path, roi: Any = (60, 24, 192, 192), crop: str = "vpc", fit: str = "stretch") -> hp.Pipeline:
    spec = hp.ModelSpec("markers", "heatmap", "rgb", method="expectation", fit=fit)
    return hp.Pipeline(model, spec=spec, roi=roi, min_presence=0.0, crop=crop)


@pytest.mark.parametrize("output", ["a.gif", "b.mp4"])
@pytest.mark.parametrize("roi", [(60, 24, 192, 192), (58.7, 23.2, 193.5, 193)])
def test_the_joints_of_a_crop_by_the_cpu(
    board: Board, tmp_path: Path, clip: Path, model: Path, output: str, roi: tuple[float, ...]
) -> None:
    found: list[Any] = []
    for crop in ("cpu", "vpc"):
        points: list[Any] = []
        with pipeline(model, roi, crop) as pipe:
            report = pipe.run(
                clip,
                tmp_path / f"{crop}_{output}",
                decoder="ascend",
                on_frame=lambda result, points=points: points.append(result.hands[0].keypoints),
            )
        assert report.problems == []
        found.append(points)
    assert board.calls("media.dvpp_vpc_crop_resize_async") == len(found[0]) == 4
    assert board.calls("media.dvpp_create_roi_config") == 1
    np.testing.assert_allclose(found[0], found[1], atol=1.0)
    if board.control.profile().run_mode == "rc":
        assert board.calls("rt.memcpy", "rt.memcpy_async") == 0
    del report, pipe, points
    assert board.control.living() == ""


@pytest.mark.parametrize("soc", ["Ascend310", "Ascend310B4"])
def test_what_comes_out_is_the_area_scaled(board: Board, soc: str) -> None:
    board.start(run_mode=board.control.profile().run_mode, soc=soc)
    decoder, cropper = JpegDecoder("a", 0), VpcCropper(0, (48, 96))
    source = decoder.decode(jpeg(1, 96, 200))
    assert source is not None
    area, affine = cropper.place(input_from_roi(Roi(100.4, 47.8, 160.3, 70.2), (48, 96)), (96, 200))
    assert area == Area(20, 12, 180, 82)
    np.testing.assert_allclose(affine @ [area.left, area.top, 1], [0, 0], atol=1e-12)
    np.testing.assert_allclose(affine @ [area.right, area.bottom, 1], [96, 48])
    shown = cropper.crop(source, area)
    assert (shown.height, shown.width, shown.color_range) == (48, 96, "full")
    luma = cv2.resize(source.planes[0][12:82, 20:180], (96, 48), interpolation=cv2.INTER_LINEAR)
    chroma = cv2.resize(source.planes[1][6:41, 10:90], (48, 24), interpolation=cv2.INTER_LINEAR)
    assert np.abs(shown.planes[0].astype(int) - luma).max() <= 1
    assert np.abs(shown.planes[1].astype(int) - chroma).max() <= 1
    for left in range(0, 40, 2):  # more areas than are kept
        cropper.crop(source, Area(left, 0, 96 + left, 48))
    cropper.close()
    cropper.close()
    decoder.close()
    del source, shown
    assert board.control.living() == ""


@pytest.mark.parametrize(
    ("roi", "fit", "what"),
    [
        (Roi(156, 120, 100, 100, 0.3), "stretch", "this one is rotated"),
        ((-10, 0, 192, 192), "stretch", "within the picture; the model's input shows -10,0 to 182,192 of 320x240"),
        (
            None,
            "letterbox",
            "within the picture; the model's input shows 0,-40 to 320,280 of 320x240: give another roi",
        ),
        ((100, 100, 4, 4), "stretch", "VPC scales by 0.03125 to 16; here by 24 and 24"),
    ],
)
def test_regions_that_are_refused(board: Board, clip: Path, model: Path, roi: Any, fit: str, what: str) -> None:
    with pipeline(model, roi, fit=fit) as pipe, pytest.raises(ArgumentError, match=what):
        list(pipe.stream(clip, decoder="ascend", planes=True))


def test_pictures_that_are_refused(board: Board, clip: Path, model: Path) -> None:
    with pipeline(model) as pipe:
        with pytest.raises(ArgumentError, match=r"pictures that device 0 has decoded .* got bgr24 from elsewhere"):
            pipe(np.zeros((*HW, 3), np.uint8))
        with pytest.raises(ArgumentError, match="got yuv420p"):
            list(pipe.stream(clip, planes=True))
        with open_source(clip, decoder="ascend") as npu:
            frame = next(iter(npu))
        assert len(pipe(frame.picture)) == 1
        with pytest.raises(ArgumentError, match="from elsewhere"):
            pipe(Picture.from_bgr(frame.image))


def test_models_that_are_refused(board: Board, tmp_path: Path, model: Path) -> None:
    with pytest.raises(ArgumentError, match=r"those of .* rotate"):
        hp.Pipeline(save_hand_models(board, tmp_path), crop="vpc")
    with pytest.raises(ArgumentError, match="crop must be 'cpu' or 'vpc'; got 'npu'"):
        pipeline(model, crop="npu")
    for size in ((95, 96), (4, 96), (96, 8), (96, 4098)):
        with pytest.raises(
            ArgumentError, match=f"even sides from 10x6 to 4096x4096; the model's is {size[1]}x{size[0]}"
        ):
            VpcCropper(0, size)


def test_a_board_without_vpc(board: Board, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(board.acl.media, "dvpp_vpc_crop_resize_async")
    with pytest.raises(DeviceError, match="VPC is not there: this version of CANN has no function"):
        pipeline(model)
    assert board.control.living() == ""


def test_the_command_line(board: Board, tmp_path: Path, clip: Path, model: Path, capsys: Any) -> None:
    spec = hp.ModelSpec("markers", "heatmap", "rgb", method="expectation", fit="stretch")
    model.with_suffix(".json").write_text(json.dumps(spec.to_dict()))
    engines = ["--model", str(model), "--roi", "60,24,192,192", "--decoder", "ascend", "--crop", "vpc"]
    assert main(["run", str(clip), "--keypoints", str(tmp_path / "run.jsonl"), *engines]) == 0
    assert board.calls("media.dvpp_vpc_crop_resize_async") == 4
    unknown = ["--model", str(model), "--decoder", "vdec"]
    assert main(["run", str(clip), "--keypoints", str(tmp_path / "a.jsonl"), *unknown]) == 2
    assert "decoder must be 'cpu', 'ascend' or 'ascend:N'" in capsys.readouterr().err


def test_videos_of_a_batch(board: Board, tmp_path: Path, clip: Path, model: Path) -> None:
    spec = hp.ModelSpec("markers", "heatmap", "rgb", method="expectation", fit="stretch")
    pipeline = {"spec": spec, "roi": (60, 24, 192, 192), "crop": "vpc"}
    worker = VideoWorker(BatchOptions(model, pipeline=pipeline, decoder="ascend"), tmp_path / "results")
    (video,) = find_videos(clip)
    outcome = worker(video)
    worker.close()
    assert (outcome.state, outcome.frames) == ("done", 4)
    assert board.calls("media.dvpp_vpc_crop_resize_async") == 4
