"""``handpose-native calibrate``: a camera's intrinsics from pictures of a checkerboard."""

from __future__ import annotations

import argparse
import glob
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from .common import positive

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  handpose-native calibrate 'board*.jpg' --squares 10x7 --square-mm 25 -o camera.json
  handpose-native run clip.mp4 -o out.mp4 --keypoints out.jsonl --model hourglass.onnx --camera camera.json
"""

#: A sharp picture of a flat board gives less; more says that the board is bent or the pictures are blurred.
_GOOD_ERROR_PX = 1.0


def add_parser(commands: Any) -> None:
    """Add ``calibrate`` to the commands."""
    calibrate = commands.add_parser(
        "calibrate",
        help="find a camera's focal length and distortion from pictures of a checkerboard",
        description="Find a camera's focal length and distortion from pictures of a checkerboard.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    calibrate.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="image files, or patterns such as 'board*.jpg'"
    )
    calibrate.add_argument(
        "--squares",
        type=_squares,
        required=True,
        metavar="AxB",
        help="squares along the two sides, black and white: one more than corners inside",
    )
    calibrate.add_argument("--square-mm", type=float, required=True, metavar="MM", help="side of a square")
    calibrate.add_argument("-o", "--output", required=True, metavar="FILE", help="the intrinsics as .json")
    calibrate.set_defaults(function=_calibrate)


def _squares(text: str) -> tuple[int, int]:
    first, _, second = text.lower().partition("x")
    try:
        return positive(first), positive(second)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected two numbers of squares, as 10x7; got {text!r}") from None


def _calibrate(options: argparse.Namespace) -> int:
    from ..calibration import calibrate

    found = calibrate(_files(options.pictures), squares=options.squares, square_mm=options.square_mm)
    found.intrinsics.to_json(
        options.output,
        error_px=round(found.error_px, 4),
        pictures=len(found.errors_px),
        squares=list(options.squares),
        square_mm=options.square_mm,
    )
    (fx, _, cx), (_, fy, cy), _ = found.intrinsics.matrix
    print(f"{options.output}: fx {fx:.1f}, fy {fy:.1f}, cx {cx:.1f}, cy {cy:.1f} pixels")
    used, given = len(found.errors_px), len(found.errors_px) + len(found.unused)
    print(f"  corners are off by {found.error_px:.3f} px (root mean square) in {used} of {given} pictures")
    worst = max(found.errors_px, key=lambda picture: found.errors_px[picture])
    if found.error_px > _GOOD_ERROR_PX:
        print("  that is much: is the board flat, are the pictures sharp?")
        print(f"  worst: {worst}, {found.errors_px[worst]:.2f} px")
    return 0


def _files(patterns: list[str]) -> list[str]:
    """Return the files meant, each once, in the order of their names within a pattern."""
    files: list[str] = []
    for pattern in patterns:
        # A name that exists is meant as it stands, also where it has brackets.
        files += [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern))  # noqa: PTH207
    if not files:
        raise ArgumentError(f"calibrate: no picture found: {', '.join(patterns)}")
    return list(dict.fromkeys(files))
