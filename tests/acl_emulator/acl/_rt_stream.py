"""Streams, events and callbacks."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._state import callback_running, emulator
from ._streams import MAX_EVENTS, MAX_STREAMS, Event, Stream, Task, stream_of

_RESOURCE = codes.RT_DRIVER_RESOURCE


def _create_stream() -> tuple[int, int]:
    if len(emulator.living(Stream)) >= MAX_STREAMS:
        raise AclError(_RESOURCE, f"{MAX_STREAMS} streams are alive")
    return emulator.add(Stream(emulator.context())), codes.SUCCESS


@api("rt.create_stream", returns=(0, RET), context=True, callback_safe=False, fails_with=_RESOURCE)
def create_stream() -> tuple[int, int]:
    return _create_stream()


@api("rt.create_stream_with_config", "ui", returns=(0, RET), context=True, callback_safe=False, new_only=True)
def create_stream_with_config(_priority: int, _flag: int) -> tuple[int, int]:
    return _create_stream()


@api("rt.destroy_stream", "p", context=True, callback_safe=False)
def destroy_stream(handle: int) -> int:
    if handle == 0:
        raise AclError(codes.INVALID_PARAM, "the stream is null")
    stream = stream_of(handle)
    stream.close()
    emulator.remove(stream)
    return codes.SUCCESS


@api("rt.synchronize_stream", "p", context=True, callback_safe=False, fails_with=codes.MODEL_EXECUTE)
def synchronize_stream(handle: int) -> int:
    stream_of(handle, switch=not emulator.profile.is_old).synchronize()
    return codes.SUCCESS


@api("rt.synchronize_stream_with_timeout", "pi", context=True, callback_safe=False, new_only=True)
def synchronize_stream_with_timeout(handle: int, milliseconds: int) -> int:
    if milliseconds == 0 or milliseconds < -1:
        raise AclError(codes.RT_PARAM_INVALID, f"timeout {milliseconds} ms")
    stream_of(handle, switch=True).synchronize(None if milliseconds == -1 else milliseconds / 1000)
    return codes.SUCCESS


# -- events ------------------------------------------------------------------------------------------------------------


def _create_event(flags: int) -> tuple[int, int]:
    emulator.context()
    if len(emulator.living(Event)) >= MAX_EVENTS:
        raise AclError(_RESOURCE, f"{MAX_EVENTS} events are alive")
    return emulator.add(Event(flags)), codes.SUCCESS


def _event(handle: int) -> Event:
    return emulator.find(handle, Event, codes.RT_INVALID_HANDLE)


# On old CANN every event can take times; on new CANN only those made with the flag.
_TIME_LINE = 8


@api("rt.create_event", returns=(0, RET), context=True, fails_with=_RESOURCE)
def create_event() -> tuple[int, int]:
    return _create_event(_TIME_LINE if emulator.profile.is_old else 0)


@api("rt.create_event_with_flag", "u", returns=(0, RET), context=True, fails_with=_RESOURCE)
def create_event_with_flag(flags: int) -> tuple[int, int]:
    return _create_event(flags)


@api("rt.create_event_ex_with_flag", "u", returns=(0, RET), context=True, fails_with=_RESOURCE, new_only=True)
def create_event_ex_with_flag(flags: int) -> tuple[int, int]:
    return _create_event(flags)


@api("rt.destroy_event", "p", context=True)
def destroy_event(handle: int) -> int:
    emulator.remove(_event(handle))
    return codes.SUCCESS


@api("rt.record_event", "pp", context=True, callback_safe=False)
def record_event(handle: int, stream: int) -> int:
    event, queue = _event(handle), stream_of(stream)
    queue.submit(Task("record_event", event.mark()))
    return codes.SUCCESS


@api("rt.reset_event", "pp", context=True, callback_safe=False)
def reset_event(handle: int, stream: int) -> int:
    event, queue = _event(handle), stream_of(stream)
    queue.submit(Task("reset_event", event.clear))
    return codes.SUCCESS


@api("rt.stream_wait_event", "pp", context=True, callback_safe=False)
def stream_wait_event(stream: int, handle: int) -> int:
    event, queue = _event(handle), stream_of(stream)
    event.require_record("stream_wait_event")
    queue.submit(Task("stream_wait_event", event.block(queue)))
    return codes.SUCCESS


@api("rt.synchronize_event", "p", context=True, callback_safe=False)
def synchronize_event(handle: int) -> int:
    event = _event(handle)
    event.require_record("synchronize_event")
    event.reached()
    return codes.SUCCESS


@api("rt.query_event", "p", returns=(0, RET), context=True)
def query_event(handle: int) -> tuple[int, int]:
    event = _event(handle)
    event.require_record("query_event")
    return 0 if event.complete else 1, codes.SUCCESS


@api("rt.query_event_status", "p", returns=(0, RET), context=True, new_only=True)
def query_event_status(handle: int) -> tuple[int, int]:
    event = _event(handle)
    event.require_record("query_event_status")
    return 1 if event.complete else 0, codes.SUCCESS


@api("rt.query_event_wait_status", "p", returns=(0, RET), context=True, new_only=True)
def query_event_wait_status(handle: int) -> tuple[int, int]:
    event = _event(handle)
    event.require_record("query_event_wait_status")
    return 0 if event.complete else 1, codes.SUCCESS


@api("rt.event_elapsed_time", "pp", returns=(0.0, RET), context=True)
def event_elapsed_time(start: int, end: int) -> tuple[float, int]:
    first, last = _event(start), _event(end)
    for event in (first, last):
        event.require_record("event_elapsed_time")
        if not event.complete:
            raise AclError(codes.RT_PARAM_INVALID, "the event is not complete")
        if not event.flags & _TIME_LINE:
            raise AclError(codes.RT_PARAM_INVALID, "the event was made without the time-line flag 8")
    return (last.time - first.time) * 1000.0, codes.SUCCESS


# -- callbacks ---------------------------------------------------------------------------------------------------------


class Reports:
    """Callbacks that wait for the thread that serves their stream or decoder, and how many it serves."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.waiting: dict[int, deque[Callable[[], None]]] = {}
        self._served: Counter[int] = Counter()

    def subscribe(self, thread: int) -> None:
        with self.changed:
            if self._served[thread] == 0 and len(self.waiting) >= MAX_SUBSCRIPTIONS:
                raise AclError(codes.RT_SUBSCRIBE, f"{MAX_SUBSCRIPTIONS} threads are subscribed")
            self._served[thread] += 1
            self.waiting.setdefault(thread, deque())

    def unsubscribe(self, thread: int) -> None:
        with self.changed:
            self._served[thread] -= 1
            if self._served[thread] <= 0:
                del self._served[thread]
                self.waiting.pop(thread, None)
            self.changed.notify_all()

    def subscribed(self, thread: int) -> bool:
        return thread in self.waiting

    def post(self, thread: int, work: Callable[[], None]) -> None:
        with self.changed:
            if thread in self.waiting:
                self.waiting[thread].append(work)
            self.changed.notify_all()

    def reset(self) -> None:
        with self.changed:
            self.waiting.clear()
            self._served.clear()
            self.changed.notify_all()


MAX_SUBSCRIPTIONS = 1024
reports = Reports()


@api("rt.subscribe_report", "qp", context=True, callback_safe=False, fails_with=codes.RT_SUBSCRIBE)
def subscribe_report(thread: int, stream: int) -> int:
    queue = stream_of(stream)
    if queue.subscriber is not None:
        raise AclError(codes.RT_SUBSCRIBE, f"the stream is subscribed to thread {queue.subscriber}")
    reports.subscribe(thread)
    queue.subscriber = thread
    return codes.SUCCESS


@api("rt.unsubscribe_report", "qp", context=True, callback_safe=False, fails_with=codes.RT_SUBSCRIBE)
def unsubscribe_report(thread: int, stream: int) -> int:
    queue = stream_of(stream)
    if queue.subscriber != thread:
        raise AclError(codes.RT_SUBSCRIBE, f"the stream is not subscribed to thread {thread}")
    queue.subscriber = None
    reports.unsubscribe(thread)
    return codes.SUCCESS


@api("rt.process_report", "i", callback_safe=False, fails_with=codes.RT_REPORT_TIMEOUT)
def process_report(milliseconds: int) -> int:
    if milliseconds == 0 or milliseconds < -1:
        raise AclError(codes.INVALID_PARAM, f"timeout {milliseconds} ms")
    thread = threading.get_ident()
    if not reports.subscribed(thread):
        raise AclError(codes.RT_THREAD_NOT_SUBSCRIBED, f"thread {thread}")
    seconds = None if milliseconds == -1 else milliseconds / 1000
    with reports.changed:
        reports.changed.wait_for(lambda: bool(reports.waiting.get(thread)) or not reports.subscribed(thread), seconds)
        queue = reports.waiting.get(thread)
        if not queue:
            raise AclError(codes.RT_REPORT_TIMEOUT, "no callback came")
        work = queue.popleft()
    work()
    return codes.SUCCESS


def run_callback(function: Callable[..., Any], *arguments: Any) -> None:
    """Call the program's function as pyACL does: an exception ends here. It breaks rule 46 and is recorded."""
    with callback_running():
        try:
            function(*arguments)
        except Exception as error:
            emulator.breach(46, f"exception in callback {getattr(function, '__name__', function)!r}: {error!r}")


@api("rt.launch_callback", "ooip", context=True, callback_safe=False, fails_with=codes.RT_SUBSCRIBE)
def launch_callback(function: Any, argument: Any, block: int, stream: int) -> int:
    if not callable(function):
        raise TypeError(f"acl.rt.launch_callback args parse failed: callable expected, got {type(function).__name__}")
    if block not in (0, 1):
        raise AclError(codes.INVALID_PARAM, f"block type {block}")
    queue = stream_of(stream)
    thread = queue.subscriber
    if thread is None:
        raise AclError(codes.RT_SUBSCRIBE, "no thread is subscribed to the stream")
    done = threading.Event()

    def work() -> None:
        run_callback(function, argument)
        done.set()

    def run(ready: float) -> float:
        reports.post(thread, work)
        if block:
            queue.wait_for(done.wait)
        return max(ready, time.monotonic())

    queue.submit(Task("launch_callback", run))
    return codes.SUCCESS
