"""``handpose-native bench``: the kernels and the pipeline beside what one would use without them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from ..bench import check_results, environment, kernel_definitions, kernel_lines, pipeline_lines, run_kernels
from ..bench.pipelines import run_pipelines
from ..errors import ArgumentError, VideoError
from ..isa import isa, isa_levels
from .common import positive

__all__ = ["add_parser"]

_EPILOG = """\
Times are medians of one process and one thread, all variants in turn. The ratio is the variant's time by ours, with the
quartiles of the rounds. The last column is the share of the memory limit: the time to read and write the case's bytes,
measured in the same run, by the variant's time. A case with a wrong answer is not timed, and the command ends with 1.
"""


def add_parser(commands: Any) -> None:
    """Add ``bench`` to the commands."""
    bench = commands.add_parser(
        "bench",
        help="time the kernels and the pipeline beside other software",
        description="Time the kernels and the pipeline beside other software.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bench.add_argument("what", nargs="?", choices=("kernels", "pipeline", "all"), default="kernels")
    bench.add_argument("--json", metavar="FILE", help="write the results there too")
    bench.add_argument("--machine", metavar="NAME", help="what the JSON calls this machine; its processor unless given")
    bench.add_argument("--case", metavar="PATTERN", help="only kernel cases whose name contains this; * and ? stand in")
    bench.add_argument("--budget", type=_seconds, default=1.0, metavar="SECONDS", help="of timing per case; 1")
    bench.add_argument("--check", action="store_true", help="only check the answers of the kernels, time nothing")
    bench.add_argument("--level", choices=isa_levels(), default=isa_levels()[-1], help="ISA level of the kernels")
    bench.add_argument("--video", metavar="FILE", help="for the pipeline; made frames unless given")
    bench.add_argument("--max-frames", type=positive, default=300, metavar="N", help="of the video; 300")
    bench.set_defaults(function=_bench)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0; got {text!r}")
    return value


def _bench(options: argparse.Namespace) -> int:
    _restart_on_one_thread()
    document = {**environment(options.machine), "budget_s": options.budget, "kernels": [], "pipelines": []}
    document["build"]["isa_active"] = options.level
    print(f"{document['machine']['name']}, level {options.level}, {document['build']['compiler']}")
    with isa(options.level):
        if options.what in ("kernels", "all"):
            definitions = kernel_definitions(options.case)
            if not definitions:
                raise ArgumentError(f"bench: no case's name contains {options.case!r}")
            for entry in run_kernels(definitions, None if options.check else options.budget):
                document["kernels"].append(entry)
                lines = kernel_lines(entry)
                print("\n".join(lines), flush=True)
        if options.what in ("pipeline", "all") and not options.check:
            for entry in run_pipelines(options.video, options.max_frames):
                document["pipelines"].append(entry)
                print("\n".join(pipeline_lines(entry)), flush=True)
    check_results(document)
    if options.json:
        try:
            Path(options.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise VideoError(f"bench: {options.json} cannot be written: {error}") from error
    wrong = [entry["name"] for entry in [*document["kernels"], *document["pipelines"]] if entry["wrong"]]
    if wrong:
        sys.stderr.write(f"handpose-native: wrong answers, not timed: {', '.join(wrong)}\n")
    return 1 if wrong else 0


def _restart_on_one_thread() -> None:
    """Begin again with one thread for NumPy's products, which read the environment when NumPy is loaded."""
    wanted = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if all(os.environ.get(name) == value for name, value in wanted.items()):
        return
    command = [sys.executable, "-m", "handpose_native", *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, **wanted})
