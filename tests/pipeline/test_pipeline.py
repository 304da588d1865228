"""The whole chain on a clip whose joints are known."""

from __future__ import annotations

import json
import math
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import handpose_native as hp

from .conftest import Demo

# The clip is H.264 with chroma at half resolution, and the network sees it at half size: a joint is right within this.
JOINT_TOLERANCE_PX = 2.0


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def read_records(path: Path) -> list[dict[str, Any]]:
    return list(hp.read_keypoints(path)[1])


def first_frames(demo: Demo, count: int) -> list[np.ndarray]:
    with hp.open_source(demo.clip) as source:
        return [frame.image for frame, _ in zip(source, range(count))]


def test_the_whole_job_finds_the_joints_and_writes_every_output(demo: Demo, tmp_path: Path) -> None:
    outputs = [tmp_path / "out.gif", tmp_path / "out.mp4", tmp_path / "frames"]
    keypoints = [tmp_path / "out.jsonl", tmp_path / "out.csv"]
    with hp.Pipeline(demo.model) as pipe:
        report = pipe.run(demo.clip, outputs, keypoints=keypoints)
    count = len(demo.truth)
    assert report.frames == report.frames_with_hands == count
    assert report.problems == []
    assert report.stopped is None
    assert set(report.outputs) == {str(path) for path in (*outputs, *keypoints)}
    header = hp.read_keypoints(keypoints[0])[0]
    records = read_records(keypoints[0])
    assert header["joints"] == list(hp.JOINT_NAMES)
    found = np.array([[point[:2] for point in record["hands"][0]["keypoints"]] for record in records])
    distances = np.linalg.norm(found - demo.truth, axis=2)
    assert np.mean(distances <= JOINT_TOLERANCE_PX) > 0.95
    with Image.open(outputs[0]) as gif:
        assert gif.n_frames == count
    assert frames_in(outputs[1]) == count
    assert len(list(outputs[2].glob("*.png"))) == count
    assert len(keypoints[1].read_text().splitlines()) == 1 + 21 * count


def test_one_frame_gives_what_the_stream_gives_and_is_not_changed(demo: Demo) -> None:
    frame = first_frames(demo, 1)[0]
    before = frame.copy()
    with hp.Pipeline(demo.model) as pipe:
        (hand,) = pipe(frame)
        result = next(iter(pipe.stream(demo.clip)))
    np.testing.assert_array_equal(frame, before)
    np.testing.assert_array_equal(result.frame, before)
    np.testing.assert_array_equal(hand.keypoints, result.hands[0].keypoints)
    assert hand.keypoints.dtype == np.float32
    assert hand.keypoints.shape == (21, 2)
    assert hand.scores.shape == (21,)
    assert 0 < hand.presence <= 1
    assert hand.handedness is None
    assert set(result.timings_ms) == {"decode", "preprocess", "model", "joints"}


def test_results_of_earlier_frames_stay_as_they_were(demo: Demo) -> None:
    with hp.Pipeline(demo.model) as pipe:
        frames = first_frames(demo, 40)
        first = pipe(frames[0])[0]
        kept = first.keypoints.copy()
        pipe(frames[39])
        np.testing.assert_array_equal(first.keypoints, kept)


def test_a_region_is_looked_at_and_reported(demo: Demo) -> None:
    frame = first_frames(demo, 1)[0]
    low, high = demo.truth[0].min(axis=0) - 40, demo.truth[0].max(axis=0) + 40
    box = (*low, *(high - low))
    with hp.Pipeline(demo.model) as pipe:
        (by_tuple,) = pipe(frame, roi=box)
        (by_roi,) = pipe(frame, roi=hp.Roi.from_xywh(*box))
        np.testing.assert_array_equal(by_tuple.keypoints, by_roi.keypoints)
        assert by_tuple.roi == hp.Roi.from_xywh(*box)
        assert np.linalg.norm(by_tuple.keypoints - demo.truth[0], axis=1).max() < JOINT_TOLERANCE_PX
        assert pipe(frame, roi=(-500, -500, 100, 100)) == []  # outside of the picture there is only border
        turned = hp.Roi((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, 400, 400, angle_rad=0.3)
        (rotated,) = pipe(frame, roi=turned)
        assert np.linalg.norm(rotated.keypoints - demo.truth[0], axis=1).max() < JOINT_TOLERANCE_PX


def test_every_and_max_frames_keep_the_indices_of_the_source(demo: Demo, tmp_path: Path) -> None:
    with hp.Pipeline(demo.model) as pipe:
        results = list(pipe.stream(demo.clip, every=7, max_frames=4))
        assert [result.index for result in results] == [0, 7, 14, 21]
        assert [result.pts_s for result in results] == pytest.approx([0, 7 / 30, 14 / 30, 21 / 30], abs=1e-3)
        report = pipe.run(demo.clip, tmp_path / "out.gif", every=50)
        assert report.frames == 3
    with Image.open(tmp_path / "out.gif") as gif:
        assert gif.info["duration"] == pytest.approx(50 / 30 * 1000, abs=10)


def test_an_output_must_not_be_the_source_nor_named_twice(demo: Demo, tmp_path: Path) -> None:
    before = demo.clip.read_bytes()
    (tmp_path / "link.mp4").symlink_to(demo.clip)
    with hp.Pipeline(demo.model) as pipe:
        for output in (demo.clip, tmp_path / "link.mp4", [tmp_path / "a.gif", tmp_path / "." / "a.gif"]):
            with pytest.raises(hp.ArgumentError, match="is the source, or named as an output twice"):
                pipe.run(demo.clip, output)
    assert demo.clip.read_bytes() == before


@pytest.mark.parametrize("wrong", [{"every": 0}, {"max_frames": 0}])
def test_counts_below_one_are_errors(demo: Demo, wrong: dict[str, int]) -> None:
    with hp.Pipeline(demo.model) as pipe, pytest.raises(hp.ArgumentError, match=next(iter(wrong))):
        pipe.run(demo.clip, **wrong)


def test_nothing_in_the_picture_gives_no_hand(demo: Demo, tmp_path: Path) -> None:
    black = np.zeros((120, 160, 3), np.uint8)
    with hp.Pipeline(demo.model) as pipe:
        assert pipe(black) == []
        report = pipe.run([black] * 3, keypoints=tmp_path / "out.jsonl")
    assert (report.frames, report.frames_with_hands) == (3, 0)
    assert all(record["hands"] == [] for record in read_records(tmp_path / "out.jsonl"))


def test_arrays_given_as_source_are_not_drawn_on(demo: Demo, tmp_path: Path) -> None:
    frames = first_frames(demo, 3)
    before = [frame.copy() for frame in frames]
    with hp.Pipeline(demo.model) as pipe:
        pipe.run(frames, tmp_path / "out.gif")
    for frame, kept in zip(frames, before):
        np.testing.assert_array_equal(frame, kept)


def test_drawing_shows_in_the_output(demo: Demo, tmp_path: Path) -> None:
    with hp.Pipeline(demo.model) as pipe:
        pipe.run(demo.clip, tmp_path / "frames", max_frames=1)
        (hand,) = pipe(first_frames(demo, 1)[0])
    drawn = np.asarray(Image.open(tmp_path / "frames" / "000000.png"))
    x, y = hand.keypoints[8].astype(int)
    assert np.abs(drawn[y, x].astype(int) - hp.JOINT_COLORS[8]).max() < 60


def test_stopping_keeps_every_finished_frame(demo: Demo, tmp_path: Path) -> None:
    stop = threading.Event()
    with hp.Pipeline(demo.model) as pipe:
        report = pipe.run(
            demo.clip,
            [tmp_path / "out.mp4", tmp_path / "out.gif"],
            stop=stop,
            on_frame=lambda result: stop.set() if result.index == 9 else None,
        )
    assert report.stopped == "asked to stop"
    assert 10 <= report.frames <= 14  # those in work are finished
    assert frames_in(tmp_path / "out.mp4") == frames_in(tmp_path / "out.gif") == report.frames


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_in_the_middle_leaves_playable_files_and_a_report(
    demo: Demo, tmp_path: Path, error: type[BaseException]
) -> None:
    def fail(result: hp.FrameResult) -> None:
        if result.index == 7:
            raise error

    outputs = [tmp_path / "out.mp4", tmp_path / "out.gif"]
    with hp.Pipeline(demo.model) as pipe:
        with pytest.raises(error):
            pipe.run(demo.clip, outputs, keypoints=tmp_path / "out.jsonl", on_frame=fail)
        assert pipe.last_report is not None
        assert pipe.last_report.frames == 8
        assert pipe(np.zeros((48, 64, 3), np.uint8)) == []  # and can be used again
    assert [frames_in(path) for path in outputs] == [8, 8]
    assert len(read_records(tmp_path / "out.jsonl")) == 8


def test_one_output_that_fails_does_not_spoil_the_others(demo: Demo, tmp_path: Path) -> None:
    class Broken(hp.Sink):
        def _write(self, image: np.ndarray, pts_s: float) -> bool:
            if self.frames_written == 5:
                raise OSError(28, "No space left on device")
            return True

        def _finish(self) -> None:
            return

    with hp.Pipeline(demo.model) as pipe, pytest.raises(hp.VideoError, match="No space left on device"):
        pipe.run(demo.clip, [tmp_path / "out.mp4", Broken("broken")])
    assert frames_in(tmp_path / "out.mp4") == 6


def test_frames_that_change_size_are_handled_each_in_its_own_pixels(demo: Demo, tmp_path: Path) -> None:
    large = first_frames(demo, 1)[0]
    small = np.ascontiguousarray(large[::2, ::2])
    with hp.Pipeline(demo.model) as pipe:
        report = pipe.run([large, small, large], tmp_path / "out.gif", keypoints=tmp_path / "out.jsonl")
    assert any("320x240" in problem for problem in report.problems)
    records = read_records(tmp_path / "out.jsonl")
    points = [np.array(record["hands"][0]["keypoints"])[:, :2] for record in records]
    np.testing.assert_allclose(points[1] * 2, points[0], atol=2 * JOINT_TOLERANCE_PX)
    np.testing.assert_array_equal(points[2], points[0])


def test_the_report_tells_frames_rate_and_stages(demo: Demo, tmp_path: Path) -> None:
    with hp.Pipeline(demo.model) as pipe:
        report = pipe.run(demo.clip, tmp_path / "out.gif", max_frames=5)
    assert list(report.stages) == ["decode", "preprocess", "model", "joints", "draw", "write"]
    assert all(times.count == 5 for times in report.stages.values())
    assert report.fps == pytest.approx(5 / report.seconds)
    as_dict = report.to_dict()
    assert json.loads(json.dumps(as_dict)) == as_dict
    for word in ("markers", "5 frames", "fps", "p95", "out.gif"):
        assert word in str(report)


def test_stage_times_agree_with_numpy() -> None:
    durations = np.random.default_rng(0).lognormal(1, 1, 5000)
    times = hp.StageTimes()
    for duration in durations:
        times.add(float(duration))
    assert times.first_ms == durations[0]
    durations = durations[1:]  # what is loaded late is paid for by the first
    assert times.mean_ms == pytest.approx(durations.mean())
    for percent in (5, 50, 95, 99):
        expected = np.percentile(durations, percent, method="inverted_cdf")
        assert times.percentile_ms(percent) == pytest.approx(expected, rel=0.0051)  # bins are 1 % wide
    assert math.isnan(hp.StageTimes().percentile_ms(95))


def test_memory_does_not_grow_with_frames(demo: Demo) -> None:
    frame = first_frames(demo, 1)[0]
    with hp.Pipeline(demo.model) as pipe:
        for _ in range(20):
            pipe(frame)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            pipe(frame)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < 20_000


def test_a_closed_pipeline_says_so(demo: Demo) -> None:
    pipe = hp.Pipeline(demo.model)
    pipe.close()
    pipe.close()
    with pytest.raises(hp.HandposeError, match="closed"):
        pipe(np.zeros((48, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ([[0]], hp.DTypeError),
        (np.zeros((4, 4, 3), np.float32), hp.DTypeError),
        (np.zeros((4, 4), np.uint8), hp.ArgumentError),
        (np.zeros((0, 4, 3), np.uint8), hp.ArgumentError),
        (np.zeros((4, 4, 4), np.uint8), hp.ArgumentError),
    ],
)
def test_frames_of_a_wrong_kind_are_errors(demo: Demo, frame: object, error: type[Exception]) -> None:
    with hp.Pipeline(demo.model) as pipe, pytest.raises(error, match="got"):
        pipe(frame)  # type: ignore[arg-type]


def test_a_region_needs_four_numbers(demo: Demo) -> None:
    with pytest.raises(hp.ArgumentError, match="roi"):
        hp.Pipeline(demo.model, roi=(1, 2, 3))


def test_the_spec_and_the_model_must_agree(demo: Demo) -> None:
    with pytest.raises(hp.ModelError, match=r"128.*240|240.*128"):
        hp.Pipeline(demo.model, spec="unet")


@pytest.mark.shared
def test_the_real_model_runs_on_the_real_clip(shared_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the network")
    model = shared_dir / "models" / "unet_freihand.onnx"
    with hp.Pipeline(model, spec="unet", roi=(520, 90, 384, 384)) as pipe:
        report = pipe.run(
            shared_dir / "clips" / "open_hand_720p.mp4",
            [tmp_path / "out.gif", tmp_path / "out.mp4"],
            keypoints=tmp_path / "out.jsonl",
            max_frames=12,
        )
    assert report.frames == report.frames_with_hands == 12
    assert frames_in(tmp_path / "out.gif") == frames_in(tmp_path / "out.mp4") == 12
    points = np.array(read_records(tmp_path / "out.jsonl")[0]["hands"][0]["keypoints"])
    assert (points[:, 0] > 520).all()
    assert (points[:, 0] < 904).all()
    assert (points[:, 1] > 90).all()
    assert (points[:, 1] < 474).all()
