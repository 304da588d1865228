"""Many videos by several processes: what is done stays, what fails is told, what dies is done again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import handpose_native as hp
from handpose_native.batch import BatchOptions, Outcome, VideoWorker, find_videos, run_batch, run_in_processes
from handpose_native.errors import ArgumentError, ModelError

from .conftest import Demo
from .dying_workers import make_workers_die
from .mjpeg_camera import until

COMMAND = [sys.executable, "-m", "handpose_native", "batch"]


@pytest.fixture
def clips(demo: Demo, tmp_path: Path) -> Path:
    """Three videos in two folders."""
    folder = tmp_path / "clips"
    for name in ("1.mp4", "2.mp4", "sub/3.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo.clip, folder / name)
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in result.stderr
    return result


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def outcomes_in(out: Path) -> list[dict[str, Any]]:
    lines = (out / "manifest.jsonl").read_text("utf-8").splitlines()[1:]
    return [json.loads(line)["outcome"] for line in lines]


def test_a_folder_with_broken_files_is_done_but_for_these(demo: Demo, clips: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="writes Parquet")
    whole = demo.clip.read_bytes()
    (clips / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (clips / "text.mp4").write_text("no video\n" * 50)
    (clips / "empty.mp4").write_bytes(b"")
    out = tmp_path / "out"
    arguments = [clips, "-o", out, "--model", demo.model, "--jobs", 2, "--draw", "mp4", "--max-frames", 100]
    arguments += ["--keypoints", "jsonl", "--keypoints", "parquet"]
    result = run(*arguments)
    assert result.returncode == 8, result.stderr
    made = [f"{name}.{kind}" for name in ("1.mp4", "2.mp4", "cut.mp4", "sub/3.mp4") for kind in KINDS]
    assert files_in(out) == sorted(["manifest.jsonl", *made])
    for line in ("empty.mp4 failed: ", "text.mp4 failed: "):
        assert f"handpose-native: {line}" in result.stderr
    assert "videos: 3 done, 1 done, but damaged, 2 failed" in result.stderr

    # what one run makes of the same file, to the byte
    with hp.Pipeline(demo.model, threads=1) as pipe:
        pipe.run(clips / "1.mp4", tmp_path / "1.mp4", keypoints=tmp_path / "1.jsonl", max_frames=100)
    assert (tmp_path / "1.jsonl").read_bytes() == (out / "1.mp4.jsonl").read_bytes()
    assert (tmp_path / "1.mp4").read_bytes() == (out / "1.mp4.mp4").read_bytes()
    report = json.loads((out / "sub" / "3.mp4.report.json").read_text("utf-8"))
    assert report["frames"] == 100
    assert str(out / "sub" / "3.mp4.jsonl") in report["outputs"]

    before = {path: (out / path).stat().st_mtime_ns for path in files_in(out)}
    again = run(*arguments)
    assert again.returncode == 8
    assert "videos: 2 failed, 4 done before" in again.stderr
    del before["manifest.jsonl"]
    assert {path: (out / path).stat().st_mtime_ns for path in before} == before


KINDS = ("jsonl", "mp4", "parquet", "report.json")


def test_what_changed_is_done_again(demo: Demo, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = BatchOptions(demo.model, max_frames=2)
    assert run_batch(find_videos(clips), out, options, jobs=1).done == 3
    os.utime(clips / "2.mp4", (1, 1))
    (out / "1.mp4.jsonl").unlink()
    seen: list[Outcome] = []
    report = run_batch(find_videos(clips), out, options, jobs=1, on_outcome=seen.append)
    assert sorted(outcome.video.name for outcome in seen) == ["1.mp4", "2.mp4"]
    assert (report.done, report.already_done, report.frames) == (2, 1, 4)
    report = run_batch(find_videos(clips), out, BatchOptions(demo.model, max_frames=3), jobs=1)
    assert (report.done, report.already_done) == (3, 0)


def test_nothing_to_do_starts_no_worker(demo: Demo, tmp_path: Path) -> None:
    def refuse(todo: list[Any], *_: object, **__: object) -> Any:
        assert todo == []
        yield from ()

    assert str(run_batch([], tmp_path, BatchOptions(demo.model), run=refuse)) == "videos: no videos"
    assert list(run_in_processes([], tmp_path, BatchOptions(demo.model))) == []


def test_a_failure_leaves_nothing_half_made(demo: Demo, clips: Path, tmp_path: Path) -> None:
    """Also one of the program's own: it is told, and the next video is done."""
    worker = VideoWorker(BatchOptions(demo.model, drawn="mp4"), tmp_path / "out")
    first, second, _ = find_videos(clips)

    def fail(result: hp.FrameResult) -> None:
        if result.index == 5:
            raise ZeroDivisionError("in the\nmiddle")

    outcome = worker(first, on_frame=fail)
    assert (outcome.state, outcome.error) == ("failed", "ZeroDivisionError: in the middle")
    assert files_in(tmp_path / "out") == []
    stop = threading.Event()
    assert worker(second, stop=stop, on_frame=lambda _: stop.set()).state == "stopped"
    assert files_in(tmp_path / "out") == []
    assert worker(second).state == "done"
    worker.close()


@pytest.mark.parametrize("deaths", [1, 9])
def test_a_worker_that_dies_is_noticed(
    demo: Demo, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    make_workers_die(tmp_path / "site", {"2.mp4": deaths}, monkeypatch)
    out = tmp_path / "out"
    seen = {}
    report = run_batch(
        find_videos(clips),
        out,
        BatchOptions(demo.model),
        jobs=2,
        on_outcome=lambda one: seen.update({one.video.name: one}),
    )
    assert (tmp_path / "site" / "2.mp4").read_text() == "x" * min(deaths, 2)
    assert seen["2.mp4"].attempts == 2
    assert seen["1.mp4"].attempts == seen["sub/3.mp4"].attempts == 1
    if deaths == 1:
        assert report.done == 3
    else:
        assert report.done == 2
        assert "2 times; the last time: SIGKILL" in str(seen["2.mp4"].error)
        assert "2.mp4.jsonl" not in files_in(out)
    assert not list(out.rglob(".*"))


def test_a_model_that_cannot_be_loaded_ends_the_batch(demo: Demo, clips: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(demo.model.read_bytes()[:300])
    result = run(clips, "-o", tmp_path / "out", "--model", broken, "--spec", "unet")
    assert result.returncode == 4
    assert "broken.onnx" in result.stderr
    with pytest.raises(ArgumentError, match="jobs must be at least 1"):
        run_in_processes(find_videos(clips), tmp_path, BatchOptions(demo.model), jobs=0)
    with pytest.raises(ModelError, match="a worker ended before it could begin: exit code 1"):
        run_batch(find_videos(clips), tmp_path / "out", BatchOptions(demo.model, pipeline={"no_such": 1}), jobs=1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_signals_end_workers_and_keep_what_is_done(
    demo: Demo, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """While a video is in work that takes far longer than the test."""
    folder, out = tmp_path / "clips", tmp_path / "out"
    folder.mkdir()
    shutil.copy(demo.clip, folder / "1.mp4")
    long = folder / "2.mp4"
    lengthen(demo.clip, long, 200)
    process = subprocess.Popen(
        [*COMMAND, str(folder), "-o", str(out), "--model", str(demo.model), "--jobs", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert until(lambda: (out / "1.mp4.jsonl").exists() and (out / ".2.mp4.part").exists(), 60)
    assert until(lambda: len(outcomes_in(out)) == 1, 10)
    workers = children_of(process.pid)
    assert len(workers) >= 2
    began_s = time.monotonic()
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode == code, text
    assert until(lambda: not any(is_alive(worker) for worker in workers), 10)
    assert time.monotonic() - began_s < 10  # 2 s where the machine is not busy with other things
    assert "Traceback" not in text
    left = {"1.mp4.jsonl", "1.mp4.report.json", "manifest.jsonl"}
    if number != signal.SIGKILL:
        assert "1 done, 1 left" in text
        assert set(files_in(out)) == left
    # begun again, it goes on where it was, and what a killed one left is removed
    shutil.copy(demo.clip, long)
    result = run(folder, "-o", out, "--model", demo.model, "--jobs", 1)
    assert result.returncode == 0
    assert "1 done, 1 done before" in result.stderr
    assert set(files_in(out)) == left | {"2.mp4.jsonl", "2.mp4.report.json"}


def lengthen(clip: Path, target: Path, times: int) -> None:
    """Repeat a video without encoding it again."""
    import av

    with av.open(str(target), "w") as out:
        stream, offset = None, 0
        for _ in range(times):
            with av.open(str(clip)) as video:
                source = video.streams.video[0]
                stream = stream or out.add_stream_from_template(source)
                for packet in video.demux(source):
                    if packet.dts is not None:
                        packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                        out.mux(packet)
                assert source.duration is not None
                offset += source.duration


def children_of(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
