"""`render`: from a scene to a picture with the truth about its hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ArgumentError
from .anatomy import DIGITS
from .backgrounds import make_background
from .flesh import Flesh, grow_flesh
from .pose import pose_hand
from .raymarch import Solid, pixel_rays, trace
from .scene import HandTruth, SyntheticFrame
from .shading import hand_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .scene import Board, Camera, Scene, SceneHand
    from .shading import Lighting

__all__ = ["render", "render_exposure"]

_WRIST_RADIUS_MM = 16.0
# Half thickness of the flesh round each joint, in the order of the joints.
_JOINT_RADII_MM = np.array([_WRIST_RADIUS_MM, *(r for digit in DIGITS for r in digit.radii_mm[-4:])])


class _Layer(NamedTuple):
    """What one thing adds to the picture, pixel by pixel; N pixels."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    distance: NDArray[np.float32]
    coverage: NDArray[np.float32]
    rgb: NDArray[np.float32]


def render(scene: Scene) -> SyntheticFrame:
    """Render a scene.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    SyntheticFrame
        New arrays. The same scene gives the same picture.

    Raises
    ------
    ArgumentError
        If a joint of a hand is not in front of the camera.
    """
    picture, truths = _seen(scene)
    return SyntheticFrame(_exposed(picture, scene), truths)


def render_exposure(scenes: Sequence[Scene]) -> SyntheticFrame:
    """Render the blur of things that move while light is taken in.

    Parameters
    ----------
    scenes : sequence of Scene
        Instants of one exposure, evenly spaced, at least one.

    Returns
    -------
    SyntheticFrame
        The mean of the pictures, with the noise of the middle scene; the truth is that of the middle scene.

    Raises
    ------
    ArgumentError
        If there is no scene, or as :func:`render`.
    """
    if not scenes:
        raise ArgumentError("render_exposure: scenes must hold at least one scene; got none")
    middle = len(scenes) // 2
    seen = [_seen(scene) for scene in scenes]
    picture = np.asarray(np.mean([picture for picture, _ in seen], axis=0), np.float32)
    return SyntheticFrame(_exposed(picture, scenes[middle]), seen[middle][1])


def _seen(scene: Scene) -> tuple[NDArray[np.float32], tuple[HandTruth, ...]]:
    """Return the picture without noise, RGB, and the truth."""
    camera = scene.camera
    joints = [_joints(hand) for hand in scene.hands]
    for number, points in enumerate(joints):
        if (points[:, 2] <= 1.0).any():
            raise ArgumentError(f"render: all joints must lie before the camera (z > 1 mm); hand {number} does not")
    layers = [_hand_layer(hand, camera, scene.lighting) for hand in scene.hands]
    boards = [_board_layer(board, camera) for board in scene.boards]
    depths = [_depth(layer, camera.size_hw) for layer in (*layers, *boards)]
    picture = _background(scene)
    _compose(picture, [*layers, *boards], depths)
    return picture, tuple(
        _truth(number, hand, joints[number], depths, camera) for number, hand in enumerate(scene.hands)
    )


def _joints(hand: SceneHand) -> NDArray[np.float64]:
    linear, offset = hand.camera_from_hand()
    return np.asarray(pose_hand(hand.pose).joints_mm @ linear.T + offset)


def _background(scene: Scene) -> NDArray[np.float32]:
    background = scene.background
    if isinstance(background, str):
        background = make_background(background, scene.camera.size_hw, scene.seed)
    return background[..., ::-1].astype(np.float32)


def _exposed(picture: NDArray[np.float32], scene: Scene) -> NDArray[np.uint8]:
    if scene.noise:
        rng = np.random.default_rng(scene.seed)
        picture = picture + np.float32(scene.noise) * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.ascontiguousarray(np.clip(picture + 0.5, 0, 255).astype(np.uint8)[..., ::-1])


def _hand_layer(hand: SceneHand, camera: Camera, light: Lighting) -> _Layer | None:
    flesh = grow_flesh(pose_hand(hand.pose), sleeve=hand.sleeve_rgb is not None)
    linear, offset = hand.camera_from_hand()
    surface = trace(_solid(flesh, linear, offset, hand.scale), camera.focal_px, camera.size_hw)
    if surface is None:
        return None
    local = (surface.points - offset) @ np.linalg.inv(linear).T
    rgb = hand_colors(
        surface, flesh, (linear / hand.scale).astype(np.float32), local, hand.skin, hand.sleeve_rgb or (0, 0, 0), light
    )
    return _Layer(surface.rows, surface.columns, surface.distance, surface.coverage, rgb)


def _solid(flesh: Flesh, linear: NDArray[np.float64], offset: NDArray[np.float64], scale: float) -> Solid:
    start, end = flesh.start @ linear.T + offset, flesh.end @ linear.T + offset
    return Solid(
        start.astype(np.float32),
        (end - start).astype(np.float32),
        (scale * flesh.start_radius).astype(np.float32),
        (scale * (flesh.end_radius - flesh.start_radius)).astype(np.float32),
        flesh.melting,
    )


def _board_layer(board: Board, camera: Camera) -> _Layer | None:
    height, width = camera.size_hw
    x, y, z = board.center_mm
    half = np.array(board.size_mm) / 2
    left_top = camera.project((x - half[0], y - half[1], z))
    right_bottom = camera.project((x + half[0], y + half[1], z))
    (left, top), (right, bottom) = left_top, right_bottom
    across = np.clip(np.minimum(np.arange(width) + 1, right) - np.maximum(np.arange(width), left), 0, 1)
    down = np.clip(np.minimum(np.arange(height) + 1, bottom) - np.maximum(np.arange(height), top), 0, 1)
    coverage = (down[:, None] * across).astype(np.float32)
    rows, columns = np.nonzero(coverage)
    if not len(rows):
        return None
    distance = z / pixel_rays(rows, columns, camera.focal_px, camera.size_hw)[:, 2]
    shade = 1.08 - 0.16 * (rows - top) / (bottom - top)
    rgb = np.asarray(np.array(board.rgb) * shade[:, None], np.float32)
    return _Layer(rows, columns, distance.astype(np.float32), coverage[rows, columns], rgb)


def _depth(layer: _Layer | None, size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Distance by pixel, infinite where the thing covers less than half of it."""
    depth = np.full(size_hw, np.inf, np.float32)
    if layer is not None:
        solid = layer.coverage >= 0.5
        depth[layer.rows[solid], layer.columns[solid]] = layer.distance[solid]
    return depth


def _compose(picture: NDArray[np.float32], layers: list[_Layer | None], depths: list[NDArray[np.float32]]) -> None:
    """Paint the layers in place. A point of one that lies behind another's is left out there."""
    for layer, own in zip(layers, depths):
        if layer is None:
            continue
        others = [depth[layer.rows, layer.columns] for depth in depths if depth is not own]
        coverage = layer.coverage
        for other in others:
            coverage = np.where(other < layer.distance, 0, coverage)
        rgb = picture[layer.rows, layer.columns]
        picture[layer.rows, layer.columns] = rgb + coverage[:, None] * (layer.rgb - rgb)


def _truth(
    number: int, hand: SceneHand, joints: NDArray[np.float64], depths: list[NDArray[np.float32]], camera: Camera
) -> HandTruth:
    keypoints = camera.project(joints)
    height, width = camera.size_hw
    columns, rows = np.floor(keypoints).astype(np.intp).T
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    at = np.flatnonzero(inside)
    away = np.linalg.norm(joints[at], axis=1)
    visible, self_hidden = inside.copy(), np.zeros(21, bool)
    for other, depth in enumerate(depths):
        seen = depth[rows[at], columns[at]]
        if other == number:
            self_hidden[at] = seen < away - 2.0 * hand.scale * _JOINT_RADII_MM[at]
        else:
            visible[at] &= seen > away - hand.scale * _JOINT_RADII_MM[at]
    return HandTruth(keypoints.astype(np.float32), joints.astype(np.float32), hand.handedness, visible, self_hidden)
