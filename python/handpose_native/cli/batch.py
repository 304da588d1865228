"""``handpose-native batch``: many videos, by several workers, recorded as they are done."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from .common import EXIT_CODES, positive
from .job import Signals
from .pipeline import add_pipeline_arguments, pipeline_options_of
from .source import add_decoder_argument

if TYPE_CHECKING:
    from ..batch import BatchOptions, BatchReport, Outcome, Video

__all__ = ["EXAMPLES", "add_parser"]

EXAMPLES = """\
examples:
  handpose-native batch videos/ -o results/
  handpose-native batch videos/ -o results/ --keypoints parquet --draw mp4 --max-hands 2
  handpose-native batch list.txt -o results/ --jobs 4
  handpose-native batch /data/videos -o /data/results --ray auto --jobs 64 --npus 1
"""
_RESULTS = """\
For videos/a/clip.mp4 it writes results/a/clip.mp4.jsonl and so on, and clip.mp4.report.json; and it records what is
done in results/manifest.jsonl. Begun again, it goes on where it was: what has its results, from the same file and with
the same options, is left alone. Each result appears when it is complete.
"""


def add_parser(commands: Any) -> None:
    """Add ``batch`` to the commands."""
    batch = commands.add_parser(
        "batch",
        help="do many videos, several at a time; goes on where it was when begun again",
        description="Do many videos, several at a time.\n\n" + _RESULTS,
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    batch.add_argument(
        "sources",
        nargs="+",
        metavar="DIR|LIST",
        help="a folder, which is searched for videos; a text file with one path per line; or videos themselves",
    )
    batch.add_argument("-o", "--output", required=True, metavar="OUT", help="the folder of results")
    batch.add_argument(
        "--keypoints",
        action="append",
        choices=["jsonl", "csv", "parquet", "none"],
        help="what is written of the joints (else jsonl); may be given several times",
    )
    batch.add_argument("--draw", choices=["mp4", "mkv", "mov", "gif"], help="write videos with the hands drawn, too")
    batch.add_argument("--max-frames", type=positive, metavar="N", help="take N frames of each video at most")
    batch.add_argument("--every", type=positive, default=1, metavar="N", help="take every N-th frame only")
    batch.add_argument(
        "--jobs", type=positive, metavar="N", help="videos at a time (else as many as processors; with an .om, 1)"
    )
    batch.add_argument("--quiet", action="store_true", help="tell only what failed")
    add_decoder_argument(batch)
    cluster = batch.add_argument_group("on a cluster")
    cluster.add_argument(
        "--ray", metavar="ADDRESS", help="use Ray: auto for the cluster this machine is in, local for a new one here"
    )
    cluster.add_argument("--cpus", type=float, metavar="N", help="processors that each job takes")
    cluster.add_argument("--npus", type=float, default=0, metavar="N", help="Ascend devices that each job takes")
    add_pipeline_arguments(batch)
    batch.set_defaults(function=_batch)


def _batch(options: argparse.Namespace) -> int:
    from ..batch import BatchOptions, find_videos

    what = BatchOptions(
        options.model,
        pipeline=pipeline_options_of(options),
        keypoints=tuple(kind for kind in options.keypoints or ["jsonl"] if kind != "none"),
        drawn=options.draw,
        every=options.every,
        max_frames=options.max_frames,
        decoder=options.decoder,
    )
    videos = find_videos(options.sources, leave_out=options.output)
    signals = Signals()
    # Ray cannot be asked to stop in the middle: there Ctrl-C ends the command at once.
    with signals.handled() if options.ray is None else nullcontext():
        report = _run(videos, what, options, signals)
    if not options.quiet:
        sys.stderr.write(f"{report}\n")
    if signals.received:
        return 128 + signals.received[0]
    return 8 if report.failed else 6 if report.damaged else 0


def _run(videos: list[Video], what: BatchOptions, options: argparse.Namespace, signals: Signals) -> BatchReport:
    from ..batch import run_batch, run_in_processes, run_on_ray

    with _Progress(len(videos), options.quiet) as progress:
        how: dict[str, Any] = {"jobs": options.jobs, "on_frames": progress.count_frames}
        if options.ray is not None:
            how = {"address": options.ray, "workers": options.jobs, "cpus": options.cpus, "npus": options.npus}
        return run_batch(
            videos,
            options.output,
            what,
            run=run_in_processes if options.ray is None else run_on_ray,
            on_outcome=progress.tell,
            on_begin=progress.begin,
            stop=signals.stop,
            **how,
        )


class _Progress:
    """A progress bar on a terminal; a line for each video that ended."""

    def __init__(self, total: int, quiet: bool) -> None:
        from tqdm import tqdm

        self._quiet = quiet
        self._frames = 0
        hidden = quiet or not sys.stderr.isatty()
        self._bar = tqdm(total=total, unit="video", disable=hidden, file=sys.stderr, leave=False)

    def begin(self, todo: int) -> None:
        """Leave out what is done already."""
        total = self._bar.total or todo
        if todo < total:
            self._bar.update(total - todo)

    def count_frames(self, frames: int) -> None:
        """Show that long videos move on."""
        self._frames += frames
        elapsed_s = self._bar.format_dict["elapsed"] or 1.0
        self._bar.set_postfix_str(f"{self._frames} frames, {self._frames / elapsed_s:.0f} fps")

    def tell(self, outcome: Outcome) -> None:
        """Say what became of a video."""
        if not outcome.is_done:
            self._say(f"handpose-native: {outcome.video.name} failed: {outcome.error}")
        elif not self._quiet:
            rate = outcome.frames / outcome.seconds if outcome.seconds else 0.0
            self._say(f"{outcome.state} {outcome.video.name}: {outcome.frames} frames, {rate:.1f} fps")
        self._bar.update()

    def _say(self, line: str) -> None:
        self._bar.write(line, file=sys.stderr)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
