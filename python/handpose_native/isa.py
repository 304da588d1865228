"""Instruction-set levels of the kernels: which there are, which is in use, how to force one."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from . import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["active_isa", "isa", "isa_levels"]

#: Forces a level for the whole process, read once at import.
ENVIRONMENT_VARIABLE = "HANDPOSE_NATIVE_ISA"


def isa_levels() -> list[str]:
    """Return the levels that are compiled in and that this CPU has, slowest first.

    Returns
    -------
    list of str
        Always starts with ``"scalar"``, the definition of every result. All levels return the same bits.
    """
    return _native.isa_levels()


def active_isa() -> str:
    """Return the level that the kernels run on now."""
    return _native.active_isa()


@contextlib.contextmanager
def isa(level: str) -> Iterator[None]:
    """Run the kernels on one level within a ``with`` block, in all threads of the process.

    Parameters
    ----------
    level : str
        One of :func:`isa_levels`.

    Raises
    ------
    ArgumentError
        If this machine or this build does not have the level.
    """
    before = _native.active_isa()
    _native.set_isa(level)
    try:
        yield
    finally:
        _native.set_isa(before)


_forced = os.environ.get(ENVIRONMENT_VARIABLE)
if _forced:
    _native.set_isa(_forced)
