"""Check every answer of a case, then time its variants in turn."""

from __future__ import annotations

import gc
import random
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HandposeError
from ..isa import isa
from .cases import OURS, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from .cases import Case

__all__ = ["check_case", "measure_case", "one_thread"]

#: A sample of fast calls is that long, so that reading the clock (0.1 us) does not count.
_SAMPLE_S = 4e-4
_FEWEST_ROUNDS = 5
_MOST_ROUNDS = 400
_LIMIT = "memory limit"


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV on one thread; NumPy's products must be told so by the environment before the process starts."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def check_case(case: Case) -> tuple[dict[str, float], list[str]]:
    """Run every variant once and compare its answer with the exact one.

    Returns
    -------
    errors : dict of str to float
        The distance of each answer, in the unit of the case.
    wrong : list of str
        A sentence for each wrong answer; nothing may be timed where there is one.
    """
    errors: dict[str, float] = {}
    wrong = []
    for variant in case.variants:
        with _level(variant):
            try:
                answer = variant.answer(variant.call) if variant.answer else variant.call()
            except HandposeError as refusal:
                wrong.append(f"{variant.name}: {refusal}")
                continue
        errors[variant.name] = error = variant.error_of(answer)
        if not error <= variant.tolerance:  # NaN too
            wrong.append(
                f"{variant.name}: wrong answer, off by {error:.4g} {case.error_unit}, {variant.tolerance:.4g} allowed"
            )
    return errors, wrong


def measure_case(case: Case, budget_s: float) -> tuple[list[dict[str, Any]], float | None]:
    """Time the variants of a case whose answers are right.

    Every round times each variant once, in shuffled order; a sample is as many calls as last 0.4 ms, after one that
    brings the variant's data back into the caches. Rounds go on until the budget is spent, at least 5.

    Parameters
    ----------
    budget_s : float
        Seconds for all variants together.

    Returns
    -------
    timings : list of dict
        In the order of the variants: medians and quartiles, as documented in docs/benchmarks.md.
    memory_limit_us : float or None
        Median of reading and writing the bytes of the case.
    """
    variants = list(case.variants)
    if case.memory_limit is not None:
        variants.append(Variant(_LIMIT, "limit", case.memory_limit, lambda _: 0.0, 0.0))
    began = time.perf_counter()
    repeats = [_repeats(variant) for variant in variants]
    samples: list[list[float]] = [[] for _ in variants]
    order = list(range(len(variants)))
    shuffle = random.Random(1)
    with _no_collection():
        for number in range(_MOST_ROUNDS):
            if number >= _FEWEST_ROUNDS and time.perf_counter() - began > budget_s:
                break
            shuffle.shuffle(order)
            for index in order:
                samples[index].append(_sample(variants[index], repeats[index]) / case.items)
    times = dict(zip((variant.name for variant in variants), np.array(samples)))
    limit = float(np.median(times[_LIMIT])) if _LIMIT in times else None
    return [_summary(case, variant, times, limit) for variant in case.variants], limit


def _summary(
    case: Case, variant: Variant, times: dict[str, NDArray[np.float64]], limit_us: float | None
) -> dict[str, Any]:
    own = times[variant.name]
    first, median, third = (float(value) for value in np.percentile(own, (25, 50, 75)))
    ratios = [float(value) for value in np.percentile(own / times[OURS], (25, 50, 75))]
    return {
        "median_us": median,
        "quartiles_us": [first, third],
        "ratio": ratios[1],
        "ratio_quartiles": [ratios[0], ratios[2]],
        "rounds": len(own),
        "gb_per_s": case.bytes_moved / median / 1e3 if case.bytes_moved else None,
        "limit_share": limit_us / median if limit_us is not None else None,
    }


def _repeats(variant: Variant) -> int:
    """Return how many calls last one sample; runs it a few times to know, which warms it up too."""
    calls = 1
    while True:
        duration_s = _sample(variant, calls) * calls / 1e6
        if duration_s >= _SAMPLE_S / 2 or calls >= 1024:
            return max(1, round(calls * _SAMPLE_S / max(duration_s, 1e-9))) if calls < 1024 else calls
        calls *= 4


def _sample(variant: Variant, calls: int) -> float:
    """Return microseconds per call."""
    call: Callable[[], Any] = variant.call
    with _level(variant):
        call()  # the variant before may have taken the caches
        began = time.perf_counter_ns()
        for _ in range(calls):
            call()
        return (time.perf_counter_ns() - began) / 1e3 / calls


def _level(variant: Variant) -> ExitStack:
    stack = ExitStack()
    if variant.level is not None:
        stack.enter_context(isa(variant.level))
    return stack


@contextmanager
def _no_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
