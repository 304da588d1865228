"""Seeds of the fuzz targets: folders of files, as libFuzzer wants them, from and to seeds/NAME.txt, an input per line.

python3 tests/fuzz/seeds.py unpack NAME FOLDER
python3 tests/fuzz/seeds.py pack NAME FOLDER
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"


def unpack(name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for line in (SEEDS / f"{name}.txt").read_text(encoding="ascii").splitlines():
        data = bytes.fromhex(line)
        (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def pack(name: str, folder: Path) -> None:
    lines = sorted({path.read_bytes().hex() for path in folder.iterdir()}, key=lambda line: (len(line), line))
    SEEDS.mkdir(exist_ok=True)
    (SEEDS / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    {"pack": pack, "unpack": unpack}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
