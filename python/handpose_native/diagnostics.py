"""What this installation is: version, build, levels, optional packages."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import _native
from .isa import active_isa, isa_levels

__all__ = ["build_config", "show_config"]

#: Distributions that give the optional package, by what it is for.
_OPTIONAL = {
    "av": ("av",),
    "cv2": ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "ai_edge_litert": ("ai-edge-litert",),
    "aiohttp": ("aiohttp",),
    "prometheus_client": ("prometheus-client",),
    "onnx": ("onnx",),
    "pyarrow": ("pyarrow",),
    "ray": ("ray",),
    "torch": ("torch",),
}


def build_config() -> dict[str, Any]:
    """Return the facts of :func:`show_config` as a dict of plain values.

    Returns
    -------
    dict
        ``optional`` maps packages to the version found, or None; looked up without importing them.
    """
    import platform

    return {
        "version": _native.VERSION,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "compiler": _native.COMPILER,
        "flags": _native.FLAGS,
        "pybind11": _native.PYBIND11_VERSION,
        "isa_levels": isa_levels(),
        "isa_active": active_isa(),
        "optional": {package: _version_of(names) for package, names in _OPTIONAL.items()},
    }


def show_config() -> None:
    """Print version, compiler, flags, ISA levels and the optional packages found; paste it into bug reports."""
    config = build_config()
    optional = config.pop("optional")
    config["isa_levels"] = ", ".join(config["isa_levels"])
    lines = [f"{name:<20}{value}" for name, value in {**config, **optional}.items() if value is not None]
    lines += [f"{package:<20}not installed" for package, version in optional.items() if version is None]
    sys.stdout.write("\n".join(lines) + "\n")


def _version_of(distributions: tuple[str, ...]) -> str | None:
    from importlib import metadata  # here, because it takes longer to import than the rest of the package

    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
