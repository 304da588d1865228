"""Live sources: times that jump, files in real time, connections made again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handpose_native.errors import ArgumentError, VideoError
from handpose_native.picture import Picture
from handpose_native.types import Frame
from handpose_native.video import Source, SourceInfo, live, open_source
from handpose_native.video.live import LoopingSource, RealtimeSource, ReconnectingSource
from handpose_native.video.timeline import Timeline


def times(stated: list[float | None], *, is_live: bool = True, step_s: float = 0.1) -> list[float]:
    timeline = Timeline(step_s, is_live)
    return [timeline.advance(None if value is None else Fraction(value)) for value in stated]


def test_times_begin_at_zero_and_go_on_as_stated() -> None:
    assert times([7.0, 7.125, 7.5, 8.0]) == [0.0, 0.125, 0.5, 1.0]


def test_where_the_source_says_nothing_the_frame_rate_counts() -> None:
    assert times([None, None, None]) == pytest.approx([0.0, 0.1, 0.2])
    assert times([5.0, None, 5.5]) == pytest.approx([0.0, 0.1, 0.5])


@pytest.mark.parametrize("is_live", [True, False])
def test_a_small_step_back_stands_still(is_live: bool) -> None:
    assert times([0.0, 0.25, 0.125, 0.5], is_live=is_live) == [0.0, 0.25, 0.25, 0.5]


@pytest.mark.parametrize("is_live", [True, False])
def test_a_clock_that_was_set_back_begins_anew(is_live: bool) -> None:
    assert times([100.0, 100.5, 0.0, 0.5], is_live=is_live) == pytest.approx([0.0, 0.5, 0.6, 1.1])


def test_a_clock_that_was_set_forward_begins_anew_but_a_pause_of_a_file_stays() -> None:
    stated: list[float | None] = [0.0, 0.5, 1000.0, 1000.5]
    assert times(stated, is_live=True) == pytest.approx([0.0, 0.5, 0.6, 1.1])
    assert times(stated, is_live=False) == [0.0, 0.5, 1000.0, 1000.5]


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9, allow_nan=False))),
    st.booleans(),
    st.sampled_from([0.0, 1 / 30, 0.5]),
)
def test_times_never_go_back_whatever_is_stated(stated: list[float | None], is_live: bool, step_s: float) -> None:
    found = times(stated, is_live=is_live, step_s=step_s)
    assert all(0.0 <= before <= after for before, after in zip([0.0, *found], found))


class Frames(Source):
    """So many frames of a size, 0.1 s apart; then it ends, or raises."""

    def __init__(self, count: int, side: int = 4, error: str | None = None, is_live: bool = True) -> None:
        super().__init__(SourceInfo("rtsp://somewhere", "stream", side, side, Fraction(10), is_live=is_live))
        self.count, self.side, self.error = count, side, error
        self.closed = 0

    def _frames(self) -> Iterator[Frame]:
        for index in range(self.count):
            yield Frame(index, index / 10, Picture.from_bgr(np.zeros((self.side, self.side, 3), np.uint8)))
        if self.error:
            self.problems.append(self.error)

    def _release(self) -> None:
        self.closed += 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_BACK_OFF_S", (0.01, 0.02))


@pytest.mark.usefixtures("impatient")
def test_a_connection_is_made_again_and_the_frames_go_on() -> None:
    connections = [Frames(3, error="it was cut"), Frames(2, side=8), Frames(4)]
    attempts = iter([None, connections[1], None, None, connections[2]])

    interruptions = []

    def open_again() -> Source:
        interruptions.append(source.interrupted)
        opened = next(attempts, None)
        if opened is None:
            raise VideoError("rtsp://somewhere: nobody there")
        return opened

    source = ReconnectingSource(connections[0], open_again)
    seen = []
    for frame in source:
        assert source.interrupted is None
        seen.append(frame)
        if len(seen) == 9:
            break
    source.close()
    ended, nobody = "rtsp://somewhere ended", "rtsp://somewhere: nobody there"
    assert interruptions == ["it was cut", nobody, ended, nobody, nobody]
    assert [frame.index for frame in seen] == list(range(9))
    assert [frame.picture.width for frame in seen] == [4, 4, 4, 8, 8, 4, 4, 4, 4]
    moments = [frame.pts_s for frame in seen]
    assert moments == sorted(moments)
    assert moments[3] > moments[2]  # the time without a connection has passed
    assert source.reconnected == 2
    assert [connection.closed for connection in connections] == [1, 1, 1]
    (problem,) = source.problems  # one sentence, however often
    assert "lost 2 times" in problem
    assert "nobody there" in problem


def test_closing_ends_the_attempts_at_once() -> None:
    def open_again() -> Source:
        raise VideoError("rtsp://somewhere: nobody there")

    source = ReconnectingSource(Frames(1), open_again)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(frame.index for frame in source))
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    source.close()
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - began < 1
    assert seen == [0]
    assert "lost once" in source.problems[0]


def test_a_file_in_a_loop_goes_on_in_numbers_and_times() -> None:
    rounds = [Frames(3, is_live=False) for _ in range(3)]
    rounds[0].problems.append("frame 1 is damaged")
    again = iter(rounds[1:])
    source = LoopingSource(rounds[0], lambda: next(again))
    seen = []
    for frame in source:
        seen.append((frame.index, round(frame.pts_s, 6)))
        if len(seen) == 8:
            break
    source.close()
    assert seen == [(index, index / 10) for index in range(8)]
    assert [one.closed for one in rounds] == [1, 1, 1]
    assert source.info.frame_count is None


def test_a_loop_over_nothing_ends() -> None:
    source = LoopingSource(Frames(0, is_live=False), lambda: Frames(0, is_live=False))
    assert list(source) == []


def test_what_cannot_begin_again_is_no_loop() -> None:
    with pytest.raises(ArgumentError, match="loop is for files"):
        open_source(np.zeros((4, 4, 3), np.uint8), loop=True)


def test_a_file_in_real_time() -> None:
    source = RealtimeSource(Frames(4, is_live=False))
    assert source.info.is_live
    began = time.monotonic()
    arrivals = []
    with source:
        for frame in source:
            arrivals.append((frame.pts_s, time.monotonic() - began))
    for pts_s, arrived_s in arrivals:
        assert arrived_s >= pts_s - 0.001
    assert arrivals[-1][0] == pytest.approx(0.3)


def test_real_time_is_for_what_is_not_live_already() -> None:
    already = Frames(1)
    assert open_source(already, realtime=True) is already
    assert isinstance(open_source(Frames(1, is_live=False), realtime=True), RealtimeSource)


def test_closing_ends_the_wait_for_the_next_frame() -> None:
    class Slow(Frames):
        def _frames(self) -> Iterator[Frame]:
            for frame in super()._frames():
                yield Frame(frame.index, frame.index * 60.0, frame.picture)

    source = RealtimeSource(Slow(3, is_live=False))
    thread = threading.Thread(target=lambda: list(source))
    thread.start()
    time.sleep(0.1)
    source.close()
    thread.join(5)
    assert not thread.is_alive()


def test_closing_while_another_thread_waits_for_a_frame() -> None:
    """What waits and cannot be woken lets go of the device by itself, when it comes back."""

    class Stuck(Frames):
        come_back = threading.Event()

        def _frames(self) -> Iterator[Frame]:
            self.come_back.wait(30)
            yield from super()._frames()

    source = Stuck(3)
    thread = threading.Thread(target=lambda: list(source))
    thread.start()
    time.sleep(0.05)
    source.close()
    assert source.closed == 0  # not under the reader's feet
    source.come_back.set()
    thread.join(5)
    assert source.closed == 1
