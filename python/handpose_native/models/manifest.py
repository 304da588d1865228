"""Manifests: what a model file was verified against, kept beside it so that it can be insisted on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .spec import ModelSpec

__all__ = [
    "MANIFEST_SCHEMA",
    "MANIFEST_SCHEMA_VERSION",
    "digest_of_file",
    "digest_of_spec",
    "manifest_path",
    "require_verified",
    "write_manifest",
]

MANIFEST_SCHEMA = "handpose-native-verified"
#: Raised when a field changes its meaning or goes; new fields do not raise it.
MANIFEST_SCHEMA_VERSION = 1

_BLOCK_BYTES = 1 << 20
#: Fields of a spec that do not change what a model is run with.
_FOR_THE_RECORD = ("source", "license", "sha256", "weights_sha256")


def manifest_path(model: str | os.PathLike[str]) -> Path:
    """Return where a model's manifest stands: ``unet.om.verified.json`` beside ``unet.om``."""
    path = Path(model)
    return path.with_name(f"{path.name}.verified.json")


def digest_of_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            for block in iter(lambda: file.read(_BLOCK_BYTES), b""):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def digest_of_spec(spec: ModelSpec | None) -> str:
    """Return the SHA-256 of what a spec says about running the model; empty for a model that has none."""
    if spec is None:
        return ""
    values = {name: value for name, value in spec.to_dict().items() if name not in _FOR_THE_RECORD}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def write_manifest(model: str | os.PathLike[str], values: Mapping[str, Any]) -> Path:
    """Write a manifest beside a model, whole or not at all.

    Parameters
    ----------
    model : path
    values : mapping
        Plain values, of :func:`handpose_native.verify.verify`.

    Returns
    -------
    Path

    Raises
    ------
    ModelError
        If it cannot be written.
    """
    path = manifest_path(model)
    half = path.with_name(path.name + ".part")
    try:
        half.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        half.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: the manifest cannot be written: {error.strerror}") from error
    return path


def require_verified(model: str | os.PathLike[str], spec: ModelSpec | None) -> None:
    """Insist that a model file, as it is and with this spec, passed its verification.

    Parameters
    ----------
    model : path
    spec : ModelSpec or None
        What it is going to be run with; None for the networks of hands.

    Raises
    ------
    ModelError
        If there is no manifest or it cannot be read, is of another file or spec, or says that the model failed.
    """
    name, path = os.fspath(model), manifest_path(model)
    how = f"`handpose-native verify ORIGINAL {name}` makes it"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{name}: is not verified: there is no {path.name} beside it; {how}") from None
    except OSError as error:
        raise ModelError(f"{path}: the manifest cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{path}: the manifest is not JSON: {error}; {how}") from error
    if not isinstance(values, dict) or (values.get("schema"), values.get("schema_version")) != (
        MANIFEST_SCHEMA,
        MANIFEST_SCHEMA_VERSION,
    ):
        raise ModelError(f"{path}: this is no manifest of schema {MANIFEST_SCHEMA} {MANIFEST_SCHEMA_VERSION}; {how}")
    verified = values.get("model", {})
    if verified.get("sha256") != digest_of_file(model):
        raise ModelError(f"{name}: is not the file that was verified: its SHA-256 is not that of {path.name}; {how}")
    if verified.get("spec_sha256") != digest_of_spec(spec):
        raise ModelError(f"{name}: was verified with another spec, so not as it is going to be run; {how}")
    if values.get("verdict") != "passed":
        reasons = "; ".join(map(str, values.get("failures", []))) or "no reason is given"
        raise ModelError(f"{name}: failed its verification: {reasons}")
