"""Reading by a policy: what is given, dropped and counted; errors after the frames before them; no thread left over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from handpose_native.errors import ArgumentError, VideoError
from handpose_native.picture import Picture
from handpose_native.timing import FrameTimes, Ledger
from handpose_native.types import Frame
from handpose_native.video import Source, SourceInfo, default_policy, read_frames

Read = Iterable[tuple[Frame, FrameTimes]]


class Counted(Source):
    """Frames whose pixels are their index; says in which thread it was read, and may fail."""

    def __init__(
        self, count: int, kind: str = "video", is_live: bool = False, fails_at: int | None = None, pause_s: float = 0.0
    ) -> None:
        super().__init__(SourceInfo("counted", kind, 4, 4, is_live=is_live))
        self.count, self.fails_at, self.pause_s = count, fails_at, pause_s
        self.given = 0
        self.threads: set[str] = set()
        self.released = False

    def _frames(self) -> Iterator[Frame]:
        for index in range(self.count):
            if index == self.fails_at:
                raise VideoError(f"counted: frame {index} cannot be read")
            time.sleep(self.pause_s)
            self.threads.add(threading.current_thread().name)
            self.given += 1
            yield Frame(index, index / 30, Picture.from_bgr(np.full((4, 4, 3), index, np.uint8)))

    def _release(self) -> None:
        assert not [thread for thread in threading.enumerate() if thread.name == "read"], "still being read"
        self.released = True


def indices(frames: Read) -> list[int]:
    return [frame.index for frame, _ in frames]


def read_into(seen: list[int], source: Source) -> None:
    with source, read_frames(source) as frames:
        for frame, _ in frames:
            seen.append(frame.index)


class Full(list):  # type: ignore[type-arg]
    """A list that takes three numbers."""

    def append(self, value: int) -> None:
        if len(self) == 3:
            raise MemoryError
        super().append(value)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("policy", ["all", "block"])
@pytest.mark.parametrize(("kind", "is_live"), [("video", False), ("images", False), ("frames", False), ("video", True)])
def test_all_frames_in_order(kind: str, is_live: bool, policy: str, every: int) -> None:
    ledger = Ledger()
    with Counted(20, kind, is_live) as source, read_frames(source, every, policy=policy, ledger=ledger) as frames:
        assert indices(frames) == list(range(0, 20, every))
    assert (ledger.read, ledger.replaced) == (20, 0)
    assert ledger.every == 20 - len(range(0, 20, every))


@pytest.mark.parametrize(
    ("kind", "is_live", "policy"),
    [
        ("video", False, "all"),
        ("images", False, "all"),
        ("frames", False, "block"),
        ("stream", True, "latest"),
        ("camera", True, "latest"),
    ],
)
def test_the_policy_of_each_kind(kind: str, is_live: bool, policy: str) -> None:
    assert default_policy(Counted(1, kind, is_live)) == policy


@pytest.mark.parametrize(("policy", "ahead"), [("all", True), ("latest", True), ("block", False)])
def test_only_block_reads_in_the_callers_thread(policy: str, ahead: bool) -> None:
    with Counted(3) as source, read_frames(source, policy=policy) as frames:
        indices(frames)
    assert source.threads == ({"read"} if ahead else {threading.current_thread().name})


def test_an_unknown_policy_is_refused() -> None:
    with Counted(3) as source, pytest.raises(ArgumentError, match=r"policy must be one of .*latest.*got 'newest'"):
        read_frames(source, policy="newest").__enter__()


def test_latest_drops_the_frames_that_waited_and_counts_them() -> None:
    ledger = Ledger()
    seen = []
    with Counted(60, is_live=True, pause_s=0.002) as source, read_frames(source, ledger=ledger) as frames:
        for frame, _ in frames:
            newest = source.given - 1
            assert newest - frame.index <= 2, "an old frame was given"
            seen.append(frame.index)
            ledger.processed += 1
            time.sleep(0.02)
    assert seen == sorted(set(seen))
    assert seen[-1] == 59  # the newest is never the one dropped
    assert ledger.read == 60
    assert ledger.replaced == 60 - len(seen) > 0
    assert ledger.unfinished == 0


def test_latest_loses_nothing_where_there_is_time() -> None:
    ledger = Ledger()
    with Counted(10, is_live=True, pause_s=0.03) as source, read_frames(source, ledger=ledger) as frames:
        assert indices(frames) == list(range(10))
    assert ledger.replaced == 0


@pytest.mark.parametrize("policy", ["all", "latest", "block"])
def test_an_error_comes_after_the_frames_before_it(policy: str) -> None:
    seen: list[int] = []
    source = Counted(10, fails_at=6, pause_s=0.005)

    def read() -> None:
        with source, read_frames(source, policy=policy) as frames:
            for frame, _ in frames:
                seen.append(frame.index)

    with pytest.raises(VideoError, match="frame 6 cannot be read"):
        read()
    assert seen == list(range(6))
    assert source.released


@pytest.mark.parametrize("policy", ["all", "latest", "block"])
def test_leaving_early_ends_the_thread_before_the_source_is_closed(policy: str) -> None:
    with Counted(10_000, pause_s=0.001) as source, read_frames(source, policy=policy) as frames:
        for frame, _ in frames:
            if frame.index >= 5:
                break
    assert source.released  # and no thread was left when it was
    assert source.given < 100


@pytest.mark.parametrize("policy", ["all", "latest", "block"])
def test_asking_to_stop_ends_the_frames(policy: str) -> None:
    stop = threading.Event()
    with (
        Counted(10_000, pause_s=0.001) as source,
        read_frames(source, policy=policy, should_stop=stop.is_set) as frames,
    ):
        for frame, _ in frames:
            if frame.index >= 5:
                stop.set()
    assert source.given < 100


def test_asking_to_stop_ends_the_wait_for_a_frame_that_does_not_come() -> None:
    class Stalled(Counted):
        def _frames(self) -> Iterator[Frame]:
            yield from super()._frames()
            self.stalled.wait(30)

        def _interrupt(self) -> None:
            self.stalled.set()

    stop = threading.Event()
    source = Stalled(3, is_live=True)
    source.stalled = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with source, read_frames(source, policy="all", should_stop=stop.is_set) as frames:
        assert indices(frames) == [0, 1, 2]
        waited = time.monotonic() - began
        source.close()
    assert waited < 10  # not the 30 s of the frame


def test_one_frame_waits_and_no_more() -> None:
    with Counted(100) as source, read_frames(source) as frames:
        next(iter(frames))
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


def test_times_that_do_not_grow_are_counted() -> None:
    class Repeating(Counted):
        def _frames(self) -> Iterator[Frame]:
            for frame in super()._frames():
                yield Frame(frame.index, frame.index // 3 / 10, frame.picture)

    ledger = Ledger()
    with Repeating(9) as source, read_frames(source, ledger=ledger) as frames:
        assert len(indices(frames)) == 9
    assert ledger.repeated == 6
