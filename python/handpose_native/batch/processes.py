"""Workers as processes of this machine, and what happens when one of them dies."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ArgumentError, HandposeError, ModelError
from .options import BatchOptions
from .work import Outcome, VideoWorker, remove_left_overs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from ..types import FrameResult
    from .videos import Video

__all__ = ["ATTEMPTS", "run_in_processes", "usable_cpus"]

logger = logging.getLogger(__name__)

#: How often a video is begun that ends the process working on it: the second time may have been another's fault.
ATTEMPTS = 2
#: How often it is looked whether to stop; how long workers then get to end by themselves; how often they tell how far
#: they are.
_LOOK_S, _PATIENCE_S, _TELL_S = 0.1, 1.0, 0.5


class _Task(NamedTuple):
    video: Video
    attempt: int


def usable_cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def run_in_processes(
    videos: Iterable[Video],
    out: str | os.PathLike[str],
    options: BatchOptions,
    *,
    jobs: int | None = None,
    on_frames: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
) -> Generator[Outcome, None, None]:
    """Do videos in processes of this machine, one at a time in each.

    Parameters
    ----------
    videos : iterable of Video
    out : path
        The folder of results.
    options : BatchOptions
        Networks get ``threads`` of its pipeline, else an equal share of the processors.
    jobs : int, optional
        How many processes, if there are as many videos. As many as there are processors unless given; one for models on
        an NPU, which one process keeps busy.
    on_frames : callable, optional
        Called now and then with the number of frames done since the last call.
    stop : threading.Event, optional
        Set it to end: the videos in work are given up, those not begun are not told of.

    Yields
    ------
    Outcome
        As videos end, in any order. Of a video that twice ended the process working on it, that it failed.

    Raises
    ------
    HandposeError
        What a worker cannot begin for, such as a model that cannot be loaded.

    Notes
    -----
    Processes are started anew (``spawn``), so a script that calls this needs ``if __name__ == "__main__":``. Leaving
    the iterator (``close()``) ends them, and so does the end of this process, however it ends.
    """
    waiting = deque(_Task(video, 1) for video in videos)
    if jobs is not None and jobs < 1:
        raise ArgumentError(f"run_in_processes: jobs must be at least 1; got {jobs}")
    count = min(jobs or (1 if options.needs_npu else usable_cpus()), max(len(waiting), 1))
    options = options.with_threads(max(usable_cpus() // count, 1))
    crew = _Crew(count, waiting, Path(out), options, on_frames or (lambda _: None), stop or threading.Event())
    return crew.outcomes()


class _Crew:
    """The workers, and the videos that wait for them."""

    def __init__(
        self,
        count: int,
        waiting: deque[_Task],
        out: Path,
        options: BatchOptions,
        on_frames: Callable[[int], None],
        stop: threading.Event,
    ) -> None:
        self._count = count
        self._waiting = waiting
        self._out = out
        self._options = options
        self._on_frames = on_frames
        self._stop = stop
        self._workers: list[_Worker] = []

    def outcomes(self) -> Generator[Outcome, None, None]:
        try:
            while not self._stop.is_set():
                self._hand_out()
                if not any(worker.task for worker in self._workers):
                    return
                yield from self._collect()
        finally:
            self._end()

    def _hand_out(self) -> None:
        """Give every idle worker a video; start as many workers as there is work for."""
        while len(self._workers) < min(self._count, len(self._waiting) + sum(bool(w.task) for w in self._workers)):
            self._workers.append(_Worker(self._out, self._options))
        for worker in self._workers:
            if worker.task is None and self._waiting:
                worker.begin(self._waiting.popleft())

    def _collect(self) -> Iterator[Outcome]:
        """Wait a little for what the workers send."""
        ready = connection.wait([worker.connection for worker in self._workers], _LOOK_S)
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                yield from self._bury(worker)
                continue
            worker.has_begun = True
            if isinstance(message, HandposeError):
                raise message
            if isinstance(message, int):
                self._on_frames(message)
            else:
                assert worker.task is not None
                outcome, worker.task = replace(message, attempts=worker.task.attempt), None
                if outcome.state != "stopped":
                    yield outcome

    def _bury(self, worker: _Worker) -> Iterator[Outcome]:
        """Let another worker try what a dead one had in work, or tell that it failed."""
        self._workers.remove(worker)
        how, task = worker.end(), worker.task
        if not worker.has_begun:
            raise ModelError(f"batch: a worker ended before it could begin: {how}")
        if task is None:
            return
        logger.warning("%s: the worker ended in the middle of it: %s", task.video.name, how)
        remove_left_overs(self._out, task.video)
        if task.attempt < ATTEMPTS:
            self._waiting.appendleft(task._replace(attempt=task.attempt + 1))
            return
        error = f"{task.video.path}: the worker ended in the middle of it, {task.attempt} times; the last time: {how}"
        yield Outcome(task.video, "failed", error=error, attempts=task.attempt)

    def _end(self) -> None:
        for worker in self._workers:
            worker.ask_to_end()
        deadline_s = time.monotonic() + _PATIENCE_S
        for worker in self._workers:
            worker.end(max(deadline_s - time.monotonic(), 0.0))
            if worker.task is not None:
                remove_left_overs(self._out, worker.task.video)
        self._workers.clear()


class _Worker:
    """A process, seen from outside.

    Attributes
    ----------
    task : _Task or None
        What it has in work.
    has_begun : bool
        Whether its networks were loaded.
    connection : Connection
        Sends videos; brings frame counts, outcomes, or the error that it could not begin for.
    """

    def __init__(self, out: Path, options: BatchOptions) -> None:
        self.task: _Task | None = None
        self.has_begun = False
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        root = logging.getLogger()
        level = root.getEffectiveLevel() if root.handlers else None
        self._process: SpawnProcess = context.Process(
            target=_work, args=(theirs, out, options, level), name="handpose_native batch"
        )
        self._process.start()
        theirs.close()  # so that its end is the end of the connection

    def begin(self, task: _Task) -> None:
        """Give it a video. Where it is dead, that shows when its answer is waited for."""
        self.task = task
        try:
            self.connection.send(task.video)
        except OSError:
            logger.debug("a worker ended while it waited")

    def ask_to_end(self) -> None:
        """Ask it to end after the frame in work."""
        self._process.terminate()
        self.connection.close()

    def end(self, patience_s: float = _PATIENCE_S) -> str:
        """See it end, at the latest after some time; return how it ended."""
        self.connection.close()
        self._process.join(patience_s)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        self._process.close()
        return _how(code)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"{name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    return f"exit code {code}"


def _work(channel: Connection, out: Path, options: BatchOptions, log_level: int | None) -> None:
    """Be a worker."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the first one handles it
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_watch_parent, args=(stop,), name="watch parent", daemon=True).start()
    if log_level is not None:
        logging.basicConfig(level=log_level, format="%(message)s")
    try:
        worker = VideoWorker(options, out)
    except HandposeError as error:
        with suppress(OSError):  # whoever gives the work may have ended because of another one's
            channel.send(error)
        return
    try:
        channel.send(0)  # no frames yet, but it can begin
        while True:
            video = channel.recv()
            counter = _FrameCounter(channel)
            outcome = worker(video, stop=stop, on_frame=counter.count)
            counter.tell()
            channel.send(outcome)
    except (EOFError, OSError):  # whoever gives the work has ended
        return
    finally:
        worker.close()


def _watch_parent(stop: threading.Event) -> None:
    """Stop when the process that gives the work is gone, also where it was killed."""
    parent: Any = multiprocessing.parent_process()
    connection.wait([parent.sentinel])
    stop.set()


class _FrameCounter:
    """Tells now and then how many frames are done."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._frames = 0
        self._next_s = time.monotonic() + _TELL_S

    def count(self, _: FrameResult) -> None:
        self._frames += 1
        if time.monotonic() >= self._next_s:
            self.tell()

    def tell(self) -> None:
        if self._frames:
            self._channel.send(self._frames)
        self._frames = 0
        self._next_s = time.monotonic() + _TELL_S
