"""Threads of a runtime, kept off the processor of the thread that they work for."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["WorkerThreads"]

#: The processor that the calling thread is on; Linux only.
_current_processor = getattr(ctypes.CDLL(None), "sched_getcpu", None)
#: Held while a runtime starts threads, so that none is taken for another's.
_starting = threading.Lock()


class WorkerThreads:
    """Threads that a runtime starts for its runs: those that appear within the context.

    A thread of a network waits often and briefly for the others. Linux may put it beside the one it waits for and leave
    it there, though another processor has nothing to do: both ran in the meantime, and what ran just now it does not
    move. ONNX Runtime's threads even stay where they were first put, wherever the caller goes.

    Notes
    -----
    Threads that someone else starts meanwhile, other than from Python, are taken for the runtime's. Where the system
    does not tell threads and processors, nothing is done.
    """

    def __init__(self) -> None:
        self._before: set[int] = set()
        self._threads: list[int] = []
        self._kept_off = -1

    def __enter__(self) -> WorkerThreads:
        _starting.acquire()
        self._before = _threads_of_this_process()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        of_python = {thread.native_id for thread in threading.enumerate()}
        self._threads = sorted(_threads_of_this_process() - self._before - of_python)
        _starting.release()

    def keep_off_this_processor(self) -> None:
        """Keep them off the processor that the calling thread is on, unless it may use no other."""
        if not self._threads or _current_processor is None:
            return
        processor = _current_processor()
        if processor == self._kept_off:
            return
        self._kept_off = processor
        others = os.sched_getaffinity(0) - {processor}
        if others:
            for thread in self._threads:
                with contextlib.suppress(OSError):  # it has ended, or the system does not let us
                    os.sched_setaffinity(thread, others)


def _threads_of_this_process() -> set[int]:
    try:
        return {int(entry.name) for entry in Path("/proc/self/task").iterdir()}
    except OSError:
        return set()
