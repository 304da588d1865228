"""The state of the emulated process: profile, handles, threads, counters, injected failures, breaches."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from . import _codes as codes
from ._errors import AclError, RuleViolation
from ._profile import Profile, from_environment

KEEP_DESTROYED = 65536  # destroyed handles that messages can still name
log = logging.getLogger("acl_emulator")
_HERE = str(Path(__file__).parent)
Kind = TypeVar("Kind", bound="Handle")


class Handle:
    """Something the program made and must destroy. ``kind`` names it in the leak report."""

    kind = "handle"

    def __init__(self) -> None:
        self.stack = caller_stack()
        self.handle = 0

    def describe(self) -> str:
        return f"{self.kind} {self.handle:#x}"

    def drop(self) -> None:
        """End what runs in it, as the end of the process would."""


@dataclass
class Injection:
    """A failure of the ``nth`` call of ``function`` from now on."""

    function: str
    nth: int
    code: int
    raises: type[BaseException] | None
    late: bool
    seen: int = 0
    fired: bool = False


class ThreadState(threading.local):
    """What belongs to one OS thread."""

    def __init__(self) -> None:
        self.context: Any = None
        self.last_error: str | None = None
        self.in_callback = False
        self.late_code = 0
        self.epoch = -1


class Emulator:
    """One emulated runtime. There is one per process: `emulator`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.thread = ThreadState()
        self.epoch = 0
        self._start(from_environment())

    def _start(self, profile: Profile) -> None:
        self.profile = profile
        self.epoch += 1
        self.pid = os.getpid()
        self.initialized = False
        self.finalized = False
        self.config: str | None = None
        self.references = 0
        self.opened_before = False  # the first set_device of the process is slow
        self.handles: dict[int, Handle] = {}
        self.destroyed: dict[int, str] = {}
        self.models: dict[int, Any] = {}
        self.devices: dict[int, Any] = {}
        self.latencies: list[tuple[str, float]] = list(profile.latencies_ms)
        self._next_handle = itertools.count(0x5500_0000_1000, 0x40)
        self._next_model = itertools.count(1)
        self.calls: Counter[str] = Counter()
        self.injections: list[Injection] = []
        self.violations: list[RuleViolation] = []
        self.warnings: list[str] = []
        self.leaks: list[str] = []

    def reset(self, profile: Profile) -> None:
        """Forget everything: a new process as far as the emulator is concerned."""
        with self.lock:
            self._start(profile)

    # -- threads ------------------------------------------------------------------------------------------------------

    def this_thread(self) -> ThreadState:
        """What belongs to the calling thread; empty after a reset."""
        state = self.thread
        if state.epoch != self.epoch:
            state.__init__()  # type: ignore[misc]
            state.epoch = self.epoch
        return state

    def context(self) -> Any:
        """Return the calling thread's context; 107002 where it has none."""
        context = self.this_thread().context
        if context is None:
            raise AclError(codes.RT_CONTEXT_NULL, "call acl.rt.set_context or acl.rt.set_device in this thread first")
        if context.dead:
            raise self.breach(12, f"this thread's context {context.handle:#x} was destroyed ({context.dead})")
        return context

    # -- handles ------------------------------------------------------------------------------------------------------

    def add(self, thing: Handle) -> int:
        """Give a new object a handle that is never used again."""
        with self.lock:
            thing.handle = next(self._next_handle)
            self.handles[thing.handle] = thing
        return thing.handle

    def add_model(self, model: Handle) -> int:
        with self.lock:
            model.handle = next(self._next_model)
            self.models[model.handle] = model
        return model.handle

    def find(self, handle: int, kind: type[Kind], code: int = 0) -> Kind:
        """Return the object behind a handle.

        Null is 100000. A handle that is destroyed or of another kind gives ``code``; with ``code`` 0 the real runtime
        would follow a dangling pointer, which breaks rule 4.
        """
        if handle == 0:
            raise AclError(codes.INVALID_PARAM, f"the {kind.kind} is null")
        thing = self.handles.get(handle)
        if isinstance(thing, kind):
            return thing
        if thing is not None:
            state = f"a {thing.kind}"
        elif handle in self.destroyed:
            state = f"a {self.destroyed[handle]} that was destroyed"
        else:
            state = "unknown"
        text = f"{handle:#x} should be a {kind.kind} and is {state}"
        if code:
            raise AclError(code, text)
        raise self.breach(4, f"{text}; the real runtime would follow a dangling pointer")

    def remove(self, thing: Handle) -> None:
        with self.lock:
            self.handles.pop(thing.handle, None)
            self.destroyed[thing.handle] = thing.kind
            if len(self.destroyed) > KEEP_DESTROYED:
                del self.destroyed[next(iter(self.destroyed))]

    def living(self, kind: type[Kind]) -> list[Kind]:
        with self.lock:
            return [thing for thing in self.handles.values() if isinstance(thing, kind)]

    # -- breaches -----------------------------------------------------------------------------------------------------

    def breach(self, rule: int, text: str) -> RuleViolation:
        """Record a breach and return it, to be raised: nothing sensible can follow."""
        violation = RuleViolation(rule, text)
        with self.lock:
            self.violations.append(violation)
        log.error("%s", violation)
        return violation

    def forbid(self, rule: int, text: str) -> None:
        """Record a breach and raise it, unless the profile only records what the real runtime would survive."""
        violation = self.breach(rule, text)
        if not self.profile.record_only:
            raise violation

    def warn(self, text: str) -> None:
        """Note something that the real runtime writes into its log only."""
        with self.lock:
            if text in self.warnings:  # once, not per frame
                return
            self.warnings.append(text)
        log.warning("%s", text)

    # -- injected failures --------------------------------------------------------------------------------------------

    def count(self, name: str) -> Injection | None:
        """Count a call and return the failure that is due at it."""
        with self.lock:
            self.calls[name] += 1
            due = None
            for injection in self.injections:
                if injection.function == name and not injection.fired:
                    injection.seen += 1
                    if injection.seen == injection.nth and due is None:
                        injection.fired = True
                        due = injection
            return due


def caller_stack() -> traceback.StackSummary:
    """Return the innermost frames outside the emulator; lines are looked up only when printed."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back  # type: ignore[assignment]
    return traceback.StackSummary.extract(traceback.walk_stack(frame), limit=6, lookup_lines=False)


def format_stack(stack: traceback.StackSummary) -> str:
    """Return a creation stack as indented text, innermost call last."""
    lines = []
    for frame in reversed(stack):
        lines.append(f'    File "{frame.filename}", line {frame.lineno}, in {frame.name}')
        # While the interpreter shuts down the source may be out of reach.
        with contextlib.suppress(Exception):
            lines.append(f"      {frame.line}")
    return "\n".join(lines)


@contextlib.contextmanager
def callback_running() -> Iterator[None]:
    """Mark this thread as inside a callback of the runtime."""
    state = emulator.this_thread()
    state.in_callback = True
    try:
        yield
    finally:
        state.in_callback = False


emulator = Emulator()
