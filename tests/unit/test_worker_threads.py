"""Threads of runtimes keep off the processor of the thread that they work for; affinities as the system has them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests import networks

from handpose_native.backends import open_backend, worker_threads
from handpose_native.backends.worker_threads import WorkerThreads

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 or not Path("/proc/self/task").is_dir(),
    reason="needs two processors and Linux",
)


@contextmanager
def on_processor(monkeypatch: pytest.MonkeyPatch, processor: int) -> Iterator[None]:
    """Let the calling thread seem to be there: where it is can change at any time."""
    with monkeypatch.context() as patch:
        patch.setattr(worker_threads, "_current_processor", lambda: processor)
        yield


def thread_ids() -> set[int]:
    return {int(entry.name) for entry in Path("/proc/self/task").iterdir()}


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_threads_of_a_run_are_on_other_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    if suffix == ".tflite":
        pytest.importorskip("ai_edge_litert.interpreter", reason="the litert backend needs ai-edge-litert")
        from tests import litert_networks

        path = litert_networks.save_affine(tmp_path / "a.tflite", (1, 6, 8, 3))
    else:
        pytest.importorskip("onnxruntime", reason="the onnxruntime backend needs onnxruntime")
        path = networks.save_identity(tmp_path / "a.onnx", (1, 3, 8, 8))
    allowed = os.sched_getaffinity(0)
    before = thread_ids()
    with open_backend(path, threads=2) as backend:
        workers = sorted(thread_ids() - before)
        assert workers
        for processor in sorted(allowed)[:2] * 2:
            with on_processor(monkeypatch, processor):
                backend.submit(0)
                backend.wait(0)
            assert [os.sched_getaffinity(worker) for worker in workers] == [allowed - {processor}] * len(workers)
        assert os.sched_getaffinity(0) == allowed


def test_threads_of_python_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed, end = os.sched_getaffinity(0), threading.Event()
    with WorkerThreads() as workers:
        thread = threading.Thread(target=end.wait)
        thread.start()
    try:
        with on_processor(monkeypatch, min(allowed)):
            workers.keep_off_this_processor()
        assert thread.native_id is not None
        assert os.sched_getaffinity(thread.native_id) == allowed
    finally:
        end.set()
        thread.join()


def test_where_only_one_processor_is_allowed_it_is_shared(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the onnxruntime backend needs onnxruntime")
    path = networks.save_identity(tmp_path / "a.onnx", (1, 3, 8, 8))
    script = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from handpose_native.backends import open_backend\n"
        "with open_backend(sys.argv[1], threads=2) as backend:\n"
        "    backend.submit(0); backend.wait(0)\n"
        "    print({frozenset(os.sched_getaffinity(int(t))) for t in os.listdir('/proc/self/task')}"
        " == {frozenset(os.sched_getaffinity(0))})\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True", done.stdout


def test_without_what_linux_tells_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_threads, "_current_processor", None)
    with WorkerThreads() as workers:
        pass
    workers.keep_off_this_processor()
