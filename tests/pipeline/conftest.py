"""The example's clip and network: ground truth through the whole chain without weights."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from .mjpeg_camera import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "make_demo.py"


class Demo(NamedTuple):
    clip: Path
    model: Path
    truth: NDArray[np.float32]  # (frames, 21, 2)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the example's network")
    pytest.importorskip("onnx", reason="the example builds its network with onnx")
    spec = importlib.util.spec_from_file_location("make_demo", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("demo")
    module.make_demo(folder)
    truth = np.load(folder / "truth.npz")["keypoints"]
    return Demo(folder / "markers.mp4", folder / "markers.onnx", truth)


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Check that the server has ended its thread."""
    yield
    assert until(lambda: "serve" not in {thread.name for thread in threading.enumerate()})
