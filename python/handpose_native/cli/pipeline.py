"""The arguments that say how hands are found, shared by the commands that run a pipeline."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .common import positive

if TYPE_CHECKING:
    from ..pipeline import Pipeline

__all__ = [
    "add_backend_arguments",
    "add_pipeline_arguments",
    "backend_options_of",
    "open_pipeline_of",
    "pipeline_options_of",
    "read_roi",
]


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model and its options."""
    parser.add_argument(
        "--model",
        default="hands",
        metavar="NAME|FILE|DIR",
        help="hands (the default), hands-lite; a .onnx, .tflite or .om file; a folder with a palm and a landmark model",
    )
    parser.add_argument(
        "--spec",
        metavar="NAME|FILE",
        help="what a model file expects: unet, handpose-x, hourglass-3d, or a .json (else its own)",
    )
    parser.add_argument(
        "--roi",
        type=read_roi,
        action="append",
        metavar="X,Y,W,H",
        help="where to look for a hand, in pixels, instead of everywhere; may be given several times",
    )
    parser.add_argument(
        "--min-presence",
        type=float,
        metavar="P",
        help="leave out hands less sure than this, 0..1 (else the model's value)",
    )
    parser.add_argument(
        "--camera", metavar="FILE", help="the camera, from `handpose-native calibrate`, for models that give depths"
    )
    parser.add_argument(
        "--hand-scale",
        type=float,
        metavar="M",
        help="metres from the base of the middle finger to its next joint (else 0.04463), for models that give depths",
    )
    parser.add_argument(
        "--crop",
        choices=["cpu", "vpc"],
        help="vpc: an Ascend board's VPC crops and scales for a model file, with --decoder ascend",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of each network on the CPU")
    parser.add_argument("--verified", action="store_true", help="insist that the model passed `verify` as it is")
    add_backend_arguments(parser)
    _add_hands_arguments(parser)


def add_backend_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how models are run."""
    parser.add_argument(
        "--slots", type=positive, metavar="N", help="frames in flight on the device (else 1 on the CPU, 2 on an NPU)"
    )
    parser.add_argument("--device-id", type=int, metavar="N", help="which NPU, for .om models (else 0)")
    parser.add_argument(
        "--flush",
        action="store_true",
        default=None,
        help="flush the CPU's caches round each run of an .om model, where an old board is wrong without",
    )


def backend_options_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the arguments say, for ``Pipeline(backend_options=...)``."""
    given = {"slots": options.slots, "device_id": options.device_id, "flush": options.flush}
    return {name: value for name, value in given.items() if value is not None}


def _add_hands_arguments(parser: argparse.ArgumentParser) -> None:
    hands = parser.add_argument_group("for hands and hands-lite")
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


def read_roi(text: str) -> tuple[float, ...]:
    """Read X,Y,W,H in pixels; for ``type=`` of an argument."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4 or numbers[2] <= 0 or numbers[3] <= 0:
        raise argparse.ArgumentTypeError(f"expected X,Y,W,H in pixels with W and H above 0; got {text!r}")
    return numbers


def open_pipeline_of(options: argparse.Namespace) -> Pipeline:
    """Load what the arguments say."""
    from ..pipeline import Pipeline

    return Pipeline(options.model, **pipeline_options_of(options))


def pipeline_options_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the arguments say of a pipeline, but for its model."""
    given = {
        "spec": options.spec,
        "roi": options.roi,
        "threads": options.threads,
        "backend_options": backend_options_of(options),
        "verified": options.verified,
        "min_presence": options.min_presence,
        "intrinsics": options.camera,
        "hand_scale_m": options.hand_scale,
        "max_hands": options.max_hands,
        "redetect_every": options.redetect_every,
        "smoothing": options.smoothing,
        "mirrored": options.mirrored,
        "tracking": options.tracking,
        "detector_only": options.detector_only,
    }
    return {**given, "crop": options.crop} if options.crop is not None else given
