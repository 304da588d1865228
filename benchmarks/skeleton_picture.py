"""The picture of docs/draw_skeleton.png: the same hand drawn by draw_skeleton and by OpenCV, enlarged.

    python benchmarks/skeleton_picture.py [docs/draw_skeleton.png]

Prints how far each lies from the exact drawing, which has 16 x 16 samples per pixel: root mean square in grey levels
over the pixels that either touches. Needs the extra test.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from PIL import Image, ImageDraw

import handpose_native as hp
from handpose_native.bench.data import hand
from handpose_native.bench.picture_cases import opencv_hand

SIZE, THICKNESS, RADIUS = (170, 170), 3, 4
PAPER = 40
SAMPLES = 16
WINDOW = (slice(60, 130), slice(62, 132))  # the part that is shown enlarged
ZOOM = 7


def exact(points: np.ndarray) -> np.ndarray:
    """Each figure's share of every pixel by counting samples, blended one after the other."""
    height, width = SIZE
    offsets = (np.arange(SAMPLES) + 0.5) / SAMPLES
    x = (np.arange(width)[:, None] + offsets).reshape(1, -1)
    y = (np.arange(height)[:, None] + offsets).reshape(-1, 1)
    picture = np.full((height, width, 3), float(PAPER))
    figures = [(points[a], points[b], THICKNESS / 2, c) for (a, b), c in zip(hp.HAND_BONES, hp.BONE_COLORS)]
    figures += [(point, point, RADIUS, c) for point, c in zip(points, hp.JOINT_COLORS)]
    for start, end, radius, color in figures:
        along = end - start
        length2 = float(along @ along)
        t = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length2, 0, 1) if length2 > 0 else 0.0
        inside = np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1]) <= radius
        share = inside.reshape(height, SAMPLES, width, SAMPLES).mean(axis=(1, 3))[..., None]
        picture += (np.array(color[::-1]) - picture) * share
    return picture


def error(drawn: np.ndarray, wanted: np.ndarray) -> float:
    touched = (drawn != PAPER).any(axis=2) | (abs(wanted - PAPER) > 0.5).any(axis=2)
    return float(np.sqrt(np.mean((drawn[touched] - wanted[touched]) ** 2)))


def main() -> None:
    target = sys.argv[1] if len(sys.argv) > 1 else "docs/draw_skeleton.png"
    points = hand(SIZE[1], SIZE[0], 140.0) + np.float32(0.3)  # joints rarely lie on whole pixels
    wanted = exact(points)
    ours = np.full((*SIZE, 3), PAPER, np.uint8)
    hp.draw_skeleton(ours, points, thickness=THICKNESS, joint_radius=RADIUS)
    panels = {"draw_skeleton": ours}
    for name, thickness in (("OpenCV, LINE_AA", THICKNESS), ("OpenCV, LINE_AA, 1 px thinner", THICKNESS - 1)):
        panels[name] = np.full((*SIZE, 3), PAPER, np.uint8)
        opencv_hand(panels[name], points, thickness)()
    panels["exact, 256 samples per pixel"] = np.rint(wanted).astype(np.uint8)

    shown = WINDOW[0].stop - WINDOW[0].start
    step = shown * ZOOM + 12
    sheet = Image.new("RGB", (2 * step - 12, 2 * (step + 22) - 12), (24, 24, 24))
    text = ImageDraw.Draw(sheet)
    for index, (name, picture) in enumerate(panels.items()):
        left, top = index % 2 * step, index // 2 * (step + 22)
        enlarged = cv2.resize(picture[WINDOW], None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
        sheet.paste(Image.fromarray(enlarged[..., ::-1].copy()), (left, top + 22))
        text.text((left + 4, top + 5), name, fill=(235, 235, 235))
        print(f"{name:<32}{error(picture, wanted):6.1f} grey levels")
    sheet.quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main()
