"""Results between a thread and tasks; pictures encoded once and on demand; the numbers of a histogram."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import cv2
import numpy as np
import pytest
from tests.web_client import hand, result

import handpose_native as hp
from handpose_native.report import StageTimes
from handpose_native.web.feed import Feed
from handpose_native.web.pictures import PART_HEAD, Pictures
from handpose_native.web.viewers import TooManyViewers, Viewers


def run(main: Callable[[Feed], Awaitable[Any]]) -> Any:
    """Run a task with a feed attached to its loop; it must come to an end."""

    async def within() -> Any:
        feed = Feed()
        feed.attach(asyncio.get_running_loop())
        return await asyncio.wait_for(main(feed), 20)

    return asyncio.run(within())


def test_every_task_sees_what_another_thread_gives() -> None:
    async def main(feed: Feed) -> None:
        async def follow() -> list[int]:
            seen: list[int] = []
            while not (feed.ended and seen and seen[-1] == feed.number):
                await feed.wait_after(seen[-1] if seen else 0)
                seen += [entry.number for entry in feed.entries_after(seen[-1] if seen else 0)]
            return seen

        def give() -> None:
            for index in range(400):
                feed.publish(result(index))
            feed.end()

        thread = threading.Thread(target=give)
        thread.start()
        followed = await asyncio.gather(*[follow() for _ in range(5)])
        thread.join()
        assert followed == [list(range(1, 401))] * 5

    run(main)


def test_what_is_kept_is_bounded_and_a_gap_shows_in_the_numbers() -> None:
    feed = Feed()
    for index in range(1500):
        feed.publish(result(index))
    entries = feed.entries_after(0)
    assert [entry.number for entry in entries] == list(range(1500 - len(entries) + 1, 1501))
    assert len(entries) == 512
    assert feed.entries_after(1498)[0].index == 1498
    assert feed.entries_after(1500) == []
    assert feed.entries_after(9999) == []
    assert feed.newest is not None
    assert feed.newest.index == 1499


def test_waiting_ends_with_the_end() -> None:
    async def main(feed: Feed) -> None:
        waiting = asyncio.ensure_future(feed.wait_after(7))
        await asyncio.sleep(0)
        feed.end()
        await waiting
        await feed.wait_after(7)

    run(main)


def test_figures_of_the_last_seconds() -> None:
    feed = Feed()
    assert feed.recent() == {"frames": 0, "seconds": 0.0, "fps": None, "latency_ms": None, "stages_ms": {}}
    for index in range(101):
        feed.publish(result(index, model_ms=float(index)))
    recent = feed.recent()
    assert recent["frames"] == 101
    assert recent["stages_ms"]["model"] == pytest.approx({"median": 50.0, "p95": 95.0, "p99": 99.0})
    assert list(recent["stages_ms"]) == ["read", "model"]
    assert recent["fps"] > 0


def test_a_picture_is_encoded_once_for_all_and_only_when_asked_for() -> None:
    async def main(feed: Feed) -> None:
        pictures = Pictures(feed, draws=True, quality=90, fps=1000)
        try:
            for index in range(10):
                feed.publish(result(index))
            await asyncio.sleep(0.05)
            assert pictures.encoded == 0
            got = await asyncio.gather(*[pictures.after(0) for _ in range(6)])
            assert pictures.encoded == 1
            assert all(jpeg is got[0] for jpeg in got)
            assert got[0] is not None
            assert (got[0].number, got[0].index) == (10, 9)  # the newest only
            waiting = asyncio.ensure_future(pictures.after(10))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            feed.publish(result(10))
            following = await waiting
            assert following is not None
            assert following.number == 11
            assert await pictures.after(3) is following
            feed.end()
            assert await pictures.after(11) is None
            assert pictures.encoded == 2
        finally:
            pictures.close()

    run(main)


@pytest.mark.parametrize("draws", [True, False])
def test_the_picture_shows_the_hands_as_drawn(draws: bool) -> None:
    async def main(feed: Feed) -> None:
        one = result(0, hands=[hand()], planes=False)
        wanted = one.picture.to_bgr().copy()
        if draws:
            hp.draw_hands(wanted, [hand()])
        pictures = Pictures(feed, draws=draws, quality=95, fps=30)
        feed.publish(one)
        try:
            jpeg = await pictures.after(0)
        finally:
            pictures.close()
        assert jpeg is not None
        decoded = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), cv2.IMREAD_COLOR).astype(float)
        error = np.sqrt(np.mean((decoded - wanted) ** 2))
        assert 20 * np.log10(255 / max(error, 1e-9)) > 35
        assert jpeg.part == jpeg.data + b"\r\n" + PART_HEAD

    run(main)


def test_pictures_come_no_faster_than_asked() -> None:
    async def main(feed: Feed) -> None:
        pictures = Pictures(feed, draws=False, quality=50, fps=20)
        number, ended = 0, asyncio.get_running_loop().time() + 0.5

        def give() -> None:
            for index in range(2000):
                feed.publish(result(index))
                if feed.ended:
                    return

        thread = threading.Thread(target=give)
        thread.start()
        try:
            while asyncio.get_running_loop().time() < ended:
                jpeg = await pictures.after(number)
                if jpeg is None or thread.is_alive() is False:
                    break
                number = jpeg.number
        finally:
            feed.end()
            thread.join()
            pictures.close()
        assert 1 <= pictures.encoded <= 12

    run(main)


def test_viewers_are_counted_and_limited() -> None:
    viewers = Viewers(2)
    with viewers.one_more("a") as first, viewers.one_more("a") as second:
        assert viewers.named("a") is first
        assert second is not first
        with pytest.raises(TooManyViewers), viewers.one_more(""):
            pass
        first.count(100)
        assert first.fps is None
        first.count(50)
        assert first.fps is not None
        assert (first.sent, viewers.sent_bytes, len(viewers), viewers.refused) == (2, 150, 2, 1)
    assert (len(viewers), viewers.sent_bytes, viewers.named("a")) == (0, 150, None)


def test_counts_up_to_bounds() -> None:
    times = StageTimes()
    assert times.counts_up_to([1.0]) == [0, 0]
    durations = np.random.default_rng(5).lognormal(1.0, 1.5, 4000)
    for duration in durations:
        times.add(float(duration))
    bounds = [0.0005, 0.1, 1.0, 2.5, 10.0, 1e3, 1e9]
    found = times.counts_up_to(bounds)
    assert found[-1] == found[-2] == 4000
    for bound, count in zip(bounds, found):
        assert (durations <= bound * 0.99).sum() <= count <= (durations <= bound * 1.01).sum()
