"""An emulator of pyACL that is stricter than a board. See the README beside this package.

``import acl`` gives what pyACL gives: ``acl.init``, ``acl.rt``, ``acl.mdl``, ``acl.media``, ``acl.himpi``,
``acl.util``. Which functions exist follows from the profile; tests change it through the module
``acl_emulator_control``.
"""

from __future__ import annotations

import sys
from types import ModuleType

from . import (
    _himpi,  # noqa: F401
    _leaks,  # noqa: F401 - watches the end of the process
    _mdl_aipp,  # noqa: F401
    _mdl_desc,  # noqa: F401
    _mdl_load,  # noqa: F401
    _mdl_run,  # noqa: F401
    _media_jpeg,  # noqa: F401
    _media_vdec,  # noqa: F401
    _media_vpc,  # noqa: F401
    _rt_device,  # noqa: F401
    _rt_memory,  # noqa: F401
    _rt_stream,  # noqa: F401
    _util,  # noqa: F401
)
from ._api import REGISTRY
from ._state import emulator as _emulator

_MODULES = ("rt", "mdl", "media", "himpi", "util", "op", "blas", "prof", "fv")


def _install() -> None:
    """Show the functions that the profile has, and no others."""
    here = sys.modules[__name__]
    modules = {name: ModuleType(f"{__name__}.{name}", f"Emulated acl.{name}.") for name in _MODULES}
    profile = _emulator.profile
    if not profile.chip.himpi:
        del modules["himpi"]
    for name in _MODULES:
        sys.modules.pop(f"{__name__}.{name}", None)
        if hasattr(here, name):
            delattr(here, name)
    for name, module in modules.items():
        setattr(here, name, module)
        sys.modules[module.__name__] = module
    for name, declaration in REGISTRY.items():
        family, _, function = name.rpartition(".")
        present = not (declaration.new_only and profile.is_old) and (not family or family in modules)
        where = modules.get(family, here) if family else here
        if present:
            setattr(where, function, declaration.call)
        elif not family and hasattr(here, function):
            delattr(here, function)


_install()
