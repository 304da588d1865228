"""The command line as a user meets it: processes, exit codes, messages, signals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import av
import pytest

import handpose_native as hp

from .conftest import Demo

COMMAND = [sys.executable, "-m", "handpose_native"]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False, **options
    )
    assert "Traceback" not in result.stderr
    return result


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def failure(result: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line that tells what went wrong."""
    assert result.returncode == code, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("handpose-native: ")]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_help_names_commands_examples_and_exit_codes() -> None:
    text = run("--help").stdout
    for word in ("run", "config", "examples:", "exit codes:", "143"):
        assert word in text
    assert "--roi" in run("run", "--help").stdout
    assert run().returncode == 2


def test_version_and_config() -> None:
    assert run("--version").stdout.strip() == hp.__version__
    assert "isa_levels" in run("config").stdout


def test_a_reader_that_goes_away_is_no_crash() -> None:
    process = subprocess.Popen([*COMMAND, "config"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 128 + signal.SIGPIPE
    assert said == ""


def test_one_command_writes_gif_mp4_and_keypoints(demo: Demo, tmp_path: Path) -> None:
    names = ["out.gif", "out.mp4", "out.jsonl", "out.csv", "report.json"]
    gif, mp4, jsonl, csv, report = (tmp_path / name for name in names)
    result = run(
        "run", demo.clip, "-o", gif, "-o", mp4, "--keypoints", jsonl, "--keypoints", csv,
        "--model", demo.model, "--max-frames", 6, "--every", 2, "--roi", "100,60,440,400", "--threads", 1,
        "--report", report,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert frames_in(gif) == frames_in(mp4) == 6
    records = list(hp.read_keypoints(jsonl)[1])
    assert [record["frame"] for record in records] == [0, 2, 4, 6, 8, 10]
    assert json.loads(report.read_text())["frames"] == 6
    # the closing summary, and no progress bar where there is no terminal
    for word in ("6 frames", "fps", "mean ms", "p95", "p99", "decode", "model", "write"):
        assert word in result.stderr
    assert "\r" not in result.stderr
    assert "it/s" not in result.stderr
    assert result.stdout == ""


def test_quiet_says_nothing(demo: Demo, tmp_path: Path) -> None:
    result = run("run", demo.clip, "-o", tmp_path / "o.gif", "--model", demo.model, "--max-frames", 1, "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_terminal_gets_a_progress_bar(demo: Demo, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    arguments = ["run", demo.clip, "-o", tmp_path / "o.gif", "--model", demo.model, "--max-frames", "20"]
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=follower, stdout=follower)
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.wait() == 0
    assert b"/20" in shown
    assert b"\r" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "clip.mp4"],
        ["run", "clip.mp4", "-o", "out.gif", "--max-hands", "0"],
        ["run", "clip.mp4", "-o", "out.gif", "--smoothing", "heavy"],
        ["run", "clip.mp4", "--model", "m.onnx", "--roi", "1,2,3"],
        ["run", "clip.mp4", "--model", "m.onnx", "--roi", "1,2,0,5"],
        ["run", "clip.mp4", "--model", "m.onnx", "--max-frames", "0"],
        ["run", "clip.mp4", "--model", "m.onnx", "--every", "x"],
        ["run", "clip.mp4", "--model", "m.onnx"],
        ["nothing"],
    ],
)
def test_wrong_use_is_code_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_an_output_of_unknown_kind_is_code_2(demo: Demo, tmp_path: Path) -> None:
    assert "out.xyz" in failure(run("run", demo.clip, "-o", tmp_path / "out.xyz", "--model", demo.model), 2)


def test_no_such_file_is_code_3(demo: Demo, tmp_path: Path) -> None:
    message = failure(run("run", "missing.mp4", "-o", tmp_path / "o.gif", "--model", demo.model), 3)
    assert "missing.mp4: no such file" in message
    assert not (tmp_path / "o.gif").exists()


def test_not_a_video_is_code_3_and_harms_no_output(demo: Demo, tmp_path: Path) -> None:
    text, output = tmp_path / "notes.mp4", tmp_path / "o.gif"
    text.write_text("no video\n" * 100)
    output.write_bytes(b"precious")
    assert "notes.mp4" in failure(run("run", text, "-o", output, "--model", demo.model), 3)
    assert output.read_bytes() == b"precious"


def test_an_output_that_cannot_be_written_is_code_3(demo: Demo, tmp_path: Path) -> None:
    message = failure(run("run", demo.clip, "-o", tmp_path / "no" / "o.gif", "--model", demo.model), 3)
    assert "no/o.gif" in message
    assert "does not exist" in message


def test_a_full_disk_is_code_3_and_keeps_what_was_written(demo: Demo, tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from handpose_native.cli import main; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)); sys.exit(main(sys.argv[1:]))"
    )
    gif, jsonl = tmp_path / "o.gif", tmp_path / "o.jsonl"
    arguments = ["run", demo.clip, "-o", gif, "--keypoints", jsonl, "--model", demo.model]
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in result.stderr
    assert "o.gif" in failure(result, 3)
    written = frames_in(gif)
    assert 0 < written < len(demo.truth)
    assert len(list(hp.read_keypoints(jsonl)[1])) >= written
    assert f"{demo.clip}: " in result.stderr  # the summary comes all the same


def test_a_corrupt_model_is_code_4(demo: Demo, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(demo.model.read_bytes()[:300])
    assert "broken.onnx" in failure(
        run("run", demo.clip, "-o", tmp_path / "o.gif", "--model", broken, "--spec", "unet"), 4
    )
    assert "missing.onnx" in failure(run("run", demo.clip, "-o", tmp_path / "o.gif", "--model", "missing.onnx"), 4)


def test_a_model_without_description_is_code_4_and_tells_the_ways_out(demo: Demo, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(demo.model.read_bytes())
    message = failure(run("run", demo.clip, "-o", tmp_path / "o.gif", "--model", alone), 4)
    for word in ("unet", "handpose-x", "alone.json"):
        assert word in message


def test_a_model_with_the_wrong_shape_is_code_4_and_says_both(demo: Demo, tmp_path: Path) -> None:
    message = failure(run("run", demo.clip, "-o", tmp_path / "o.gif", "--model", demo.model, "--spec", "unet"), 4)
    assert "128" in message
    assert "240" in message


def test_a_missing_package_is_code_5_and_names_the_extra(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("raise ModuleNotFoundError('not here', name='onnxruntime')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = run("run", demo.clip, "-o", tmp_path / "o.gif", "--model", demo.model, env=environment)
    assert "handpose_native[cpu]" in failure(result, 5)


def test_a_clip_cut_off_in_the_middle_is_code_6_with_all_frames_up_to_there(demo: Demo, tmp_path: Path) -> None:
    data = demo.clip.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 6 // 10])
    result = run("run", cut, "-o", tmp_path / "o.mp4", "--model", demo.model)
    assert result.returncode == 6, result.stderr
    written = frames_in(tmp_path / "o.mp4")
    assert 10 < written < len(demo.truth)
    assert f"ended after {written} of {len(demo.truth)} frames" in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_the_run_and_keep_every_finished_frame(
    demo: Demo, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    gif, mp4, jsonl = tmp_path / "o.gif", tmp_path / "o.mp4", tmp_path / "o.jsonl"
    arguments = ["run", demo.clip, "-o", gif, "-o", mp4, "--keypoints", jsonl, "--model", demo.model]
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (jsonl.exists() and jsonl.read_bytes().count(b"\n") > 8):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode == code, text
    assert "Traceback" not in text
    assert "stopped early" in text
    records = list(hp.read_keypoints(jsonl)[1])
    assert 8 <= len(records) < len(demo.truth)
    assert frames_in(gif) == frames_in(mp4) == len(records)
