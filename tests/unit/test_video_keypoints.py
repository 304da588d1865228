"""Keypoint files, read back with the plain json and csv modules."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from handpose_native.errors import ArgumentError, VideoError
from handpose_native.picture import Picture
from handpose_native.skeleton import JOINT_NAMES
from handpose_native.types import FrameResult, Hand
from handpose_native.video import SourceInfo, open_keypoint_writer, read_keypoints

ROOT = Path(__file__).resolve().parents[2]


def result(index: int, hands: list[Hand]) -> FrameResult:
    return FrameResult(index, index / 30, Picture.from_bgr(np.zeros((48, 64, 3), np.uint8)), hands)


def full_hand() -> Hand:
    points = np.arange(42, dtype=np.float32).reshape(21, 2) * 1.2345
    world = np.linspace(-0.1, 0.1, 63, dtype=np.float32).reshape(21, 3)
    return Hand(points, np.linspace(0, 1, 21, dtype=np.float32), 0.98765, "left", 0.75, world, None, 3)


def unknown_hand() -> Hand:
    points = np.full((21, 2), np.nan, np.float32)
    points[0] = (1.5, np.inf)
    return Hand(points, np.full(21, np.nan, np.float32))


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    info = SourceInfo("clip.mp4", "video", 64, 48, Fraction(30000, 1001), 3)
    with open_keypoint_writer(path, source=info) as writer:
        writer.write(result(0, [full_hand(), unknown_hand()]))
        writer.write(result(2, []))
    header, first, second = (json.loads(line, parse_constant=refuse) for line in path.read_text("utf-8").splitlines())
    assert header["schema"] == "handpose_native.keypoints/1"
    assert header["joints"] == list(JOINT_NAMES)
    assert header["source"] == {
        "name": "clip.mp4",
        "kind": "video",
        "width": 64,
        "height": 48,
        "fps": "30000/1001",
        "frame_count": 3,
    }
    assert second == {"frame": 2, "time_s": 0.066667, "width": 64, "height": 48, "hands": []}
    hand, unknown = first["hands"]
    assert (hand["track_id"], hand["presence"], hand["handedness"], hand["handedness_score"]) == (
        3,
        0.988,
        "left",
        0.75,
    )
    keypoints = np.array(hand["keypoints"])
    assert keypoints.shape == (21, 3)
    np.testing.assert_allclose(keypoints[:, :2], full_hand().keypoints, atol=0.005001)
    np.testing.assert_allclose(keypoints[:, 2], full_hand().scores, atol=0.0005001)
    np.testing.assert_allclose(hand["world"], full_hand().world, atol=0.0000051)
    assert unknown["keypoints"][0] == [1.5, None, None]
    assert unknown["keypoints"][1] == [None, None, None]
    assert [unknown[key] for key in ("track_id", "presence", "handedness", "handedness_score", "world")] == [None] * 5


def test_reader(tmp_path: Path) -> None:
    with open_keypoint_writer(tmp_path / "a.jsonl") as writer:
        for index in range(3):
            writer.write(result(index, [full_hand()] * index))
    header, frames = read_keypoints(tmp_path / "a.jsonl")
    assert header["source"] is None
    assert [len(frame["hands"]) for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "schema"), ('{"schema":"other/1"}\n', "other/1"), ("no json\n", "line 1 is not JSON"), ("3\n", "line 1")],
)
def test_reader_refuses_other_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(VideoError, match=message):
        read_keypoints(tmp_path / "a.jsonl")
    with pytest.raises(VideoError, match="cannot be read: No such file"):
        read_keypoints(tmp_path / "missing.jsonl")


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with open_keypoint_writer(path) as writer:
        writer.write(result(0, []))
        writer.write(result(1, [unknown_hand(), full_hand()]))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 42
    assert {row["schema_version"] for row in rows} == {"1"}
    first, last = rows[0], rows[-1]
    assert [first[key] for key in ("frame", "time_s", "hand", "track_id", "handedness", "presence")] == [
        "1",
        "0.033333",
        "0",
        "",
        "",
        "",
    ]
    assert [first[key] for key in ("joint", "name", "x", "y", "score", "world_x")] == ["0", "wrist", "1.5", "", "", ""]
    assert [last[key] for key in ("hand", "track_id", "handedness", "handedness_score", "presence")] == [
        "1",
        "3",
        "left",
        "0.75",
        "0.988",
    ]
    assert [last[key] for key in ("joint", "name", "score", "world_z")] == ["20", "little_tip", "1.0", "0.1"]
    assert float(last["x"]) == pytest.approx(40 * 1.2345, abs=0.005)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_every_frame_is_on_the_disk_at_once(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("an older file")
    writer = open_keypoint_writer(path)
    assert path.read_text() == "an older file"
    sizes = []
    for index in range(3):
        writer.write(result(index, [full_hand()]))
        sizes.append(path.stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]
    assert path.read_text().endswith("\n")
    assert (writer.name, writer.frames_written, writer.problems) == (str(path), 3, [])
    writer.close()
    writer.close()
    with pytest.raises(VideoError, match="is closed"):
        writer.write(result(3, []))


def test_no_frame_no_file(tmp_path: Path) -> None:
    with open_keypoint_writer(tmp_path / "a.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_wrong_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match=r"\.jsonl, \.csv or \.parquet; got .*a\.json"):
        open_keypoint_writer(tmp_path / "a.json")
    with pytest.raises(VideoError, match="does not exist"):
        open_keypoint_writer(tmp_path / "nowhere" / "a.csv")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(VideoError, match="no permission"):
        open_keypoint_writer(tmp_path / "a.csv")


FULL_DISK = """
import resource, signal, sys
from handpose_native.errors import VideoError
from handpose_native.video import open_keypoint_writer
from tests.unit.test_video_keypoints import full_hand, result
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
writer = open_keypoint_writer(sys.argv[1])
try:
    for index in range(1000):
        writer.write(result(index, [full_hand()]))
except VideoError as error:
    print(error)
writer.close()
"""


def test_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout == f"{path}: cannot be written: File too large\n"
    _, frames = read_keypoints(path)
    assert [frame["frame"] for frame in frames] == list(range(len(path.read_text().splitlines()) - 1))
