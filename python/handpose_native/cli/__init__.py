"""The command ``handpose-native``: one module per subcommand."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from ..diagnostics import build_config, show_config
from ..errors import ArgumentError, DeviceError, HandposeError, MissingDependencyError, ModelError, VideoError
from . import batch, bench, calibrate, convert, demo, doctor, eval, export, models, run, serve, verify
from .common import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(message)s")
    if options.command is None:
        parser.print_help()
        return 2
    try:
        code = int(options.function(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the output has gone, as `head` does; nothing is left to be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except HandposeError as error:
        return _fail(error)
    except KeyboardInterrupt:  # before or after the run, which handles signals itself
        sys.stderr.write("handpose-native: stopped\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="handpose-native",
        description="Video in, 21-joint hand poses out.",
        epilog=run.EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=str(build_config()["version"]))
    parser.add_argument("--verbose", action="store_true", help="log what is decided on the way")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    demo.add_parser(commands)
    run.add_parser(commands)
    batch.add_parser(commands)
    serve.add_parser(commands)
    models.add_parser(commands)
    export.add_parser(commands)
    calibrate.add_parser(commands)
    bench.add_parser(commands)
    convert.add_parser(commands)
    verify.add_parser(commands)
    eval.add_parser(commands)
    doctor.add_parser(commands)
    config = commands.add_parser("config", help="show version, build and optional packages, for bug reports")
    config.set_defaults(function=_config)
    return parser


def _config(_: argparse.Namespace) -> int:
    show_config()
    return 0


def _fail(error: HandposeError) -> int:
    # An error on the way out, of another output on the same full disk, must not hide the one that ended the run.
    if error.__cause__ is None and isinstance(error.__context__, HandposeError):
        sys.stderr.write(f"handpose-native: {error.__context__}\n")
    sys.stderr.write(f"handpose-native: {error}\n")
    codes: dict[type[HandposeError], int] = {
        VideoError: 3,
        ModelError: 4,
        MissingDependencyError: 5,
        DeviceError: 7,
        ArgumentError: 2,
    }
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 1)
