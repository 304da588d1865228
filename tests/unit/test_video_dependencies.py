"""PyAV and OpenCV are imported when they are used, and a missing one is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import cv2
import pytest
from tests.unit.video_files import make_video, picture

from handpose_native.errors import MissingDependencyError
from handpose_native.video import WindowSink, open_sink, open_source


def test_importing_the_package_imports_neither() -> None:
    program = "import sys, handpose_native.video; print(sorted({'av', 'cv2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("av", lambda folder: open_source(folder / "a.mp4")),
        ("av", lambda folder: open_source("rtsp://127.0.0.1:1/x")),
        ("av", lambda folder: open_sink(folder / "b.gif")),
        ("av", lambda folder: open_sink(folder / "b.mp4")),
        ("cv2", lambda folder: open_source(folder / "a.png")),
        ("cv2", lambda folder: open_source(0)),
        ("cv2", lambda folder: open_sink(folder / "b.png")),
        ("cv2", lambda folder: WindowSink()),
    ],
)
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, use: Callable[[Path], Any]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    cv2.imwrite(str(tmp_path / "a.png"), picture(0))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=f"^{package} is needed .* pip install"):
        use(tmp_path)


def test_a_package_that_does_not_load_is_not_called_missing(tmp_path: Path) -> None:
    """As opencv-python on a board without the libraries of a desktop."""
    (tmp_path / "cv2.py").write_text("raise ImportError('libxcb.so.1: cannot open shared object file')")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import handpose_native as hp\n"
        "try: hp.open_source(0)\nexcept hp.MissingDependencyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "does not load: libxcb.so.1" in done.stdout
    assert "opencv-python-headless" in done.stdout
    assert "not installed" not in done.stdout


def test_videos_to_gif_need_no_opencv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "a.mp4", 3)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with open_source(tmp_path / "a.mp4") as source, open_sink(tmp_path / "a.gif") as sink:
        for frame in source:
            sink.write(frame.image, frame.pts_s)
    assert sink.frames_written == 3
