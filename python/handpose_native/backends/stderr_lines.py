"""Lines that a runtime writes to stderr of its own accord, where it offers no way to turn them off."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["dropped_from_stderr"]

_STDERR = 2
_one_at_a_time = threading.Lock()


@contextmanager
def dropped_from_stderr(line: bytes) -> Iterator[None]:
    """Keep one known line of native code away from stderr; what else the process writes there comes a little later.

    Parameters
    ----------
    line : bytes
        The whole line, without its end.

    Notes
    -----
    Meant for a few milliseconds, once in a process: the descriptor is the whole process's, so other threads' lines wait
    too. Where stderr is closed, nothing is done.
    """
    with _one_at_a_time:
        try:
            kept = os.dup(_STDERR)
        except OSError:
            yield
            return
        with tempfile.TemporaryFile() as meanwhile:
            os.dup2(meanwhile.fileno(), _STDERR)
            try:
                yield
            finally:
                os.dup2(kept, _STDERR)
                os.close(kept)
                meanwhile.seek(0)
                rest = b"".join(written for written in meanwhile if written.rstrip(b"\r\n") != line)
                while rest:
                    rest = rest[os.write(_STDERR, rest) :]
