"""``handpose-native models`` as a user meets it: processes, output, exit codes; nothing here reaches the network."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "handpose_native", "models"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    return tmp_path / "cache"


def models(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in result.stderr
    assert result.returncode == code, result.stderr
    return result


def test_list_shows_names_sizes_licence_and_source(cache: Path) -> None:
    lines = models("list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "INSTALLED", "SIZE", "LICENCE", "SOURCE"]
    assert len(lines) == 3
    for line, name, size in zip(lines[1:], ("hands-full, hands ", "hands-lite "), ("7.8 MB", "4.1 MB")):
        assert line.startswith(name)
        for word in (" no ", size, "Apache-2.0", "https://github.com/google-ai-edge/mediapipe", "mediapipe==0.10.21"):
            assert word in line
    assert not cache.exists()


def test_list_as_json() -> None:
    full, lite = json.loads(models("list", "--json").stdout)
    assert (full["name"], full["aliases"], full["installed"]) == ("hands-full", ["hands"], False)
    assert full["size_bytes"] == 2339846 + 5478917
    assert set(lite["files"]) == {"palm", "landmarks"}
    assert lite["files"]["palm"]["file_name"] == "palm_detection_lite.tflite"
    assert len(lite["files"]["palm"]["sha256"]) == 64


def test_what_is_not_there_and_what_is_wrong_use(tmp_path: Path) -> None:
    assert "`handpose-native models pull hands-full`" in models("path", "hands", code=4).stderr
    assert "missing" in models("verify", "hands", code=4).stdout
    assert models("verify").stdout == "hands-full: not installed\nhands-lite: not installed\n"
    assert "hands-lite" in models("pull", "unet", code=2).stderr
    models(code=2)
    (tmp_path / "empty").mkdir()
    failed = models("pull", "hands", "--from", tmp_path / "empty", code=4)
    assert "has no palm_detection_full.tflite" in failed.stderr


@pytest.mark.skipif(find_spec("pip") is None, reason="this Python has no pip")
def test_pull_without_a_network_tells_the_two_ways_out(cache: Path) -> None:
    failed = models("pull", "hands", code=4)  # the real pip, without an index
    assert "licence Apache-2.0" in failed.stdout
    for words in ("Could not find a version", "(1) run", "(2) bring", "--from DIR|WHEEL"):
        assert words in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert [path.name for path in cache.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.shared
def test_the_real_files_are_pulled_verified_and_repaired(
    shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = models("pull", "hands", "--from", shared_dir / "models").stdout
    for word in ("7.8 MB", "licence Apache-2.0", "https://github.com/google-ai-edge/mediapipe"):
        assert word in pulled
    paths = [Path(line) for line in models("path", "hands").stdout.splitlines()]
    assert [path.name for path in paths] == ["palm_detection_full.tflite", "hand_landmark_full.tflite"]
    assert paths[1].read_bytes() == (shared_dir / "models/hand_landmark_full.tflite").read_bytes()
    assert models("list").stdout.count(" yes ") == 1
    assert models("verify").stdout.count(": ok ") == 2

    content = bytearray(paths[0].read_bytes())
    content[len(content) // 2] ^= 1
    paths[0].write_bytes(content)
    failed = models("verify", code=4)
    assert f"hands-full: damaged {paths[0]}" in failed.stdout
    assert failed.stdout.count("SHA-256") == 1
    assert "`handpose-native models pull hands-full`" in failed.stderr
    models("path", "hands", code=4)
    # the way to a board without network: the files that "path" prints, in any folder
    models("pull", "hands", "--from", shared_dir / "models")
    models("verify", "hands")
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", str(tmp_path / "board"))
    models("pull", "hands-full", "--from", paths[0].parent)
    assert models("verify", "hands").stdout.count(": ok ") == 2
