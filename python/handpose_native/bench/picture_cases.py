"""Cases of ``draw_skeleton``, ``palette_map``, the GIF writer, and of calls that leave the kernels nothing to do."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..draw import draw_skeleton
from ..heatmap import heatmap_peaks
from ..palette import palette_map
from ..preprocess import preprocess, yuv_planes
from ..skeleton import BONE_COLORS, FINGERS, JOINT_COLORS
from ..video import open_sink
from .cases import Case, Definition
from .data import hand, memory_limit, scene
from .references import drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Frames = list[NDArray[np.uint8]]

__all__ = ["definitions", "opencv_hand"]

_RADIUS = 4
_PLAIN = 90  # grey level of the picture that is drawn on
# Shares of 256 and 8-bit blending round once per figure, and few figures lie over one another.
_DRAWN_LEVELS = 2.0
# OpenCV's lines are about a pixel wider than asked: it only has to have drawn the same hand in the same place.
_OTHER_DRAWING = 48.0
_GIF_FRAMES = 25  # a second: choosing the palette is work of the first frames alone
_GIF_FPS = 25.0
# 256 colours for a whole film: every writer is to be nearer than this to what it was given, root mean square.
_GIF_LEVELS = 16.0


def definitions() -> list[Definition]:
    """Return the cases of pictures and calls."""
    found = [
        Definition(f"draw/{width}x{height}/{thickness}", partial(_draw_case, width, height, size, thickness))
        for width, height, size in ((640, 480, 200.0), (1920, 1080, 450.0))
        for thickness in (2, 3, 4)
    ]
    for width, height in ((640, 480), (1280, 720)):
        found.append(Definition(f"palette_map/{width}x{height}", partial(_palette_case, width, height)))
    found.append(Definition("gif/640x480", partial(_gif_case, 640, 480)))
    for name, build in _CALLS.items():
        found.append(Definition(f"call/{name}", build))
    return found


def _draw_case(width: int, height: int, size: float, thickness: int) -> Case:
    case, points = Case(), hand(width, height, size)
    picture = np.full((height, width, 3), _PLAIN, np.uint8)
    reference = drawn(picture, points, thickness, _RADIUS, "bgr")
    touched = (reference != _PLAIN).any(axis=2)
    case.bytes_moved = 2 * 3 * int(touched.sum())  # each pixel drawn on is read and written
    case.memory_limit = memory_limit(case.bytes_moved // 2, case.bytes_moved // 2)

    def add(add_to: Callable[..., None], name: str, target: Any, plane: Array, channels: str) -> None:
        """`plane` of `target` is compared: the others are blended by the same kernel."""
        fresh = np.full((*plane.shape[:2], len(channels)), _PLAIN, np.uint8)
        expected = drawn(fresh, points, thickness, _RADIUS, channels).reshape(plane.shape)

        def call() -> None:
            draw_skeleton(target, points, source_format=name, thickness=thickness, joint_radius=_RADIUS)

        answer = partial(_fresh, plane)
        add_to(call, lambda image: float(abs(image - expected).max()), _DRAWN_LEVELS, answer=answer)

    def overall(image: Array) -> float:
        """Root mean square over the pixels to draw on."""
        return float(np.sqrt(np.mean((image.astype(np.float64) - reference)[touched] ** 2)))

    add(case.add_ours, "bgr24", picture, picture, "bgr")
    for name in ("nv12", "yuv420p"):
        planes = yuv_planes(np.full((height * 3 // 2, width), _PLAIN, np.uint8), name)
        add(partial(case.add_own, f"ours on {name}"), name, planes, planes[0], "y")
    case.add_peer(
        "cv2 polylines and circles",
        lambda: opencv_hand(picture, points, thickness),
        overall,
        _OTHER_DRAWING,
        answer=partial(_fresh, picture),
    )
    return case


def _fresh(plane: Array, draw: Callable[[], None]) -> Array:
    plane[...] = _PLAIN
    draw()
    return plane.copy()


def opencv_hand(image: Array, points: Array, thickness: int) -> Callable[[], None]:
    """One polyline per finger and a disc per joint, anti-aliased, in 1/16 px: the fewest calls that OpenCV needs."""
    import cv2

    shift = 4

    def run() -> None:
        fixed = np.rint((points - 0.5) * (1 << shift)).astype(np.int32)
        for finger, joints in enumerate(FINGERS.values()):
            color = BONE_COLORS[4 * finger][::-1]
            cv2.polylines(image, [fixed[[0, *joints]]], False, color, thickness, cv2.LINE_AA, shift)
        for (x, y), color in zip(fixed.tolist(), JOINT_COLORS):
            cv2.circle(image, (x, y), _RADIUS << shift, color[::-1], -1, cv2.LINE_AA, shift)

    return run


def _palette_case(width: int, height: int) -> Case:
    case, image = Case(error_unit="pixels that differ"), scene(width, height)
    lut = np.random.default_rng(7).integers(0, 256, (64, 64, 64), dtype=np.uint8)
    out = np.empty((height, width), np.uint8)
    case.bytes_moved = 4 * width * height
    case.memory_limit = memory_limit(3 * width * height, width * height)
    blue, green, red = (image[..., channel].astype(np.int64) // 4 for channel in range(3))
    expected = lut.ravel()[(red * 64 + green) * 64 + blue]

    def indexing() -> Array:
        b, g, r = np.moveaxis(image >> 2, 2, 0)
        return np.asarray(lut[r, g, b])

    def error_of(indices: Array) -> float:
        return float((indices != expected).sum())

    case.add_ours(lambda: palette_map(image, lut, out), error_of, 0)
    case.add_peer("NumPy indexing", lambda: indexing, error_of, 0)
    return case


def _gif_case(width: int, height: int) -> Case:
    """A hand that moves over a scene that does not."""
    case = Case(items=_GIF_FRAMES, error_unit="grey levels, root mean square")
    frames: Frames = []
    for index in range(_GIF_FRAMES):
        frame = scene(width, height).copy()
        points = hand(width, height, height * 0.6) + np.float32(2 * index)
        draw_skeleton(frame, points, thickness=12, joint_radius=10)
        frames.append(frame)
    case.folder = tempfile.TemporaryDirectory(prefix="handpose-native-bench-")

    def error_of(shown: Array) -> float:
        if shown.shape != (len(frames), height, width, 3):
            return float("inf")
        return float(np.sqrt(np.mean((shown.astype(np.float64) - frames) ** 2)))

    path = Path(case.folder.name)
    ours = path / "ours.gif"
    case.add_ours(lambda: _write_ours(ours, frames), error_of, _GIF_LEVELS, answer=partial(_shown, ours))
    for name, make in {"imageio mimsave": _imageio, "Pillow, one palette": _pillow}.items():
        file = path / f"{name.split()[0]}.gif"
        case.add_peer(name, partial(make, file, frames), error_of, _GIF_LEVELS, answer=partial(_shown, file))
    return case


def _shown(path: Path, write: Callable[[], None]) -> Array:
    """Return the pictures of the file as FFmpeg reads them, BGR."""
    import av

    write()
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)])


def _write_ours(path: Path, frames: Frames) -> None:
    with open_sink(path, fps=_GIF_FPS) as sink:
        for index, frame in enumerate(frames):
            sink.write(frame, index / _GIF_FPS)


def _imageio(path: Path, frames: Frames) -> Callable[[], None]:
    import imageio

    def run() -> None:
        imageio.mimsave(path, [frame[..., ::-1] for frame in frames], duration=1000 / _GIF_FPS)

    return run


def _pillow(path: Path, frames: Frames) -> Callable[[], None]:
    """Pillow at its fastest: the first frame's palette for all, no dither."""
    from PIL import Image

    def run() -> None:
        pictures = [Image.fromarray(np.ascontiguousarray(frame[..., ::-1])) for frame in frames]
        palette = pictures[0].quantize(256, dither=Image.Dither.NONE)
        mapped = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
        mapped[0].save(path, save_all=True, append_images=mapped[1:], duration=1000 / _GIF_FPS, loop=0)

    return run


def _call_case(call: Callable[[], Any], expected: Any) -> Case:
    """What is left is the way from Python and back; NumPy's own beside it."""
    case, one = Case(error_unit="of the value"), np.zeros(1, np.float32)
    case.add_ours(call, lambda answer: float(abs(np.asarray(answer, np.float64) - expected).max()), 0)
    case.add_peer("np.max of one number", lambda: lambda: np.max(one), lambda answer: float(abs(answer)), 0)
    return case


def _heatmap_call() -> Case:
    one = np.zeros((1, 1, 1), np.float32)
    return _call_case(lambda: heatmap_peaks(one)[0], 0.5)


def _draw_call() -> Case:
    picture, away = np.zeros((64, 64, 3), np.uint8), np.full((21, 2), -1e4, np.float32)
    return _call_case(lambda: draw_skeleton(picture, away, thickness=3, joint_radius=4), 0)


def _palette_call() -> Case:
    picture, lut = np.zeros((1, 1, 3), np.uint8), np.full((64, 64, 64), 7, np.uint8)
    return _call_case(lambda: palette_map(picture, lut), 7)


def _preprocess_call() -> Case:
    picture, out = np.zeros((1, 1, 3), np.uint8), np.empty((3, 1, 1), np.float32)
    return _call_case(lambda: preprocess(picture, out=out), 0)


_CALLS = {
    "preprocess": _preprocess_call,
    "heatmap_peaks": _heatmap_call,
    "draw_skeleton": _draw_call,
    "palette_map": _palette_call,
}
