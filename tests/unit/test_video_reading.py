"""Reading ahead: the same frames in the same order, errors after the frames before them, no thread left over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from handpose_native.errors import VideoError
from handpose_native.picture import Picture
from handpose_native.types import Frame
from handpose_native.video import Source, SourceInfo, read_frames


class Counted(Source):
    """Frames whose pixels are their index; says in which thread it was read, and may fail."""

    def __init__(self, count: int, kind: str = "video", is_live: bool = False, fails_at: int | None = None) -> None:
        super().__init__(SourceInfo("counted", kind, 4, 4, is_live=is_live))
        self.count, self.fails_at = count, fails_at
        self.given = 0
        self.threads: set[str] = set()
        self.released = False

    def _frames(self) -> Iterator[Frame]:
        for index in range(self.count):
            if index == self.fails_at:
                raise VideoError(f"counted: frame {index} cannot be read")
            self.threads.add(threading.current_thread().name)
            self.given += 1
            yield Frame(index, index / 30, Picture.from_bgr(np.full((4, 4, 3), index, np.uint8)))

    def _release(self) -> None:
        assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"], "still being read"
        self.released = True


def indices(frames: Iterator[tuple[Frame, float]]) -> list[int]:
    return [frame.index for frame, _ in frames]


def read_into(seen: list[int], source: Source) -> None:
    with source, read_frames(source, 1) as frames:
        for frame, _ in frames:
            seen.append(frame.index)


class Full(list):  # type: ignore[type-arg]
    """A list that takes three numbers."""

    def append(self, value: int) -> None:
        if len(self) == 3:
            raise MemoryError
        super().append(value)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize(("kind", "is_live"), [("video", False), ("images", False), ("frames", False), ("video", True)])
def test_all_frames_in_order(kind: str, is_live: bool, every: int) -> None:
    with Counted(20, kind, is_live) as source, read_frames(source, every) as frames:
        assert indices(frames) == list(range(0, 20, every))


@pytest.mark.parametrize(
    ("kind", "is_live", "ahead"),
    [("video", False, True), ("images", False, True), ("frames", False, False), ("stream", True, False)],
)
def test_only_files_are_read_in_another_thread(kind: str, is_live: bool, ahead: bool) -> None:
    with Counted(3, kind, is_live) as source, read_frames(source, 1) as frames:
        indices(frames)
    assert source.threads == ({"read-ahead"} if ahead else {threading.current_thread().name})


def test_an_error_comes_after_the_frames_before_it() -> None:
    seen: list[int] = []
    source = Counted(10, fails_at=6)
    with pytest.raises(VideoError, match="frame 6 cannot be read"):
        read_into(seen, source)
    assert seen == list(range(6))
    assert source.released


def test_leaving_early_ends_the_thread_before_the_source_is_closed() -> None:
    with Counted(10_000) as source, read_frames(source, 1) as frames:
        for frame, _ in frames:
            if frame.index == 5:
                break
    assert source.released  # and no thread was left when it was
    assert source.given < 20


def test_no_more_than_two_frames_wait() -> None:
    with Counted(100) as source, read_frames(source, 1) as frames:
        next(frames)
        deadline = time.monotonic() + 5
        while source.given < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.05)
        assert source.given == 3  # one taken, one waiting, one about to


def test_an_exception_in_the_loop_ends_the_thread(capsys: pytest.CaptureFixture[str]) -> None:
    source = Counted(1000)
    with pytest.raises(MemoryError):
        read_into(Full(), source)
    assert source.released
    assert capsys.readouterr().err == ""
