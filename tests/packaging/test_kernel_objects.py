"""Kernel files must not define weak symbols: the linker could choose a copy built for a CPU that is not there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(ROOT.glob("src/cpp/kernels/*_scalar.cpp"))


@pytest.mark.skipif(not SOURCES, reason="not in a source checkout")
@pytest.mark.skipif(not (shutil.which("g++") and shutil.which("nm")), reason="g++ and nm are not installed")
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_level_defines_only_its_own_functions(source: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "kernel.o"
    subprocess.run(["g++", "-std=c++17", "-O3", "-c", str(source), "-o", str(compiled)], check=True)
    symbols = subprocess.run(["nm", "-C", str(compiled)], capture_output=True, text=True, check=True).stdout
    weak = [line for line in symbols.splitlines() if " W " in line or " V " in line or " u " in line]
    assert not weak
    defined = [line.split(" T ")[1] for line in symbols.splitlines() if " T " in line]
    assert defined
    assert all(name.startswith("handpose::scalar::") for name in defined)
