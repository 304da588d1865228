"""Kernel files must not define weak symbols: the linker could choose a copy built for a CPU that is not there."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The levels that this machine can compile, with the flags of cmake/HandposeFlags.cmake.
FLAGS = {
    "scalar": [],
    "avx2": ["-mavx2", "-mf16c", "-mno-fma"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vbmi", "-mavx512vnni", "-mf16c", "-Wno-uninitialized"],
    "neon": [],
}
LEVELS = {"x86_64": ("scalar", "avx2", "avx512"), "aarch64": ("scalar", "neon")}.get(platform.machine(), ("scalar",))
SOURCES = [(path, level) for level in LEVELS for path in sorted(ROOT.glob(f"src/cpp/kernels/*_{level}.cpp"))]


@pytest.mark.skipif(not SOURCES, reason="not in a source checkout")
@pytest.mark.skipif(not (shutil.which("g++") and shutil.which("nm")), reason="g++ and nm are not installed")
@pytest.mark.parametrize(("source", "level"), SOURCES, ids=[path.name for path, _ in SOURCES])
def test_a_level_defines_only_its_own_functions(source: Path, level: str, tmp_path: Path) -> None:
    compiled = tmp_path / "kernel.o"
    command = ["g++", "-std=c++17", "-O3", *FLAGS[level], "-c", str(source), "-o", str(compiled)]
    subprocess.run(command, check=True)
    symbols = subprocess.run(["nm", "-C", str(compiled)], capture_output=True, text=True, check=True).stdout
    weak = [line for line in symbols.splitlines() if " W " in line or " V " in line or " u " in line]
    assert not weak
    defined = [line.split(" T ")[1] for line in symbols.splitlines() if " T " in line]
    assert defined
    assert all(name.startswith(f"handpose::{level}::") for name in defined)
