"""``handpose-native export``: from the authors' files to models that run here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  handpose-native export unet --weights unet.pth -o unet.onnx
  handpose-native export handpose-x --backbone resnet50 --weights resnet_50.pth -o handpose_x.onnx
  handpose-native export hourglass-3d --weights net_hm.pth --depth-weights mlp.pth -o hourglass.onnx --fold-decode
  handpose-native export hands -o hands_onnx/
"""

_CHECKPOINTS = ("unet", "handpose-x", "hourglass-3d")
_HANDS = ("hands", "hands-full", "hands-lite")


def add_parser(commands: Any) -> None:
    """Add ``export`` to the commands."""
    export = commands.add_parser(
        "export",
        help="make a .onnx model of a PyTorch checkpoint, or of the default models",
        description="Make a .onnx model of a PyTorch checkpoint or of the default models, its description beside it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument(
        "model", choices=[*_CHECKPOINTS, *_HANDS], metavar="MODEL", help=", ".join([*_CHECKPOINTS, *_HANDS])
    )
    export.add_argument(
        "--weights", metavar="FILE", help="the checkpoint; for hands: a folder with the .tflite files (else those kept)"
    )
    export.add_argument("--depth-weights", metavar="FILE", help="hourglass-3d: the checkpoint of its second network")
    export.add_argument(
        "--backbone",
        metavar="NAME",
        help="handpose-x: resnet50 (else), resnet18, resnet34, resnet101, squeezenet1_0, squeezenet1_1",
    )
    export.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="the .onnx file; for hands: a folder, made if needed"
    )
    export.add_argument("--opset", type=int, default=11, metavar="N", help="11 (else) to 17")
    export.add_argument(
        "--fold-decode",
        action="store_true",
        help="unet, hourglass-3d: read the joints inside the network: 21 x 3 numbers out",
    )
    export.add_argument("--fp16", action="store_true", help="checkpoints only: input, weights and outputs in float16")
    export.set_defaults(function=_export)


def _export(options: argparse.Namespace) -> int:
    if options.model in _CHECKPOINTS:
        return _export_checkpoint(options)
    return _export_hands(options)


def _export_checkpoint(options: argparse.Namespace) -> int:
    from ..export.checkpoint_models import export_checkpoint

    if options.weights is None:
        raise ArgumentError(f"export: --weights is needed for {options.model}: the checkpoint of its authors")
    done = export_checkpoint(
        options.model,
        options.weights,
        options.output,
        depth_weights=options.depth_weights,
        backbone=options.backbone,
        opset=options.opset,
        fold_decode=options.fold_decode,
        half=options.fp16,
    )
    print(_written(done.path))
    for name, difference in done.differences.items():
        if name == "joints_px":
            print(f"  joints inside the graph against the maps decoded outside: {difference:.2g} px at most")
        else:
            print(f"  {name}: differs from PyTorch by {difference:.2g} at most")
    return 0


def _export_hands(options: argparse.Namespace) -> int:
    from ..export.hands import export_hands

    for name in ("depth_weights", "backbone"):
        if getattr(options, name) is not None:
            raise ArgumentError(f"export: --{name.replace('_', '-')} is not for {options.model}")
    for name in ("fold_decode", "fp16"):
        if getattr(options, name):
            raise ArgumentError(f"export: --{name.replace('_', '-')} is not for {options.model}")
    for done in export_hands(options.model, options.output, weights=options.weights, opset=options.opset):
        print(_written(done.path))
        worst, original = (max(one.values()) for one in (done.differences, done.original_differences))
        print(f"  differs from exact arithmetic by {worst:.2g} at most; the original, in LiteRT, by {original:.2g}")
    return 0


def _written(path: Path) -> str:
    return f"{path}: {path.stat().st_size / 1e6:.1f} MB, description in {path.with_suffix('.json').name}"
