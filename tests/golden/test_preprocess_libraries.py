"""preprocess against OpenCV and Pillow at realistic sizes."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from tests.reference import preprocess as reference

import handpose_native as hp

pytestmark = pytest.mark.usefixtures("level")

SIZES_HW = [(128, 128), (224, 224), (256, 256), (900, 1300)]
# All return whole grey levels; each rounds its own fixed-point sums, so one level either way is agreement.
ONE_LEVEL = 1.0
# Half a level of OpenCV's rounding, 11 bit weights of its own, and ours (0.03).
LINEAR_MEAN = 0.3
# Pillow rounds to 8 bits between its two passes as well, which shifts about every fourth value by one.
ANTIALIAS_MEAN = 0.3
# Equal but for sums that fall within OpenCV's fixed point error of a half.
CUBIC_MEAN = 0.02
# warpAffine of OpenCV 4 moves samples to a grid of 1/32 px: half a step over slopes up to 40 levels a pixel,
# twice, and rounding.
ROTATED_LEVELS = 40 / 64 * 2 + 0.5
# cvtColor repeats chroma (no interpolation); on chroma that hardly changes only rounding and fixed point remain.
YUV_LEVELS = 2.0


def scene(rng: np.random.Generator, height: int, width: int, sigma: float) -> np.ndarray:
    """Noise of all levels, blurred by ``sigma`` pixels and stretched to 0..255."""
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if sigma == 0:
        return image
    soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)
    return cv2.normalize(soft, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def figures(difference: np.ndarray) -> tuple[float, float]:
    """Largest and mean difference."""
    return float(difference.max()), float(difference.mean())


@pytest.fixture(scope="module", params=[(480, 640), (720, 1280)], ids=["vga", "hd"])
def pictures(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {"noise": scene(rng, *request.param, 0), "smooth": scene(rng, *request.param, 3)}


@pytest.mark.parametrize("size_hw", SIZES_HW)
@pytest.mark.parametrize("kind", ["noise", "smooth"])
def test_linear_is_opencv(pictures: dict[str, np.ndarray], kind: str, size_hw: Any) -> None:
    image = pictures[kind]
    got = hp.preprocess(image, size_hw=size_hw, channel_order="bgr", layout="NHWC", scale=1)[0]
    expected = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    largest, mean = figures(abs(got - expected))
    assert largest <= ONE_LEVEL
    assert mean <= LINEAR_MEAN


@pytest.mark.parametrize("size_hw", SIZES_HW)
@pytest.mark.parametrize("kind", ["noise", "smooth"])
def test_cubic_is_opencv(pictures: dict[str, np.ndarray], kind: str, size_hw: Any) -> None:
    image = pictures[kind]
    got = hp.preprocess(image, size_hw=size_hw, channel_order="bgr", layout="NHWC", scale=1, filter="cubic")[0]
    expected = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_CUBIC)
    largest, mean = figures(abs(got - expected))
    assert largest <= ONE_LEVEL
    assert mean <= CUBIC_MEAN


@pytest.mark.parametrize("size_hw", [*SIZES_HW, (45, 80), (1080, 1920)])
@pytest.mark.parametrize("kind", ["noise", "smooth"])
def test_antialias_is_pillow(pictures: dict[str, np.ndarray], kind: str, size_hw: Any) -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = pictures[kind]
    got = hp.preprocess(
        image, size_hw=size_hw, layout="NHWC", scale=1, filter="antialias", source_format="rgb24"
    )[0]  # fmt: skip
    resized = image_module.fromarray(image).resize(size_hw[::-1], image_module.Resampling.BILINEAR)
    largest, mean = figures(abs(got - np.asarray(resized)))
    assert largest <= ONE_LEVEL
    assert mean <= ANTIALIAS_MEAN


def test_antialias_of_a_crop_is_pillow_with_a_box(pictures: dict[str, np.ndarray]) -> None:
    """Pillow's ``box`` crops at fractions of a pixel; only the inside counts, the box's edge is its own matter."""
    image_module = pytest.importorskip("PIL.Image")
    image = pictures["smooth"]
    box = (100.25, 33.5, 411.75, 402.0)
    affine = reference.roi_affine(box[0], box[1], box[2] - box[0], box[3] - box[1], (128, 128))
    got = hp.preprocess(image, size_hw=(128, 128), input_from_image=affine, filter="antialias", scale=1, layout="NHWC")[
        0
    ]
    resized = image_module.fromarray(image[..., ::-1]).resize((128, 128), image_module.Resampling.BILINEAR, box=box)
    assert abs(got - np.asarray(resized))[2:-2, 2:-2].max() <= ONE_LEVEL


@pytest.mark.parametrize("angle", [0.2, math.pi / 3, -2.0])
def test_rotation_is_opencv(pictures: dict[str, np.ndarray], angle: float) -> None:
    image = pictures["smooth"]
    height, width = image.shape[:2]
    affine = reference.rotation_affine((width * 0.6, height * 0.4), height * 1.1, angle, (224, 224))
    got = hp.preprocess(
        image,
        size_hw=(224, 224),
        input_from_image=affine,
        border="replicate",
        channel_order="bgr",
        layout="NHWC",
        scale=1,
    )[0]
    # warpAffine counts from pixel centres: shift by half a pixel on both sides.
    linear, offset = affine[:, :2], affine[:, 2]
    centred = np.column_stack([linear, offset + linear @ [0.5, 0.5] - 0.5])
    expected = cv2.warpAffine(image, centred, (224, 224), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    largest, mean = figures(abs(got - expected))
    assert largest <= ROTATED_LEVELS
    assert mean <= LINEAR_MEAN


@pytest.mark.parametrize("source_format", ["nv12", "yuv420p"])
def test_yuv_is_opencv_on_soft_colour(source_format: str) -> None:
    rng = np.random.default_rng(3)
    luma = rng.integers(16, 236, (480, 640), dtype=np.uint8)
    chroma = [
        cv2.normalize(cv2.GaussianBlur(rng.random((240, 320)), (0, 0), 25), None, 90, 160, cv2.NORM_MINMAX).astype(
            np.uint8
        )
        for _ in range(2)
    ]
    interleaved = np.stack(chroma, axis=-1) if source_format == "nv12" else np.stack(chroma)
    packed = np.concatenate([luma, interleaved.reshape(240, 640)])
    code = cv2.COLOR_YUV2RGB_NV12 if source_format == "nv12" else cv2.COLOR_YUV2RGB_I420
    expected = cv2.cvtColor(packed, code)
    planes = hp.yuv_planes(packed, source_format)
    got = hp.preprocess(planes, size_hw=(480, 640), source_format=source_format, layout="NHWC", scale=1)[0]
    largest, mean = figures(abs(got - expected))
    assert largest <= YUV_LEVELS
    assert mean <= 0.6


def test_letterbox_is_resize_then_pad(pictures: dict[str, np.ndarray]) -> None:
    image = pictures["noise"]
    height, width = image.shape[:2]
    affine = hp.letterbox((height, width), (256, 256))
    got = hp.preprocess(
        image, size_hw=(256, 256), input_from_image=affine, border_value=114, dtype="uint8", layout="NHWC"
    )[0]
    inner = 256 * height // width
    top = (256 - inner) // 2
    resized = hp.preprocess(image, size_hw=(inner, 256), dtype="uint8", layout="NHWC")[0]
    assert abs(got[top : top + inner].astype(int) - resized).max() <= 1
    assert (got[:top] == 114).all()
    assert (got[top + inner :] == 114).all()
    assert ((got[top + inner // 2] != 114).any(axis=1)).all()
