"""What all tests share: what the run is made of, the ISA levels, the real files, and how hypothesis searches."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

try:
    import hypothesis
except ImportError:  # the property tests say so themselves
    hypothesis = None  # type: ignore[assignment]

try:
    import handpose_native as hp
except ImportError:  # the header says so, the tests that need the package fail
    hp = None  # type: ignore[assignment]

# As the package does; the header and the emulated NPU import ONNX Runtime by themselves.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# What a shell starts in the background ignores Ctrl-C, and so would all that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
LEVELS = hp.isa_levels() if hp is not None else ["scalar"]

if hypothesis is not None:
    # The same examples in every run, and no clocks: a slow machine is no failure.
    hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, max_examples=60)
    hypothesis.settings.register_profile("search", deadline=None, max_examples=2000)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_report_header() -> list[str]:
    def version(module: str) -> str:
        try:
            return str(__import__(module).__version__)
        except ImportError:
            return "not installed"

    package = "not importable" if hp is None else f"{hp.__version__}, ISA levels {', '.join(hp.isa_levels())}"
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "cv2", "PIL", "hypothesis"))
    return [f"handpose_native: {package} ({platform.machine()})", f"libraries: {libraries}"]


@pytest.fixture(params=LEVELS)
def isa_level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once on every ISA level of this machine."""
    with hp.isa(request.param):
        yield request.param


@pytest.fixture
def level(isa_level: str) -> str:
    """Short for ``isa_level``."""
    return isa_level


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20240607)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with the real models and clips; skips where there is none."""
    named = os.environ.get("HANDPOSE_SHARED")
    folder = Path(named) if named else ROOT.parent / "shared"
    missing = [name for name in ("models", "clips", "reference") if not (folder / name).is_dir()]
    if missing:
        pytest.skip(f"no real models and clips: {folder} has no {', '.join(missing)} (set HANDPOSE_SHARED)")
    return folder
