"""Model files: the weights of hands, and whether an .om fits the board."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import HandposeError
from ..models.weights import WEIGHTS, verify_weights
from .findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["examine_models", "soc_of_om"]

#: atc writes its command line into the model, and the chip as an attribute.
_SOC = re.compile(rb"soc_version\W{0,8}(Ascend\w{3,12})")


def examine_models(files: Sequence[str], soc: str | None) -> Iterator[Finding]:
    """Look at the weights that are kept, and at the files given.

    Parameters
    ----------
    files : sequence of str
    soc : str or None
        The board's chip, such as ``"Ascend310B4"``; None where there is none.
    """
    for name in WEIGHTS:
        try:
            states = {status.state for status in verify_weights(name).values()}
        except HandposeError as error:
            yield Finding("models", name, "error", str(error), f"handpose-native models pull {name}")
            continue
        pull = f"handpose-native models pull {name}"
        if states == {"ok"}:
            yield Finding("models", name, "ok", "its weights are here and whole")
        elif "damaged" in states:
            yield Finding("models", name, "error", "its weights are damaged", pull)
        else:
            yield Finding("models", name, "note", f"its weights are not here; fetched on first use, or by `{pull}`")
    for file in files:
        yield _file(file, soc)


def _file(name: str, soc: str | None) -> Finding:
    path = Path(name)
    if not path.is_file():
        return Finding("models", name, "error", "no such file", "give the path of a model file")
    if path.suffix.lower() != ".om":
        return Finding("models", name, "ok", f"{path.stat().st_size / 1e6:.1f} MB, runs on the processor")
    built_for = soc_of_om(path)
    again = f"convert it again with atc --soc_version={soc}"
    if built_for is None:
        return Finding("models", name, "note", "an .om that does not say which chip it was built for")
    if soc is None:
        return Finding("models", name, "note", f"built for {built_for}; there is no device here that tells its chip")
    if built_for == soc:
        return Finding("models", name, "ok", f"built for {built_for}, as is this board")
    if _family(built_for) == _family(soc):
        return Finding("models", name, "warning", f"built for {built_for}; this is {soc}, of the same family", again)
    return Finding("models", name, "error", f"built for {built_for}; this is {soc}: loading it gives 507008", again)


def soc_of_om(path: Path) -> str | None:
    """Return the chip that a model was built for, as the file says; None where it does not.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    found = _SOC.search(path.read_bytes())
    return found[1].decode("ascii") if found else None


def _family(soc: str) -> str:
    """Return the name without the number of the variant: Ascend310B1 and Ascend310B4 are one family."""
    return re.sub(r"(?<=[A-Z])\d+$", "", soc)
