"""Python, the C library, and the packages that this one uses."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..diagnostics import build_config
from .findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .machine import Machine

__all__ = ["examine_software"]


class _Package(NamedTuple):
    """A package: how it is imported, what distributes it, what for, how to get it; what it is if it is missing."""

    module: str
    distributions: tuple[str, ...]
    purpose: str
    install: str
    level: str


_OPENCV = tuple(f"opencv-{kind}" for kind in ("python", "python-headless", "contrib-python", "contrib-python-headless"))
_PACKAGES = (
    _Package("av", ("av",), "video files, streams, MP4 and GIF", "pip install av", "error"),
    _Package("cv2", _OPENCV, "cameras and image files", "pip install opencv-python-headless", "warning"),
    _Package("ai_edge_litert", ("ai-edge-litert",), ".tflite models, as hands", "pip install ai-edge-litert", ""),
    _Package("onnxruntime", ("onnxruntime", "onnxruntime-gpu"), ".onnx models", "pip install onnxruntime", ""),
)


def examine_software(machine: Machine) -> Iterator[Finding]:
    """Look at Python, NumPy, OpenCV, PyAV and what runs networks."""
    config = build_config()
    yield Finding(
        "software", "handpose_native", "ok", f"{config['version']}, {config['isa_active']}, {config['compiler']}"
    )
    yield Finding("software", "python", "ok", f"{platform.python_version()}, {machine.architecture}")
    library, version = platform.libc_ver()
    yield Finding("software", "c library", "ok", f"{library or 'unknown'} {version}".strip())
    yield Finding("software", "numpy", "ok", np.__version__)
    runtimes = []
    for package in _PACKAGES:
        found = machine.version_of(*package.distributions)
        name = package.module
        if found is None:
            level = package.level or "note"
            fix = package.install if package.level else None
            yield Finding("software", name, level, f"not installed; for {package.purpose}", fix)
            continue
        # In a process of its own: libraries that do not load may end it.
        loaded, reason = machine.run_python(f"import json, {name}; print(json.dumps({{}}))")
        if loaded is None:
            fix = f"install it again ({package.install})"
            if name == "cv2":
                fix = "without a desktop: pip uninstall opencv-python, then pip install opencv-python-headless"
            yield Finding("software", name, "error", f"{found} does not load: {reason}", fix)
            continue
        yield Finding("software", name, "ok", found)
        runtimes += [name] * (not package.level)
    if not runtimes:
        value = "neither ai_edge_litert nor onnxruntime: no network can run on the processor"
        yield Finding("software", "runtimes", "error", value, "pip install 'handpose_native[cpu]'")
