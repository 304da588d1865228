"""Devices, contexts, streams and events. A stream is a first-in, first-out queue with a worker thread.

Time on the device is counted, not observed: a task begins when it was queued or when the one before it ended,
whichever is later, even if the worker thread wakes up late. So the latencies that a program sees are those that were
set.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from . import _codes as codes
from ._errors import AclError, RuleViolation
from ._libc import sleep_until
from ._memory import Block
from ._state import Handle, emulator

MAX_STREAMS = 480
MAX_EVENTS = 65536
QUEUE_DEPTH = 2048


class Core:
    """The AI core: one model at a time, on every chip that is emulated."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.free_at = 0.0
        self.busy = 0.0
        self.idle = 0.0

    def occupy(self, ready: float, end_of: Callable[[float], float]) -> float:
        """Note that a task which is ready at ``ready`` begins; ``end_of(begin)`` works and says when it ends."""
        begin = max(ready, self.free_at)
        end = end_of(begin)
        if self.busy:
            self.idle += begin - self.free_at
        self.busy += end - begin
        self.free_at = end
        return end


class Device:
    """One chip and how often ``set_device`` counts for it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.core = Core()
        self.references = 0
        self.default: Context | None = None


class Context(Handle):
    """Where streams and models belong. ``dead`` says why it may not be used any more."""

    kind = "context"

    def __init__(self, device: Device, default: bool) -> None:
        super().__init__()
        self.device, self.is_default = device, default
        self.dead = ""
        self.default_stream = Stream(self)

    def drop(self) -> None:
        self.dead = "the end"
        for stream in self._streams():
            stream.drop()

    def close(self, reason: str) -> None:
        self.dead = reason
        for stream in self._streams():
            stream.close()

    def _streams(self) -> list[Stream]:
        return [self.default_stream, *(stream for stream in emulator.living(Stream) if stream.context is self)]


class Task:
    """One entry of a stream's queue. ``run(ready)`` does it and returns the time at which the device was done."""

    __slots__ = ("blocks", "code", "finish", "name", "queued", "run")

    def __init__(
        self,
        name: str,
        run: Callable[[float], float],
        blocks: list[Block] | None = None,
        finish: Callable[[], None] | None = None,
    ) -> None:
        self.name, self.run, self.blocks, self.finish = name, run, blocks or [], finish
        self.queued = time.monotonic()
        self.code = 0


class Stream(Handle):
    """A queue of tasks. Errors of tasks wait here for the next synchronising call."""

    kind = "stream"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.subscriber: int | None = None
        self._changed = threading.Condition()
        self._tasks: deque[Task] = deque()
        self._worker: threading.Thread | None = None
        self._submitted = self._done = 0
        self._free_at = 0.0
        self._error: AclError | None = None
        self._violation: BaseException | None = None
        self._closing = self._abandoned = False

    def submit(self, task: Task) -> None:
        """Queue a task; an injected late failure strikes it."""
        state = emulator.this_thread()
        task.code, state.late_code = state.late_code, 0
        with self._changed:
            if self._closing:
                raise AclError(codes.RT_INVALID_HANDLE, "the stream's context is gone")
            if len(self._tasks) >= QUEUE_DEPTH:
                raise AclError(codes.RT_DRIVER_RESOURCE, f"more than {QUEUE_DEPTH} tasks in one stream")
            with emulator.lock:
                for block in task.blocks:
                    block.users += 1
            self._tasks.append(task)
            self._submitted += 1
            if self._worker is None:
                name = f"acl stream {self.handle:#x}"
                self._worker = threading.Thread(target=self._work, name=name, daemon=True)
                self._worker.start()
            self._changed.notify_all()

    def pending(self) -> int:
        return self._submitted - self._done

    def synchronize(self, seconds: float | None = None) -> None:
        """Wait for what is queued now, without the GIL; raise the first failure since the last call."""
        with self._changed:
            target = self._submitted
            if not self._changed.wait_for(lambda: self._done >= target, seconds):
                raise AclError(codes.RT_STREAM_SYNC_TIMEOUT, f"{self.pending()} tasks are still queued")
            error, violation = self._error, self._violation
            self._error = self._violation = None
        if violation is not None:
            raise violation
        if error is not None:
            raise error

    def close(self) -> None:
        """Finish what is queued and end the worker."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._worker is not None and self._worker is not threading.current_thread():
            self._worker.join()

    def drop(self) -> None:
        self._abandoned = True
        self.close()

    def wait_for(self, done: Callable[[float], bool]) -> None:
        """Let the queue wait: ``done(seconds)`` waits that long at most and says whether it is over."""
        while not done(0.05) and not self._abandoned:
            pass

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._tasks) or self._closing)
                if not self._tasks:
                    return
                task = self._tasks[0]
            self._do(task)
            with self._changed:
                self._tasks.popleft()
                self._done += 1
                self._changed.notify_all()

    def _do(self, task: Task) -> None:
        try:
            self._free_at = task.run(max(task.queued, self._free_at))
            if task.code:
                raise AclError(task.code, f"injected into the task of {task.name}")
            for block in task.blocks:
                block.check_guards()
        except AclError as failure:
            self._error = self._error or failure
        except RuleViolation as violation:
            self._violation = self._violation or violation
        except BaseException as fault:  # a fault of the emulator: shown to the program, never lost in a thread
            self._violation = fault
        with emulator.lock:
            for block in task.blocks:
                block.users -= 1
        if task.finish is not None:
            task.finish()


class Event(Handle):
    """A mark in a stream."""

    kind = "event"

    def __init__(self, flags: int) -> None:
        super().__init__()
        self.flags = flags
        self._changed = threading.Condition()
        self._recorded = False  # a record was queued
        self.complete = False
        self.time = 0.0

    def mark(self) -> Callable[[float], float]:
        """Note that a record is queued and return the task's work."""
        self._recorded, self.complete = True, False

        def run(ready: float) -> float:
            with self._changed:
                self.complete, self.time = True, ready
                self._changed.notify_all()
            return ready

        return run

    def clear(self, ready: float) -> float:
        self._recorded = self.complete = False
        return ready

    def reached(self, seconds: float | None = None) -> bool:
        """Wait until the record is reached; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self.complete, seconds)

    def block(self, stream: Stream) -> Callable[[float], float]:
        """Return the work of a task that waits for the record."""

        def run(ready: float) -> float:
            stream.wait_for(self.reached)
            return max(ready, self.time)

        return run

    def require_record(self, what: str) -> None:
        if not self._recorded:
            emulator.forbid(45, f"{what} of an event that no record_event was queued for would wait for ever")
            raise AclError(codes.RT_PARAM_INVALID, "the event was never recorded")


def stream_of(handle: int, switch: bool = False) -> Stream:
    """Return a stream of the current context, its default one for 0; one of another context is 107003.

    With ``switch`` a stream of another context will do, as for ``synchronize_stream`` in current runtimes.
    """
    context = emulator.context()
    if handle == 0:
        return context.default_stream  # type: ignore[no-any-return]
    stream = emulator.find(handle, Stream, codes.RT_INVALID_HANDLE)
    if stream.context.dead:
        raise AclError(codes.RT_STREAM_CONTEXT, f"the stream's context {stream.context.handle:#x} is gone")
    if stream.context is not context and not switch:
        raise AclError(codes.RT_STREAM_CONTEXT, f"it belongs to context {stream.context.handle:#x}")
    return stream


def later(seconds: float) -> Callable[[float], float]:
    """Work that takes ``seconds`` on an engine of its own."""

    def run(ready: float) -> float:
        sleep_until(ready + seconds)
        return ready + seconds

    return run


def at_once(work: Callable[[], Any]) -> Callable[[float], float]:
    """Work whose duration does not matter."""

    def run(ready: float) -> float:
        work()
        return max(ready, time.monotonic())

    return run
