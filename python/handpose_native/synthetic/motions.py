"""Clips: named motions of hands before a camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ArgumentError
from .backgrounds import BACKGROUNDS, make_background
from .pose import POSES, HandPose
from .rendering import render, render_exposure
from .scene import Board, Camera, HandTruth, Scene, SceneHand, SyntheticFrame, hand_rotation
from .shading import SKIN_TONES, Lighting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["MOTIONS", "Clip", "iter_clip", "render_clip"]

_HAND_MM = 174.0  # from the wrist to the tip of the middle finger
_EXPOSURE = 7  # pictures averaged for one blurred frame


class _Stage(NamedTuple):
    """What stays the same through a clip."""

    camera: Camera
    background: NDArray[np.uint8]
    lighting: Lighting
    skin: int
    sleeve_rgb: tuple[int, int, int] | None
    handedness: str

    def hand(
        self,
        pose: HandPose,
        *,
        at: tuple[float, float] = (0.5, 0.55),
        size: float = 0.55,
        roll: float = 0.0,
        tilt: float = 0.0,
        turn: float = 0.0,
        other: bool = False,
    ) -> SceneHand:
        """Place a hand: `at` and `size` (of the flat hand) in shares of the picture's width and height; degrees."""
        height, width = self.camera.size_hw
        z = self.camera.focal_px * _HAND_MM / (size * height)
        x, y = (at[0] - 0.5) * width * z / self.camera.focal_px, (at[1] - 0.5) * height * z / self.camera.focal_px
        sides = ("left", "right")
        side = sides[1 - sides.index(self.handedness)] if other else self.handedness
        rotation = hand_rotation(roll, tilt, turn)
        return SceneHand(pose, (x, y, z), rotation, side, self.skin, self.sleeve_rgb)


class _Instant(NamedTuple):
    hands: tuple[SceneHand, ...]
    boards: tuple[Board, ...] = ()


def _still(stage: _Stage, _: float) -> _Instant:
    return _Instant((stage.hand(POSES["open"]),))


def _open_close(stage: _Stage, u: float) -> _Instant:
    """Open, half curled, open, twice, the hand rocking a little."""
    pose = POSES["open"].mixed(POSES["half_curled"], 0.5 - 0.5 * math.cos(4 * math.pi * u))
    return _Instant((stage.hand(pose, roll=18 * math.sin(2 * math.pi * u), turn=12 * math.sin(4 * math.pi * u)),))


def _cross(stage: _Stage, u: float) -> _Instant:
    """Two hands change sides, the first in front of the other."""
    away = 0.27 * math.cos(math.pi * u)
    front = stage.hand(POSES["open"], at=(0.5 - away, 0.56), size=0.5, roll=-6)
    back = stage.hand(POSES["relaxed"], at=(0.5 + away, 0.48), size=0.41, roll=6, other=True)
    return _Instant((front, back))


def _leave(stage: _Stage, u: float) -> _Instant:
    """Out of the picture on the right, and back."""
    out = 0.5 - 0.5 * math.cos(2 * math.pi * u)
    return _Instant((stage.hand(POSES["spread"], at=(0.5 + 0.85 * out, 0.55), size=0.45),))


def _occlusion(stage: _Stage, u: float) -> _Instant:
    """A board passes in front of the hand."""
    hand = stage.hand(POSES["open"], size=0.5)
    z = 0.75 * hand.center_mm[2]
    width_mm = z * stage.camera.size_hw[1] / stage.camera.focal_px
    board = Board(((u - 0.5) * 1.4 * width_mm, 0.0, z), (0.3 * width_mm, 2.0 * width_mm))
    return _Instant((hand,), (board,))


def _rotation(stage: _Stage, u: float) -> _Instant:
    """Once round in the plane of the picture."""
    return _Instant((stage.hand(POSES["open"], at=(0.5, 0.5), size=0.45, roll=360 * u),))


def _near_far(stage: _Stage, u: float) -> _Instant:
    """From far to near and back; the size follows a power, as it looks steady so."""
    size = 0.22 * (0.8 / 0.22) ** (0.5 - 0.5 * math.cos(2 * math.pi * u))
    return _Instant((stage.hand(POSES["open"], at=(0.5, 0.5 + 0.12 * size), size=size),))


def _swing(stage: _Stage, u: float) -> _Instant:
    """From side to side, twice, so fast that it blurs."""
    x = 0.5 + 0.24 * math.sin(4 * math.pi * u)
    return _Instant((stage.hand(POSES["open"], at=(x, 0.55), size=0.5, roll=14 * math.sin(4 * math.pi * u)),))


_SHOW = ("open", "half_curled", "open", "victory", "relaxed", "spread", "open")


def _show(stage: _Stage, u: float) -> _Instant:
    """Let one hand change its pose and turn while a second one comes in, opens and closes, and leaves."""
    wave = math.sin(2 * math.pi * u)
    step, share = divmod(u * (len(_SHOW) - 1), 1.0)
    first = min(int(step), len(_SHOW) - 2)
    pose = POSES[_SHOW[first]].mixed(POSES[_SHOW[first + 1]], _eased(share) if step == first else 1.0)
    main = stage.hand(pose, at=(0.34, 0.56), size=0.52, roll=-8 + 14 * wave, turn=20 * math.sin(4 * math.pi * u))
    inside = _eased((u - 0.25) / 0.2) - _eased((u - 0.8) / 0.2)
    curl = POSES["spread"].mixed(POSES["half_curled"], 0.5 - 0.5 * math.cos(6 * math.pi * u))
    guest = stage.hand(curl, at=(1.25 - 0.5 * inside, 0.54), size=0.46, roll=10 + 8 * wave, other=True)
    return _Instant((main, guest))


def _eased(share: float) -> float:
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


@dataclass(frozen=True)
class _Motion:
    at: Callable[[_Stage, float], _Instant]
    shutter: float = 0.0  # share of the time between two frames during which light is taken in
    closed: bool = True  # whether the frame after the last would be the first


#: Motions by name; what each shows is told in docs/synthetic.md.
MOTIONS: dict[str, _Motion] = {
    "still": _Motion(_still),
    "open_close": _Motion(_open_close),
    "cross": _Motion(_cross, closed=False),
    "leave": _Motion(_leave),
    "occlusion": _Motion(_occlusion, closed=False),
    "rotation": _Motion(_rotation),
    "near_far": _Motion(_near_far),
    "blur": _Motion(_swing, shutter=0.6),
    "show": _Motion(_show),
}


@dataclass(frozen=True)
class Clip:
    """A rendered clip.

    Attributes
    ----------
    images : ndarray, uint8, shape (N, H, W, 3)
        BGR; a source that :func:`handpose_native.open_source` takes.
    truths : tuple of tuple of HandTruth
        Per frame, the hands in the order of the scene; also those outside the picture.
    """

    images: NDArray[np.uint8]
    truths: tuple[tuple[HandTruth, ...], ...]


def render_clip(
    motion: str = "show",
    *,
    frames: int = 60,
    size_hw: tuple[int, int] = (480, 640),
    seed: int = 0,
    handedness: str = "right",
    noise: float = 1.5,
) -> Clip:
    """Render a whole clip into memory.

    Parameters
    ----------
    motion : str
        A name of :data:`MOTIONS`.
    frames : int
        How many frames the motion takes, at least 1.
    size_hw : tuple of int
        Height and width in pixels.
    seed : int
        Of skin, sleeve, background, light and noise, from 0. The same arguments give the same clip.
    handedness : {"right", "left"}
        Of the first hand; a second one is the other.
    noise : float
        Standard deviation of the sensor's noise in grey levels.

    Returns
    -------
    Clip

    Raises
    ------
    ArgumentError
        If an argument is not as above.
    """
    rendered = list(iter_clip(motion, frames=frames, size_hw=size_hw, seed=seed, handedness=handedness, noise=noise))
    return Clip(np.stack([frame.image for frame in rendered]), tuple(frame.hands for frame in rendered))


def iter_clip(
    motion: str = "show",
    *,
    frames: int = 60,
    size_hw: tuple[int, int] = (480, 640),
    seed: int = 0,
    handedness: str = "right",
    noise: float = 1.5,
) -> Iterator[SyntheticFrame]:
    """Yield the frames of a clip one by one, in constant memory; arguments and errors as of :func:`render_clip`."""
    if motion not in MOTIONS:
        raise ArgumentError(f"render_clip: motion must be one of {', '.join(MOTIONS)}; got {motion!r}")
    if frames < 1:
        raise ArgumentError(f"render_clip: frames must be at least 1; got {frames}")
    if seed < 0:
        raise ArgumentError(f"render_clip: seed must be at least 0; got {seed}")
    stage = _make_stage(size_hw, seed, handedness)
    return _frames(MOTIONS[motion], stage, frames, seed, noise)


def _frames(motion: _Motion, stage: _Stage, frames: int, seed: int, noise: float) -> Iterator[SyntheticFrame]:
    spacing = 1.0 / (frames if motion.closed else max(frames - 1, 1))
    for index in range(frames):
        noise_seed = 1_000_003 * seed + index

        def scene(u: float, noise_seed: int = noise_seed) -> Scene:
            hands, boards = motion.at(stage, u)
            return Scene(hands, stage.camera, stage.background, boards, stage.lighting, noise, noise_seed)

        u = index * spacing
        if not motion.shutter:
            yield render(scene(u))
            continue
        offsets = np.linspace(-0.5, 0.5, _EXPOSURE) * motion.shutter * spacing
        yield render_exposure([scene(u + offset) for offset in offsets])


def _make_stage(size_hw: tuple[int, int], seed: int, handedness: str) -> _Stage:
    if handedness not in ("right", "left"):
        raise ArgumentError(f"render_clip: handedness must be 'right' or 'left'; got {handedness!r}")
    camera = Camera(0.95 * max(size_hw), size_hw)
    rng = np.random.default_rng(seed)
    red, green, blue = (int(value) for value in rng.integers(30, 200, 3))
    return _Stage(
        camera,
        make_background(BACKGROUNDS[int(rng.integers(1, len(BACKGROUNDS)))], size_hw, seed),
        Lighting((rng.uniform(-0.7, 0.7), rng.uniform(-0.9, -0.3), -0.6), 0.85, 0.35, rng.uniform(-0.2, 0.4)),
        int(rng.integers(len(SKIN_TONES))),
        (red, green, blue),
        handedness,
    )
