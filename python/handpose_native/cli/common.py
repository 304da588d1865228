"""What the commands share: the exit codes, and numbers of the command line."""

from __future__ import annotations

import argparse

__all__ = ["EXIT_CODES", "positive"]

EXIT_CODES = """\
exit codes:
  0   done
  1   a fault of the program itself (with a traceback: please report it); of demo, bench and verify a wrong result, of
      doctor something that is wrong
  2   wrong use of the command line
  3   the source cannot be read, or an output cannot be written; finished frames are kept
  4   the model cannot be loaded, or does not fit its description
  5   an optional package is missing; the message says what to install
  6   done, but the source was damaged or ended early: all that could be read is written
  7   the NPU, its driver or its runtime failed; finished frames are kept
  8   batch: all are done but those that failed; each is named, with the cause
  130 stopped by Ctrl-C, 143 by SIGTERM; finished frames are kept
"""


def positive(text: str) -> int:
    """Read a whole number from 1; for ``type=`` of an argument."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1; got {text!r}")
    return int(text)
