"""A camera over RTSP, from GStreamer's server on the loopback, that is switched off and on again with another size."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import handpose_native as hp
from handpose_native.video import live as live_module

SYSTEM_PYTHON = "/usr/bin/python3"
CAMERA = Path(__file__).with_name("rtsp_camera.py")
PACKAGES = "gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-{base,good,ugly}, python3-gi"


@pytest.fixture(scope="module")
def port() -> int:
    """A free port, where an RTSP server can be run."""
    if shutil.which(SYSTEM_PYTHON) is None or subprocess.run([SYSTEM_PYTHON, CAMERA], capture_output=True).returncode:
        pytest.skip(f"no RTSP server: Debian's {PACKAGES}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def rtsp_camera(port: int, width: int, height: int) -> Iterator[str]:
    command = [SYSTEM_PYTHON, str(CAMERA), str(port), str(width), str(height)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"
            yield f"rtsp://127.0.0.1:{port}/live"
        finally:
            process.kill()


def test_a_camera_that_is_switched_off_and_on_again_goes_on(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_BACK_OFF_S", (0.2,))
    sizes, times, indices = [], [], []

    def read(frames: Iterator[hp.Frame], width: int) -> None:
        for frame in frames:
            times.append(frame.pts_s)
            indices.append(frame.index)
            sizes.append((frame.picture.width, frame.picture.height))
            if sizes.count(sizes[-1]) == 20 and sizes[-1][0] == width:
                return

    with rtsp_camera(port, 320, 240) as address:
        source = hp.open_source(address)
        frames = iter(source)
        read(frames, 320)
    with source, rtsp_camera(port, 640, 480):
        read(frames, 640)
        assert source.info.is_live
        assert source.reconnected == 1
        (problem,) = source.problems
        assert problem.startswith(f"{address}: the connection was lost once")
    assert set(sizes) == {(320, 240), (640, 480)}
    assert times == sorted(times)
    assert indices == sorted(set(indices))
