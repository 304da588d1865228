"""Colours: skin, nails, creases, sleeves, and light on them.

Colours given by the user are sRGB in 0..255; light is added up in linear values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ArgumentError
from .flesh import Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .flesh import Flesh
    from .raymarch import Surface

    Floats = NDArray[np.float32]

__all__ = ["SKIN_TONES", "Lighting", "hand_colors", "linear_from_srgb", "srgb_from_linear"]

#: sRGB of the back of the hand, from light to dark: tones 2 to 9 of the Monk Skin Tone Scale (Monk E., 2019,
#: skintone.google), the first being the lightest but one.
SKIN_TONES: tuple[tuple[int, int, int], ...] = (
    (243, 231, 219),
    (247, 234, 208),
    (234, 218, 186),
    (215, 189, 150),
    (160, 126, 86),
    (130, 92, 67),
    (96, 65, 52),
    (58, 49, 42),
)

_ROSE = (214, 150, 128)  # what shines through the skin of palms, sRGB
_NAIL = (232, 186, 172)
# Red, green, blue: what a crease takes away, how far beyond the edge of the shadow light still comes out of skin, what
# warm light adds, and how fast light fades in folds (red last).
_CREASE = np.array([0.34, 0.46, 0.48], np.float32)
_SKIN_WRAP = np.array([0.36, 0.20, 0.14], np.float32)
_WARM = np.array([0.12, 0.0, -0.18], np.float32)
_FOLD_POWERS = np.array([0.8, 1.1, 1.2], np.float32)


@dataclass(frozen=True)
class Lighting:
    """One lamp far away, and light from all sides.

    Attributes
    ----------
    direction : tuple of three floats
        Towards the lamp, in the frame of the camera (x right, y down, z forward); any length but 0.
    lamp, ambient : float
        Strengths, at least 0; together about 1.
    warmth : float
        -1 (blue) to 1 (orange).

    Raises
    ------
    ArgumentError
        If a value is not as above.
    """

    direction: tuple[float, float, float] = (-0.45, -0.75, -0.6)
    lamp: float = 0.85
    ambient: float = 0.35
    warmth: float = 0.1

    def __post_init__(self) -> None:
        finite = np.isfinite([*self.direction, self.lamp, self.ambient, self.warmth]).all()
        if not finite or len(self.direction) != 3 or not any(self.direction):
            raise ArgumentError(f"Lighting: direction must be three finite numbers, not all 0; got {self.direction}")
        if self.lamp < 0 or self.ambient < 0 or not -1 <= self.warmth <= 1:
            raise ArgumentError(
                "Lighting: lamp and ambient must be at least 0, warmth in -1..1; "
                f"got {self.lamp}, {self.ambient}, {self.warmth}"
            )


def linear_from_srgb(color: object) -> Floats:
    """Return linear 0..1 for sRGB 0..255, with the plain 2.2 power."""
    return np.asarray((np.asarray(color, np.float32) / 255.0) ** 2.2, np.float32)


def srgb_from_linear(color: Floats) -> Floats:
    """Return sRGB 0..255 for linear values, cut at 0 and 1."""
    return np.asarray(255.0 * np.clip(color, 0.0, 1.0) ** (1.0 / 2.2), np.float32)


class _Place(NamedTuple):
    """Where the points of a surface are, seen from the hand."""

    part: NDArray[np.int64]
    along: Floats  # the capsule, 0..1
    palmar: Floats  # -1 on the back to 1 on the palm's side
    local_mm: Floats  # (N, 3), frame of the right hand


def hand_colors(
    surface: Surface,
    flesh: Flesh,
    camera_from_hand: Floats,
    local_mm: Floats,
    skin: int,
    sleeve: object,
    light: Lighting,
) -> Floats:
    """Return the sRGB colours, 0..255, of the points of a hand's surface.

    Parameters
    ----------
    surface : Surface
    flesh : Flesh
        The capsules, in the order that the surface names them.
    camera_from_hand : ndarray, float32, shape (3, 3)
        Takes directions of the right hand's frame to the camera's.
    local_mm : ndarray, float32, shape (N, 3)
        The points in the right hand's frame.
    skin : int
        Index into :data:`SKIN_TONES`.
    sleeve : tuple of int
        sRGB.
    light : Lighting

    Returns
    -------
    ndarray, float32, shape (N, 3)
    """
    palmar_axes = (flesh.palmar @ camera_from_hand.T.astype(np.float64)).astype(np.float32)
    palmar = (surface.normals * palmar_axes[surface.nearest]).sum(1)
    place = _Place(flesh.part[surface.nearest], surface.along, palmar, local_mm)
    colors = _skin(place, skin)
    cloth = place.part == Part.SLEEVE
    colors[cloth] = linear_from_srgb(sleeve)
    return srgb_from_linear(_lit(colors, surface, light, ~cloth))


def _skin(place: _Place, skin: int) -> Floats:
    back = linear_from_srgb(SKIN_TONES[skin])
    rose = linear_from_srgb(_ROSE)
    back = 0.82 * back + 0.18 * back * rose / rose.max()
    palm = 0.55 * back + 0.45 * rose * (0.35 + 0.65 * float(back.max()) ** 0.5)
    share = _ramp(place.palmar, -0.35, 0.35)[:, None]
    colors: Floats = back + share * (palm - back)
    tips = (place.part == Part.FINGER_TIP) * 0.24 * share[:, 0] * _ramp(place.along, 0.0, 0.9)
    knuckles = (place.part != Part.PALM) * np.exp(-((place.along / 0.16) ** 2)) * 0.15 * (1 - share[:, 0])
    colors = colors * (1 - (tips + knuckles)[:, None] * (1 - rose / rose.max()))
    colors *= 1 - _creases(place)[:, None] * _CREASE
    nail = _nail(place)[:, None]
    tone = 0.5 * linear_from_srgb(_NAIL) + 0.5 * palm
    return np.asarray(colors + nail * (tone * 1.12 - colors), np.float32)


def _creases(place: _Place) -> Floats:
    """Return how deep in a crease each point is, 0..1: those of the joints, and three lines of the palm."""
    finger = np.isin(place.part, (Part.PHALANX, Part.FINGER_TIP))
    joint = np.exp(-(((place.along - 0.02) / 0.035) ** 2)) * finger * _ramp(place.palmar, 0.2, 0.6)
    x, y = place.local_mm[:, 0], place.local_mm[:, 1]
    lines = (
        (np.abs(y - (62.0 + 0.0035 * (x + 30.0) ** 2)), (x > -32) & (x < 14)),  # heart
        (np.abs(y - (56.0 + 0.40 * (x - 20.0))), (x > -20) & (x < 26)),  # head
        (np.abs(np.hypot(x - 30.0, y - 28.0) - 29.0), (x < 24) & (y > 6) & (y < 56)),  # life
    )
    palm = np.zeros_like(x)
    for gap, inside in lines:
        palm = np.maximum(palm, np.exp(-((gap / 1.1) ** 2)) * inside)
    palm *= (place.part == Part.PALM) * _ramp(place.palmar, 0.3, 0.7)
    return np.asarray(np.clip(joint + 0.7 * palm, 0.0, 1.0), np.float32)


def _nail(place: _Place) -> Floats:
    """Return the share of nail in each point, 0..1: it is on the back of the last bone's outer half."""
    return np.asarray(
        (place.part == Part.FINGER_TIP) * _ramp(-place.palmar, 0.72, 0.80) * _ramp(place.along, 0.42, 0.5), np.float32
    )


def _lit(colors: Floats, surface: Surface, light: Lighting, skin: NDArray[np.bool_]) -> Floats:
    direction = np.asarray(light.direction, np.float32)
    direction /= np.linalg.norm(direction)
    view = surface.points / np.linalg.norm(surface.points, axis=1, keepdims=True)
    towards = surface.normals @ direction
    wrap = np.where(skin[:, None], _SKIN_WRAP, np.float32(0.1))
    diffuse = np.clip((towards[:, None] + wrap) / (1 + wrap), 0.0, 1.0)
    half = direction - view
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    gloss = 0.07 * np.clip((surface.normals * half).sum(1), 0.0, 1.0) ** 22 * skin
    openness = np.clip(surface.openness, 0.0, 1.0)[:, None]
    tint = 1 + light.warmth * _WARM
    sky = 0.75 - 0.25 * surface.normals[:, 1:2]  # more light from above than from below
    fold = np.power(openness, _FOLD_POWERS)
    shadow = 0.35 + 0.65 * openness
    lit = colors * tint * (light.ambient * sky * fold + light.lamp * diffuse * shadow) + (light.lamp * gloss)[:, None]
    return np.asarray(lit, np.float32)


def _ramp(values: Floats, low: float, high: float) -> Floats:
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
