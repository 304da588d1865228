"""Weights: found, verified, pulled; and nothing half, whatever goes wrong."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.weight_files import CONTENTS, FakePip, fake_weights, make_wheel

from handpose_native.errors import ArgumentError, DTypeError, MissingDependencyError, ModelError
from handpose_native.models import weight_sets, weight_sources, weights
from handpose_native.models.weights import (
    find_weights,
    is_weights_name,
    pull_weights,
    require_weights,
    verify_weights,
    weight_set,
    weights_folder,
)

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable  # which the tests replace
PULL = "import sys; from tests.weight_files import require_with_fakes; require_with_fakes(sys.argv[1])"
OFFLINE = """\
WARNING: Location 'file:///opt' is ignored: it is neither a file nor a directory.
WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError('<pip.HTTPSConnection object at \
0x7fe43d26d7d0>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/mediapipe/
ERROR: Could not find a version that satisfies the requirement mediapipe==0.10.21 (from versions: none)
ERROR: No matching distribution found for mediapipe==0.10.21
"""
WAYS_OUT = ("handpose-native models pull hands-full` on a machine with a network", "--from DIR|WHEEL")


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    """Small weights, a cache folder that is not there yet, and a pip that nobody may call until it has a plan."""
    monkeypatch.setattr(weight_sets, "WEIGHTS", fake_weights())
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", str(tmp_path / "cache"))
    fake = FakePip(tmp_path / "bin")
    monkeypatch.setattr(sys, "executable", str(fake.python))
    return fake


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "mediapipe-0.10.21-any.whl")


def kept() -> list[str]:
    """All that is in the cache, but the lock."""
    folder = weights_folder()
    files = (path for path in folder.rglob("*") if path.is_file() or path.name.startswith(".pull"))
    return sorted(str(path.relative_to(folder)) for path in files if path.name != ".lock")


FULL = [f"mediapipe-0.10.21/{name}" for name in ("hand_landmark_full.tflite", "palm_detection_full.tflite")]
LITE = [name.replace("full", "lite") for name in FULL]


def test_names_and_alias() -> None:
    assert all(map(is_weights_name, ("hands", "hands-full", "hands-lite")))
    assert not any(map(is_weights_name, ("hand", "hands.onnx", "", None, 3, ["hands"], Path("hands"))))
    assert weight_set("hands") is weight_set("hands-full")
    with pytest.raises(ArgumentError, match=r"name must be one of hands, hands-full, hands-lite; got 'unet'"):
        weight_set("unet")


def test_the_cache_folder_is_the_users_or_the_one_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", str(tmp_path))
    assert weights_folder() == tmp_path / "weights"
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", "relative")
    assert weights_folder() == Path.cwd() / "relative/weights"
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert weights_folder() == tmp_path / "xdg/handpose_native/weights"


def test_without_a_home_folder_one_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDPOSE_NATIVE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does for a user that is not known
    with pytest.raises(ModelError, match="no home folder; HANDPOSE_NATIVE_CACHE"):
        weights_folder()


def test_nothing_there_is_found_without_a_trace(pip: FakePip) -> None:
    assert find_weights("hands") is None
    assert {status.state for status in verify_weights("hands").values()} == {"missing"}
    assert not weights_folder().exists()
    assert pip.calls == []


def test_pull_takes_the_wheel_that_pip_fetches(pip: FakePip, wheel: Path, tmp_path: Path) -> None:
    pip.plan(wheel)
    paths = pull_weights("hands")
    assert set(paths) == {"palm", "landmarks"}
    assert {path.name: path.read_bytes() for path in paths.values()} == {
        name: content for name, content in CONTENTS.items() if "full" in name
    }
    assert kept() == FULL
    assert not list(tmp_path.rglob("outside.txt"))
    (call,) = pip.calls
    words = call["argv"]
    assert words[:2] == ["-m", "pip"]
    assert {"download", "--no-deps", "--only-binary=:all:", "mediapipe==0.10.21"} <= set(words)
    assert Path(str(call["cwd"])).parent == weights_folder() / "mediapipe-0.10.21"  # and on the same disk

    assert pull_weights("hands-full") == find_weights("hands") == paths
    assert len(pip.calls) == 1
    pull_weights("hands-lite")
    assert kept() == sorted(FULL + LITE)


@pytest.mark.parametrize("place", ["", "{folder}", "mediapipe/modules/{folder}"])
def test_pull_from_a_folder(pip: FakePip, tmp_path: Path, place: str) -> None:
    for file in weight_set("hands").files.values():
        folder = tmp_path / "usb" / place.format(folder=Path(file.wheel_member).parent.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file.file_name).write_bytes(CONTENTS[file.file_name])
    pull_weights("hands", source=tmp_path / "usb")
    assert kept() == FULL
    assert pip.calls == []


@pytest.mark.parametrize("plain", [False, True])
def test_pull_from_a_wheel(pip: FakePip, tmp_path: Path, plain: bool) -> None:
    pull_weights("hands-lite", source=str(make_wheel(tmp_path / "any.zip", plain=plain)))
    assert kept() == LITE
    assert pip.calls == []


def test_require_pulls_once_and_says_so(
    pip: FakePip, wheel: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pip.plan(wheel)
    paths = require_weights("hands")
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    for word in ("hands-full", "mediapipe==0.10.21", "36 MB", "Apache-2.0", str(tmp_path / "cache"), "pip"):
        assert word in record.getMessage()
    caplog.clear()
    assert require_weights("hands") == paths
    assert len(pip.calls) == 1
    assert not caplog.records


def test_a_damaged_file_is_not_given_out_and_is_pulled_again(pip: FakePip, wheel: Path) -> None:
    paths = pull_weights("hands", source=wheel)
    paths["palm"].write_bytes(paths["palm"].read_bytes()[:-1] + b"?")  # of the same size
    found = verify_weights("hands")
    assert (found["palm"].state, found["landmarks"].state) == ("damaged", "ok")
    assert found["palm"].sha256 != found["palm"].file.sha256
    assert find_weights("hands") is None
    pip.plan(wheel)
    assert require_weights("hands") == find_weights("hands") == paths


@pytest.mark.parametrize("by_pip", [False, True])
def test_a_wrong_file_is_refused_and_nothing_is_kept(pip: FakePip, tmp_path: Path, by_pip: bool) -> None:
    wrong = make_wheel(tmp_path / "wrong.whl", changed="hand_landmark_full.tflite")  # the second; the first is right
    pip.plan(wrong)
    expected = weight_set("hands").files["landmarks"].sha256
    with pytest.raises(ModelError, match=rf"hand_landmark_full.*expected SHA-256 {expected}; got [0-9a-f]{{64}}"):
        pull_weights("hands", source=None if by_pip else wrong)
    assert kept() == []


def test_sources_that_do_not_have_it(pip: FakePip, tmp_path: Path, wheel: Path) -> None:
    def refusal(source: Path) -> str:
        with pytest.raises(ModelError, match="pull_weights") as caught:
            pull_weights("hands", source=source)
        assert kept() == []
        return str(caught.value)

    assert "No such file" in refusal(tmp_path / "none.whl")
    (tmp_path / "text.whl").write_text("text")
    assert "not a zip" in refusal(tmp_path / "text.whl")
    (tmp_path / "empty").mkdir()
    assert "has no palm_detection_full.tflite; looked for mediapipe/modules/" in refusal(tmp_path / "empty")
    assert "has no hand_landmark_full.tflite" in refusal(
        make_wheel(tmp_path / "less.whl", without="hand_landmark_full.tflite")
    )
    content = bytearray(wheel.read_bytes())
    at = content.index(b"palm_detection_full.tflite") + 40  # in the compressed data
    content[at : at + 20] = bytes(20)
    (tmp_path / "damaged.whl").write_bytes(content)
    assert "cannot read palm_detection_full.tflite from" in refusal(tmp_path / "damaged.whl")
    with pytest.raises(DTypeError, match="source must be a path; got int"):
        pull_weights("hands", source=3)  # type: ignore[arg-type]
    assert pip.calls == []


def test_offline_names_the_reason_and_the_two_ways_out(pip: FakePip) -> None:
    pip.plan(code=1, stderr=OFFLINE)
    with pytest.raises(ModelError, match=r"could not fetch mediapipe==0\.10\.21") as caught:
        require_weights("hands")
    message = str(caught.value)
    assert "[Errno 111] Connection refused" in message
    assert all(way in message for way in WAYS_OUT)
    assert str(weights_folder()) in message
    assert "0x7fe43d26d7d0" not in message
    assert "\n" not in message
    assert kept() == []


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        ("ERROR: Could not find a version (from versions: 1.0)\nERROR: No matching distribution", r"versions: 1\.0"),
        ("WARNING: connection broken by 'X'\nERROR: No space left on device\nERROR: more", "No space left"),
        ("ERROR: Exception:\nTraceback (most recent call last):\n  File\nOSError: the cause\n", "OSError: the cause"),
        ("", "exit code 1, 0 wheels"),
    ],
)
def test_what_pip_says_is_told_in_one_line(pip: FakePip, stderr: str, told: str) -> None:
    pip.plan(code=1, stderr=stderr)
    with pytest.raises(ModelError, match=told):
        pull_weights("hands")


def test_a_pip_that_brings_nothing_takes_too_long_or_is_not_there(
    pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip.plan()
    with pytest.raises(ModelError, match="exit code 0, 0 wheels"):
        pull_weights("hands")
    pip.plan(code=1, stderr=f"{sys.executable}: No module named pip\n")
    with pytest.raises(MissingDependencyError, match="-m ensurepip") as caught:
        pull_weights("hands")
    assert all(way in str(caught.value) for way in WAYS_OUT)
    pip.plan(hangs=True, seconds=60)
    monkeypatch.setattr(weight_sources, "_PIP_TIMEOUT_S", 1.0)
    with pytest.raises(ModelError, match="not done after 1 s"):
        pull_weights("hands")
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(ModelError, match="cannot run ''"):
        pull_weights("hands")
    assert kept() == []


def test_folders_that_cannot_be_written(
    pip: FakePip, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(weights.os, "fsync", full_disk)
        with pytest.raises(ModelError, match=r"No space left on device; HANDPOSE_NATIVE_CACHE"):
            pull_weights("hands", source=wheel)
    assert kept() == []
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", "/proc/none")  # not even for root
    with pytest.raises(ModelError, match="cannot be written: No such file or directory"):
        pull_weights("hands", source=wheel)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"cannot read .*: Not a directory"):
        require_weights("hands")
    assert pip.calls == []


def start_pull(pip: FakePip) -> subprocess.Popen[str]:
    command = [PYTHON, "-c", PULL, str(pip.python)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


def test_ctrl_c_ends_pip_and_leaves_nothing(pip: FakePip) -> None:
    pip.plan(hangs=True, seconds=120)
    with start_pull(pip) as process:
        wait_for(pip.folder / "hanging")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in stderr
    assert kept() == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(pip.calls[0]["pid"])), 0)


def test_what_a_killed_pull_leaves_is_removed_by_the_next(pip: FakePip, wheel: Path) -> None:
    pip.plan(hangs=True, seconds=120)
    with start_pull(pip) as process:
        wait_for(pip.folder / "hanging")
        process.kill()
        os.kill(int(str(pip.calls[0]["pid"])), signal.SIGKILL)
    assert find_weights("hands") is None
    assert any(".pull-" in name for name in kept())
    pull_weights("hands", source=wheel)
    assert kept() == FULL


def test_a_script_that_sets_up_no_logging_sees_that_it_pulls(pip: FakePip, wheel: Path) -> None:
    pip.plan(wheel)
    with start_pull(pip) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    (line,) = stderr.splitlines()
    assert "fetching mediapipe==0.10.21" in line


def test_processes_that_pull_at_once_fetch_once(pip: FakePip, wheel: Path) -> None:
    pip.plan(wheel, seconds=1)
    processes = [start_pull(pip) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert len({stdout for stdout, _ in outputs}) == 1
    assert kept() == FULL
    assert find_weights("hands") is not None
    assert len(pip.calls) == 1
