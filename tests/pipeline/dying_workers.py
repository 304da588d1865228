"""Workers that kill themselves in the middle of a video."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: Python imports a module of this name whenever it starts; here in the processes of multiprocessing and of Ray.
SITE = """
import os, pathlib, signal, sys

if "--multiprocessing-fork" in sys.argv or any("default_worker" in word for word in sys.argv):
    import handpose_native.batch.work as work

    do = work.VideoWorker._do

    def dying(self, video, stop, on_frame):
        died = pathlib.Path({folder!r}, video.name)

        def frame(result):
            often = len(died.read_text()) if died.exists() else 0
            if result.index == 20 and often < {deaths!r}.get(video.name, 0):
                died.write_text("x" * (often + 1))
                os.kill(os.getpid(), signal.SIGKILL)

        return do(self, video, stop, frame)

    work.VideoWorker._do = dying
"""


def make_workers_die(folder: Path, deaths: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers begun from now on die at frame 20 of the videos named, so many times each.

    The folder is made; it then holds a file per video with an ``x`` for each death.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITE.format(folder=str(folder), deaths=deaths))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
