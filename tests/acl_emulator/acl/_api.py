"""How a function of pyACL is declared: name, arguments, returns, and what must hold before it runs.

`api` turns a Python function into one that behaves as pyACL's C functions do: positional arguments only, parsed by
type; failures as codes in the function's own return shape; counted, open to injected failures, not interrupted half
way.
"""

from __future__ import annotations

import _signal  # the same functions as signal's, without the conversion to enums that costs 10 us per call
import functools
import operator
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

import numpy as np

from . import _codes as codes
from ._errors import AclError
from ._state import emulator

Function = TypeVar("Function", bound=Callable[..., Any])


class _Code:
    """Stands for the return code in the declaration of what a function returns on failure."""


RET = _Code()


@dataclass(frozen=True)
class Api:
    """Declaration of one function. ``name`` is without the leading ``acl.``."""

    name: str
    arguments: str
    on_error: Any
    call: Callable[..., Any]
    fails_with: int
    new_only: bool
    himpi: bool

    @property
    def returns_code(self) -> bool:
        shape = self.on_error if isinstance(self.on_error, tuple) else (self.on_error,)
        return any(part is RET for part in shape)

    def failure(self, code: int) -> Any:
        """Return what the function returns when it fails with ``code``."""
        if isinstance(self.on_error, tuple):
            return tuple(code if part is RET else _fresh(part) for part in self.on_error)
        return code if self.on_error is RET else _fresh(self.on_error)


REGISTRY: dict[str, Api] = {}


def api(
    name: str,
    arguments: str = "",
    *,
    returns: Any = RET,
    init: bool = True,
    context: bool = False,
    callback_safe: bool = True,
    fails_with: int = codes.RT_PARAM_INVALID,
    new_only: bool = False,
) -> Callable[[Function], Function]:
    """Declare a function of pyACL.

    Parameters
    ----------
    name
        Name without ``acl.``: ``rt.malloc``.
    arguments
        One letter per argument, a ``|`` before the optional ones: ``p`` pointer, handle or size (unsigned long), ``i``
        C int, ``u`` uint32, ``q`` uint64, ``f`` float, ``s`` str, ``l`` list of ints, ``o`` any object.
    returns
        The return on failure, with `RET` where the code stands.
    init, context
        Whether ``acl.init`` must have run, and this thread must have a context.
    callback_safe
        False: not allowed inside a callback.
    fails_with
        A plausible code for injected failures.
    new_only
        True: absent from old CANN.
    """

    def declare(function: Function) -> Function:
        parse = _parser(name, arguments)

        @functools.wraps(function)
        def call(*values: Any, **named: Any) -> Any:
            if named:
                raise TypeError(f"acl.{name}() takes no keyword arguments")
            with _uninterrupted():
                try:
                    injected = emulator.count(name)
                    if injected is not None and injected.raises is not None:
                        raise injected.raises(f"injected into acl.{name}")
                    parsed = parse(values)
                    _check_process(name, init, callback_safe)
                    if injected is not None and not injected.late:
                        raise AclError(injected.code, f"injected into call {injected.nth} of acl.{name}")
                    if context:
                        emulator.context()
                    # A late failure strikes the task that this call queues.
                    emulator.this_thread().late_code = injected.code if injected is not None else 0
                    return function(*parsed)
                except AclError as error:
                    emulator.this_thread().last_error = f"E{error.code}: acl.{name}: {error}"
                    return declaration.failure(error.code)

        declaration = Api(name, arguments, returns, call, fails_with, new_only, name.startswith("himpi."))
        REGISTRY[name] = declaration
        return call  # type: ignore[return-value]

    return declare


def _check_process(name: str, init: bool, callback_safe: bool) -> None:
    """What must hold whatever the function does."""
    if not init:
        return
    if emulator.pid != os.getpid():
        raise emulator.breach(47, f"acl.{name} in a forked child: the runtime does not survive a fork, use spawn")
    if emulator.finalized:
        raise emulator.breach(9, f"acl.{name} after acl.finalize")
    if not emulator.initialized:
        raise AclError(codes.UNINITIALIZED, "call acl.init first")
    if not callback_safe and emulator.this_thread().in_callback:
        emulator.forbid(46, f"acl.{name} inside a callback: callbacks must not allocate, free, synchronise or launch")


def _fresh(value: Any) -> Any:
    """A dict or list of its own for every failing call."""
    return type(value)() if isinstance(value, (dict, list)) else value


# -- arguments ---------------------------------------------------------------------------------------------------------


def _unsigned_long(value: Any) -> int:
    # PyArg "k" takes int objects only, and wraps without a word: negative and too large numbers are refused here.
    if not isinstance(value, int):
        raise TypeError(f"int expected, got {type(value).__name__}")
    if not 0 <= value < 1 << 64:
        _out_of_range(value, "64 bits, unsigned")
    return int(value)


def _c_int(value: Any) -> int:
    number = _index(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise OverflowError(f"{number} does not fit a C int")
    return number


def _uint32(value: Any) -> int:
    number = _index(value)
    if not 0 <= number < 1 << 32:
        _out_of_range(number, "32 bits, unsigned")
    return number


def _out_of_range(number: int, what: str) -> None:
    raise emulator.breach(3, f"{number} does not fit {what}; pyACL would wrap it silently")


def _index(value: Any) -> int:
    if isinstance(value, (np.floating, np.ndarray)):
        raise TypeError(f"int expected, got {type(value).__name__}")
    return operator.index(value)


def _float(value: Any) -> float:
    if not isinstance(value, (int, float, np.number)):
        raise TypeError(f"float expected, got {type(value).__name__}")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"str expected, got {type(value).__name__}")
    return value


def _ints(value: Any) -> list[int]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"list expected, got {type(value).__name__}")
    return [_index(item) for item in value]


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "p": _unsigned_long,
    "q": _unsigned_long,
    "i": _c_int,
    "u": _uint32,
    "f": _float,
    "s": _text,
    "l": _ints,
    "o": lambda value: value,
}


def _parser(name: str, arguments: str) -> Callable[[tuple[Any, ...]], list[Any]]:
    needed, _, optional = arguments.partition("|")
    conversions = [_CONVERSIONS[letter] for letter in needed + optional]
    least, most = len(needed), len(conversions)

    def parse(values: tuple[Any, ...]) -> list[Any]:
        if not least <= len(values) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            raise TypeError(f"acl.{name} args parse failed: {expected} arguments expected, got {len(values)}")
        try:
            return [convert(value) for convert, value in zip(conversions, values)]
        except (TypeError, OverflowError) as error:
            raise TypeError(f"acl.{name} args parse failed: {error}") from None

    return parse


# -- signals -----------------------------------------------------------------------------------------------------------


class _uninterrupted:
    """Let Ctrl-C wait for the end of the call, as it does behind a C function.

    Only the main thread runs signal handlers; nested use keeps the outermost.
    """

    __slots__ = ("_came", "_handler")
    active = False

    def __enter__(self) -> None:
        self._came: FrameType | bool | None = False
        self._handler: Any = None
        cls = _uninterrupted
        if cls.active or threading.current_thread() is not threading.main_thread() or sys.is_finalizing():
            return
        if callable(_signal.getsignal(signal.SIGINT)):
            cls.active = True
            self._handler = _signal.signal(signal.SIGINT, self._note)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._came = frame

    def __exit__(self, *error: object) -> None:
        if self._handler is None:
            return
        _signal.signal(signal.SIGINT, self._handler)
        _uninterrupted.active = False
        if self._came is not False:
            self._handler(signal.SIGINT, self._came)
