"""The whole batch: what is done already is left alone, the rest is done and recorded."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import VideoError
from .manifest import Manifest
from .processes import run_in_processes

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Callable, Generator, Sequence

    from .options import BatchOptions
    from .videos import Video
    from .work import Outcome

__all__ = ["BatchReport", "run_batch"]


@dataclass
class BatchReport:
    """What a batch did.

    Attributes
    ----------
    done, damaged : int
        Videos that have results; of the damaged ones some could not be read.
    failed : list of Outcome
        Videos that have none, with the cause.
    already_done : int
        Videos left alone because they have their results from before.
    left : int
        Videos left for another time because the batch was asked to end, those in work included.
    frames : int
        Frames that went through the whole chain.
    media_s : float
        Length of the videos done, by their own times.
    seconds : float
        Wall time.
    """

    done: int = 0
    damaged: int = 0
    failed: list[Outcome] = field(default_factory=list)
    already_done: int = 0
    left: int = 0
    frames: int = 0
    media_s: float = 0.0
    seconds: float = 0.0

    def count(self, outcome: Outcome) -> None:
        """Count a video that ended."""
        if not outcome.is_done:
            self.failed.append(outcome)
            return
        self.done += outcome.state == "done"
        self.damaged += outcome.state == "damaged"
        self.frames += outcome.frames
        self.media_s += outcome.media_s

    @property
    def fps(self) -> float:
        """Frames per second of all workers together; NaN before the first."""
        return self.frames / self.seconds if self.frames else math.nan

    def __str__(self) -> str:
        counts = {
            "done": self.done,
            "done, but damaged": self.damaged,
            "failed": len(self.failed),
            "done before": self.already_done,
            "left": self.left,
        }
        text = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "no videos"
        rate = f"; {self.frames} frames in {self.seconds:.1f} s, {self.fps:.1f} fps" if self.frames else ""
        return f"videos: {text}{rate}"


def run_batch(
    videos: Sequence[Video],
    out: str | os.PathLike[str],
    options: BatchOptions,
    *,
    run: Callable[..., Generator[Outcome, None, None]] = run_in_processes,
    on_outcome: Callable[[Outcome], None] | None = None,
    on_begin: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
    **how: Any,
) -> BatchReport:
    """Do all videos that are not done yet, the largest first.

    Parameters
    ----------
    videos : sequence of Video
        See :func:`find_videos`.
    out : path
        The folder of results, which is made: for ``NAME`` the files ``NAME.jsonl`` and so on, ``NAME.report.json``, and
        one record of all, ``manifest.jsonl``.
    options : BatchOptions
        Where they differ from those of an earlier batch, or a video has changed, it is done again.
    run : callable
        :func:`run_in_processes` or :func:`run_on_ray`.
    on_outcome : callable, optional
        Called with each outcome after it is recorded.
    on_begin : callable, optional
        Called once with the number of videos that are to be done.
    stop : threading.Event, optional
        Set it, from a signal handler or another thread, to end; what is done stays.
    **how
        Further arguments of `run`.

    Returns
    -------
    BatchReport

    Raises
    ------
    ArgumentError
        If another batch is at work in `out`.
    VideoError
        If `out` or the record cannot be written.
    HandposeError
        What a worker cannot begin for.
    """
    began_s = time.perf_counter()
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideoError(f"batch: {folder} cannot be written: {error.strerror}") from error
    digest = options.digest()
    report = BatchReport()
    with Manifest(folder) as manifest:
        todo = [video for video in videos if not manifest.is_done(video, digest)]
        report.already_done = len(videos) - len(todo)
        todo.sort(key=lambda video: -(video.size_bytes or 0))  # a large one at the end would be waited for alone
        if on_begin is not None:
            on_begin(len(todo))
        with closing(run(todo, folder, options, stop=stop, **how)) as outcomes:
            for outcome in outcomes:
                manifest.add(outcome, digest)
                report.count(outcome)
                if on_outcome is not None:
                    on_outcome(outcome)
    report.left = len(todo) - report.done - report.damaged - len(report.failed)
    report.seconds = time.perf_counter() - began_s
    return report
