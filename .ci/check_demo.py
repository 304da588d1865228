"""Check what the README's main command made, against the example's truth: python .ci/check_demo.py FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np

import handpose_native as hp


def main() -> None:
    folder = Path(sys.argv[1])
    truth = np.load(folder / "truth.npz")["keypoints"]
    records = list(hp.read_keypoints(folder / "drawn.jsonl")[1])
    found = np.array([[point[:2] for point in record["hands"][0]["keypoints"]] for record in records])
    assert found.shape == truth.shape, (found.shape, truth.shape)
    share = np.mean(np.linalg.norm(found - truth, axis=2) <= 2.0)
    assert share > 0.95, share
    for name in ("drawn.gif", "drawn.mp4"):
        with av.open(str(folder / name)) as container:
            count = sum(1 for _ in container.decode(video=0))
        assert count == len(truth), (name, count)
    sys.stdout.write(f"{len(truth)} frames, {share:.1%} of the joints within 2 px of the truth\n")


if __name__ == "__main__":
    main()
