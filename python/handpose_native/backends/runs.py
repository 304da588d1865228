"""When and in which thread a run happens, for runtimes that only have a call that blocks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from .worker_threads import WorkerThreads

__all__ = ["SlotRuns"]


class SlotRuns:
    """Runs of slots, in the order in which they were started.

    Parameters
    ----------
    slots : int
    name : str
        Of the worker thread, for debuggers.
    threads : WorkerThreads
        Those of the runtime, which are kept off the processor of the caller where it is what they work for.

    Notes
    -----
    With one slot `start` runs the model in the calling thread: a second thread could not overlap with anything and
    would only cost two switches per frame. With more slots one worker thread runs them, while the caller prepares the
    next one; what it runs should release the GIL. One worker only, because a run already uses all threads of the model.
    """

    def __init__(self, slots: int, name: str, threads: WorkerThreads) -> None:
        self._runs: dict[int, Future[None]] = {}
        self._failure: Exception | None = None
        self._threads = threads
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=name) if slots > 1 else None

    def start(self, slot: int, run: Callable[[int], None]) -> None:
        """Start ``run(slot)``, or carry it out; what it raises comes out of `wait`."""
        if self._worker is not None:
            self._runs[slot] = self._worker.submit(run, slot)
            return
        self._threads.keep_off_this_processor()
        try:
            run(slot)
        except Exception as error:
            self._failure = error

    def wait(self, slot: int) -> None:
        """Return when the run is over, or raise what went wrong in it; once for each start."""
        if self._worker is not None:
            self._runs[slot].result()
        elif self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def close(self) -> None:
        """Let runs in progress end, and the worker with them."""
        if self._worker is not None:
            self._worker.shutdown(wait=True)
