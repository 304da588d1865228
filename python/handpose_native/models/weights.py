"""The weights of the default models: found, checked, and pulled where they are missing.

They are no part of the package. :func:`pull_weights` takes them out of a wheel of MediaPipe that pip fetches, or out of
a folder or wheel at hand, and keeps them in the user's cache folder. A file whose SHA-256 is not the expected one is
never kept and never given out. Nothing else in the package reaches the network.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DTypeError, ModelError
from .weight_sets import (
    ALIASES,
    FOLDER_VARIABLE,
    WEIGHTS,
    WeightFile,
    WeightSet,
    is_weights_name,
    weight_set,
    weights_folder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ALIASES",
    "WEIGHTS",
    "FileStatus",
    "WeightFile",
    "WeightSet",
    "find_weights",
    "is_weights_name",
    "pull_weights",
    "require_weights",
    "verify_weights",
    "weight_set",
    "weights_folder",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileStatus:
    """What :func:`verify_weights` found of a file.

    Attributes
    ----------
    file : WeightFile
    path : Path
    state : {"ok", "missing", "damaged"}
    sha256 : str or None
        Of the file as it is; None where there is none.
    """

    file: WeightFile
    path: Path
    state: str
    sha256: str | None


def verify_weights(name: str) -> dict[str, FileStatus]:
    """Compare the kept files with their digests.

    Parameters
    ----------
    name : str
        ``"hands"``, ``"hands-full"`` or ``"hands-lite"``.

    Returns
    -------
    dict of str to FileStatus
        By role.

    Raises
    ------
    ArgumentError
        If there are no weights of that name.
    ModelError
        If a file is there and cannot be read.
    """
    wanted = weight_set(name)
    return {role: _status(file, wanted.paths[role]) for role, file in wanted.files.items()}


def find_weights(name: str) -> dict[str, Path] | None:
    """Find weights that are kept already; never reaches the network.

    Each file is read and its digest compared. This takes 7 ms for ``"hands-full"`` where the processor has instructions
    for SHA-256 and 20 ms where it has not (x86-64), and the model that is loaded next finds the file in memory.

    Parameters
    ----------
    name : str
        ``"hands"``, ``"hands-full"`` or ``"hands-lite"``.

    Returns
    -------
    dict of str to Path, or None
        The files by role; None if one is missing or damaged.

    Raises
    ------
    ArgumentError
        If there are no weights of that name.
    ModelError
        If a file is there and cannot be read.
    """
    found = verify_weights(name)
    if any(status.state != "ok" for status in found.values()):
        return None
    return {role: status.path for role, status in found.items()}


def require_weights(name: str) -> dict[str, Path]:
    """Find weights, or else pull them, with a warning in the log that says so.

    Parameters
    ----------
    name : str
        ``"hands"``, ``"hands-full"`` or ``"hands-lite"``.

    Returns
    -------
    dict of str to Path
        The files by role.

    Raises
    ------
    ArgumentError, ModelError, MissingDependencyError
        As :func:`pull_weights`.
    """
    found = find_weights(name)
    if found is not None:
        return found
    wanted = weight_set(name)
    logger.warning(
        "%s: its weights are missing or damaged in %s; fetching %s (%.0f MB, licence %s, %s) with pip, this once",
        *(wanted.name, wanted.folder, wanted.package, wanted.package_bytes / 1e6, wanted.license, wanted.source),
    )
    return pull_weights(name)


def pull_weights(name: str, *, source: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Bring weights to where they are kept; nothing is done if they are there.

    Files appear under their names only whole and with the right digest. Of processes that pull the same, one works and
    the others wait for it. An interrupted pull leaves nothing; what a killed one leaves is hidden, and the next pull
    removes it.

    Parameters
    ----------
    name : str
        ``"hands"``, ``"hands-full"`` or ``"hands-lite"``.
    source : str or path, optional
        A folder with the files, or the wheel; then nothing reaches the network. Unless given, pip fetches the wheel
        from the index that it is set up for.

    Returns
    -------
    dict of str to Path
        The files by role.

    Raises
    ------
    ArgumentError
        If there are no weights of that name.
    DTypeError
        If `source` has another type.
    ModelError
        If pip cannot fetch the wheel (with the ways to do without), the source lacks a file, a file has another digest,
        or the folder cannot be written.
    MissingDependencyError
        If there is no pip.
    """
    if source is not None and not isinstance(source, (str, os.PathLike)):
        raise DTypeError(f"pull_weights: source must be a path; got {type(source).__name__}")
    wanted = weight_set(name)
    found = find_weights(name)  # before anything is written: the folder may be read-only, and complete
    if found is not None:
        return found
    try:
        wanted.folder.mkdir(parents=True, exist_ok=True)
        with _only_one_process(wanted.folder):
            found = find_weights(name)
            if found is None:
                _bring(wanted, None if source is None else Path(source))
                found = wanted.paths
    except OSError as error:
        raise ModelError(
            f"pull_weights: {wanted.folder} cannot be written: {error.strerror or error}; "
            f"{FOLDER_VARIABLE} can name another folder"
        ) from error
    return found


def _bring(wanted: WeightSet, source: Path | None) -> None:
    """Put the files in place, by way of a folder beside them so that each comes by one rename."""
    from .weight_sources import download_wheel, read_file  # zip files and processes, which few runs need

    for left_over in wanted.folder.glob(".pull-*"):
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=wanted.folder) as name:
        temporary = Path(name)
        if source is None:
            source = download_wheel(wanted, temporary)
        for file in wanted.files.values():
            _write(temporary / file.file_name, read_file(source, file))
        for file in wanted.files.values():
            (temporary / file.file_name).replace(wanted.folder / file.file_name)
    logger.info("%s: kept in %s", wanted.name, wanted.folder)


def _status(file: WeightFile, path: Path) -> FileStatus:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return FileStatus(file, path, "missing", None)
    except OSError as error:
        raise ModelError(f"verify_weights: cannot read {path}: {error.strerror}") from error
    return FileStatus(file, path, "ok" if digest == file.sha256 else "damaged", digest)


@contextmanager
def _only_one_process(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process however that ends."""
    import fcntl  # POSIX only

    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("waiting for another process that pulls weights into %s", folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())  # else a power cut after the rename could leave the name with an empty file
