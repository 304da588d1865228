"""The pictures that two forms are compared on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from ..picture import Picture
from ..synthetic import POSES, SKIN_TONES, Camera, Scene, SceneHand, hand_rotation, render
from ..video import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["rendered_frames", "source_frames"]

_SIZE_PX = 256
_FOCAL_PX = 300.0
_DISTANCE_MM = 620.0
#: A fist and its like give maps that are low everywhere, so joints that say little.
_POSES = ("open", "spread", "relaxed", "victory", "point", "half_curled")


def rendered_frames(count: int, seed: int) -> Iterator[Picture]:
    """Yield pictures of 256 x 256 pixels with one hand about half as large; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    camera = Camera(_FOCAL_PX, (_SIZE_PX, _SIZE_PX))
    for index in range(count):
        roll, tilt, turn = rng.uniform((-35.0, -15.0, -20.0), (35.0, 15.0, 20.0))
        hand = SceneHand(
            POSES[_POSES[index % len(_POSES)]],
            (float(rng.uniform(-20, 20)), float(rng.uniform(-10, 30)), _DISTANCE_MM),
            hand_rotation(roll, tilt, turn),
            ("right", "left")[index % 2],
            index % len(SKIN_TONES),
        )
        scene = Scene((hand,), camera, "room", noise=2.0, seed=int(rng.integers(1 << 16)))
        yield Picture.from_bgr(render(scene).image)


def source_frames(source: Any, count: int) -> Iterator[Picture]:
    """Yield pictures of a source, as many and as evenly spread as can be told; at least one.

    Raises
    ------
    VideoError
        If the source cannot be read.
    ArgumentError
        If it is a live one.
    """
    with open_source(source) as opened:
        if opened.info.is_live:
            raise ArgumentError(f"verify: inputs must be files, not the live source {opened.info.name}")
        total = opened.info.frame_count
        step = max(total // count, 1) if total else 1
        taken = 0
        for frame in opened:
            if frame.index % step == 0:
                yield frame.picture
                taken += 1
                if taken == count:
                    return
