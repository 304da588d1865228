"""What is still alive when it should not be, with the places where it was made."""

from __future__ import annotations

import os
from collections import Counter

from ._memory import memory
from ._state import Handle, emulator, format_stack
from ._streams import Context


def living(device: int | None = None) -> list[Handle]:
    """Return everything the program has to destroy; with ``device`` without what other devices' contexts hold."""
    with emulator.lock:
        things = [*emulator.handles.values(), *emulator.models.values(), *memory.blocks.values()]

    def counts(thing: Handle) -> bool:
        if isinstance(thing, Context) and thing.is_default:
            return False
        context = thing if isinstance(thing, Context) else getattr(thing, "context", None)
        return device is None or context is None or context.device.number == device

    return [thing for thing in things if counts(thing)]


def describe(things: list[Handle], when: str) -> str:
    """Return the leak report: how many of each kind, then each with its creation stack."""
    counts = Counter(thing.kind for thing in things)
    total = ", ".join(f"{count} x {kind}" for kind, count in sorted(counts.items()))
    lines = [f"leaks at {when}: {total}"]
    for thing in things:
        lines.append(f"  {thing.describe()} made at (innermost last)")
        lines.append(format_stack(thing.stack))
    return "\n".join(lines)


def drop_all(device: int | None = None) -> None:
    """Destroy what is left, as the end of the process would."""
    for thing in living(device):
        thing.drop()
        with emulator.lock:
            emulator.models.pop(thing.handle, None)
        emulator.remove(thing)


def require_none(when: str, device: int | None = None) -> None:
    """Rule 14: raise the report if anything is alive, after dropping it."""
    things = living(device)
    if not things:
        return
    report = describe(things, when)
    emulator.leaks.append(report)
    drop_all(device)
    emulator.forbid(14, report)


class _ExitGuard:
    """Looks at the end of the process, after every atexit handler, whether the runtime was left in order."""

    def __del__(self, write=os.write, leave=os._exit, getpid=os.getpid) -> None:  # type: ignore[no-untyped-def]
        state = emulator
        if getpid() != state.pid or not state.initialized:
            return
        when = "process exit without acl.finalize"
        try:
            things = living()
            report = describe(things, when) if things else when
        except Exception as error:  # parts of the interpreter may be gone already
            report = f"{when} (no report: {error!r})"
        # The objects of __main__ die after this: a finalize in one of their __del__ would come too late as well.
        write(2, f"acl emulator: rules 14 and 15: {report}\n".encode())
        leave(EXIT_STATUS)


EXIT_STATUS = 70
_guard = _ExitGuard()
