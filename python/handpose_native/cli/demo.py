"""``handpose-native demo``: a rendered clip through the whole chain, measured against its truth."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from .common import EXIT_CODES, positive

if TYPE_CHECKING:
    from ..report import RunReport
    from ..synthetic import Clip, HandMatch
    from ..types import FrameResult

__all__ = ["EXAMPLES", "add_parser"]

EXAMPLES = """\
examples:
  handpose-native demo
  handpose-native demo -o demo.mp4 --frames 150 --size 1280x720 --seed 7
"""

_MIN_FOUND, _MAX_RELATIVE_ERROR = 0.9, 0.1
_RULE = """\
The demo fails, with exit code 1, where fewer than 90 % of the hands that are wholly in view are found, or where the
joints of those found are off by more than 10 % of the hand's size in the mean.
"""


def add_parser(commands: Any) -> None:
    """Add ``demo`` to the commands."""
    demo = commands.add_parser(
        "demo",
        help="render a clip of hands, find them, write demo.gif and measure speed and error",
        description="Render a clip of hands, find them, write demo.gif and measure speed and error against the truth.",
        epilog=f"{EXAMPLES}\n{_RULE}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument(
        "-o",
        "--output",
        default="demo.gif",
        metavar="OUT",
        help="what run writes: .gif, .mp4, a folder (else demo.gif)",
    )
    demo.add_argument("--frames", type=positive, default=60, metavar="N", help="length of the clip (else 60)")
    demo.add_argument("--size", type=_size, default=(480, 640), metavar="WxH", help="of the pictures (else 640x480)")
    demo.add_argument("--seed", type=_seed, default=0, metavar="S", help="another skin, room and light (else 0)")
    demo.add_argument("--model", default="hands", metavar="MODEL", help="hands (the default), hands-lite or a folder")
    demo.set_defaults(function=_demo)


def _size(text: str) -> tuple[int, int]:
    """Read WxH as (height, width)."""
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and min(int(width), int(height)) >= 64):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, both at least 64; got {text!r}")
    return int(height), int(width)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0; got {text!r}")
    return int(text)


def _demo(options: argparse.Namespace) -> int:
    from ..pipeline import Pipeline
    from ..synthetic import match_hands

    with Pipeline(options.model, max_hands=2) as pipeline:  # first: it tells at once where weights are missing
        clip = _rendered(options)
        matches: list[HandMatch] = []

        def compare(result: FrameResult) -> None:
            in_view = [truth for truth in clip.truths[result.index] if truth.visible.all()]
            matches.extend(match_hands(result.hands, in_view))

        report = pipeline.run(clip.images, options.output, on_frame=compare)
    return _tell(report, matches)


def _rendered(options: argparse.Namespace) -> Clip:
    from tqdm import tqdm

    from ..synthetic import Clip, iter_clip

    began = time.perf_counter()
    frames = iter_clip("show", frames=options.frames, size_hw=options.size, seed=options.seed, noise=0.0)
    hidden = not sys.stderr.isatty()
    rendered = list(
        tqdm(frames, "rendering", options.frames, unit="frame", disable=hidden, file=sys.stderr, leave=False)
    )
    height, width = options.size
    print(f"rendered {options.frames} frames of {width}x{height} in {time.perf_counter() - began:.1f} s")
    return Clip(np.stack([frame.image for frame in rendered]), tuple(frame.hands for frame in rendered))


def _tell(report: RunReport, matches: list[HandMatch]) -> int:
    found = [match for match in matches if match.hand is not None]
    share = len(found) / len(matches) if matches else 0.0
    print(f"{report.frames} frames at {report.fps:.1f} fps: found, drawn and written, without the rendering")
    print(f"hands found: {len(found)} of {len(matches)} in view ({share:.1%}), in {report.frames_with_hands} frames")
    error = float("nan")
    if found:
        error = float(np.mean([match.relative_error for match in found]))
        error_px = float(np.mean([match.error_px for match in found]))
        sides = np.mean([match.hand.handedness == match.truth.handedness for match in found if match.hand is not None])
        print(f"mean error of the joints: {error_px:.1f} px, {error:.1%} of the hand's size")
        print(f"right or left: told right in {sides:.1%}")
    for output in report.outputs:
        print(f"wrote {output}")
    if share >= _MIN_FOUND and error <= _MAX_RELATIVE_ERROR:
        return 0
    print(f"handpose-native: the demo failed its own check; {_RULE}", file=sys.stderr, end="")
    return 1
