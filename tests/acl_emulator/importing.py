"""Let a test find the emulator as ``acl``, and leave no trace of it for the next one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).resolve().parent
_NAMES = ("acl", "acl_emulator_control", "make_om")
_kept: dict[str, ModuleType] = {}


def _ours(name: str) -> bool:
    return name in _NAMES or name.startswith("acl.")


@contextmanager
def importable(**profile: Any) -> Iterator[tuple[Any, Any]]:
    """Make ``import acl`` find the emulator inside the block; its state starts and ends empty.

    Parameters
    ----------
    profile
        What `acl_emulator_control.reset` takes.

    Yields
    ------
    acl, control
        The emulator and its control module.
    """
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if _ours(name)}
    sys.modules.update(_kept)
    sys.path.insert(0, str(FOLDER))
    try:
        acl, control = importlib.import_module("acl"), importlib.import_module("acl_emulator_control")
        control.reset(**profile)
        try:
            yield acl, control
        finally:
            control.reset()
    finally:
        sys.path.remove(str(FOLDER))
        _kept.update({name: sys.modules.pop(name) for name in list(sys.modules) if _ours(name)})
        sys.modules.update(hidden)
