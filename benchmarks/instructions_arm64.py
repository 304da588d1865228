"""Instructions that a call executes on aarch64: ours and OpenCV's on the same work, counted under QEMU.

    .ci/board && python benchmarks/instructions_arm64.py [--root build/board/root] [--calls 20]

Emulated time says nothing, but the instructions are those that a board executes. Needs the root that `.ci/board`
makes, with the package installed in it, qemu-user (which loads plugins; the static one does not), and a C compiler. The
cases are those of `handpose_native.bench`; every answer is checked before anything is counted. A count is the
difference of two marks round many calls, Python's part of each call included.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = "usr/bin/python3.9"
MARK = 100000
CASES = (
    "preprocess/linear/1280x720/224",
    "preprocess/antialias/1280x720/224",
    "preprocess/rotated/1280x720/224",
    "preprocess/nv12/1280x720/224",
    "heatmap/argmax/1x21x128x128/float32",
    "heatmap/dark/1x21x128x128/float32",
    "heatmap/expectation/1x21x128x128/float32",
    "draw/640x480/3",
    "draw/1920x1080/3",
)


def inside(calls: int) -> None:
    """Run the cases between marks; prints what was run."""
    import ctypes

    from handpose_native import bench, isa_levels

    libc = ctypes.CDLL(None)
    rows = []
    with bench.one_thread():
        for definition in bench.kernel_definitions():
            if definition.name not in CASES:
                continue
            case = definition.build()
            _, wrong = bench.check_case(case)
            if wrong:
                raise SystemExit(f"{definition.name}: {wrong}")
            for variant in case.variants:
                if variant.kind == "level":
                    continue
                variant.call()
                libc.syscall(MARK)
                for _ in range(calls):
                    variant.call()
                libc.syscall(MARK)
                rows.append((definition.name, variant.name, variant.kind))
    import cv2

    print(json.dumps({"rows": rows, "opencv": cv2.__version__, "levels": isa_levels()}))


def run(root: Path, calls: int, plugin: Path) -> tuple[dict, list[int]]:
    library = [root / "lib/aarch64-linux-gnu", root / "usr/lib/aarch64-linux-gnu"]
    settings = {
        "LD_LIBRARY_PATH": ":".join(map(str, library)),
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": str(root / "venv/lib/python3.9/site-packages"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = ["qemu-aarch64", "-plugin", str(plugin), "-L", str(root)]
    for name, value in settings.items():
        command += ["-E", f"{name}={value}"]
    command += [str(root / PYTHON), str(Path(__file__).resolve()), "--inside", "--calls", str(calls)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LD_"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    marks = [int(number) for number in re.findall(r"^mark (\d+)$", done.stderr, re.MULTILINE)]
    return json.loads(done.stdout.splitlines()[-1]), marks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("build/board/root"))
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.calls)
        return
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "instructions.so"
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", HERE / "instructions_plugin.c", "-o", plugin],
            check=True,
        )
        found, marks = run(options.root.resolve(), options.calls, plugin)
    counts = [(after - before) / options.calls for before, after in zip(marks[::2], marks[1::2])]
    print(f"OpenCV {found['opencv']}, levels {', '.join(found['levels'])}; thousands of instructions per call")
    print("| case | way | instructions, k | ours / it |\n|---|---|---|---|")
    ours = 0.0
    for (case, variant, kind), count in zip(found["rows"], counts):
        ours = count if kind == "ours" else ours
        part = " (a part)" if kind == "part" else ""
        print(f"| {case} | {variant}{part} | {count / 1e3:.0f} | {ours / count:.2f} |")


if __name__ == "__main__":
    main()
