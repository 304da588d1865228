"""What is done with every video of a batch."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, ModelError
from ..models import is_weights_name
from ..models.weights import weight_set
from ..video.keypoints import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DRAWN_FORMATS", "KEYPOINT_FORMATS", "BatchOptions"]

KEYPOINT_FORMATS = ("jsonl", "csv", "parquet")
DRAWN_FORMATS = ("mp4", "mkv", "mov", "gif")
#: Arguments of a pipeline that say how it is run; results are the same.
_HOW = ("threads", "backend_options")


@dataclass(frozen=True)
class BatchOptions:
    """What is done with every video of a batch.

    Attributes
    ----------
    model : str or path
        As for :class:`~handpose_native.Pipeline`.
    pipeline : mapping of str to value
        The other arguments of :class:`~handpose_native.Pipeline`.
    keypoints : tuple of {"jsonl", "csv", "parquet"}
        What is written of the joints.
    drawn : {"mp4", "mkv", "mov", "gif"} or None
        What is written of the pictures with hands drawn on them.
    every : int
        Every n-th frame is worked on.
    max_frames : int or None
        No more than so many of each video.
    decoder : {"cpu", "ascend", "ascend:N"}
        What decodes the videos; see :func:`~handpose_native.open_source`.

    Raises
    ------
    ArgumentError
        If a format is none of these, or nothing is to be written.
    """

    model: str | os.PathLike[str] = "hands"
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    keypoints: tuple[str, ...] = ("jsonl",)
    drawn: str | None = None
    every: int = 1
    max_frames: int | None = None
    decoder: str = "cpu"

    def __post_init__(self) -> None:
        for name in self.keypoints:
            if name not in KEYPOINT_FORMATS:
                raise ArgumentError(f"BatchOptions: keypoints must be of {', '.join(KEYPOINT_FORMATS)}; got {name!r}")
        if self.drawn is not None and self.drawn not in DRAWN_FORMATS:
            raise ArgumentError(f"BatchOptions: drawn must be one of {', '.join(DRAWN_FORMATS)}; got {self.drawn!r}")
        if not (self.keypoints or self.drawn):
            raise ArgumentError("BatchOptions: nothing to make: keypoints is empty and drawn is None")

    def with_threads(self, threads: int) -> BatchOptions:
        """Return these options with so many threads for each network, unless they say how many."""
        if self.pipeline.get("threads") is not None:
            return self
        return replace(self, pipeline={**self.pipeline, "threads": threads})

    @property
    def needs_npu(self) -> bool:
        """Whether the networks run on an Ascend device, which one process keeps busy."""
        path = Path(self.model)
        return path.suffix.lower() == ".om" or (path.is_dir() and any(path.glob("*.om")))

    def digest(self) -> str:
        """Return 16 hexadecimal digits that differ where results may.

        They are of the model files, which are read whole, and of all options but those that say how it is run; not of
        the package's version.

        Raises
        ------
        ModelError
            If a model file cannot be read.
        """
        pipeline = {name: _plain(value) for name, value in self.pipeline.items() if name not in _HOW}
        facts = {
            "schema": SCHEMA,
            "model": _model_digests(self.model),
            "pipeline": {name: value for name, value in pipeline.items() if value is not None},
            "keypoints": sorted(set(self.keypoints)),
            "drawn": self.drawn,
            "every": self.every,
            "max_frames": self.max_frames,
        }
        if self.decoder != "cpu":  # decoders of their own may differ in a grey level
            facts["decoder"] = "ascend"
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8")).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Return what stands for a value in the digest: for a file its content."""
    if isinstance(value, (str, os.PathLike)) and Path(value).is_file():
        return _file_digest(Path(value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return repr(value)


def _model_digests(model: str | os.PathLike[str]) -> list[str]:
    path = Path(model)
    if isinstance(model, str) and is_weights_name(model) and not path.is_file():
        return [file.sha256 for _, file in sorted(weight_set(model).files.items())]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    else:
        files = [path, *(spec for spec in [path.with_suffix(".json")] if spec.is_file())]
    return [f"{file.name} {_file_digest(file)}" for file in files]


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for part in iter(lambda: file.read(1 << 20), b""):
                digest.update(part)
    except OSError as error:
        raise ModelError(f"BatchOptions: cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()
