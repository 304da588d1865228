"""Whether joints of the marker clip are where they are known to be: .ci/joints_near.py TRUTH.npz KEYPOINTS.jsonl ..."""

from __future__ import annotations

import sys

import numpy as np

import handpose_native as hp

WITHIN_PX = 2.0


def main() -> int:
    truth = np.load(sys.argv[1])["keypoints"]
    for path in sys.argv[2:]:
        _, lines = hp.read_keypoints(path)
        frames = list(lines)
        if len(frames) < 30 or any(len(frame["hands"]) != 1 for frame in frames):
            print(f"{path}: {len(frames)} frames, of which some have not one hand")
            return 1
        found = np.array([frame["hands"][0]["keypoints"] for frame in frames])[..., :2]
        away = np.linalg.norm(found - truth[: len(found)], axis=2)
        print(f"{path}: {len(found)} frames, joints at most {away.max():.2f} px from the truth")
        if not away.max() <= WITHIN_PX:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
