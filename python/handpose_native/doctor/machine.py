"""The machine as the doctor sees it: files, environment, devices; a test can stand in for each."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["Machine"]

#: The first use of a device takes seconds; what takes longer than this hangs.
_PROBE_TIMEOUT_S = 60.0


@dataclass
class Machine:
    """A machine.

    Attributes
    ----------
    root : Path
        Where its files are; for tests a folder that looks like ``/``.
    environ : mapping of str to str
    architecture : str
        As ``uname -m`` says: ``"x86_64"`` or ``"aarch64"``.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    architecture: str = field(default_factory=platform.machine)

    def path(self, name: str) -> Path:
        """Return where an absolute path of the machine lies."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """Return what is in a small text file; None where it cannot be read."""
        try:
            return self.path(name).read_text(encoding="utf-8", errors="replace").rstrip("\0\n")
        except OSError:
            return None

    def matches(self, folder: str, pattern: str) -> list[str]:
        """Return the absolute paths in a folder that match, in order."""
        base = self.root.as_posix().rstrip("/")
        return sorted((found.as_posix()[len(base) :] for found in self.path(folder).glob(pattern)), key=_natural)

    def may_use(self, name: str) -> bool:
        """Whether this user may read and write a device."""
        return os.access(self.path(name), os.R_OK | os.W_OK)

    def group_of(self, name: str) -> str:
        """Return the group that owns a file, its number where it has no name."""
        try:
            return self.path(name).group()
        except KeyError:
            return str(self.path(name).stat().st_gid)

    def version_of(self, *distributions: str) -> str | None:
        """Return the version of the first of these Python packages that is installed."""
        for name in distributions:
            try:
                return metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return None

    def can_import(self, module: str) -> bool:
        """Whether Python finds a module; it is not loaded."""
        return find_spec(module) is not None

    def run_python(self, code: str, *arguments: str) -> tuple[dict[str, Any] | None, str]:
        """Run code in a process of its own, where it may crash or hang.

        Returns
        -------
        result : dict or None
            The last line that it prints, which is JSON; None where there is none.
        reason : str
            Why there is none, in one line.
        """
        command = [sys.executable, "-c", code, *arguments]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PROBE_TIMEOUT_S,
                check=False,
                env=dict(self.environ),
            )
        except subprocess.TimeoutExpired:
            return None, f"no answer within {_PROBE_TIMEOUT_S:g} s"
        lines = done.stdout.strip().splitlines()
        try:
            return dict(json.loads(lines[-1])), ""
        except (ValueError, IndexError, TypeError):
            errors = done.stderr.strip().splitlines()
            return None, errors[-1] if errors else f"it ended with exit code {done.returncode}"


def _natural(text: str) -> tuple[int, str]:
    return len(text), text
