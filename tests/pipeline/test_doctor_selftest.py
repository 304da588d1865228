"""The self-test for boards, on the emulator of pyACL where it is part of this tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from handpose_native.doctor.selftest import QUESTIONS

from .conftest import Demo

EMULATOR = Path(__file__).resolve().parents[1] / "acl_emulator"


def test_without_acl_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "acl.py").write_text("raise ModuleNotFoundError(\"No module named 'acl'\", name='acl')\n")
    done = ask(tmp_path)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "No module named 'acl'" in done.stderr


@pytest.mark.skipif(not EMULATOR.is_dir(), reason="the emulator of pyACL is not in this tree")
def test_every_question_is_answered(demo: Demo, tmp_path: Path) -> None:
    om = tmp_path / "markers.om"
    environment = {**os.environ, "PYTHONPATH": str(EMULATOR)}
    make = [sys.executable, str(EMULATOR / "make_om.py"), str(demo.model), str(om)]
    subprocess.run(make, env=environment, check=True, capture_output=True)
    done = ask(EMULATOR, "--model", str(om))
    told: dict[str, dict[str, Any]] = {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert set(told) == set(QUESTIONS)
    # The emulator refuses heap memory as an input, as the documents do.
    assert [name for name, one in told.items() if "error" in one] == ["heap_input"]
    assert told["identity"]["answer"]["run_mode"] == 0
    assert told["alignment"]["answer"]["malloc"] == 64
    assert told["bandwidth"]["answer"]["device 1 MB"]["write"] > 0
    assert told["execute"]["answer"]["execute"] > 0
    assert told["again"]["answer"] == 0
    jpegd = told["jpegd"]["answer"]
    assert jpegd["predicted"] == [320 * 48 * 3 // 2, 0]
    apart = {way: (one["decode"], one["width_stride"], one["bytes_apart"]) for way, one in jpegd.items() if "x" in way}
    assert apart == {"16x2": (200003, 272, 0), "64x16": (0, 320, 320), "128x16": (0, 384, 384)}
    assert jpegd["unset"]["bytes_apart"] == jpegd["unset"]["width_stride"] == 320


def ask(acl: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(acl), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "handpose_native", "doctor", "--self-test", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
