"""``handpose-native verify``: whether two forms of one model do the same."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, VideoError
from ..types import Roi
from .common import EXIT_CODES, positive
from .pipeline import add_backend_arguments, backend_options_of, read_roi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..picture import Picture
    from ..verify import Form

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  handpose-native verify unet_freihand.pth unet.onnx --network unet
  handpose-native verify unet.onnx unet.om
  handpose-native verify unet.onnx unet-aipp.om --inputs clip.mp4 --roi 420,0,600,600 --pictures worst/
  handpose-native verify hand_landmark_full.tflite hand_landmark_full.onnx
"""
_RULE = """\
Exit code 0: they agree within the limits of the precision; 1: they do not. Either way the figures are kept beside B as
B.verified.json, which `run --verified` insists on.
"""


def add_parser(commands: Any) -> None:
    """Add ``verify`` to the commands."""
    parser = commands.add_parser(
        "verify",
        help="compare two forms of one model on the same pictures",
        description="Compare two forms of one model on the same pictures: inputs, raw outputs, joints.",
        epilog=f"{_EXAMPLES}\n{_RULE}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help="the form that is believed: .pth, .onnx, .tflite, .om")
    parser.add_argument("b", metavar="B", help="the form that is verified")
    parser.add_argument("--spec", metavar="NAME|FILE", help="what both expect, as for run; else each its own")
    parser.add_argument("--network", metavar="NAME", help="of a .pth: unet, handpose-x, hourglass-3d")
    parser.add_argument("--depth-weights", metavar="G.pth", help="of a .pth of hourglass-3d")
    parser.add_argument("--backbone", metavar="NAME", help="of a .pth of handpose-x; resnet50 unless given")
    parser.add_argument("--inputs", metavar="DIR|VIDEO", help="pictures to compare on; rendered hands unless given")
    parser.add_argument("--frames", type=positive, default=12, metavar="N", help="how many pictures; 12 unless given")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the rendered hands; 0 unless given")
    parser.add_argument(
        "--roi", type=_roi, metavar="X,Y,W,H", help="what the models see of a picture; all unless given"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "fp16", "aipp", "int8"), help="whose limits apply; found out unless given"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    parser.add_argument("--pictures", metavar="DIR", help="write the worst pictures there, with the joints of both")
    parser.add_argument("--no-manifest", action="store_true", help="keep nothing beside B")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of models on the CPU")
    add_backend_arguments(parser)
    parser.set_defaults(function=_verify)


def _roi(text: str) -> Roi:
    return Roi.from_xywh(*read_roi(text))


def _verify(options: argparse.Namespace) -> int:
    from ..models.manifest import write_manifest
    from ..verify import verify_forms, write_worst

    with ExitStack() as stack:
        a = stack.enter_context(closing(_opened(options.a, options)))
        b = stack.enter_context(closing(_opened(options.b, options)))
        result = verify_forms(
            a, b, _pictures(options), source=_source_name(options), roi=options.roi, precision=options.precision
        )
    print(result)
    if options.pictures:
        for path in write_worst(result.worst, options.pictures):
            print(f"wrote {path}")
    if options.json:
        try:
            Path(options.json).write_text(result.to_json(), encoding="utf-8")
        except OSError as error:
            raise VideoError(f"verify: {options.json} cannot be written: {error.strerror}") from error
        print(f"wrote {options.json}")
    if not options.no_manifest:
        print(f"wrote {write_manifest(options.b, result.values)}")
    return 0 if result.passed else 1


def _opened(name: str, options: argparse.Namespace) -> Form:
    from ..verify import CHECKPOINT_SUFFIXES, open_checkpoint, open_form

    if Path(name).suffix.lower() not in CHECKPOINT_SUFFIXES:
        return open_form(name, options.spec, {"threads": options.threads, **backend_options_of(options)})
    if options.network is None:
        raise ArgumentError(f"verify: say with --network which network the checkpoint {name} is of")
    return open_checkpoint(
        options.network,
        name,
        spec=options.spec,
        depth_weights=options.depth_weights,
        backbone=options.backbone,
    )


def _pictures(options: argparse.Namespace) -> Iterator[Picture]:
    from ..verify import rendered_frames, source_frames

    if options.inputs is None:
        return rendered_frames(options.frames, options.seed)
    return source_frames(options.inputs, options.frames)


def _source_name(options: argparse.Namespace) -> str:
    return f"rendered hands, seed {options.seed}" if options.inputs is None else str(options.inputs)
