"""Nothing is read or written outside the given memory: kernels between forbidden pages, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mmap and mprotect as Linux has them")


def run(kernel: str, rounds: int) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "tests.reference.guard_pages", kernel, str(rounds)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_fences_hold() -> None:
    assert run("touch_fence", 1).returncode < 0


@pytest.mark.parametrize(("kernel", "rounds"), [
    ("preprocess", 6000), ("heatmap_peaks", 4000), ("draw_skeleton", 2500), ("palette_map", 1000),
])  # fmt: skip
def test_kernels_stay_inside(kernel: str, rounds: int) -> None:
    done = run(kernel, rounds)
    assert done.returncode == 0, done.stderr[-3000:]
