"""Make a clip and a network for it, so that the whole chain can be tried where no weights exist.

    python examples/make_demo.py demo
    handpose-native run demo/markers.mp4 -o demo/drawn.gif --model demo/markers.onnx

Writes FOLDER/markers.mp4 (a stylised hand with a coloured marker on each joint, 5 s), FOLDER/markers.onnx with its spec
FOLDER/markers.json (a network that finds the colours), and FOLDER/truth.npz: ``keypoints`` float32 (frames, 21, 2),
where the joints really are, in continuous pixels.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

import handpose_native as hp

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

FRAME_HW = (480, 640)
FPS = 30
FRAMES = 150
SEED = 7
MARKER_RADIUS_PX = 8

#: RGB of the markers: corners, edge and face centres of the colour cube, at least 127 apart, without the greys, which
#: are the background's, and the three nearest to dark grey.
MARKER_COLORS: tuple[tuple[int, ...], ...] = tuple(
    color
    for color in product((0, 128, 255), repeat=3)
    if len(set(color)) > 1 and color not in ((128, 128, 0), (128, 0, 128), (0, 128, 128))
)
#: A colour at this distance in 0..1 is no match any more; a little less than half of what is between the markers.
COLOR_REACH = 0.22
#: Each finger in the hand's own pixels, x to the thumb, y away from the fingers, wrist in (0, 0): where it begins, its
#: direction from straight up in degrees, its three bones.
FINGERS = (
    ((42.0, -30.0), 48.0, (46.0, 40.0, 34.0)),
    ((48.0, -130.0), 11.0, (52.0, 38.0, 32.0)),
    ((14.0, -140.0), 1.0, (58.0, 42.0, 34.0)),
    ((-20.0, -134.0), -9.0, (54.0, 40.0, 32.0)),
    ((-53.0, -118.0), -20.0, (42.0, 32.0, 30.0)),
)
SKIN_BGR = (156, 162, 170)


def marker_network(input_hw: tuple[int, int], colors: Sequence[tuple[int, ...]] = MARKER_COLORS) -> onnx.ModelProto:
    """Build a network that finds colours.

    A picture, float32 RGB 0..1 (1, 3, h, w), gives one map per colour (1, colours, h / 2, w / 2): 1 in the middle of a
    spot of that colour that is at least 6 input pixels wide, and 0 where there is none. With x a pixel and c a colour,
    ``1 - |x - c|^2 / reach^2`` is linear in x and x^2, so a 1x1 convolution computes it. The mean over 6x6 pixels, less
    a part, removes the thin rims where neighbouring colours mix.
    """
    from onnx import TensorProto, helper, numpy_helper

    c = np.array(colors, dtype=np.float64) / 255
    weights = np.concatenate([2 * c, -np.ones_like(c)], axis=1) / COLOR_REACH**2
    bias = 1 - (c * c).sum(axis=1) / COLOR_REACH**2
    rim = 0.4
    constants = {
        "weights": weights[:, :, None, None],
        "bias": bias,
        "zero": np.array(0.0),
        "one": np.array(1.0),
        "rim": np.array(rim),
        "gain": np.array(1 / (1 - rim)),
    }
    nodes = [
        helper.make_node("Mul", ["image", "image"], ["squares"]),
        helper.make_node("Concat", ["image", "squares"], ["features"], axis=1),
        helper.make_node("Conv", ["features", "weights", "bias"], ["closeness"]),
        helper.make_node("Clip", ["closeness", "zero", "one"], ["matches"]),
        helper.make_node("AveragePool", ["matches"], ["means"], kernel_shape=[6, 6], strides=[2, 2], pads=[2, 2, 2, 2]),
        helper.make_node("Sub", ["means", "rim"], ["cores"]),
        helper.make_node("Mul", ["cores", "gain"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "zero", "one"], ["heatmaps"]),
    ]
    height, width = input_hw
    graph = helper.make_graph(
        nodes,
        "markers",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, [1, len(c), height // 2, width // 2])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    # Old versions on purpose: every ONNX Runtime that the package takes reads them.
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="make_demo"
    )


def hand_joints(time_s: float) -> NDArray[np.float64]:
    """Return the 21 joints at a time, shape (21, 2), in continuous pixels of the frame."""
    joints = [(0.0, 0.0)]
    for finger, (base, angle_deg, bones) in enumerate(FINGERS):
        bend = 0.5 - 0.5 * math.cos(2 * math.pi * (time_s / 2.5 + 0.06 * finger))  # 0 open, 1 closed
        angle = math.radians(angle_deg * (1 - 0.3 * bend))
        x, y = base
        joints.append((x, y))
        for bone in bones:
            length = bone * (1 - 0.35 * bend)  # a finger that bends towards the camera looks shorter
            x, y = x + length * math.sin(angle), y - length * math.cos(angle)
            joints.append((x, y))
    turn = 0.35 * math.sin(2 * math.pi * time_s / 5)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    wrist = (320 + 70 * math.sin(2 * math.pi * time_s / 4), 385 + 25 * math.cos(2 * math.pi * time_s / 3))
    return np.asarray(np.array(joints) @ rotation.T + wrist)


def make_background(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a soft, nearly grey texture, BGR."""
    coarse = rng.uniform(55, 115, (9, 12, 1)) + rng.uniform(-10, 10, (9, 12, 3))
    return (
        cv2.resize(coarse.astype(np.float32), FRAME_HW[::-1], interpolation=cv2.INTER_CUBIC)
        .clip(0, 255)
        .astype(np.uint8)
    )


def draw_hand(frame: NDArray[np.uint8], joints: NDArray[np.float64]) -> None:
    """Draw palm, fingers and markers in place."""
    # OpenCV puts a pixel's centre at whole numbers, and takes fixed point: 4 bits are sixteenths.
    fixed = np.rint((joints - 0.5) * 16).astype(np.int32)
    palm = fixed[[0, 1, 5, 9, 13, 17]]
    cv2.fillPoly(frame, [palm], SKIN_BGR, cv2.LINE_AA, 4)
    cv2.polylines(frame, [palm], True, SKIN_BGR, 30, cv2.LINE_AA, 4)
    for finger in hp.FINGERS.values():
        cv2.polylines(frame, [fixed[list(finger)]], False, SKIN_BGR, 26, cv2.LINE_AA, 4)
    for center, (r, g, b) in zip(fixed.tolist(), MARKER_COLORS):
        cv2.circle(frame, center, MARKER_RADIUS_PX * 16, (b, g, r), cv2.FILLED, cv2.LINE_AA, 4)


def make_demo(folder: Path) -> None:
    """Write all files; `folder` is made where it is missing."""
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    background = make_background(np.random.default_rng(SEED))
    truth = np.array([hand_joints(index / FPS) for index in range(FRAMES)])
    with hp.open_sink(folder / "markers.mp4", fps=FPS) as sink:
        for index, joints in enumerate(truth):
            frame = background.copy()
            draw_hand(frame, joints)
            sink.write(frame, index / FPS)
    np.savez_compressed(folder / "truth.npz", keypoints=truth.astype(np.float32))
    spec = hp.ModelSpec(
        name="markers",
        family="heatmap",
        channel_order="rgb",
        method="expectation",
        min_presence=0.2,
        source="examples/make_demo.py",
        license="Apache-2.0",
    )
    # Half the frame's size: each input pixel is the mean of 2x2 pixels.
    onnx.save(marker_network((FRAME_HW[0] // 2, FRAME_HW[1] // 2)), str(folder / "markers.onnx"))
    (folder / "markers.json").write_text(json.dumps(spec.to_dict(), indent=2) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a clip and a network for it.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    make_demo(folder)
    names = ", ".join(path.name for path in sorted(folder.glob("*")) if path.stem in ("markers", "truth"))
    print(f"{folder}: {names}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
