"""Keypoints as Parquet, read back with pyarrow alone and compared with JSON Lines of the same frames."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handpose_native.errors import MissingDependencyError, VideoError
from handpose_native.picture import Picture
from handpose_native.skeleton import JOINT_NAMES
from handpose_native.types import FrameResult, Hand
from handpose_native.video import SourceInfo, keypoint_table, open_keypoint_writer, read_keypoints

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow reads and writes Parquet")

COORDINATES = ("x", "y", "score", "world_x", "world_y", "world_z")


def result(index: int, hands: list[Hand]) -> FrameResult:
    return FrameResult(index, index / 30, Picture.from_bgr(np.zeros((48, 64, 3), np.uint8)), hands)


def some_hand(rng: np.random.Generator, number: int) -> Hand:
    """A hand; what a model may not tell is missing now and then."""
    points = rng.uniform(-10, 2000, (21, 2)).astype(np.float32)
    scores = rng.uniform(0, 1, 21).astype(np.float32)
    if number % 3 == 0:
        points[rng.integers(21)] = np.nan
        scores[rng.integers(21)] = np.nan
        return Hand(points, scores)
    world = rng.normal(0, 0.1, (21, 3)).astype(np.float32)
    return Hand(points, scores, 0.75, "left" if number % 2 else "right", 0.625, world, None, number)


def frames(count: int) -> list[FrameResult]:
    rng = np.random.default_rng(5)
    return [result(2 * index, [some_hand(rng, index + n) for n in range(index % 3)]) for index in range(count)]


def rows_of(frames: list[FrameResult]) -> list[dict[str, Any]]:
    """What docs/keypoints.md says the rows are."""
    rows = []
    for frame in frames:
        start = {"frame": frame.index, "time_s": frame.pts_s, "width": 64, "height": 48}
        if not frame.hands:
            empty = ("hand", "track_id", "handedness", "handedness_score", "presence", *COORDINATES)
            rows.append({**start, **dict.fromkeys(empty)})
        for number, hand in enumerate(frame.hands):
            joints = np.full((21, 6), np.nan, np.float32)
            joints[:, :2], joints[:, 2] = hand.keypoints, hand.scores
            if hand.world is not None:
                joints[:, 3:] = hand.world
            lists = {name: numbers(joints[:, column]) for column, name in enumerate(COORDINATES)}
            if hand.world is None:
                lists.update(dict.fromkeys(COORDINATES[3:]))
            known = {"hand": number, "track_id": hand.track_id, "handedness": hand.handedness}
            scores = {"handedness_score": number_of(hand.handedness_score), "presence": number_of(hand.presence)}
            rows.append({**start, **known, **scores, **lists})
    return rows


def number_of(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def numbers(values: Any) -> list[float | None]:
    return [number_of(float(value)) for value in values]


def write(path: Path, results: list[FrameResult]) -> None:
    info = SourceInfo("clip.mp4", "video", 64, 48, Fraction(30000, 1001), 3)
    with open_keypoint_writer(path, source=info) as writer:
        for one in results:
            writer.write(one)


def test_rows_are_exactly_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across the ends of row groups."""
    monkeypatch.setattr(keypoint_table, "_ROWS_PER_GROUP", 7)
    results = frames(40)
    write(tmp_path / "a.parquet", results)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.to_pylist() == rows_of(results)
    groups = parquet.ParquetFile(tmp_path / "a.parquet").metadata
    assert groups.num_row_groups == pytest.approx(table.num_rows / 7, abs=3)


def test_schema_names_types_and_notes(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", frames(3))
    schema = parquet.read_schema(tmp_path / "a.parquet")
    # Old versions of pyarrow read indices as int32.
    types = {field.name: str(field.type).replace("int32, ordered", "int8, ordered") for field in schema}
    assert types == {
        "frame": "int64",
        "time_s": "double",
        "width": "int32",
        "height": "int32",
        "hand": "int32",
        "track_id": "int64",
        "handedness": "dictionary<values=string, indices=int8, ordered=0>",
        "handedness_score": "float",
        "presence": "float",
        **dict.fromkeys(COORDINATES, "list<element: float>"),
    }
    notes = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert notes["handpose_native.schema"] == "handpose_native.keypoints/1"
    assert json.loads(notes["handpose_native.joints"]) == list(JOINT_NAMES)
    assert json.loads(notes["handpose_native.source"])["fps"] == "30000/1001"
    assert json.loads(notes["handpose_native.units"])["world"] == "m"


def test_it_says_the_same_as_json_lines(tmp_path: Path) -> None:
    results = frames(20)
    for name in ("a.parquet", "a.jsonl"):
        write(tmp_path / name, results)
    rows = [row for row in parquet.read_table(tmp_path / "a.parquet").to_pylist() if row["hand"] is not None]
    hands = [(record["frame"], hand) for record in read_keypoints(tmp_path / "a.jsonl")[1] for hand in record["hands"]]
    assert len(rows) == len(hands)
    for row, (frame, hand) in zip(rows, hands):
        assert (row["frame"], row["track_id"], row["handedness"]) == (frame, hand["track_id"], hand["handedness"])
        points = np.array(hand["keypoints"], float)
        for column, (name, tolerance) in enumerate((("x", 0.00502), ("y", 0.00502), ("score", 0.000502))):
            np.testing.assert_allclose(np.array(row[name], float), points[:, column], atol=tolerance, rtol=0)


def test_the_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"precious")
    writer = open_keypoint_writer(path)
    for one in frames(5):
        writer.write(one)
    assert path.read_bytes() == b"precious"
    writer.close()
    writer.close()
    assert parquet.read_table(path).num_rows == len(rows_of(frames(5)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]
    with pytest.raises(VideoError, match="closed"):
        writer.write(frames(1)[0])


def test_memory_does_not_grow_with_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Arrow's own memory; the rows that wait are in arrays made once."""
    monkeypatch.setattr(keypoint_table, "_ROWS_PER_GROUP", 64)
    arrow = pytest.importorskip("pyarrow")
    results = frames(64)
    held = []
    with open_keypoint_writer(tmp_path / "a.parquet") as writer:
        for _ in range(12):
            for one in results:
                writer.write(one)
            held.append(arrow.total_allocated_bytes())
    assert max(held[6:]) <= max(held[:6]) + 64 * 1024


def test_nothing_is_created_without_a_frame(tmp_path: Path) -> None:
    with open_keypoint_writer(tmp_path / "a.parquet"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"precious")
    code = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[2]); import test_video_keypoint_table as t\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from pathlib import Path\n"
        "try: t.write(Path(sys.argv[1]), t.frames(400))\n"
        "except t.VideoError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    assert "a.parquet: cannot be written" in done.stdout
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match=r"handpose_native\[parquet\]"):
        open_keypoint_writer(tmp_path / "a.parquet")
