"""Keypoints as files: JSON Lines, CSV and Parquet, in the schema that docs/keypoints.md describes."""

from __future__ import annotations

import csv
import json
import math
import os
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, VideoError
from ..skeleton import JOINT_NAMES
from .base import check_output_path, reason_of
from .keypoint_table import TableWriter
from .keypoint_writer import SCHEMA, SCHEMA_VERSION, UNITS, KeypointWriter, describe_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..types import FrameResult, Hand
    from .base import SourceInfo

__all__ = [
    "SCHEMA",
    "KeypointWriter",
    "frame_record",
    "header_record",
    "json_text",
    "open_keypoint_writer",
    "read_keypoints",
]

_PIXEL_DECIMALS, _SCORE_DECIMALS, _WORLD_DECIMALS, _TIME_DECIMALS = 2, 3, 5, 6
_CSV_COLUMNS = (
    "frame",
    "time_s",
    "hand",
    "track_id",
    "handedness",
    "handedness_score",
    "presence",
    "joint",
    "name",
    "x",
    "y",
    "score",
    "world_x",
    "world_y",
    "world_z",
    "schema_version",
)


class _TextWriter(KeypointWriter):
    """Writes lines; those of a frame are on their way to the disk when `write` returns."""

    def __init__(self, path: Path, source: SourceInfo | None) -> None:
        super().__init__(path, source)
        self._file: Any = None

    def _write(self, result: FrameResult) -> None:
        text = self._text(result)
        if self._file is None:
            self._file = self._path.open("wb", buffering=0)
            text = self._header() + text
        self._append(text.encode("utf-8"))

    def _finish(self) -> None:
        if self._file is not None:
            self._file.close()

    def _append(self, data: bytes) -> None:
        """Write all of it or, where the disk is full, nothing: half a line would spoil the file for strict readers."""
        end = self._file.tell()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(end)
            raise

    @abstractmethod
    def _header(self) -> str:
        """Return what stands before the first frame."""

    @abstractmethod
    def _text(self, result: FrameResult) -> str:
        """Return the lines of a frame."""


class _JsonLinesWriter(_TextWriter):
    def _header(self) -> str:
        return json_text(header_record(self._source)) + "\n"

    def _text(self, result: FrameResult) -> str:
        picture = result.picture
        return json_text(frame_record(result.index, result.pts_s, picture.width, picture.height, result.hands)) + "\n"


class _CsvWriter(_TextWriter):
    def _header(self) -> str:
        return _csv_lines([_CSV_COLUMNS])

    def _text(self, result: FrameResult) -> str:
        time_s = round(float(result.pts_s), _TIME_DECIMALS)
        rows: list[list[Any]] = []
        for number, hand in enumerate(result.hands):
            points = _rounded(hand.keypoints, _PIXEL_DECIMALS)
            scores = _rounded(hand.scores, _SCORE_DECIMALS)
            world = [[None] * 3] * len(points) if hand.world is None else _rounded(hand.world, _WORLD_DECIMALS)
            start = [int(result.index), time_s, number, hand.track_id, hand.handedness]
            start += [_rounded(value, _SCORE_DECIMALS) for value in (hand.handedness_score, hand.presence)]
            rows.extend(
                [*start, joint, JOINT_NAMES[joint], *points[joint], scores[joint], *world[joint], SCHEMA_VERSION]
                for joint in range(len(points))
            )
        return _csv_lines(rows)


def open_keypoint_writer(path: str | os.PathLike[str], *, source: SourceInfo | None = None) -> KeypointWriter:
    """Open an output for keypoints.

    Parameters
    ----------
    path : str or path
        ``.jsonl``: one JSON object per line, a header and then one per frame; ``.csv``: a table with one row per joint;
        ``.parquet``: a table by columns with one row per hand, which can be read once it is closed.
    source : SourceInfo, optional
        Where the frames come from; it is noted in the header of JSON Lines.

    Returns
    -------
    KeypointWriter
        Nothing is created before its first frame.

    Raises
    ------
    ArgumentError
        If the suffix is none of these.
    VideoError
        If the folder does not exist or cannot be written to.
    MissingDependencyError
        If pyarrow, for Parquet, is not installed.
    """
    target = Path(path)
    writers: dict[str, type[KeypointWriter]] = {
        ".jsonl": _JsonLinesWriter,
        ".csv": _CsvWriter,
        ".parquet": TableWriter,
    }
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise ArgumentError(f"open_keypoint_writer: path must end in .jsonl, .csv or .parquet; got {os.fspath(path)!r}")
    check_output_path(target)
    return writer(target, source)


def read_keypoints(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """Read a file of JSON Lines that `open_keypoint_writer` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    header : dict
        The first line.
    frames : iterator of dict
        The other lines as they are read, one frame each.

    Raises
    ------
    VideoError
        If the file cannot be read, or is not of this schema and version; also while iterating.
    """
    lines = _json_lines(Path(path))
    header = next(lines, {})
    schema = header.get("schema")
    if schema != SCHEMA:
        raise VideoError(f"{path}: not a file of keypoints: the schema should be {SCHEMA}; got {schema!r}")
    return header, lines


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise VideoError(f"{path}: line {number} is not an object")
                yield value
    except VideoError:
        raise
    except OSError as error:
        raise VideoError(f"{path}: cannot be read: {reason_of(error)}") from error
    except ValueError as error:
        raise VideoError(f"{path}: line {number or 1} is not JSON") from error


def json_text(value: Any) -> str:
    """Return strict JSON in one line, without spaces."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def header_record(source: SourceInfo | None) -> dict[str, Any]:
    """Return what stands in the first line of JSON Lines."""
    return {"schema": SCHEMA, "source": describe_source(source), "joints": list(JOINT_NAMES), "units": UNITS}


def frame_record(index: int, pts_s: float, width: int, height: int, hands: Sequence[Hand]) -> dict[str, Any]:
    """Return what stands in the line of a frame of JSON Lines; arguments as in :class:`FrameResult`."""
    return {
        "frame": int(index),
        "time_s": round(float(pts_s), _TIME_DECIMALS),
        "width": width,
        "height": height,
        "hands": [_json_hand(hand) for hand in hands],
    }


def _json_hand(hand: Hand) -> dict[str, Any]:
    points = _rounded(hand.keypoints, _PIXEL_DECIMALS)
    scores = _rounded(hand.scores, _SCORE_DECIMALS)
    return {
        "track_id": hand.track_id,
        "presence": _rounded(hand.presence, _SCORE_DECIMALS),
        "handedness": hand.handedness,
        "handedness_score": _rounded(hand.handedness_score, _SCORE_DECIMALS),
        "keypoints": [[*point, score] for point, score in zip(points, scores)],
        "world": None if hand.world is None else _rounded(hand.world, _WORLD_DECIMALS),
    }


def _rounded(values: Any, decimals: int) -> Any:
    """Return the numbers as Python's, rounded, None for what is not finite."""
    rounded = np.round(np.asarray(values, np.float64), decimals)
    if np.isfinite(rounded).all():
        return rounded.tolist()
    return _without_nan(rounded.tolist())


def _without_nan(values: Any) -> Any:
    if isinstance(values, list):
        return [_without_nan(value) for value in values]
    return values if math.isfinite(values) else None


class _Lines:
    """Collects the rows of a csv.writer."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, row: str) -> None:
        self.text += row


def _csv_lines(rows: Any) -> str:
    lines = _Lines()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.text
