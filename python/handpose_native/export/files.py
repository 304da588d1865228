"""Writing a model and its spec, whole or not at all."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError, missing_dependency
from ..models import METADATA_KEY

if TYPE_CHECKING:
    from ..models import ModelSpec

__all__ = ["check_target", "digest_of", "require_packages", "spec_metadata", "write_model"]


def require_packages(purpose: str, **extras: str) -> None:
    """Import optional packages before any work is done.

    Parameters
    ----------
    purpose : str
        What they are needed for, as ``"to write .onnx models"``.
    **extras : str
        By package: the extra that installs it.

    Raises
    ------
    MissingDependencyError
        If one is not installed.
    """
    for package, extra in extras.items():
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise missing_dependency(error, package, purpose, f"handpose_native[{extra}]") from error


def check_target(path: str | os.PathLike[str]) -> Path:
    """Refuse an output that is no ``.onnx`` file in a folder that exists, before any work is done.

    Raises
    ------
    ModelError
    """
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise ModelError(f"export: the output must be a .onnx file; got {os.fspath(path)}")
    if not target.parent.is_dir():
        raise ModelError(f"export: there is no folder {target.parent} for {target.name}")
    return target


def digest_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error


def spec_metadata(spec: ModelSpec) -> dict[str, str]:
    """Return the spec as the text that a model file carries."""
    return {METADATA_KEY: json.dumps(spec.to_dict())}


def write_model(content: bytes, spec: ModelSpec, target: Path) -> ModelSpec:
    """Write a model and, beside it, its spec with the SHA-256 of the file.

    Each file appears under its name when it is complete.

    Parameters
    ----------
    content : bytes
        Of the model file.
    spec : ModelSpec
    target : Path
        The spec gets the same name with the suffix ``.json``.

    Returns
    -------
    ModelSpec
        As written.

    Raises
    ------
    ModelError
        If a file cannot be written.
    """
    written = replace(spec, sha256=hashlib.sha256(content).hexdigest())
    text = json.dumps(written.to_dict(), indent=2) + "\n"
    _replace(target, content)
    _replace(target.with_suffix(".json"), text.encode("utf-8"))
    return written


def _replace(target: Path, content: bytes) -> None:
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(temporary).chmod(0o644)
        os.replace(temporary, target)  # noqa: PTH105
    except OSError as error:
        raise ModelError(f"export: {target} cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
