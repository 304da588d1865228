"""Whether atc can be expected to work here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LOW_MEMORY_BYTES", "available_memory_bytes", "check_environment", "find_atc"]

#: Where CANN's installers put the script that sets its variables, newest layout first.
_ENVIRONMENT_SCRIPTS = (
    "/usr/local/Ascend/ascend-toolkit/set_env.sh",
    "/usr/local/Ascend/cann/set_env.sh",
    "~/Ascend/ascend-toolkit/set_env.sh",
    "~/Ascend/cann/set_env.sh",
)
#: Below this atc is known to be killed on boards when it compiles in parallel.
LOW_MEMORY_BYTES = 4 << 30
#: Pythons that CANN 5 to 8 are made for.
_PYTHONS = ((3, 7), (3, 11))
#: Modules that atc's operator compiler imports.
_MODULES = ("numpy", "decorator", "sympy", "scipy", "attr", "psutil")
_ASK_PYTHON = """\
import importlib.util, json, sys
modules = {modules!r}
missing = [name for name in modules if importlib.util.find_spec(name) is None]
numpy = None if "numpy" in missing else __import__("numpy").__version__
print(json.dumps({{"version": list(sys.version_info[:2]), "missing": missing, "numpy": numpy}}))
"""
_ASK_TIMEOUT_S = 60


def find_atc(environment: Mapping[str, str] | None = None) -> str:
    """Return the path of atc.

    Raises
    ------
    MissingDependencyError
        If it is not on PATH, with what to do.
    """
    variables = os.environ if environment is None else environment
    found = shutil.which("atc", path=variables.get("PATH", ""))
    if found is not None:
        return found
    for script in _ENVIRONMENT_SCRIPTS:
        if Path(script).expanduser().is_file():
            raise MissingDependencyError(f"atc is not on PATH, but CANN is installed: source {script}")
    raise MissingDependencyError(
        "atc is needed to make .om files and is not on PATH: install the CANN toolkit of the board's version, which "
        "needs no chip, and source its set_env.sh; --dry-run prints the command for another machine"
    )


def check_environment(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return what may keep atc from working, one sentence each.

    Parameters
    ----------
    environment : mapping of str to str, optional
        The variables that atc will see; this process's unless given.

    Returns
    -------
    list of str
        Empty where nothing was noticed. None of it is certain to fail: versions of CANN differ.
    """
    variables = os.environ if environment is None else environment
    problems = []
    operators = variables.get("ASCEND_OPP_PATH")
    if not operators or not Path(operators).is_dir():
        problems.append(f"ASCEND_OPP_PATH is {operators or 'not set'}, not a folder: source CANN's set_env.sh")
    problems += _python_problems(variables)
    memory = available_memory_bytes()
    if memory is not None and memory < LOW_MEMORY_BYTES:
        problems.append(
            f"only {memory / 2**30:.1f} GB of memory and swap are free: atc compiles one operator at a time "
            "(TE_PARALLEL_COMPILER=1) and may still be killed; a PC with the same CANN is faster and has room"
        )
    return problems


def available_memory_bytes() -> int | None:
    """Return how much memory and swap is free; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        values = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return (values["MemAvailable"] + values["SwapFree"]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _python_problems(variables: Mapping[str, str]) -> list[str]:
    """Ask the Python that atc will start."""
    python = shutil.which("python3", path=variables.get("PATH", ""))
    if python is None:
        return ["there is no python3 on PATH, which atc starts to compile operators"]
    try:
        answer = subprocess.run(
            [python, "-c", _ASK_PYTHON.format(modules=_MODULES)],
            env=dict(variables),
            capture_output=True,
            text=True,
            timeout=_ASK_TIMEOUT_S,
            check=True,
        )
        facts: dict[str, Any] = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return [f"{python}, which atc starts to compile operators, does not run: {error}"]
    version = tuple(facts["version"])
    problems = []
    if not _PYTHONS[0] <= version <= _PYTHONS[1]:
        low, high = (".".join(map(str, one)) for one in _PYTHONS)
        problems.append(f"{python} is Python {version[0]}.{version[1]}; CANN is made for {low} to {high}")
    if facts["missing"]:
        problems.append(f"{python} lacks {', '.join(facts['missing'])}, which atc's operator compiler imports")
    if facts["numpy"] is not None and int(facts["numpy"].split(".")[0]) >= 2:
        problems.append(f"{python} has NumPy {facts['numpy']}; CANN's operator compiler needs NumPy 1")
    return problems
