"""The rendered picture against geometry worked out in another way: exact spheres, projections, plain ray casting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import handpose_native as hp
from handpose_native.synthetic import (
    BACKGROUNDS,
    MOTIONS,
    POSES,
    SKIN_TONES,
    Board,
    Camera,
    HandTruth,
    Scene,
    SceneHand,
    hand_rotation,
    iter_clip,
    make_background,
    render,
    render_clip,
    render_exposure,
)
from handpose_native.synthetic.raymarch import Solid, trace

CAMERA = Camera(230.0, (192, 256))
BLUE = np.full((192, 256, 3), (255, 0, 0), np.uint8)  # BGR; nothing else in the pictures is blue
SIZE = (96, 128)


def skin_of(image: np.ndarray) -> np.ndarray:
    """Pixels that are not the blue background."""
    return image[..., 0].astype(int) - image[..., 2] < 100


def scene(*hands: SceneHand, **options: object) -> Scene:
    return Scene(hands or (SceneHand(sleeve_rgb=(90, 80, 70)),), CAMERA, BLUE, **options)  # type: ignore[arg-type]


def capsules(*rows: tuple[tuple[float, ...], tuple[float, ...], float, float], melting: int = 0) -> Solid:
    start, end, first, last = (np.array(column, np.float32) for column in zip(*rows))
    return Solid(start, end - start, first, last - first, melting)


def test_a_sphere_lies_where_its_centre_projects_and_is_as_large_as_it_must_be() -> None:
    center, radius = np.array([30.0, -20.0, 400.0]), 25.0
    surface = trace(capsules((tuple(center), tuple(center), radius, radius)), 500.0, (240, 320))
    assert surface is not None
    # A pixel sees the sphere where its ray is less than the radius from the centre.
    rows, columns = np.mgrid[:240, :320]
    rays = np.stack([(columns + 0.5 - 160) / 500, (rows + 0.5 - 120) / 500, np.ones((240, 320))], -1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ center
    aside = np.sqrt(center @ center - along**2)
    half_pixel = 0.5 * along / 500
    seen = np.zeros((240, 320), bool)
    seen[surface.rows[surface.coverage > 0.5], surface.columns[surface.coverage > 0.5]] = True
    assert seen[aside < radius - half_pixel].all()
    assert not seen[aside > radius + half_pixel].any()
    # Distances and normals of the exact sphere; at its very outline both run away.
    steep = aside[surface.rows, surface.columns] < 0.9 * radius
    exact = (along - np.sqrt(np.maximum(radius**2 - aside**2, 0)))[surface.rows, surface.columns]
    np.testing.assert_allclose(surface.distance[steep], exact[steep], atol=2.0)  # a pixel is 0.8 mm wide
    normals = (surface.points - center) / np.linalg.norm(surface.points - center, axis=1, keepdims=True)
    assert (np.einsum("nk,nk->n", normals, surface.normals)[steep] > 0.9999).all()


def test_blocks_and_cones_lose_no_pixel() -> None:
    """Against a plain march of every pixel through all capsules, in float64."""
    rng = np.random.default_rng(5)
    starts = rng.uniform((-60, -50, 320), (60, 50, 460), (7, 3))
    ends = starts + rng.uniform(-50, 50, (7, 3))
    radii = rng.uniform(5, 14, 7)
    solid = capsules(*((tuple(a), tuple(b), r, r) for a, b, r in zip(starts, ends, radii)), melting=3)
    surface = trace(solid, 220.0, (120, 160))
    assert surface is not None
    rows, columns = np.mgrid[:120, :160]
    rays = np.stack([(columns + 0.5 - 80) / 220, (rows + 0.5 - 60) / 220, np.ones((120, 160))], -1)
    rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).reshape(-1, 3)
    nearest = np.full(len(rays), np.inf)
    for t in np.arange(200.0, 620.0, 1.0):
        points = rays * t
        for a, b, r in zip(starts, ends, radii):
            h = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(points - a - h[:, None] * (b - a), axis=1) - r)
    seen = np.zeros((120, 160))
    seen[surface.rows, surface.columns] = surface.coverage
    seen = seen.reshape(-1)
    assert (seen[nearest < -1.5] > 0.9).all()  # surely inside
    assert (seen[nearest > 5.0] == 0).all()  # surely outside, melting included


@pytest.mark.parametrize("handedness", ["right", "left"])
def test_keypoints_are_the_projections_of_the_joints(handedness: str) -> None:
    frame = render(scene(SceneHand(POSES["pinch"], (20, -10, 500), hand_rotation(25, 10, 30), handedness)))
    truth = frame.hands[0]
    assert (truth.keypoints.dtype, truth.joints_mm.dtype) == (np.float32, np.float32)
    assert (truth.keypoints.shape, truth.joints_mm.shape) == ((21, 2), (21, 3))
    expected = 230 * truth.joints_mm[:, :2] / truth.joints_mm[:, 2:] + (128, 96)
    np.testing.assert_allclose(truth.keypoints, expected, atol=1e-3)


@pytest.mark.parametrize("handedness", ["right", "left"])
@pytest.mark.parametrize("pose", ["open", "spread", "half_curled", "fist", "victory"])
def test_every_joint_lies_on_the_hand(pose: str, handedness: str) -> None:
    for roll, turn in ((0, 0), (130, 40), (-70, 180)):
        hand = SceneHand(POSES[pose], (0, 0, 420), hand_rotation(roll, 10, turn), handedness)
        frame = render(scene(hand))
        skin, truth = skin_of(frame.image), frame.hands[0]
        assert truth.visible.all()
        columns, rows = np.floor(truth.keypoints).astype(int).T
        assert skin[rows, columns].all()


def test_the_mirrored_hand_gives_the_mirrored_picture() -> None:
    light = replace(scene().lighting, direction=(0.0, -0.7, -0.7))
    right, left = (
        render(scene(SceneHand(POSES["point"], (0, 0, 450), handedness=side), lighting=light))
        for side in ("right", "left")
    )
    difference = np.abs(right.image.astype(int) - left.image[:, ::-1]).max(axis=2)
    # The blocks begin elsewhere, so that rays stop at slightly different places.
    assert (difference > 3).mean() < 0.01
    assert (difference > 30).mean() < 0.001
    mirrored = right.hands[0].keypoints * (-1, 1) + (256, 0)
    np.testing.assert_allclose(left.hands[0].keypoints, mirrored, atol=1e-3)


def test_the_same_scene_gives_the_same_picture_and_seeds_differ() -> None:
    hand = SceneHand(center_mm=(0, 0, 800))

    def one(seed: int) -> np.ndarray:
        return render(Scene((hand,), CAMERA, "noise", noise=2.0, seed=seed)).image

    image = one(3)
    assert (image.dtype, image.shape, image.flags.c_contiguous) == (np.uint8, (192, 256, 3), True)
    np.testing.assert_array_equal(image, one(3))
    assert (image != one(4)).mean() > 0.5


def test_noise_has_the_strength_asked_for() -> None:
    plain = Scene((), CAMERA, np.full((192, 256, 3), 128, np.uint8))
    noisy = render(replace(plain, noise=4.0)).image.astype(float)
    assert noisy.std() == pytest.approx(4.0, rel=0.05)
    np.testing.assert_array_equal(render(plain).image, 128)


def test_a_nearer_hand_hides_another_and_not_itself() -> None:
    front = SceneHand(POSES["open"], (0, 0, 420))
    back = SceneHand(POSES["open"], (0, 0, 560), handedness="left")
    alone, both = render(scene(back)).hands[0], render(scene(back, front)).hands
    assert alone.visible.all()
    assert 8 < (~both[0].visible).sum() < 21
    assert both[1].visible.all()
    assert not both[1].self_hidden.any()
    # Where the front hand is, the picture is that of the front hand.
    single, together = render(scene(front)).image, render(scene(back, front)).image
    inner = skin_of(single)
    assert (single[inner] == together[inner]).all(axis=1).mean() > 0.97


def test_a_board_hides_what_is_behind_it_only() -> None:
    hand = SceneHand(POSES["open"], (0, 0, 480))
    truth = render(scene(hand)).hands[0]
    x = float(np.median(truth.keypoints[:, 0]))
    z = 300.0
    board = Board((z * (x / 2 - 128) / 230, 0.0, z), (z * x / 230, 4000.0), rgb=(0, 255, 0))  # from the left edge to x
    frame = render(scene(hand, boards=(board,)))
    hidden = truth.keypoints[:, 0] < x - 1
    shown = truth.keypoints[:, 0] > x + 1
    assert hidden.any()
    assert not frame.hands[0].visible[hidden].any()
    assert frame.hands[0].visible[shown].all()
    assert (frame.image[:, : int(x) - 1, 1] > 200).all()
    behind = render(scene(hand, boards=(replace(board, center_mm=(0.0, 0.0, 2000.0)),)))
    assert behind.hands[0].visible.all()


def test_joints_outside_the_picture_are_not_visible() -> None:
    truth = render(scene(SceneHand(center_mm=(250, 0, 480)))).hands[0]
    inside = (truth.keypoints >= 0).all(axis=1) & (truth.keypoints < (256, 192)).all(axis=1)
    assert 0 < inside.sum() < 21
    np.testing.assert_array_equal(truth.visible, inside)


def test_finger_tips_in_a_fist_seen_from_behind_are_hidden_by_the_hand_itself() -> None:
    fist = render(scene(SceneHand(POSES["fist"], (0, 0, 450), hand_rotation(turn_deg=180)))).hands[0]
    assert fist.self_hidden[[8, 12, 16]].all()
    assert not render(scene(SceneHand(POSES["spread"], (0, 0, 450)))).hands[0].self_hidden.any()


def test_skins_run_from_light_to_dark() -> None:
    means = []
    for skin in range(1, len(SKIN_TONES)):
        image = render(scene(SceneHand(center_mm=(0, 0, 450), skin=skin, sleeve_rgb=None))).image
        means.append(image[skin_of(image)].mean())
    assert (np.diff(means) < 0).all()


def test_blur_is_the_mean_of_its_instants_and_its_truth_the_middle() -> None:
    scenes = [scene(SceneHand(center_mm=(x, 0.0, 500.0))) for x in (-30.0, 0.0, 30.0)]
    frames = [render(one) for one in scenes]
    blurred = render_exposure(scenes)
    mean = np.mean([frame.image for frame in frames], axis=0)
    assert np.abs(blurred.image - mean).max() <= 1.01
    np.testing.assert_array_equal(blurred.hands[0].keypoints, frames[1].hands[0].keypoints)


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_backgrounds(name: str) -> None:
    one = make_background(name, (50, 70), 1)
    assert (one.dtype, one.shape) == (np.uint8, (50, 70, 3))
    np.testing.assert_array_equal(one, make_background(name, (50, 70), 1))
    assert (one != make_background(name, (50, 70), 2)).any()
    assert (one.std(axis=(0, 1)).max() > 1) == (name != "plain")


@pytest.mark.parametrize("motion", sorted(MOTIONS))
def test_clips_are_sources_with_truths(motion: str) -> None:
    clip = render_clip(motion, frames=3, size_hw=SIZE, seed=2)
    assert (clip.images.shape, clip.images.dtype) == ((3, *SIZE, 3), np.uint8)
    assert len(clip.truths) == 3
    with hp.open_source(clip.images) as source:
        assert sum(1 for _ in source) == 3
    again = list(iter_clip(motion, frames=3, size_hw=SIZE, seed=2))
    np.testing.assert_array_equal(clip.images, np.stack([frame.image for frame in again]))
    np.testing.assert_array_equal(clip.truths[1][0].keypoints, again[1].hands[0].keypoints)


def truths(motion: str, frames: int) -> list[tuple[HandTruth, ...]]:
    return [frame.hands for frame in iter_clip(motion, frames=frames, size_hw=SIZE)]


def test_motions_do_what_their_names_say() -> None:
    cross = np.array([[hand.keypoints[:, 0].mean() for hand in hands] for hands in truths("cross", 5)])
    assert cross[0, 0] < cross[0, 1]
    assert cross[-1, 0] > cross[-1, 1]
    leave = [hands[0].visible.mean() for hands in truths("leave", 6)]
    assert leave[0] == 1
    assert leave[3] == 0
    hidden = [hands[0].visible.mean() for hands in truths("occlusion", 7)]
    assert hidden[0] == hidden[-1] == 1
    assert hidden[3] < 0.5
    near = [hands[0].size_px for hands in truths("near_far", 6)]
    assert near[3] > 3 * near[0]
    turned = [hands[0].keypoints for hands in truths("rotation", 8)]
    vectors = np.array([points[9] - points[0] for points in turned])
    steps = np.diff(np.unwrap(np.arctan2(vectors[:, 1], vectors[:, 0])))
    np.testing.assert_allclose(np.degrees(steps), 45, atol=4)
