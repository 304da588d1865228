"""Iterating in a thread of its own: order, errors, the end of the thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from handpose_native.ahead import Ahead


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_two_stages_in_a_row_keep_the_order_and_use_their_threads() -> None:
    seen_in: set[str] = set()

    def tenfold(numbers: Ahead[int]) -> Iterator[int]:
        for number in numbers:
            seen_in.add(threading.current_thread().name)
            yield 10 * number

    with Ahead(iter(range(200)), "first") as numbers, Ahead(tenfold(numbers), "second") as results:
        assert list(results) == [10 * number for number in range(200)]
    assert seen_in == {"second"}
    assert threads("first") == threads("second") == []


@pytest.mark.parametrize("error", [ValueError("third"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_comes_after_the_items_before_it_through_both_stages(error: BaseException) -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise error

    seen = []
    with (  # noqa: PT012 - what was seen before the error is the point
        pytest.raises(type(error)),
        Ahead(failing(), "first") as numbers,
        Ahead((number for number in numbers), "second") as results,
    ):
        for number in results:
            seen.append(number)
    assert seen == [1, 2]
    assert threads("first") == threads("second") == []


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_leaving_early_ends_both_threads_and_no_more_than_a_few_items_are_made(taken: int) -> None:
    made = []

    def numbers() -> Iterator[int]:
        for number in range(10_000):
            made.append(number)
            yield number

    with Ahead(numbers(), "first") as first, Ahead((number for number in first), "second") as second:
        for count, _ in enumerate(second, start=1):
            if count >= taken:
                break
        time.sleep(0.05)
    assert threads("first") == threads("second") == []
    assert len(made) <= max(taken, 1) + 6
