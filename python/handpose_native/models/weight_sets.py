"""Which weights there are: files, digests, origin, and where they are kept."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..errors import ArgumentError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ALIASES",
    "FOLDER_VARIABLE",
    "WEIGHTS",
    "WeightFile",
    "WeightSet",
    "is_weights_name",
    "weight_set",
    "weights_folder",
]


@dataclass(frozen=True)
class WeightFile:
    """One model file.

    Attributes
    ----------
    file_name : str
    sha256 : str
        64 lower-case hexadecimal digits.
    size_bytes : int
    wheel_member : str
        Its path in the wheel.
    """

    file_name: str
    sha256: str
    size_bytes: int
    wheel_member: str


@dataclass(frozen=True)
class WeightSet:
    """The files that one default model consists of.

    Attributes
    ----------
    name : str
    files : mapping of str to WeightFile
        By role: ``"palm"`` and ``"landmarks"``.
    source : str
        Where the weights come from.
    license : str
        Of the weights.
    package : str
        The release whose wheel holds them, as pip is asked for it.
    package_bytes : int
        What pip has to fetch for it.
    """

    name: str
    files: Mapping[str, WeightFile]
    source: str
    license: str
    package: str
    package_bytes: int

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def folder(self) -> Path:
        """Where the files are kept; the release is in its name, so that one of another release is another file."""
        return weights_folder() / self.package.replace("==", "-")

    @property
    def paths(self) -> dict[str, Path]:
        """Where each file is kept, by role, whether it is there or not."""
        return {role: self.folder / file.file_name for role, file in self.files.items()}


def _mediapipe_hands(variant: str, palm: tuple[str, int], landmarks: tuple[str, int]) -> WeightSet:
    def file(module: str, digest_and_size: tuple[str, int]) -> WeightFile:
        file_name = f"{module}_{variant}.tflite"
        return WeightFile(file_name, *digest_and_size, f"mediapipe/modules/{module}/{file_name}")

    return WeightSet(
        name=f"hands-{variant}",
        files=MappingProxyType({"palm": file("palm_detection", palm), "landmarks": file("hand_landmark", landmarks)}),
        source="https://github.com/google-ai-edge/mediapipe",
        license="Apache-2.0",
        package="mediapipe==0.10.21",  # newer wheels hold no models
        package_bytes=35_622_638,
    )


#: What can be pulled, by name. Digests and sizes are those of the files in the wheel.
WEIGHTS: Mapping[str, WeightSet] = MappingProxyType(
    {
        "hands-full": _mediapipe_hands(
            "full",
            palm=("1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54", 2_339_846),
            landmarks=("11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3", 5_478_917),
        ),
        "hands-lite": _mediapipe_hands(
            "lite",
            palm=("e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18", 1_985_440),
            landmarks=("048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6", 2_071_597),
        ),
    }
)

#: Other names of the same.
ALIASES: Mapping[str, str] = MappingProxyType({"hands": "hands-full"})

#: Names another folder than the user's cache folder.
FOLDER_VARIABLE = "HANDPOSE_NATIVE_CACHE"


def is_weights_name(name: object) -> bool:
    """Tell whether `name` is one that weights can be pulled by; no other type than str ever is."""
    return isinstance(name, str) and (name in WEIGHTS or name in ALIASES)


def weight_set(name: str) -> WeightSet:
    """Look up the weights of a name or alias.

    Raises
    ------
    ArgumentError
        If there are none of that name.
    """
    if not is_weights_name(name):
        raise ArgumentError(f"weight_set: name must be one of {', '.join((*ALIASES, *WEIGHTS))}; got {name!r}")
    return WEIGHTS[ALIASES.get(name, name)]


def weights_folder() -> Path:
    """Tell where weights are kept, whether the folder is there or not.

    Returns
    -------
    Path
        Absolute: ``weights`` in the folder that the environment variable ``HANDPOSE_NATIVE_CACHE`` names, else in the
        user's cache folder for this package.

    Raises
    ------
    ModelError
        If the user has no home folder and the variable is not set.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).absolute() / "weights"
    from platformdirs import user_cache_dir

    folder = None
    with suppress(RuntimeError):  # raised by new releases; old ones leave the "~" as it is
        folder = Path(user_cache_dir("handpose_native", appauthor=False))
    if folder is None or not folder.is_absolute():
        raise ModelError(f"weights_folder: this user has no home folder; {FOLDER_VARIABLE} must name a folder")
    return folder / "weights"
