"""One known line of native code is kept off stderr, and nothing else is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LINES = """
import os, sys
from handpose_native.backends.stderr_lines import dropped_from_stderr
os.write(2, b"before\\n")
try:
    with dropped_from_stderr(b"INFO: known"):
        os.write(2, b"INFO: known\\n")
        os.write(2, b"WARNING: INFO: known\\n")
        os.write(2, b"no end")
        if len(sys.argv) > 1:
            raise ValueError(sys.argv[1])
except ValueError as error:
    os.write(2, b"|" + str(error).encode())
os.write(2, b"|INFO: known\\n")
"""


def stderr_of(code: str, *arguments: str) -> str:
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return result.stderr


@pytest.mark.parametrize(("arguments", "failure"), [((), ""), (("failed",), "|failed")])
def test_only_the_known_line_is_dropped_and_only_meanwhile(arguments: tuple[str, ...], failure: str) -> None:
    assert stderr_of(LINES, *arguments) == f"before\nWARNING: INFO: known\nno end{failure}|INFO: known\n"


def test_a_closed_stderr_is_left_alone() -> None:
    code = (
        "import os; os.close(2)\n"
        "from handpose_native.backends.stderr_lines import dropped_from_stderr\n"
        "with dropped_from_stderr(b'x'): print('ran')\n"
        "try: os.fstat(2)\n"
        "except OSError: print('closed')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["ran", "closed"]


def test_opening_models_writes_nothing_to_stderr(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert.interpreter", reason="the litert backend needs ai-edge-litert")
    from tests import litert_networks

    path = litert_networks.save_affine(tmp_path / "a.tflite", (1, 6, 8, 3))
    code = (
        "import sys; from handpose_native.backends import open_backend as run\nfor _ in 0, 1: run(sys.argv[1]).close()"
    )
    assert stderr_of(code, str(path)) == ""
