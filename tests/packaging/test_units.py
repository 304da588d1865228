"""The systemd units that the documentation gives are ones that systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
UNIT = re.compile(r"(?:^ {4}.*\n|^\n)+", re.MULTILINE)


def units() -> list[str]:
    """Return the units in the pages, as one types them."""
    blocks = [block for page in sorted(DOCS.glob("*.md")) for block in UNIT.findall(page.read_text(encoding="utf-8"))]
    return [textwrap.dedent(block).strip() + "\n" for block in blocks if "[Service]" in block]


@pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not in this tree")
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_units_are_ones_that_systemd_takes(tmp_path: Path) -> None:
    found = units()
    assert found
    for number, unit in enumerate(found):
        path = tmp_path / f"unit{number}.service"
        path.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit))  # which is there
        result = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout + result.stderr) == (0, "")
