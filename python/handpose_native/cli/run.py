"""``handpose-native run``: the whole job on one source."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import ArgumentError
from .common import EXIT_CODES
from .job import Signals, add_job_arguments, run_job
from .pipeline import add_pipeline_arguments, open_pipeline_of
from .source import add_source_arguments, open_source_of

__all__ = ["EXAMPLES", "add_parser"]

EXAMPLES = """\
examples:
  handpose-native run clip.mp4 -o out.gif
  handpose-native run clip.mp4 -o out.mp4 --keypoints out.jsonl --max-hands 2 --smoothing light
  handpose-native run 0 --show --mirrored --camera-size 1280x720 --camera-format MJPG
  handpose-native run rtsp://camera/stream --keypoints out.jsonl
  handpose-native run 'photos/*.jpg' -o drawn/ --no-tracking
  handpose-native run clip.mp4 -o out.mp4 --model unet.onnx --spec unet --roi 420,0,600,600
"""


def add_parser(commands: Any) -> None:
    """Add ``run`` to the commands."""
    run = commands.add_parser(
        "run",
        help="find hands in a video, camera or images; write pictures and keypoints",
        description="Find hands in a video, camera or images; write pictures and keypoints.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_arguments(run)
    add_job_arguments(run)
    run.add_argument("--show", action="store_true", help="show the frames in a window; q or Esc ends")
    add_pipeline_arguments(run)
    run.set_defaults(function=_run)


def _run(options: argparse.Namespace) -> int:
    from ..video import WindowSink

    if not (options.output or options.keypoints or options.show):
        raise ArgumentError("run: nothing to make: give -o OUT, --keypoints FILE or --show")
    signals = Signals()
    with open_pipeline_of(options) as pipeline, signals.handled():
        sinks = [WindowSink()] if options.show else []  # before the source: a window must come before PyAV is loaded
        with open_source_of(options) as opened:
            return run_job(pipeline, opened, options, signals, sinks=sinks)
