"""Huawei Ascend: device nodes, driver, CANN, environment, and what pyACL says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ascend.codes import describe_code
from ..ascend.engines import ENGINES
from .findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .machine import Machine

__all__ = ["examine_ascend"]

#: Besides /dev/davinci0 and so on, what the runtime opens.
_SHARED_NODES = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
_DRIVER_INFO = "/usr/local/Ascend/driver/version.info"
#: Where CANN is installed: the toolkit, the runtime alone, and from 8.5 on under one name; by root and by a user.
_INSTALLS = ("ascend-toolkit/latest", "nnrt/latest", "cann")
_PLACES = ("/usr/local/Ascend", "{HOME}/Ascend")
#: Set by set_env.sh.
_HOMES = ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME")
_VERSION = re.compile(r"^[Vv]ersion\s*=\s*\[?([^\s:\]]+)", re.MULTILINE)
_RUN_MODES = {0: "RC (the board's own processor runs the program)", 1: "EP (a card behind PCIe)"}

#: Asks pyACL, in a process of its own; `reset_device` and `finalize` undo what came before.
PROBE = (
    f"ENGINES = {ENGINES!r}"
    + """
import json
answer = {}
import acl
answer["file"] = getattr(acl, "__file__", None)
media = getattr(acl, "media", None)
answer["engines"] = {
    engine: next((name for name in names if not hasattr(media, name)), None) for engine, names in ENGINES.items()
}
answer["init"] = acl.init()
if answer["init"] in (0, 100002):
    answer["soc"] = acl.get_soc_name()
    answer["run_mode"] = acl.rt.get_run_mode()[0]
    answer["devices"], answer["count_ret"] = acl.rt.get_device_count()
    if hasattr(acl, "get_version"):
        answer["version"] = ".".join(map(str, acl.get_version()[:3]))
    if answer["count_ret"] == 0 and answer["devices"]:
        answer["set_device"] = acl.rt.set_device(0)
        if answer["set_device"] == 0:
            free, total, ret = acl.rt.get_mem_info(0)
            answer["memory"] = [free, total] if ret == 0 else None
            acl.rt.reset_device(0)
    if answer["init"] == 0:
        acl.finalize()
print(json.dumps(answer))
"""
)


def examine_ascend(machine: Machine) -> Iterator[Finding]:
    """Look at the board; the SoC's name is the value of the finding ``soc``."""
    board = machine.text("/proc/device-tree/model")
    if board:
        yield Finding("ascend", "board", "ok", board)
    devices = [name for name in machine.matches("/dev", "davinci*") if name[len("/dev/davinci") :].isdigit()]
    homes = _installations(machine)
    if not devices and not homes:
        yield Finding("ascend", "device", "note", "none: no /dev/davinci*, no CANN; networks run on the processor")
        if machine.can_import("acl"):  # an emulator, or CANN somewhere else
            yield from _pyacl(machine, homes, False)
        return
    yield from _nodes(machine, devices)
    yield _driver(machine, bool(devices))
    yield from _cann(machine, homes)
    yield from _environment(machine, homes)
    if "atc" in {name.rsplit("/", 1)[-1] for home in homes for name in machine.matches(f"{home}/bin", "*")}:
        yield _atc()
    yield from _pyacl(machine, homes, bool(devices))


def _nodes(machine: Machine, devices: list[str]) -> Iterator[Finding]:
    if not devices:
        fix = "install the driver and restart; in a container pass --device /dev/davinci0 and the three of its driver"
        yield Finding("ascend", "device", "error", "CANN is installed, but there is no /dev/davinci0", fix)
        return
    yield Finding("ascend", "device", "ok", ", ".join(devices))
    for name in (*devices, *_SHARED_NODES):
        if not machine.path(name).exists():
            fix = f"the driver did not start (dmesg says why); in a container pass --device {name}"
            yield Finding("ascend", name, "error", "is missing", fix)
        elif not machine.may_use(name):
            group = machine.group_of(name)
            fix = f"sudo usermod -aG {group} $USER, then log in again"
            yield Finding("ascend", name, "error", f"no permission; it belongs to the group {group}", fix)


def _driver(machine: Machine, has_device: bool) -> Finding:
    version = _version_in(machine.text(_DRIVER_INFO))
    if version is not None:
        return Finding("ascend", "driver", "ok", version)
    if not has_device:
        return Finding("ascend", "driver", "note", f"no {_DRIVER_INFO}")
    # Boards carry theirs in the system's image.
    return Finding("ascend", "driver", "note", f"version unknown: no {_DRIVER_INFO}")


def _installations(machine: Machine) -> list[str]:
    """Return the folders of CANN, the one that the environment names first."""
    named = [machine.environ[name] for name in _HOMES if machine.environ.get(name)]
    places = [place.format(HOME=machine.environ.get("HOME", "/root")) for place in _PLACES]
    usual = [f"{place}/{install}" for place in places for install in _INSTALLS]
    return [home for home in dict.fromkeys([*named, *usual]) if machine.path(home).is_dir()]


def _cann(machine: Machine, homes: list[str]) -> Iterator[Finding]:
    if not homes:
        fix = "install CANN (the toolkit, or the runtime nnrt) for this board's driver from hiascend.com"
        yield Finding("ascend", "cann", "error", "not in /usr/local/Ascend nor ~/Ascend", fix)
    seen = set()
    for home in homes:
        real = machine.path(home).resolve()
        if real not in seen:
            yield Finding("ascend", "cann", "ok", f"{_cann_version(machine, home) or 'version unknown'} in {home}")
        seen.add(real)


def _cann_version(machine: Machine, home: str) -> str | None:
    infos = [*machine.matches(home, "*-linux/ascend_*_install.info"), f"{home}/version.cfg", f"{home}/version.info"]
    return next((version for info in infos if (version := _version_in(machine.text(info)))), None)


def _version_in(text: str | None) -> str | None:
    found = _VERSION.search(text or "")
    return found[1] if found else None


def _set_env(machine: Machine, home: str) -> str:
    """Return the script that sets the environment for an installation."""
    parent = home.rsplit("/", 1)[0]
    usual = (f"{home}/set_env.sh", f"{parent}/set_env.sh")
    return next((name for name in usual if machine.path(name).is_file()), usual[-1])


def _environment(machine: Machine, homes: list[str]) -> Iterator[Finding]:
    named = {name: machine.environ[name] for name in _HOMES if machine.environ.get(name)}
    gone = {name: value for name, value in named.items() if not machine.path(value).is_dir()}
    fix = f"source {_set_env(machine, homes[0])}, for every shell in ~/.bashrc" if homes else "install CANN first"
    if gone:
        value = ", ".join(f"{name}={value}" for name, value in gone.items())
        yield Finding("ascend", "set_env.sh", "error", f"{value}, which does not exist", fix)
    elif not named:
        yield Finding("ascend", "set_env.sh", "error", "was not sourced: ASCEND_HOME_PATH is not set", fix)
    else:
        yield Finding("ascend", "set_env.sh", "ok", f"sourced: {next(iter(named.values()))}")
    libraries = machine.environ.get("LD_LIBRARY_PATH", "").split(":")
    stubs = [name for name in libraries if name.rstrip("/").endswith("/stub")]
    if stubs:
        fix = "take it out of LD_LIBRARY_PATH: its libraries only serve to link, and answer 100039"
        yield Finding("ascend", "LD_LIBRARY_PATH", "error", f"holds {stubs[0]}", fix)


def _atc() -> Finding:
    if int(np.__version__.split(".")[0]) < 2:
        return Finding("ascend", "atc", "ok", f"its Python parts run with NumPy {np.__version__}")
    fix = "pip install 'numpy<2' in the Python that atc uses, or convert models on another machine"
    return Finding("ascend", "atc", "warning", f"converting models needs NumPy 1; here is {np.__version__}", fix)


def _pyacl(machine: Machine, homes: list[str], has_device: bool) -> Iterator[Finding]:
    answer, reason = machine.run_python(PROBE)
    if answer is None:
        yield Finding(
            "ascend", "acl", "error", f"cannot be imported or used: {reason}", _acl_fix(machine, homes, reason)
        )
        return
    yield Finding("ascend", "acl", "ok", str(answer["file"]))
    if answer["init"] not in (0, 100002):
        yield Finding("ascend", "acl.init", "error", _returned(answer["init"]), _RET_FIX)
        return
    yield Finding("ascend", "soc", "ok", str(answer["soc"]))
    mode = answer["run_mode"]
    yield Finding("ascend", "run mode", "ok", f"{mode}: {_RUN_MODES.get(mode, 'unknown')}")
    yield _engines(answer["engines"])
    if answer["count_ret"] != 0 or not answer["devices"]:
        level = "error" if has_device else "note"
        yield Finding(
            "ascend", "devices", level, f"{answer['devices']} usable, {_returned(answer['count_ret'])}", _RET_FIX
        )
        return
    yield Finding("ascend", "devices", "ok", f"{answer['devices']} usable")
    if answer["set_device"] != 0:
        yield Finding("ascend", "set_device", "error", _returned(answer["set_device"]), _RET_FIX)
    elif answer.get("memory"):
        free, total = (size / 1e6 for size in answer["memory"])
        yield Finding("ascend", "memory", "ok", f"{free:.0f} of {total:.0f} MB free")


def _engines(missing: dict[str, str | None]) -> Finding:
    """Say which media engines there are; `missing` holds the first function of each that is not."""
    there = [engine for engine, name in missing.items() if name is None]
    gone = [f"{engine} is missing (no acl.media.{name})" for engine, name in missing.items() if name is not None]
    return Finding("ascend", "media engines", "note" if gone else "ok", "; ".join([", ".join(there) or "none", *gone]))


_RET_FIX = "see ~/ascend/log for the cause; is another program using the device, do driver and CANN fit?"


def _returned(code: Any) -> str:
    return f"returned {describe_code(code)}" if code else "returned 0"


def _acl_fix(machine: Machine, homes: list[str], reason: str) -> str:
    """Say what to do about an import of acl that failed, by what Python said."""
    source = f"source {_set_env(machine, homes[0])}" if homes else "install CANN"
    if "No module named 'acl'" in reason:
        return f"{source}: it puts pyACL on PYTHONPATH"
    if "cannot open shared object file" in reason:
        return f"{source}: it puts the libraries on LD_LIBRARY_PATH"
    if "undefined symbol" in reason or "GLIBC" in reason or "version" in reason:
        return "pyACL of this CANN is for another version of Python or of the system: use the Python that CANN names"
    if "no answer" in reason:
        return "the device does not answer: restart the board"
    return f"{source}; if it stays, see ~/ascend/log"
