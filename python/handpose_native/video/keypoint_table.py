"""Keypoints as Apache Parquet: a table by columns, in the schema that docs/keypoints.md describes."""

from __future__ import annotations

import contextlib
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import missing_dependency
from ..skeleton import JOINT_NAMES, NUM_JOINTS
from .keypoint_writer import SCHEMA, UNITS, KeypointWriter, describe_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ..types import FrameResult, Hand
    from .base import SourceInfo

__all__ = ["TableWriter"]

#: Rows that are gathered and written at once: 8 MB of joints, nine minutes of one hand at 30 frames per second.
_ROWS_PER_GROUP = 16_384
_COORDINATES = ("x", "y", "score", "world_x", "world_y", "world_z")
_SIDES = ("left", "right")


class TableWriter(KeypointWriter):
    """Writes Parquet in row groups, in memory that does not grow.

    A Parquet file can be read only once it is finished. So it grows under another name, and gets its own when it is
    closed, after an error too: whatever bears the name is whole.

    Raises
    ------
    MissingDependencyError
        If pyarrow is not installed.
    """

    def __init__(self, path: Path, source: SourceInfo | None) -> None:
        super().__init__(path, source)
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise missing_dependency(error, "pyarrow", "to write Parquet", "handpose_native[parquet]") from error
        self._arrow = pyarrow
        # Links are followed, so that the file is replaced and not the link to it.
        self._target = path.resolve()
        self._growing = self._target.with_name(f".{self._target.name}.part")
        self._file: Any = None
        self._rows = _Rows()

    def _write(self, result: FrameResult) -> None:
        if self._file is None:
            schema = _schema(self._arrow, self._source)
            coordinates = [f"{name}.list.element" for name in _COORDINATES]
            self._file = self._arrow.parquet.ParquetWriter(
                str(self._growing),
                schema,
                compression="zstd",
                use_dictionary=["handedness"],
                # Measured on a real hand: 407 instead of 687 bytes a frame, because exponents and signs are alike.
                use_byte_stream_split=coordinates,
            )
        if self._rows.count + max(len(result.hands), 1) > _ROWS_PER_GROUP:
            self._flush()
        self._rows.add(result)

    def _flush(self) -> None:
        if self._rows.count:
            self._file.write_batch(self._rows.to_batch(self._arrow, self._file.schema))
            self._rows.count = 0

    def _finish(self) -> None:
        if self._file is None:
            return
        try:
            self._flush()
            self._file.close()
            self._growing.replace(self._target)
        finally:
            with contextlib.suppress(OSError):
                self._growing.unlink()


class _Rows:
    """Rows that wait to be written: one per hand, or one for a frame without any."""

    def __init__(self) -> None:
        self.count = 0
        size = _ROWS_PER_GROUP
        self._whole = {name: np.zeros(size, np.int64) for name in ("frame", "width", "height", "hand", "track_id")}
        self._real = {name: np.zeros(size) for name in ("time_s", "handedness_score", "presence")}
        self._side = np.zeros(size, np.int8)
        self._points = np.zeros((len(_COORDINATES), size, NUM_JOINTS), np.float32)
        self._known = {name: np.zeros(size, bool) for name in ("hand", "track_id", "handedness", "world")}

    def add(self, result: FrameResult) -> None:
        """Add a frame, for which there is room."""
        if not result.hands:
            self._begin(result, None)
        for number, hand in enumerate(result.hands):
            self._begin(result, number)
            self._add_hand(hand)

    def _begin(self, result: FrameResult, hand: int | None) -> None:
        row, self.count = self.count, self.count + 1
        picture = result.picture
        numbers = {"frame": result.index, "width": picture.width, "height": picture.height, "hand": hand or 0}
        for name, value in numbers.items():
            self._whole[name][row] = value
        self._real["time_s"][row] = result.pts_s
        for known in self._known.values():
            known[row] = False
        self._known["hand"][row] = hand is not None
        self._real["presence"][row] = self._real["handedness_score"][row] = math.nan

    def _add_hand(self, hand: Hand) -> None:
        row = self.count - 1
        self._real["presence"][row] = hand.presence
        self._real["handedness_score"][row] = hand.handedness_score
        if hand.track_id is not None:
            self._whole["track_id"][row], self._known["track_id"][row] = hand.track_id, True
        if hand.handedness is not None:
            self._side[row], self._known["handedness"][row] = _SIDES.index(hand.handedness), True
        self._points[0:2, row] = hand.keypoints.T
        self._points[2, row] = hand.scores
        if hand.world is not None:
            self._points[3:6, row], self._known["world"][row] = hand.world.T, True

    def to_batch(self, arrow: Any, schema: Any) -> Any:
        """Return the rows as a record batch of the schema."""
        count, known = self.count, self._known
        sides = arrow.DictionaryArray.from_arrays(
            arrow.array(self._side[:count], mask=~known["handedness"][:count]), arrow.array(_SIDES)
        )
        columns = {
            **{name: arrow.array(self._whole[name][:count]) for name in ("frame", "width", "height")},
            **{
                name: arrow.array(self._whole[name][:count], mask=~known[name][:count]) for name in ("hand", "track_id")
            },
            **{name: _finite(arrow, values[:count]) for name, values in self._real.items()},
            "handedness": sides,
        }
        for number, name in enumerate(_COORDINATES):
            there = known["world" if name.startswith("world") else "hand"][:count]
            columns[name] = _lists(arrow, self._points[number, :count], there)
        return arrow.record_batch([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _finite(arrow: Any, values: NDArray[Any]) -> Any:
    return arrow.array(values, mask=~np.isfinite(values))


def _lists(arrow: Any, values: NDArray[np.float32], there: NDArray[np.bool_]) -> Any:
    """Return rows of joints as lists, null where there are none; a joint that is not finite is null."""
    lengths = np.where(there, NUM_JOINTS, 0)
    offsets = arrow.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    flat = _finite(arrow, values[there].reshape(-1))
    return arrow.ListArray.from_arrays(offsets, flat, mask=arrow.array(~there))


def _schema(arrow: Any, source: SourceInfo | None) -> Any:
    joints = arrow.list_(arrow.float32())
    types = {
        "frame": arrow.int64(),
        "time_s": arrow.float64(),
        "width": arrow.int32(),
        "height": arrow.int32(),
        "hand": arrow.int32(),
        "track_id": arrow.int64(),
        "handedness": arrow.dictionary(arrow.int8(), arrow.string()),
        "handedness_score": arrow.float32(),
        "presence": arrow.float32(),
        **dict.fromkeys(_COORDINATES, joints),
    }
    always = ("frame", "time_s", "width", "height")
    notes = {
        "schema": SCHEMA,
        "source": json.dumps(describe_source(source)),
        "joints": json.dumps(JOINT_NAMES),
        "units": json.dumps(UNITS),
    }
    fields = [arrow.field(name, kind, nullable=name not in always) for name, kind in types.items()]
    return arrow.schema(fields, metadata={f"handpose_native.{key}": value for key, value in notes.items()})
