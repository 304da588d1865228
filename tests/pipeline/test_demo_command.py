"""``handpose-native demo`` as a user meets it: what it writes, prints and returns."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest


def demo(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "handpose_native", "demo", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in result.stderr
    return result


def frames_in(path: Path) -> list[tuple[int, int]]:
    with av.open(str(path)) as container:
        return [(frame.width, frame.height) for frame in container.decode(video=0)]


def test_help_tells_the_rule_of_the_exit_code() -> None:
    text = demo("--help").stdout
    for word in ("--frames", "--size", "--seed", "90 %", "10 %", "exit code 1", "demo.gif"):
        assert word in text


@pytest.mark.parametrize(
    "arguments", [("--size", "640"), ("--size", "10x10"), ("--frames", "0"), ("--seed", "-1"), ("--frames", "x")]
)
def test_wrong_use(arguments: tuple[str, ...]) -> None:
    result = demo(*arguments)
    assert result.returncode == 2
    assert arguments[0] in result.stderr


def test_networks_that_find_nothing_fail_the_demo(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks of the tests")
    pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")
    from tests.networks import save_hand_networks

    (tmp_path / "networks").mkdir()
    networks = save_hand_networks(tmp_path / "networks")
    output = tmp_path / "demo.gif"
    result = demo("--model", networks, "-o", output, "--frames", 3, "--size", "96x64", "--seed", 5)
    assert result.returncode == 1
    assert "failed its own check" in result.stderr
    assert "hands found: 0 of" in result.stdout
    assert frames_in(output) == [(96, 64)] * 3


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lite"])
def test_the_demo_finds_its_hands(kind: str, shared_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai_edge_litert runs the real networks")
    for name in ("palm_detection", "hand_landmark"):
        shutil.copy(shared_dir / "models" / f"{name}_{kind}.tflite", tmp_path)
    output = tmp_path / "demo.gif"
    result = demo("--model", tmp_path, "-o", output, "--frames", 24, "--size", "320x240")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["rendered", "24", "hands", "mean", "right", "wrote"]
    assert " fps" in lines[1]
    assert " px, " in lines[3]
    assert lines[5] == f"wrote {output}"
    assert frames_in(output) == [(320, 240)] * 24
