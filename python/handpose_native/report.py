"""What a run did: frames, times of each stage, what was lost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["RunReport", "StageTimes"]


class StageTimes:
    """Durations of one stage in constant memory, however many there are.

    The mean is exact. Percentiles come from a histogram whose bins are 1 % wide (from a microsecond to a quarter of an
    hour), so they are right within half a percent.
    """

    _SHORTEST_MS = 1e-3
    _BIN_RATIO = 1.01
    _BINS = 2080

    def __init__(self) -> None:
        self.count = 0
        self.total_ms = 0.0
        self._histogram = np.zeros(self._BINS, dtype=np.int64)

    def add(self, duration_ms: float) -> None:
        """Count one duration, in milliseconds."""
        self.count += 1
        self.total_ms += duration_ms
        ratio = max(duration_ms / self._SHORTEST_MS, 1.0)
        self._histogram[min(int(math.log(ratio) / math.log(self._BIN_RATIO)), self._BINS - 1)] += 1

    @property
    def mean_ms(self) -> float:
        """Mean in milliseconds; NaN where nothing was counted."""
        return self.total_ms / self.count if self.count else math.nan

    def percentile_ms(self, percent: float) -> float:
        """Return the duration that `percent` of all do not exceed, in milliseconds; NaN where nothing was counted."""
        if not self.count:
            return math.nan
        wanted = math.ceil(self.count * percent / 100)
        index = int(np.searchsorted(np.cumsum(self._histogram), max(wanted, 1)))
        return float(self._SHORTEST_MS * self._BIN_RATIO ** (index + 0.5))


@dataclass
class RunReport:
    """The account of one :meth:`Pipeline.run`.

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
        Wall time of the job, opening and closing the files included, loading the model not.
    stages : dict of str to StageTimes
        ``decode``, ``detect`` (the palm detector, on the frames where it ran), ``preprocess``, ``model``, ``joints``,
        ``draw``, ``write``, each once per frame in which it did something.
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
    seconds: float = 0.0
    stages: dict[str, StageTimes] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    source_damaged: bool = False
    stopped: str | None = None

    @property
    def fps(self) -> float:
        """Frames per second of the whole chain; NaN before the first frame."""
        return self.frames / self.seconds if self.frames and self.seconds > 0 else math.nan

    def add_stage(self, name: str, duration_ms: float) -> None:
        """Count one duration of a stage, in milliseconds."""
        if name not in self.stages:
            self.stages[name] = StageTimes()
        self.stages[name].add(duration_ms)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain Python values; times in milliseconds, None for what is unknown."""
        return {
            "source": self.source,
            "model": self.model,
            "frames": self.frames,
            "frames_with_hands": self.frames_with_hands,
            "seconds": self.seconds,
            "fps": self.fps if math.isfinite(self.fps) else None,
            "stages_ms": {
                name: {"count": times.count, "mean": times.mean_ms, "p95": times.percentile_ms(95)}
                for name, times in self.stages.items()
            },
            "outputs": list(self.outputs),
            "problems": list(self.problems),
            "source_damaged": self.source_damaged,
            "stopped": self.stopped,
        }

    def __str__(self) -> str:
        rate = f", {self.fps:.1f} fps" if math.isfinite(self.fps) else ""
        lines = [
            f"{self.source}: {self.frames} frames, hands in {self.frames_with_hands}, {self.seconds:.2f} s{rate}",
            f"model: {self.model}",
        ]
        if self.stages:
            lines.append(f"{'stage':<12}{'mean ms':>9}{'p95 ms':>9}{'frames':>9}")
            lines += [
                f"{name:<12}{times.mean_ms:>9.2f}{times.percentile_ms(95):>9.2f}{times.count:>9}"
                for name, times in self.stages.items()
            ]
        lines += [f"wrote {output}" for output in self.outputs]
        if self.stopped:
            lines.append(f"stopped early: {self.stopped}")
        lines += [f"note: {problem}" for problem in self.problems]
        return "\n".join(lines)
