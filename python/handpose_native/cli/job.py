"""One source through one pipeline: what is written, signals, progress and the closing summary."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import VideoError
from .common import positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from ..pipeline import Pipeline
    from ..report import RunReport
    from ..types import FrameResult
    from ..video import Source

__all__ = ["Signals", "add_job_arguments", "run_job"]


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is written and how much is done."""
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="OUT",
        help="out.gif, out.mp4, a folder of images or a pattern like out_%%05d.jpg; may be given several times",
    )
    parser.add_argument(
        "--keypoints",
        action="append",
        default=[],
        metavar="FILE",
        help="keypoints as .jsonl, .csv or .parquet; may be given several times",
    )
    parser.add_argument("--max-frames", type=positive, metavar="N", help="stop after N frames")
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="take every N-th frame only")
    parser.add_argument("--report", metavar="FILE", help="the closing summary as JSON")
    parser.add_argument(
        "--trace", metavar="FILE", help="when each stage worked on each frame, as JSON for ui.perfetto.dev"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")


class Signals:
    """The first Ctrl-C or SIGTERM asks for the end, after the frame in work; a second one ends at once.

    Attributes
    ----------
    stop : threading.Event
        Set by the first.
    received : list of int
        Numbers of the signals so far.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.received: list[int] = []

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle them inside this context."""
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.received.append(number)
        if len(self.received) > 1:
            raise KeyboardInterrupt
        self.stop.set()


def run_job(
    pipeline: Pipeline,
    opened: Source,
    options: argparse.Namespace,
    signals: Signals,
    *,
    sinks: Sequence[Any] = (),
    on_frame: Callable[[FrameResult], None] | None = None,
) -> int:
    """Run what the arguments say; tell what it did, also where it fails. Returns the exit code."""
    try:
        with _Progress(opened, options) as progress:

            def count(result: FrameResult) -> None:
                progress.update()
                if on_frame is not None:
                    on_frame(result)

            pipeline.run(
                opened,
                [*options.output, *sinks],
                keypoints=options.keypoints,
                max_frames=options.max_frames,
                every=options.every,
                policy=options.policy,
                trace=options.trace,
                on_frame=count,
                stop=signals.stop,
            )
    finally:
        report = pipeline.last_report
        if report is not None:
            _tell(report, options)
    if signals.received:
        return 128 + signals.received[0]
    return 6 if report is not None and report.source_damaged else 0


class _Progress:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, source: Source, options: argparse.Namespace) -> None:
        from tqdm import tqdm

        total = source.info.frame_count
        if total is not None:
            total = -(-total // options.every)
        if options.max_frames is not None:
            total = min(total, options.max_frames) if total is not None else options.max_frames
        hidden = options.quiet or not sys.stderr.isatty()
        self._bar = tqdm(total=total, unit="frame", disable=hidden, file=sys.stderr, leave=False)
        self.update = self._bar.update

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _tell(report: RunReport, options: argparse.Namespace) -> None:
    if options.report:
        try:
            Path(options.report).write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise VideoError(
                f"{options.command}: cannot write the report {options.report}: {error.strerror}"
            ) from error
    if not options.quiet:
        sys.stderr.write(f"{report}\n")
