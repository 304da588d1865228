"""What a run did: frames, times of each stage, what was lost."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .timing import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .engine import Chain
    from .types import FrameResult
    from .video import SourceInfo

__all__ = ["RunComparison", "RunReport", "StageTimes"]

#: Stages in the order in which a frame goes through them.
STAGES = ("decode", "read", "detect", "preprocess", "model", "joints", "draw", "write")


class StageTimes:
    """Durations of one stage in constant memory, however many there are.

    The mean is exact. Percentiles come from a histogram whose bins are 1 % wide (from a microsecond to a quarter of an
    hour), so they are right within half a percent. The first duration, which also pays for memory and for what is
    loaded late, is kept apart: it is in none of them, unless there is no other.

    Attributes
    ----------
    count : int
    first_ms : float
        NaN where nothing was counted.
    total_ms : float
        Of all, the first one included.
    """

    _SHORTEST_MS = 1e-3
    _BIN_RATIO = 1.01
    _BINS = 2080

    def __init__(self) -> None:
        self.count = 0
        self.first_ms = math.nan
        self.total_ms = 0.0
        self._histogram = np.zeros(self._BINS, dtype=np.int64)

    def add(self, duration_ms: float) -> None:
        """Count one duration, in milliseconds."""
        self.count += 1
        self.total_ms += duration_ms
        if self.count == 1:
            self.first_ms = duration_ms
            return
        ratio = max(duration_ms / self._SHORTEST_MS, 1.0)
        self._histogram[min(int(math.log(ratio) / math.log(self._BIN_RATIO)), self._BINS - 1)] += 1

    @property
    def mean_ms(self) -> float:
        """Mean in milliseconds; NaN where nothing was counted."""
        return (self.total_ms - self.first_ms) / (self.count - 1) if self.count > 1 else self.first_ms

    def percentile_ms(self, percent: float) -> float:
        """Return the duration that `percent` of all do not exceed, in milliseconds; NaN where nothing was counted."""
        if self.count < 2:
            return self.first_ms
        counts = np.cumsum(self._histogram)
        wanted = math.ceil(counts[-1] * percent / 100)
        index = int(np.searchsorted(counts, max(wanted, 1)))
        return float(self._SHORTEST_MS * self._BIN_RATIO ** (index + 0.5))

    def counts_up_to(self, bounds_ms: Sequence[float]) -> list[int]:
        """Return how many durations do not exceed each of some bounds, and how many there are in all.

        Unlike the percentiles it counts the first one too. A duration within 1 % of a bound may count on either side.
        """
        ratios = np.maximum(np.asarray(bounds_ms, np.float64) / self._SHORTEST_MS, 1.0)
        ends = np.round(np.log(ratios) / math.log(self._BIN_RATIO)).astype(np.int64)
        counts = np.concatenate(([0], np.cumsum(self._histogram)))
        first = [self.first_ms <= bound for bound in bounds_ms]  # False while it is NaN
        found = [int(counts[min(end, self._BINS)]) + one for end, one in zip(ends, first)]
        return [*found, int(counts[-1]) + (not math.isnan(self.first_ms))]

    def to_dict(self) -> dict[str, float | int | None]:
        """Return count, mean, percentiles and the first, in milliseconds; None for what is unknown."""
        values = {
            "mean": self.mean_ms,
            "median": self.percentile_ms(50),
            "p95": self.percentile_ms(95),
            "p99": self.percentile_ms(99),
            "first": self.first_ms,
        }
        return {"count": self.count, **{name: _known(value) for name, value in values.items()}}


@dataclass
class RunReport:
    """The account of one :meth:`Pipeline.run` or :meth:`Pipeline.stream`.

    It counts along while the run goes on: every method may be called from any thread at any time.

    Attributes
    ----------
    source : str
        Name of the source.
    model : str
        Name of the model and what it ran on.
    frames : int
        Frames that went through the whole chain.
    frames_with_hands : int
        Those in which at least one hand was found.
    seconds : float
        Wall time of the job, opening and closing the files included, loading the model not; until now while it runs.
    stages : dict of str to StageTimes
        ``decode`` (``read`` for live sources, which includes waiting for the frame), ``detect`` (the palm detector, on
        the frames where it ran), ``preprocess``, ``model``, ``joints``, ``draw``, ``write``, each once per frame in
        which it did something.
    latency : StageTimes
        From the moment a frame was there to the moment it was done with.
    ledger : Ledger
        What became of the frames.
    is_live : bool
        Whether the source is live.
    outputs : list of str
        What was written.
    problems : list of str
        Plain sentences on what was lost or changed: damaged frames, a source that ended early.
    source_damaged : bool
        Whether some of the problems are the source's: frames that could not be read.
    stopped : str or None
        Why the run ended before its source did, where it did.
    """

    source: str
    model: str
    frames: int = 0
    frames_with_hands: int = 0
    stages: dict[str, StageTimes] = field(default_factory=dict)
    latency: StageTimes = field(default_factory=StageTimes)
    ledger: Ledger = field(default_factory=Ledger)
    is_live: bool = False
    outputs: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    source_damaged: bool = False
    stopped: str | None = None

    def __post_init__(self) -> None:
        self._began_s = time.perf_counter()
        self._ended_s: float | None = None
        self._period_s = math.inf
        self._chain: Chain | None = None
        self._busy_s: dict[str, float] = {}
        self._thread_of: dict[str, str] = {}

    @property
    def seconds(self) -> float:
        return (time.perf_counter() if self._ended_s is None else self._ended_s) - self._began_s

    @property
    def fps(self) -> float:
        """Frames per second of the whole chain; NaN before the first frame."""
        return self.frames / self.seconds if self.frames else math.nan

    def follow(self, chain: Chain, info: SourceInfo) -> None:
        """Report on a chain that is about to run."""
        self._chain = chain
        self.ledger = chain.ledger
        self.source = f"{info.name} ({info.details})" if info.details else info.name
        self.is_live = info.is_live
        if info.is_live and info.fps:
            self._period_s = float(1 / info.fps)

    def count(self, result: FrameResult) -> None:
        """Count a frame that is done with."""
        times = result.timings_ms
        latency_s = time.perf_counter() - times.began_s
        self.frames += 1
        self.ledger.processed += 1
        self.ledger.late += latency_s > self._period_s
        self.frames_with_hands += bool(result.hands)
        self.latency.add(latency_s * 1e3)
        for name, duration_ms in times.items():
            if name not in self.stages:
                self.stages[name] = StageTimes()
            self.stages[name].add(duration_ms)
        for span in times.spans:
            self._busy_s[span.thread] = self._busy_s.get(span.thread, 0.0) + span.ended_s - span.began_s
            self._thread_of[span.stage] = span.thread

    def end(self) -> None:
        """Stop the clock."""
        self._ended_s = time.perf_counter()

    @property
    def busy(self) -> dict[str, float]:
        """Share of the wall time, 0..1, that each thread spent on stages; waiting for a live source's frames counts."""
        return {thread: busy_s / self.seconds for thread, busy_s in list(self._busy_s.items())}

    @property
    def limiting_stage(self) -> str | None:
        """The longest stage of the busiest thread: a faster one would make the whole chain faster. None at first."""
        busy = self.busy
        if not busy:
            return None
        thread = max(busy, key=lambda name: busy[name])
        names = [name for name, worker in list(self._thread_of.items()) if worker == thread]
        return max(names, key=lambda name: self.stages[name].total_ms)

    @property
    def queues(self) -> dict[str, tuple[float, int]]:
        """By thread that fills it: how many items waited on average when one was taken, and how many could."""
        ahead = self._chain.queues if self._chain is not None else []
        return {queue.name: (queue.mean_waiting, queue.depth) for queue in list(ahead)}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain Python values; times in milliseconds, None for what is unknown."""
        return {
            "source": self.source,
            "model": self.model,
            "is_live": self.is_live,
            "frames": self.frames,
            "frames_with_hands": self.frames_with_hands,
            "seconds": self.seconds,
            "fps": _known(self.fps),
            "ledger": self.ledger.to_dict(),
            "latency_ms": self.latency.to_dict(),
            "stages_ms": {name: times.to_dict() for name, times in self._ordered_stages()},
            "busy": self.busy,
            "limiting_stage": self.limiting_stage,
            "queues": {name: {"mean": mean, "depth": depth} for name, (mean, depth) in self.queues.items()},
            "outputs": list(self.outputs),
            "problems": list(self.problems),
            "source_damaged": self.source_damaged,
            "stopped": self.stopped,
        }

    def compare(self, other: RunReport) -> RunComparison:
        """Set this run against another one, which may have been of another version, model or machine."""
        return RunComparison(self, other)

    def __str__(self) -> str:
        rate = f", {self.fps:.1f} fps" if math.isfinite(self.fps) else ""
        lines = [
            f"{self.source}: {self.frames} frames, hands in {self.frames_with_hands}, {self.seconds:.2f} s{rate}",
            f"model: {self.model}",
        ]
        if self.stages:
            titles = "".join(f"{title:>9}" for title in ("mean ms", "median", "p95", "p99", "first"))
            lines.append(f"{'stage':<12}{titles}{'busy':>7}{'frames':>9}")
            lines += [_row(name, times, self.seconds) for name, times in self._ordered_stages()]
            lines.append(_row("latency", self.latency, None))
            limit = self.limiting_stage
            lines.append(f"limited by: {'the source' if limit == 'read' else limit}")
        if self.is_live or self.ledger.damaged or self.ledger.repeated:
            lines.append(f"frames: {self.ledger}")
        lines += [f"wrote {output}" for output in self.outputs]
        if self.stopped:
            lines.append(f"stopped early: {self.stopped}")
        lines += [f"note: {problem}" for problem in self.problems]
        return "\n".join(lines)

    def _ordered_stages(self) -> list[tuple[str, StageTimes]]:
        return sorted(self.stages.items(), key=lambda item: STAGES.index(item[0]))


@dataclass(frozen=True)
class RunComparison:
    """Two runs side by side.

    Attributes
    ----------
    this, other : RunReport
    """

    this: RunReport
    other: RunReport

    @property
    def speedup(self) -> float:
        """How many times as many frames per second this run made as the other; NaN where one made none."""
        return self.this.fps / self.other.fps

    @property
    def stages(self) -> dict[str, tuple[float, float]]:
        """Median milliseconds of the stages that both runs have: (this, other)."""
        both = [(name, times) for name, times in self.this._ordered_stages() if name in self.other.stages]
        return {name: (times.percentile_ms(50), self.other.stages[name].percentile_ms(50)) for name, times in both}

    def __str__(self) -> str:
        lines = [f"{'':<12}{'this':>10}{'other':>10}{'ratio':>8}"]
        rates = [("fps", self.this.fps, self.other.fps)]
        medians = [(f"{name} ms", *pair) for name, pair in self.stages.items()]
        for name, this, other in rates + medians:
            lines.append(f"{name:<12}{this:>10.2f}{other:>10.2f}{this / other if other else math.nan:>8.2f}")
        return "\n".join(lines)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _row(name: str, times: StageTimes, seconds: float | None) -> str:
    busy = f"{times.total_ms / 10 / seconds:>6.0f}%" if seconds else f"{'':>7}"
    percentiles = "".join(f"{times.percentile_ms(percent):>9.2f}" for percent in (50, 95, 99))
    return f"{name:<12}{times.mean_ms:>9.2f}{percentiles}{times.first_ms:>9.2f}{busy}{times.count:>9}"
