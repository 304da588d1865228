"""Which videos a batch consists of, when its options are the same, and its record of what is done."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from handpose_native.batch import BatchOptions, Manifest, Outcome, Video, find_videos
from handpose_native.errors import ArgumentError, ModelError, VideoError


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(videos: list[Video]) -> list[str]:
    return [video.name for video in videos]


def test_a_folder_is_searched_but_for_hidden_ones_and_the_results(tmp_path: Path) -> None:
    for name in ("b.MP4", "a.mkv", "sub/deep/c.mov", "notes.txt", ".hidden.mp4", ".git/d.mp4", "out/a.mkv.mp4"):
        touch(tmp_path / name)
    videos = find_videos(tmp_path, leave_out=tmp_path / "out")
    assert names(videos) == ["a.mkv", "b.MP4", "sub/deep/c.mov"]
    assert videos[0].path == str(tmp_path / "a.mkv")
    assert videos[0].size_bytes == 1
    assert videos[0].mtime_ns == (tmp_path / "a.mkv").stat().st_mtime_ns


def test_a_list_names_files_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "lists" / "videos" / "ä b.mp4")
    outside = touch(tmp_path / "other" / "x.bin")
    listed = ["# a list", "", "videos/ä b.mp4", " ../other/x.bin ", "missing.mp4", str(outside)]
    (tmp_path / "lists" / "all.txt").write_text("\n".join(listed), encoding="utf-8")
    monkeypatch.chdir("/")
    videos = find_videos(tmp_path / "lists" / "all.txt")
    whole = outside.relative_to("/").as_posix()
    assert names(videos) == ["videos/ä b.mp4", whole, "missing.mp4"]
    assert [video.size_bytes for video in videos] == [1, 1, None]
    assert Path(videos[1].path).samefile(outside)


def test_videos_themselves_and_each_once(tmp_path: Path) -> None:
    first, second = touch(tmp_path / "a" / "1.mp4"), touch(tmp_path / "b" / "2.mp4")
    assert names(find_videos([first, second, first])) == ["1.mp4", "2.mp4"]


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.mp4")
    touch(tmp_path / "b" / "1.mp4")
    with pytest.raises(ArgumentError, match=r"the name 1\.mp4.*common folder"):
        find_videos([tmp_path / "a", tmp_path / "b"])


def test_results_need_a_folder_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path / "1.mp4")
    with pytest.raises(ArgumentError, match="folder of results, too"):
        find_videos(tmp_path, leave_out=tmp_path / "sub" / "..")


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no video in"):
        find_videos(tmp_path)
    with pytest.raises(VideoError, match=r"nowhere.txt cannot be read: No such file"):
        find_videos(tmp_path / "nowhere.txt")
    with pytest.raises(VideoError, match="not a folder, a video by its suffix, or a list"):
        find_videos(touch(tmp_path / "picture.png", b"\x89PNG\xff\xfe"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return touch(tmp_path / "model.onnx", b"weights")


def test_the_digest_differs_where_results_may(model: Path) -> None:
    options = BatchOptions(model, pipeline={"max_hands": 2, "threads": 1})
    same = [
        options,
        BatchOptions(
            str(model), pipeline={"max_hands": 2, "threads": 4, "spec": None, "backend_options": {"slots": 3}}
        ),
        options.with_threads(7),
        replace(options, decoder="cpu"),
    ]
    assert len({one.digest() for one in same}) == 1
    others = [
        replace(options, pipeline={"max_hands": 1}),
        replace(options, pipeline={"max_hands": 2, "roi": (0.0, 0.0, 5.0, 5.0)}),
        replace(options, keypoints=("jsonl", "csv")),
        replace(options, drawn="mp4"),
        replace(options, every=2),
        replace(options, max_frames=9),
        replace(options, decoder="ascend"),
        replace(options, model="hands"),
        replace(options, model="hands-lite"),
    ]
    assert len({one.digest() for one in [options, *others]}) == 10


def test_the_digest_is_of_the_files_not_of_their_names(model: Path, tmp_path: Path) -> None:
    before = BatchOptions(model).digest()
    moved = touch(tmp_path / "elsewhere" / "model.onnx", b"weights")
    assert BatchOptions(moved).digest() == before
    touch(model, b"other weights")
    assert BatchOptions(model).digest() != before
    touch(model, b"weights")
    touch(model.with_suffix(".json"), b"{}")
    assert BatchOptions(model).digest() != before
    with pytest.raises(ModelError, match=r"nowhere\.onnx: No such file"):
        BatchOptions(tmp_path / "nowhere.onnx").digest()


def test_models_that_run_on_a_device(model: Path) -> None:
    assert not BatchOptions(model).needs_npu
    assert not BatchOptions("hands").needs_npu
    assert BatchOptions("hand.om").needs_npu
    touch(model.with_name("palm_detection.om"))
    assert BatchOptions(model.parent).needs_npu


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keypoints": ("json",)}, "keypoints must be of jsonl, csv, parquet; got 'json'"),
        ({"drawn": "avi"}, "drawn must be one of mp4, mkv, mov, gif; got 'avi'"),
        ({"keypoints": ()}, "nothing to make"),
    ],
)
def test_options_that_cannot_be(values: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        BatchOptions(**values)  # type: ignore[arg-type]


VIDEO = Video("a.mp4", "/videos/a.mp4", 10, 20)


def finished(out: Path, state: str = "done", video: Video = VIDEO) -> Outcome:
    return Outcome(video, state, (touch(out / "a.mp4.jsonl").name,), frames=3)


@pytest.mark.parametrize(("state", "is_done"), [("done", True), ("damaged", True), ("failed", False)])
def test_what_is_done_is_remembered(tmp_path: Path, state: str, is_done: bool) -> None:
    with Manifest(tmp_path) as manifest:
        assert not manifest.is_done(VIDEO, "1")
        manifest.add(finished(tmp_path, state), "1")
        assert manifest.is_done(VIDEO, "1") == is_done
    with Manifest(tmp_path) as manifest:
        assert manifest.is_done(VIDEO, "1") == is_done
        assert manifest.is_done(replace(VIDEO, path="/moved/a.mp4"), "1") == is_done
        assert not manifest.is_done(VIDEO, "2")
        assert not manifest.is_done(replace(VIDEO, size_bytes=11), "1")
        assert not manifest.is_done(replace(VIDEO, mtime_ns=21), "1")
        (tmp_path / "a.mp4.jsonl").unlink()
        assert not manifest.is_done(VIDEO, "1")


def test_the_last_line_counts_and_half_a_line_is_removed(tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.add(finished(tmp_path), "1")
        manifest.add(finished(tmp_path, "failed"), "1")
        manifest.add(finished(tmp_path), "1")
    path = tmp_path / "manifest.jsonl"
    whole = path.read_bytes()
    for cut in (1, 20, len(whole.splitlines(keepends=True)[-1]) - 1):
        path.write_bytes(whole[:-cut])
        with Manifest(tmp_path) as manifest:
            assert not manifest.is_done(VIDEO, "1")
            manifest.add(finished(tmp_path), "1")
        assert path.read_bytes() == whole
        assert all(json.loads(line) for line in path.read_text("utf-8").splitlines())


def test_only_one_batch_at_a_time(tmp_path: Path) -> None:
    with Manifest(tmp_path), pytest.raises(ArgumentError, match="another batch is at work"):
        Manifest(tmp_path)
    Manifest(tmp_path).__exit__(None, None, None)


@pytest.mark.parametrize("text", ["{}\n", '{"schema":"handpose_native.batch/2"}\n', "shopping\n", "[1]\n"])
def test_a_record_of_something_else_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.jsonl").write_text(text)
    with pytest.raises(ArgumentError, match="not the record of a batch of this version"):
        Manifest(tmp_path)
    assert (tmp_path / "manifest.jsonl").read_text() == text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(VideoError, match="cannot be written"):
        Manifest(tmp_path)
