"""The command ``handpose-native``."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .diagnostics import build_config, show_config
from .errors import ArgumentError, HandposeError, MissingDependencyError, ModelError, VideoError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from .pipeline import Pipeline
    from .report import RunReport
    from .types import FrameResult
    from .video import Source

__all__ = ["main"]

EXIT_CODES = """\
exit codes:
  0   done
  1   a fault of the program itself (with a traceback: please report it)
  2   wrong use of the command line
  3   the source cannot be read, or an output cannot be written; finished frames are kept
  4   the model cannot be loaded, or does not fit its description
  5   an optional package is missing; the message says what to install
  6   done, but the source was damaged or ended early: all that could be read is written
  130 stopped by Ctrl-C, 143 by SIGTERM; finished frames are kept
"""

EXAMPLES = """\
examples:
  handpose-native run clip.mp4 -o out.gif --model hand.onnx
  handpose-native run clip.mp4 -o out.mp4 --keypoints out.jsonl --model unet.onnx --spec unet --roi 420,0,600,600
  handpose-native run 0 --show --model hand.onnx
  handpose-native run 'frames/*.jpg' -o drawn/ --model hand.onnx
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(message)s")
    if options.command is None:
        parser.print_help()
        return 2
    try:
        return int(options.function(options))
    except HandposeError as error:
        return _fail(error)
    except KeyboardInterrupt:  # before or after the run, which handles signals itself
        sys.stderr.write("handpose-native: stopped\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="handpose-native",
        description="Video in, 21-joint hand poses out.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=str(build_config()["version"]))
    parser.add_argument("--verbose", action="store_true", help="log what is decided on the way")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    _add_run(commands)
    config = commands.add_parser("config", help="show version, build and optional packages, for bug reports")
    config.set_defaults(function=_config)
    return parser


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="find hands in a video, camera or images; write pictures and keypoints",
        description="Find hands in a video, camera or images; write pictures and keypoints.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument(
        "source",
        metavar="SOURCE",
        help="video, GIF or image file, folder, 'pattern*.jpg', camera number or /dev/video0, rtsp:// or http:// URL",
    )
    run.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="OUT",
        help="out.gif, out.mp4, a folder of images or a pattern like out_%%05d.jpg; may be given several times",
    )
    run.add_argument(
        "--keypoints",
        action="append",
        default=[],
        metavar="FILE",
        help="keypoints as .jsonl or .csv; may be given several times",
    )
    run.add_argument("--model", required=True, metavar="FILE", help="the network, an .onnx file")
    run.add_argument(
        "--spec", metavar="NAME|FILE", help="what the model expects: unet, handpose-x, or a .json (else MODEL's own)"
    )
    run.add_argument("--roi", type=_roi, metavar="X,Y,W,H", help="where to look, in pixels (else the whole frame)")
    run.add_argument("--max-frames", type=_positive, metavar="N", help="stop after N frames")
    run.add_argument("--every", type=_positive, default=1, metavar="N", help="take every N-th frame only")
    run.add_argument(
        "--min-presence",
        type=float,
        metavar="P",
        help="leave out hands less sure than this, 0..1 (else the model's value)",
    )
    run.add_argument("--threads", type=_positive, metavar="N", help="threads of the model")
    run.add_argument("--show", action="store_true", help="show the frames in a window; q or Esc ends")
    run.add_argument("--report", metavar="FILE", help="the closing summary as JSON")
    run.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    run.set_defaults(function=_run)


def _roi(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4 or numbers[2] <= 0 or numbers[3] <= 0:
        raise argparse.ArgumentTypeError(f"expected X,Y,W,H in pixels with W and H above 0; got {text!r}")
    return numbers


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1; got {text!r}")
    return int(text)


def _config(_: argparse.Namespace) -> int:
    show_config()
    return 0


def _run(options: argparse.Namespace) -> int:
    from .pipeline import Pipeline

    if not (options.output or options.keypoints or options.show):
        raise ArgumentError("run: nothing to make: give -o OUT, --keypoints FILE or --show")
    with Pipeline(
        options.model, spec=options.spec, roi=options.roi, threads=options.threads, min_presence=options.min_presence
    ) as pipeline:
        received: list[int] = []
        stop = threading.Event()
        try:
            _run_until(stop, received, pipeline, options)
        finally:
            report = pipeline.last_report
            if report is not None:
                _tell(report, options)
    return _exit_code(report, received)


def _run_until(stop: threading.Event, received: list[int], pipeline: Pipeline, options: argparse.Namespace) -> None:
    """Run the job; the first Ctrl-C or SIGTERM ends it after the frame in work, a second one at once."""
    from .video import open_source

    source = int(options.source) if options.source.isdigit() else options.source

    def on_signal(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt
        stop.set()

    sinks = _sinks(options)  # before the source: a window must come before PyAV is loaded
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with open_source(source) as opened, _Progress(opened, options) as progress:
            pipeline.run(
                opened,
                sinks,
                keypoints=options.keypoints,
                max_frames=options.max_frames,
                every=options.every,
                on_frame=progress.on_frame,
                stop=stop,
            )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sinks(options: argparse.Namespace) -> list[Any]:
    from .video import WindowSink

    return [*options.output, *([WindowSink()] if options.show else [])]


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

    def on_frame(self, _: FrameResult) -> None:
        self._bar.update()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _tell(report: RunReport, options: argparse.Namespace) -> None:
    if options.report:
        try:
            Path(options.report).write_text(json.dumps(report.to_dict(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise VideoError(f"run: cannot write the report {options.report}: {error.strerror}") from error
    if not options.quiet:
        sys.stderr.write(f"{report}\n")


def _exit_code(report: RunReport | None, received: list[int]) -> int:
    if received:
        return 128 + received[0]
    return 6 if report is not None and report.source_damaged else 0


def _fail(error: HandposeError) -> int:
    # An error on the way out, of another output on the same full disk, must not hide the one that ended the run.
    if error.__cause__ is None and isinstance(error.__context__, HandposeError):
        sys.stderr.write(f"handpose-native: {error.__context__}\n")
    sys.stderr.write(f"handpose-native: {error}\n")
    codes: dict[type[HandposeError], int] = {VideoError: 3, ModelError: 4, MissingDependencyError: 5, ArgumentError: 2}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 1)


if __name__ == "__main__":
    sys.exit(main())
