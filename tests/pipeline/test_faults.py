"""A fault at every boundary between stages: no deadlock, every finished frame kept, the cause told."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import handpose_native as hp
from handpose_native.estimators.region import RegionEstimator
from handpose_native.video import mp4 as mp4_module

from .conftest import Demo
from .mjpeg_camera import until

#: A table, too, where pyarrow can write it.
KEYPOINT_KINDS = ["jsonl", *(["parquet"] if find_spec("pyarrow") else [])]


class Fault(Exception):
    """What breaks."""


def fails_from(call: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, raising instead from its n-th call on."""
    calls = 0

    def failing(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > call:
            raise Fault(f"call {calls} of {function.__name__}")
        return function(*arguments, **named)

    return failing


def frames_in(path: Path) -> int:
    with hp.open_source(path) as source:
        return sum(1 for _ in source)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert until(lambda: not {"read", "estimate"} & {thread.name for thread in threading.enumerate()})


@pytest.mark.parametrize("policy", ["all", "block"])
def test_the_source_breaks(demo: Demo, tmp_path: Path, policy: str) -> None:
    class Breaking(hp.Source):
        def __init__(self) -> None:
            super().__init__(hp.open_source(demo.clip).info)

        def _frames(self) -> Iterator[hp.Frame]:
            with hp.open_source(demo.clip) as source:
                for frame in source:
                    if frame.index == 9:
                        raise Fault("the decoder broke")
                    yield frame

        def _release(self) -> None:
            return

    check_run_that_breaks(demo, tmp_path, Breaking(), 9, policy=policy)


@pytest.mark.parametrize("policy", ["all", "block"])
@pytest.mark.parametrize("stage", ["_submit", "_collect"])
def test_the_model_breaks(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, policy: str) -> None:
    monkeypatch.setattr(RegionEstimator, stage, fails_from(9, getattr(RegionEstimator, stage)))
    check_run_that_breaks(demo, tmp_path, demo.clip, 9, policy=policy)


def test_drawing_breaks(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from handpose_native import pipeline

    monkeypatch.setattr(pipeline, "draw_hands", fails_from(9, pipeline.draw_hands))
    check_run_that_breaks(demo, tmp_path, demo.clip, 9, records=10)  # keypoints are written first


def test_the_encoder_breaks(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other outputs keep what they have."""
    monkeypatch.setattr(mp4_module.H264Sink, "_mux", fails_from(9, mp4_module.H264Sink._mux))
    with hp.Pipeline(demo.model) as pipe, pytest.raises(Fault, match="_mux"):
        pipe.run(demo.clip, [tmp_path / "out.gif", tmp_path / "out.mp4"], keypoints=tmp_path / "out.jsonl")
    assert 9 <= frames_in(tmp_path / "out.gif") <= 10
    assert 9 <= len(list(hp.read_keypoints(tmp_path / "out.jsonl")[1])) <= 10


def check_run_that_breaks(
    demo: Demo, tmp_path: Path, source: Any, finished: int, *, records: int | None = None, **options: Any
) -> None:
    """Run until it breaks; every output holds the frames finished before that, and the pipeline can go on."""
    outputs = [tmp_path / "out.mp4", tmp_path / "out.gif"]
    keypoints = [tmp_path / f"out.{kind}" for kind in KEYPOINT_KINDS]
    with hp.Pipeline(demo.model) as pipe:
        with pytest.raises(Fault):
            pipe.run(source, outputs, keypoints=keypoints, **options)
        assert pipe.last_report is not None
        assert pipe.last_report.frames == finished
    assert [frames_in(path) for path in outputs] == [finished, finished]
    for path in keypoints:
        assert indices_in(path) == list(range(records or finished)), path.name


def indices_in(path: Path) -> list[int]:
    """Numbers of the frames in a file of keypoints."""
    if path.suffix == ".jsonl":
        return [record["frame"] for record in hp.read_keypoints(path)[1]]
    import pyarrow.parquet

    return list(dict.fromkeys(pyarrow.parquet.read_table(path)["frame"].to_pylist()))


@pytest.mark.parametrize("kind", KEYPOINT_KINDS)
def test_the_disk_is_full_for_keypoints(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """They come first, so the pictures hold exactly what they hold; and the cause is told in a line."""
    from handpose_native.video import keypoint_table, keypoints

    writer = {"jsonl": keypoints._JsonLinesWriter, "parquet": keypoint_table.TableWriter}[kind]
    write, calls = writer._write, iter(range(100))

    def full(self: Any, result: hp.FrameResult) -> None:
        if next(calls) == 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, result)

    monkeypatch.setattr(writer, "_write", full)
    path = tmp_path / f"out.{kind}"
    with hp.Pipeline(demo.model) as pipe, pytest.raises(hp.VideoError) as caught:
        pipe.run(demo.clip, tmp_path / "out.mp4", keypoints=path)
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert frames_in(tmp_path / "out.mp4") == 9
    assert indices_in(path) == list(range(9))


class SlowSink(hp.Sink):
    """Takes its time for each picture; remembers what came."""

    def __init__(self, pause_s: float) -> None:
        super().__init__("slow")
        self.pause_s = pause_s
        self.times: list[float] = []

    def _write(self, picture: hp.Picture, pts_s: float) -> bool:
        time.sleep(self.pause_s)
        self.times.append(pts_s)
        return True

    def _finish(self) -> None:
        return


def test_a_slow_sink_slows_a_file_down_and_loses_nothing(demo: Demo) -> None:
    sink = SlowSink(0.04)  # more than a busy machine needs for the other stages
    with hp.Pipeline(demo.model) as pipe:
        report = pipe.run(demo.clip, sink, max_frames=40)
    assert sink.times == pytest.approx([index / 30 for index in range(40)], abs=1e-3)
    assert report.ledger.replaced == 0
    assert report.limiting_stage == "write"


def test_a_slow_sink_makes_a_live_source_drop_old_frames_and_say_so(demo: Demo) -> None:
    sink = SlowSink(0.1)
    with hp.Pipeline(demo.model) as pipe:
        report = pipe.run(hp.open_source(demo.clip, realtime=True), sink, max_frames=15)
    ledger = report.ledger
    assert ledger.processed == len(sink.times) == 15
    assert ledger.replaced > 10
    assert ledger.late > 10
    assert ledger.read == ledger.processed + ledger.replaced + ledger.unfinished
    assert "dropped for newer ones" in str(report)


def test_ctrl_c_in_the_middle(demo: Demo, tmp_path: Path) -> None:
    """Where nobody handles signals, Python raises KeyboardInterrupt somewhere in the main thread."""
    with hp.Pipeline(demo.model) as pipe:

        def interrupt(result: hp.FrameResult) -> None:
            if result.index == 9:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)

        with pytest.raises(KeyboardInterrupt):
            pipe.run(demo.clip, tmp_path / "out.mp4", on_frame=interrupt)
        assert pipe.last_report is not None
        assert frames_in(tmp_path / "out.mp4") == pipe.last_report.frames == 10


KILLED = """
import sys
import handpose_native as hp

clip, model, folder, kinds = sys.argv[1:]
with hp.Pipeline(model) as pipe:
    for result in pipe.stream(clip, max_frames=1):  # so that loading is over
        pass
    sink = [f"{folder}/out.mp4", f"{folder}/out.mkv", f"{folder}/out.gif"]
    def tell(result):
        print(result.index, flush=True)
    kinds = [f"{folder}/out.{kind}" for kind in kinds.split(",")]
    pipe.run(hp.open_source(clip, realtime=True), sink, keypoints=kinds, policy="all", on_frame=tell)
"""


def test_kill_9_while_writing_leaves_files_that_can_be_played(demo: Demo, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(demo.clip), str(demo.model), str(tmp_path), ",".join(KEYPOINT_KINDS)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 100:
            break
    process.kill()
    process.wait()
    process.stdout.close()
    # Every line but the last was written whole; encoders hold a second back, a GIF one picture.
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) >= 100
    assert not (tmp_path / "out.parquet").exists()  # a table is whole or not there
    for name, least in (("out.mp4", 60), ("out.mkv", 60)):
        with hp.open_source(tmp_path / name) as source:
            frames = [frame.image for frame in source]
        assert len(frames) >= least, name
        assert np.ptp(frames[-1]) > 100
    with Image.open(tmp_path / "out.gif") as gif:
        count = 0
        try:
            while True:
                gif.seek(count)
                gif.load()
                count += 1
        except (EOFError, OSError):
            pass
    assert count >= 60
