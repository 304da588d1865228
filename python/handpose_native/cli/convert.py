"""``handpose-native convert``: from ONNX to an OM for Ascend boards."""

from __future__ import annotations

import argparse
import logging
import shlex
from typing import Any

from .common import EXIT_CODES

__all__ = ["add_parser"]

logger = logging.getLogger(__name__)

_EXAMPLES = """\
examples:
  handpose-native convert unet.onnx --soc Ascend310
  handpose-native convert unet.onnx --soc Ascend310B4 --aipp
  handpose-native convert unet.onnx --soc Ascend310B1 --aipp --dry-run
"""
_SOCS = "Ascend310|Ascend310B1|Ascend310B4"


def add_parser(commands: Any) -> None:
    """Add ``convert`` to the commands."""
    parser = commands.add_parser(
        "convert",
        help="make an .om of an .onnx model, with CANN's atc",
        description="Make an .om of an .onnx model, with CANN's atc.",
        epilog=_EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="F.onnx", help="a model with one image input")
    parser.add_argument("--soc", required=True, metavar=_SOCS, help="Ascend and the Name that npu-smi info prints")
    parser.add_argument("-o", "--output", metavar="F.om", help="beside the model unless given (F-aipp.om with --aipp)")
    parser.add_argument("--spec", metavar="NAME|FILE", help="what the model expects, as for run; else its own")
    parser.add_argument("--aipp", action="store_true", help="the .om normalises by itself and takes uint8")
    parser.add_argument(
        "--precision",
        choices=("fp16", "mixed", "origin", "fp32"),
        default="fp16",
        help="what the network computes in; fp16 unless given",
    )
    parser.add_argument(
        "--atc", action="append", default=[], type=_option, metavar="KEY=VALUE", help="a further option of atc"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the command and the AIPP file, do nothing")
    parser.set_defaults(function=_convert)


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.lstrip("-").partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, as log=error; got {text!r}")
    return name, value


def _convert(options: argparse.Namespace) -> int:
    from ..export.atc import plan_conversion, run_conversion

    conversion = plan_conversion(
        options.model,
        options.output,
        soc=options.soc,
        spec=options.spec,
        aipp=options.aipp,
        precision=options.precision,
        options=dict(options.atc),
    )
    for remark in conversion.remarks:
        logger.warning("convert: %s", remark)
    print(shlex.join(conversion.command), flush=True)
    if options.dry_run:
        if conversion.aipp is not None:
            print(f"\n# {conversion.aipp_path}\n{conversion.aipp.to_text()}", end="")
        return 0
    for path in run_conversion(conversion, on_line=lambda line: print(f"  {line}", flush=True)):
        print(f"wrote {path}")
    return 0
