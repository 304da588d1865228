"""Small stand-ins for the weights, for the wheel that holds them and for the Python whose pip fetches it."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from handpose_native.models import weight_sets
from handpose_native.models.weight_sets import WEIGHTS, WeightFile, WeightSet
from handpose_native.models.weights import require_weights

CONTENTS = {file.file_name: file.file_name.encode() * 5000 for each in WEIGHTS.values() for file in each.files.values()}

#: Takes the place of Python: "-m pip download ... --dest=FOLDER" does what its JSON file says, and notes the call.
PIP = """#!{python}
import json, os, pathlib, shutil, sys, time

here = pathlib.Path(__file__).parent
plan = json.loads((here / "plan.json").read_text())
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(dict(argv=sys.argv[1:], cwd=os.getcwd(), pid=os.getpid())) + "\\n")
folder = pathlib.Path(next(word for word in sys.argv if word.startswith("--dest="))[7:])
if plan["hangs"]:
    (folder / "half.whl").write_bytes(b"PK")
    pathlib.Path(os.environ["TMPDIR"], "pip-unpack-x").mkdir()
    (here / "hanging").touch()
time.sleep(plan["seconds"])
for wheel in plan["wheels"]:
    shutil.copy(wheel, folder)
sys.stderr.write(plan["stderr"])
sys.exit(plan["code"])
"""


class FakePip:
    """A program that takes the place of ``sys.executable``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.python = folder / "python"
        self.python.write_text(PIP.format(python=sys.executable), encoding="utf-8")
        self.python.chmod(0o755)
        self.plan(code=99, stderr="unexpected")

    def plan(self, *wheels: Path, code: int = 0, stderr: str = "", seconds: float = 0, hangs: bool = False) -> None:
        plan = {"wheels": list(map(str, wheels)), "code": code, "stderr": stderr, "seconds": seconds, "hangs": hangs}
        (self.folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")

    @property
    def calls(self) -> list[dict[str, object]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def fake_weights() -> dict[str, WeightSet]:
    """Build the table of weights with the digests of `CONTENTS`."""

    def file(real: WeightFile) -> WeightFile:
        content = CONTENTS[real.file_name]
        return replace(real, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))

    return {
        name: replace(real, files={role: file(each) for role, each in real.files.items()})
        for name, real in WEIGHTS.items()
    }


def make_wheel(path: Path, *, without: str = "", changed: str = "", plain: bool = False) -> Path:
    """Write a wheel; a file may be left out or be another, or all lie at the top."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../outside.txt", "a path that must never be written")
        for weights in WEIGHTS.values():
            for file in weights.files.values():
                content = CONTENTS[file.file_name] + (b"!" if file.file_name == changed else b"")
                if file.file_name != without:
                    archive.writestr(file.file_name if plain else file.wheel_member, content)
    return path


def require_with_fakes(python: str) -> None:
    """Require weights with the stand-ins, in a process of its own; the cache folder is that of the environment."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    weight_sets.WEIGHTS = fake_weights()
    sys.executable = python
    sys.stdout.write(f"{require_weights('hands')}\n")
