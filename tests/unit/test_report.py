"""The account of a run: figures that can be checked by hand, read by any thread, told as text, JSON and a trace."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from handpose_native.errors import VideoError
from handpose_native.picture import Picture
from handpose_native.report import RunReport
from handpose_native.timing import FrameTimes, Ledger, stage
from handpose_native.trace import TraceWriter
from handpose_native.types import FrameResult


def result(index: int, stages: dict[str, float], *, thread: str = "main") -> FrameResult:
    """Return a frame whose stages took so many seconds one after another, from now on."""
    times = FrameTimes()
    began = time.perf_counter()

    def work() -> None:
        nonlocal began
        for name, seconds in stages.items():
            times.add(name, began, began + seconds)
            began += seconds

    worker = threading.Thread(target=work, name=thread)
    worker.start()
    worker.join()
    return FrameResult(index, index / 30, Picture.from_bgr(np.zeros((2, 2, 3), np.uint8)), [], times)


def test_stages_add_up_over_several_stretches() -> None:
    times = FrameTimes()
    times.add("model", 1.0, 1.5)
    times.add("joints", 1.5, 1.6)
    times.add("model", 2.0, 2.25)
    assert times == {"model": pytest.approx(750), "joints": pytest.approx(100)}
    assert [span.stage for span in times.spans] == ["model", "joints", "model"]
    assert times.began_s == 1.5
    with stage("draw", times):
        pass
    assert times["draw"] >= 0
    assert times.spans[-1].thread == threading.current_thread().name


def test_the_ledger_adds_up_and_tells_only_what_happened() -> None:
    ledger = Ledger(read=100, processed=60, every=20, replaced=15, late=3)
    assert ledger.unfinished == 5
    assert (
        str(ledger) == "100 read, 60 processed, 20 passed over, 15 dropped for newer ones, 3 late, 5 read for nothing"
    )
    assert str(Ledger(read=3, processed=3)) == "3 read, 3 processed"
    assert ledger.to_dict()["unfinished"] == 5


def test_which_thread_and_stage_limit() -> None:
    report = RunReport("clip", "model")
    assert report.limiting_stage is None
    for index in range(4):
        report.count(result(index, {"decode": 0.010}, thread="read"))
        report.count(result(index, {"preprocess": 0.004, "model": 0.020}, thread="estimate"))
        report.count(result(index, {"draw": 0.002, "write": 0.008}, thread="main"))
    report.end()
    assert report.limiting_stage == "model"
    busy_s = {name: share * report.seconds for name, share in report.busy.items()}
    assert busy_s == pytest.approx({"read": 0.04, "estimate": 0.096, "main": 0.04})


def test_the_first_of_each_stage_is_told_apart() -> None:
    report = RunReport("clip", "model")
    for index, duration in enumerate([0.5, 0.01, 0.01, 0.01]):
        report.count(result(index, {"model": duration}))
    stage_times = report.stages["model"]
    assert stage_times.first_ms == pytest.approx(500)
    assert stage_times.mean_ms == pytest.approx(10)
    assert stage_times.percentile_ms(99) == pytest.approx(10, rel=0.01)
    assert stage_times.to_dict()["first"] == pytest.approx(500)


def test_an_empty_report_is_valid_json_without_numbers_that_are_none() -> None:
    report = RunReport("clip", "model")
    figures = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert figures["fps"] is None
    assert figures["latency_ms"]["median"] is None
    assert figures["limiting_stage"] is None
    assert math.isnan(report.fps)
    assert "0 frames" in str(report)


def test_the_clock_runs_until_the_end() -> None:
    report = RunReport("clip", "model")
    report.count(result(0, {"model": 0.001}))
    earlier = report.seconds
    time.sleep(0.01)
    assert report.seconds > earlier
    report.end()
    assert report.seconds == report.seconds
    assert report.fps == pytest.approx(1 / report.seconds)


def test_it_can_be_read_while_it_counts() -> None:
    report = RunReport("clip", "model")
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                json.dumps(report.to_dict(), allow_nan=False)
                str(report)
        except BaseException as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for index in range(300):
        report.count(result(index, {f"{name}": 0.001 for name in ("decode", "model", "write")[: 1 + index % 3]}))
    done.set()
    reader.join()
    assert not failures


def test_comparing_two_runs() -> None:
    fast, slow = RunReport("clip", "a"), RunReport("clip", "b")
    for index in range(10):
        fast.count(result(index, {"decode": 0.001, "model": 0.010}))
        slow.count(result(index, {"model": 0.020, "write": 0.001}))
    fast.end()
    slow.end()
    comparison = fast.compare(slow)
    assert comparison.speedup == pytest.approx(fast.fps / slow.fps)
    assert list(comparison.stages) == ["model"]  # those that both have
    assert comparison.stages["model"] == pytest.approx((10, 20), rel=0.01)
    assert "0.50" in str(comparison)


def test_a_trace_is_json_that_names_frames_threads_and_stages(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    with TraceWriter(path) as trace:
        trace.write(result(0, {"decode": 0.001}, thread="read"), [])
        trace.write(result(1, {"decode": 0.001, "model": 0.002}, thread="read"), [])
        unfinished = path.read_text()
    events = json.loads(path.read_text())
    assert json.loads((unfinished or "[") + "]") is not None  # as a killed run leaves it, the bracket allowed to miss
    work = [event for event in events if event["ph"] == "X"]
    assert [(event["name"], event["args"]["frame"]) for event in work] == [("decode", 0), ("decode", 1), ("model", 1)]
    assert [event["dur"] for event in work] == pytest.approx([1000, 1000, 2000], abs=0.2)
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert {names[event["tid"]] for event in work} == {"read"}


def test_an_empty_trace_is_an_empty_list(tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "trace.json"):
        pass
    assert json.loads((tmp_path / "trace.json").read_text()) == []


def test_a_trace_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"trace: .*missing.*cannot be written: No such file"):
        TraceWriter(tmp_path / "missing" / "trace.json")
