"""``handpose-native run``: the whole job on one source."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, VideoError
from .common import EXIT_CODES, positive
from .source import add_source_arguments, open_source_of

if TYPE_CHECKING:
    from types import FrameType

    from ..pipeline import Pipeline
    from ..report import RunReport
    from ..types import FrameResult
    from ..video import Source

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
    run.add_argument(
        "--model",
        default="hands",
        metavar="NAME|FILE|DIR",
        help="hands (the default) or hands-lite; a .onnx or .tflite file; a folder with a palm and a landmark model",
    )
    run.add_argument(
        "--spec",
        metavar="NAME|FILE",
        help="what a model file expects: unet, handpose-x, hourglass-3d, or a .json (else its own)",
    )
    run.add_argument(
        "--roi",
        type=_roi,
        action="append",
        metavar="X,Y,W,H",
        help="where to look for a hand, in pixels, instead of everywhere; may be given several times",
    )
    run.add_argument("--max-frames", type=positive, metavar="N", help="stop after N frames")
    run.add_argument("--every", type=positive, default=1, metavar="N", help="take every N-th frame only")
    run.add_argument(
        "--min-presence",
        type=float,
        metavar="P",
        help="leave out hands less sure than this, 0..1 (else the model's value)",
    )
    run.add_argument(
        "--camera", metavar="FILE", help="the camera, from `handpose-native calibrate`, for models that give depths"
    )
    run.add_argument(
        "--hand-scale",
        type=float,
        metavar="M",
        help="metres from the base of the middle finger to its next joint (else 0.04463), for models that give depths",
    )
    run.add_argument("--threads", type=positive, metavar="N", help="threads of each network")
    run.add_argument("--show", action="store_true", help="show the frames in a window; q or Esc ends")
    run.add_argument("--report", metavar="FILE", help="the closing summary as JSON")
    run.add_argument(
        "--trace", metavar="FILE", help="when each stage worked on each frame, as JSON for ui.perfetto.dev"
    )
    run.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    _add_hands_arguments(run)
    run.set_defaults(function=_run)


def _add_hands_arguments(run: argparse.ArgumentParser) -> None:
    hands = run.add_argument_group("for hands and hands-lite")
    hands.add_argument("--max-hands", type=positive, metavar="N", help="follow up to N hands (else 1)")
    hands.add_argument("--smoothing", choices=["off", "light", "strong"], help="steadier joints, a little later")
    hands.add_argument("--mirrored", action="store_true", default=None, help="the picture is mirrored, as a selfie is")
    hands.add_argument(
        "--redetect-every", type=positive, metavar="N", help="look for further hands every N frames (else 10)"
    )
    hands.add_argument(
        "--no-tracking",
        dest="tracking",
        action="store_false",
        default=None,
        help="look at every frame by itself, for unrelated pictures",
    )
    hands.add_argument("--detector-only", action="store_true", default=None, help="find palms only")


def _roi(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4 or numbers[2] <= 0 or numbers[3] <= 0:
        raise argparse.ArgumentTypeError(f"expected X,Y,W,H in pixels with W and H above 0; got {text!r}")
    return numbers


def _run(options: argparse.Namespace) -> int:
    from ..pipeline import Pipeline

    if not (options.output or options.keypoints or options.show):
        raise ArgumentError("run: nothing to make: give -o OUT, --keypoints FILE or --show")
    with Pipeline(
        options.model,
        spec=options.spec,
        roi=options.roi,
        threads=options.threads,
        min_presence=options.min_presence,
        intrinsics=options.camera,
        hand_scale_m=options.hand_scale,
        max_hands=options.max_hands,
        redetect_every=options.redetect_every,
        smoothing=options.smoothing,
        mirrored=options.mirrored,
        tracking=options.tracking,
        detector_only=options.detector_only,
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

    def on_signal(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt
        stop.set()

    sinks = _sinks(options)  # before the source: a window must come before PyAV is loaded
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with open_source_of(options) as opened, _Progress(opened, options) as progress:
            pipeline.run(
                opened,
                sinks,
                keypoints=options.keypoints,
                max_frames=options.max_frames,
                every=options.every,
                policy=options.policy,
                trace=options.trace,
                on_frame=progress.on_frame,
                stop=stop,
            )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sinks(options: argparse.Namespace) -> list[Any]:
    from ..video import WindowSink

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
