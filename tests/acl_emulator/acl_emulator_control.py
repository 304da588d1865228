"""What tests do with the emulator and pyACL has not: choose the board, inject failures, count calls, read reports.

>>> import acl, acl_emulator_control as control
>>> control.reset(run_mode="ep", soc="Ascend310")
>>> control.inject("rt.malloc", nth=3)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import acl
from acl import _leaks
from acl._api import REGISTRY
from acl._errors import RuleViolation
from acl._memory import memory
from acl._profile import Profile, from_environment
from acl._rt_stream import reports
from acl._state import Handle, Injection, emulator

__all__ = [
    "CoreUsage",
    "Failure",
    "Profile",
    "RuleViolation",
    "calls",
    "core_usage",
    "default_code",
    "failures_of",
    "function_names",
    "inject",
    "injected_failures",
    "leaks",
    "living",
    "profile",
    "reset",
    "set_latency",
    "violations",
    "warnings",
]


def profile() -> Profile:
    """Return the profile in force."""
    return emulator.profile


def reset(**changes: Any) -> Profile:
    """Start anew, as a new process would: all objects, counters, injections and reports are gone.

    Parameters
    ----------
    changes
        Fields of `Profile` that differ from what the environment says.

    Returns
    -------
    Profile
        What is in force now.
    """
    latencies = changes.pop("latencies_ms", None)
    chosen = replace(from_environment(), **changes)
    if latencies is not None:
        chosen = replace(chosen, latencies_ms=tuple(dict(latencies).items()))
    for thing in emulator.living(Handle):
        thing.drop()
    memory.reset()
    reports.reset()
    emulator.reset(chosen)
    acl._install()
    return chosen


def set_latency(model: str, milliseconds: float) -> None:
    """Let models whose name fits the shell pattern ``model`` take this long; the last call counts."""
    emulator.latencies.insert(0, (model, milliseconds))


# -- failures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """One failure that can be injected: the ``nth`` call of ``function`` returns ``code``."""

    function: str
    nth: int
    code: int


def function_names() -> list[str]:
    """Return the names of all functions without ``acl.``."""
    return sorted(REGISTRY)


def default_code(function: str) -> int:
    """Return a code that this function plausibly fails with."""
    return REGISTRY[function].fails_with


def inject(
    function: str,
    nth: int = 1,
    code: int | None = None,
    *,
    late: bool = False,
    raises: type[BaseException] | None = None,
) -> None:
    """Let the ``nth`` call of a function from now on fail.

    Parameters
    ----------
    function
        Name without ``acl.``: ``rt.malloc``.
    code
        The code it returns, `default_code` without. A function that returns no code gives its value for failure.
    late
        True: the call succeeds, and the task that it queues fails; the code comes from the next synchronising call.
    raises
        This exception leaves the call instead, before anything happened (Ctrl-C).
    """
    if function not in REGISTRY:
        raise ValueError(f"inject: acl has no function {function!r}")
    if late and not _queues(function):
        raise ValueError(f"inject: acl.{function} queues no task that could fail late")
    chosen = default_code(function) if code is None else code
    emulator.injections.append(Injection(function, nth, chosen, raises, late))


def _queues(function: str) -> bool:
    return function.endswith("_async") or function in ("mdl.execute", "rt.record_event", "rt.launch_callback")


def injected_failures() -> list[Failure]:
    """Return the injected failures that have happened."""
    return [Failure(one.function, one.nth, one.code) for one in emulator.injections if one.fired]


def failures_of(counts: dict[str, int]) -> Iterator[Failure]:
    """Yield every single failure of a run whose calls were counted by `calls`."""
    for function, count in sorted(counts.items()):
        for nth in range(1, count + 1):
            yield Failure(function, nth, default_code(function))


# -- reports -----------------------------------------------------------------------------------------------------------


def calls() -> dict[str, int]:
    """Return how often each function was called since the last reset."""
    return dict(emulator.calls)


def violations() -> list[RuleViolation]:
    """Return all breaches since the last reset, also those that the program swallowed."""
    return list(emulator.violations)


def warnings() -> list[str]:
    """Return what the real runtime would have written into its log as a warning."""
    return list(emulator.warnings)


def leaks() -> list[str]:
    """Return the leak reports of ``reset_device`` and ``finalize`` since the last reset; empty is right."""
    return list(emulator.leaks)


def living() -> str:
    """Return the leak report of this moment; empty where nothing is alive."""
    things = _leaks.living()
    return _leaks.describe(things, "this moment") if things else ""


@dataclass(frozen=True)
class CoreUsage:
    """Seconds that the AI core worked, and that it waited between two tasks."""

    busy: float
    idle: float


def core_usage(device: int = 0) -> CoreUsage:
    """Return how busy the AI core of a device was since it was first set."""
    core = emulator.devices[device].core
    return CoreUsage(core.busy, core.idle)
