"""``handpose-native doctor``: whether this machine is ready, and how to mend what is not right."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

__all__ = ["add_parser"]

_EPILOG = """\
exit codes:
  0   nothing in the way; warnings there may be
  1   something is: each line marked NO, with what to do below it
"""


def add_parser(commands: Any) -> None:
    """Add ``doctor`` to the commands."""
    doctor = commands.add_parser(
        "doctor",
        help="see whether this machine, board and cameras are ready, and how to mend what is not",
        description="See whether this machine, board and cameras are ready, and how to mend what is not.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doctor.add_argument("--json", action="store_true", help="as JSON")
    doctor.add_argument(
        "--model", action="append", default=[], metavar="FILE", help="see whether a model file fits the board"
    )
    doctor.add_argument(
        "--self-test",
        action="store_true",
        help="ask the board what no document tells, in less than two minutes: a line of JSON each, for a report; "
        "with --model FILE.om also how it runs",
    )
    doctor.set_defaults(function=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from ..doctor import examine

    if options.self_test:
        # A program of its own, because the board may end it.
        command = [sys.executable, "-m", "handpose_native.doctor.selftest", *options.model[:1]]
        return subprocess.run(command, check=False).returncode
    examination = examine(options.model)
    print(json.dumps(examination.to_dict(), indent=2) if options.json else examination)
    return 0 if examination.is_ready else 1
