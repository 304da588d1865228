"""The chain: results in order whatever runs beside what, work in flight, errors after the results before them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from handpose_native.engine import Chain
from handpose_native.errors import ModelError, VideoError
from handpose_native.estimators import Estimator
from handpose_native.picture import Picture
from handpose_native.timing import FrameTimes, stage
from handpose_native.types import Frame, Hand, Roi
from handpose_native.video import Source, SourceInfo


class Numbered(Source):
    """Frames whose pixels are their index, each at a pause; may fail after the last."""

    def __init__(self, count: int, pause_s: float = 0.0, error: Exception | None = None, kind: str = "video") -> None:
        super().__init__(SourceInfo("numbered", kind, 4, 4, is_live=kind == "camera"))
        self.count, self.pause_s, self.error = count, pause_s, error

    def _frames(self) -> Iterator[Frame]:
        for index in range(self.count):
            time.sleep(self.pause_s)
            yield Frame(index, index / 30, Picture.from_bgr(np.full((4, 4, 3), index, np.uint8)))
        if self.error is not None:
            raise self.error

    def _release(self) -> None:
        return


class _Work:
    def __init__(self, device: Device, number: int, times: FrameTimes) -> None:
        self.device, self.number, self.times = device, number, times

    def finish(self) -> list[Hand]:
        with stage("model", self.times):
            self.device.wait(self.number)
        if self.number == self.device.fails_at:
            raise ModelError(f"frame {self.number} cannot be computed")
        point = np.full((21, 2), self.number, np.float32)
        return [Hand(point, np.ones(21, np.float32), 1.0)]


class Device(Estimator):
    """Works on its own for `latency_s` per picture, one after another, as an NPU does."""

    name, device = "device", "emulated"

    def __init__(
        self, in_flight: int, latency_s: float = 0.0, fails_at: int | None = None, refuses_at: int | None = None
    ) -> None:
        self.in_flight, self.latency_s = in_flight, latency_s
        self.fails_at, self.refuses_at = fails_at, refuses_at
        self.begun: list[int] = []
        self.finished: list[int] = []
        self.ready_at: dict[int, float] = {}
        self.most_in_work = 0
        self.threads: set[str] = set()
        self._free_at = 0.0

    def begin(self, picture: Picture, time_s: float, rois: Sequence[Roi], times: FrameTimes) -> _Work:
        number = int(picture.to_bgr()[0, 0, 0])
        if number == self.refuses_at:
            raise ModelError(f"frame {number} is refused")
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + self.latency_s
        self.ready_at[number] = self._free_at
        self.begun.append(number)
        self.threads.add(threading.current_thread().name)
        self.most_in_work = max(self.most_in_work, len(self.begun) - len(self.finished))
        assert self.most_in_work <= self.in_flight
        return _Work(self, number, times)

    def wait(self, number: int) -> None:
        time.sleep(max(self.ready_at[number] - time.monotonic(), 0.0))
        self.finished.append(number)

    def reset(self) -> None:
        return

    def close(self) -> None:
        return


def run(estimator: Estimator, source: Source, **options: object) -> list[int]:
    with source, Chain(estimator, source, [], **options).results() as results:  # type: ignore[arg-type]
        found = []
        for result in results:
            assert result.hands[0].keypoints[0, 0] == result.index == int(result.frame[0, 0, 0])
            found.append(result.index)
    return found


@pytest.mark.parametrize("beside_writing", [False, True])
@pytest.mark.parametrize("policy", ["all", "block", None])
@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_every_frame_in_order_with_its_own_result(in_flight: int, policy: str | None, beside_writing: bool) -> None:
    device = Device(in_flight)
    found = run(device, Numbered(50), policy=policy, beside_writing=beside_writing)
    assert found == device.begun == device.finished == list(range(50))


@pytest.mark.parametrize("in_flight", [2, 3])
def test_the_device_is_kept_busy(in_flight: int) -> None:
    device = Device(in_flight, latency_s=0.01)
    run(device, Numbered(30), beside_writing=True)
    assert device.most_in_work == in_flight


def test_the_device_is_kept_busy_by_a_camera_that_is_faster() -> None:
    device = Device(2, latency_s=0.02)
    run(device, Numbered(120, pause_s=0.005, kind="camera"))
    assert device.most_in_work == 2


def test_without_a_next_frame_the_result_does_not_wait_for_one() -> None:
    """At 20 pictures a second a result may not come when the next picture does, however much fits in flight."""
    device = Device(4, latency_s=0.001)
    source = Numbered(8, pause_s=0.05, kind="camera")
    with source, Chain(device, source, []).results() as results:
        for _ in results:
            pass
    assert device.most_in_work == 1


def test_frames_on_demand_are_not_begun_before_the_result_is_used() -> None:
    """A caller's generator may make the next frame from the last result."""
    device = Device(4)
    seen: list[int] = []

    class OnDemand(Numbered):
        def _frames(self) -> Iterator[Frame]:
            for frame in super()._frames():
                assert seen == list(range(frame.index))
                yield frame

    source = OnDemand(6, kind="frames")
    with source, Chain(device, source, [], beside_writing=True, policy="block").results() as results:
        for result in results:
            seen.append(result.index)
    assert seen == list(range(6))


@pytest.mark.parametrize("beside_writing", [False, True])
@pytest.mark.parametrize(
    ("device", "source", "error", "before"),
    [
        (Device(1), Numbered(5, error=VideoError("it was cut")), VideoError, 5),
        (Device(3), Numbered(5, error=VideoError("it was cut")), VideoError, 5),
        (Device(3, 0.002, fails_at=7), Numbered(20), ModelError, 7),
        (Device(1, refuses_at=7), Numbered(20), ModelError, 7),
        (Device(3, 0.002, refuses_at=7), Numbered(20), ModelError, 7),
        (Device(2), Numbered(4, error=MemoryError()), MemoryError, 4),
    ],
)
def test_what_fails_comes_after_the_results_before_it(
    device: Device, source: Numbered, error: type[Exception], before: int, beside_writing: bool
) -> None:
    fresh = Device(device.in_flight, device.latency_s, device.fails_at, device.refuses_at)
    again = Numbered(source.count, error=source.error)
    seen: list[int] = []
    with again, Chain(fresh, again, [], beside_writing=beside_writing).results() as results:

        def take() -> None:
            for result in results:
                seen.append(result.index)

        with pytest.raises(error):
            take()
    assert seen == list(range(before))


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("beside_writing", [False, True])
def test_asking_to_stop_finishes_what_is_in_work(in_flight: int, beside_writing: bool) -> None:
    stop = threading.Event()
    device = Device(in_flight, latency_s=0.005)
    source = Numbered(1000)
    chain = Chain(device, source, [], should_stop=stop.is_set, beside_writing=beside_writing)
    seen = []
    with source, chain.results() as results:
        for result in results:
            seen.append(result.index)
            if result.index == 10:
                stop.set()
    assert seen == device.begun == list(range(len(seen)))
    assert 11 <= len(seen) <= 11 + in_flight + 2


@pytest.mark.parametrize("beside_writing", [False, True])
def test_leaving_early_ends_every_thread(beside_writing: bool) -> None:
    source = Numbered(1000)
    device = Device(2, latency_s=0.002)
    with source, Chain(device, source, [], beside_writing=beside_writing).results() as results:
        for result in results:
            if result.index == 5:
                break
    assert not {"read", "estimate"} & {thread.name for thread in threading.enumerate()}
    assert device.threads == ({"estimate"} if beside_writing else {threading.current_thread().name})


def test_max_frames_counts_results() -> None:
    assert run(Device(3), Numbered(100), max_frames=7, every=2) == [0, 2, 4, 6, 8, 10, 12]


def test_the_account_of_a_live_source_adds_up() -> None:
    device = Device(2, latency_s=0.01)
    source = Numbered(100, pause_s=0.002, kind="camera")
    chain = Chain(device, source, [], every=2)
    with source, chain.results() as results:
        for _ in results:
            chain.ledger.processed += 1
    ledger = chain.ledger
    assert ledger.read == 100
    assert ledger.every == 50
    assert ledger.replaced > 0
    assert ledger.unfinished == 0
    assert ledger.processed == len(device.finished)
    assert chain.queues[0].mean_waiting <= chain.queues[0].depth
