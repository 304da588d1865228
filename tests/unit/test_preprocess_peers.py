"""preprocess against other software: cv2 with exact coordinates, 8-bit results, and the inputs of the original network.

Float results against cv2 and Pillow at many sizes are in tests/golden/test_preprocess_libraries.py.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

import handpose_native as hp

SIZES_HW = [(128, 128), (224, 224), (256, 256), (720, 1000)]
ONE_LEVEL = 1  # both round sums that differ by fixed-point weights
# cv2.remap with float maps still takes the nearest 1/32 px and 15 bit weights: half a grid step along both axes
# over the steepest slope of the picture, and half a level of its rounding.
REMAP_GRID_PX = 1 / 64
HALF_LEVEL = 0.5
# Both convert the same Y, U and V; half a level is cvtColor's rounding, the rest is its coefficients of three digits.
YUV_LEVELS = 1.0
# U-Net: a mean difference of a tenth of a grey level is 0.1 / 255 / 0.18 = 0.0022 normalised (measured 0.0016).
UNET_INPUT_MEAN = 0.003
UNET_POINTS = 0.01  # of the crop's side, about one pixel of the 128 pixel input (measured 0.0079)
UNET_SAME_INPUT_POINTS = 1e-4  # float32 in another order of sums (measured 0.00001)


def scene(image_hw: tuple[int, int]) -> np.ndarray:
    """Soft shapes with noise on them."""
    rng = np.random.default_rng(17)
    soft = cv2.GaussianBlur(rng.random((*image_hw, 3)).astype(np.float32), (0, 0), 6)
    soft = cv2.normalize(soft, None, 0, 255, cv2.NORM_MINMAX)
    return np.clip(soft + rng.normal(0, 12, soft.shape), 0, 255).astype(np.uint8)


def smooth_scene(image_hw: tuple[int, int]) -> np.ndarray:
    return cv2.GaussianBlur(scene(image_hw), (0, 0), 4)


@pytest.fixture(scope="module", params=[(480, 640), (720, 1280)], ids=["vga", "hd"])
def picture(request: pytest.FixtureRequest) -> np.ndarray:
    return scene(request.param)


@pytest.mark.usefixtures("isa_level")
@pytest.mark.parametrize("size_hw", SIZES_HW)
@pytest.mark.parametrize("filter", ["linear", "cubic", "antialias"])
def test_eight_bit_results(picture: np.ndarray, filter: str, size_hw: tuple[int, int]) -> None:
    got = hp.preprocess(
        picture, size_hw=size_hw, filter=filter, dtype="uint8", layout="NHWC", source_format="rgb24"
    )[0]  # fmt: skip
    if filter == "antialias":
        image_module = pytest.importorskip("PIL.Image")
        resized = image_module.fromarray(picture).resize(size_hw[::-1], image_module.Resampling.BILINEAR)
        expected = np.asarray(resized)
    else:
        names = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
        expected = cv2.resize(picture, size_hw[::-1], interpolation=names[filter])
    assert abs(got.astype(int) - expected).max() <= ONE_LEVEL


@pytest.mark.usefixtures("isa_level")
@pytest.mark.parametrize("angle", [0.2, math.pi / 3, math.pi / 2, -2.0])
@pytest.mark.parametrize("image_hw", [(480, 640), (720, 1280)], ids=["vga", "hd"])
def test_rotation_is_remap(image_hw: tuple[int, int], angle: float) -> None:
    image = smooth_scene(image_hw)
    roi = hp.Roi(image_hw[1] * 0.6, image_hw[0] * 0.4, image_hw[0] * 1.1, image_hw[0] * 0.9, angle)
    affine = hp.input_from_roi(roi, (224, 192))
    got = hp.preprocess(
        image, size_hw=(224, 192), input_from_image=affine, border="replicate", channel_order="bgr", layout="NHWC",
        scale=1,
    )[0]  # fmt: skip
    (a, b, c), (d, e, f) = hp.invert(affine)
    columns, rows = np.meshgrid(np.arange(192) + 0.5, np.arange(224) + 0.5)
    # remap counts from the centres of pixels.
    maps = [(a * columns + b * rows + c - 0.5), (d * columns + e * rows + f - 0.5)]
    expected = cv2.remap(
        image, *(grid.astype(np.float32) for grid in maps), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    levels = image.astype(int)
    slope = max(abs(np.diff(levels, axis=0)).max(), abs(np.diff(levels, axis=1)).max())
    assert abs(got - expected).max() <= 2 * REMAP_GRID_PX * slope + HALF_LEVEL + 0.1  # 0.1: our own bound


@pytest.mark.usefixtures("isa_level")
@pytest.mark.parametrize("source_format", ["nv12", "yuv420p"])
def test_yuv_of_one_colour_is_opencv(source_format: str) -> None:
    """At full size with constant chroma only the conversion is left to compare, over all of Y, U and V."""
    code = cv2.COLOR_YUV2RGB_NV12 if source_format == "nv12" else cv2.COLOR_YUV2RGB_I420
    # cvtColor counts Y below 16 as 16 before it adds the colour; docs/kernels.md clamps only at the end.
    luma = np.arange(48 * 64).reshape(48, 64) % 240 + 16
    for u in range(0, 256, 15):
        for v in range(0, 256, 15):
            chroma = [np.full((24, 32), value) for value in (u, v)]
            interleaved = np.stack(chroma, axis=-1) if source_format == "nv12" else np.stack(chroma)
            packed = np.concatenate([luma, interleaved.reshape(24, 64)]).astype(np.uint8)
            planes = hp.yuv_planes(packed, source_format)
            got = hp.preprocess(planes, size_hw=(48, 64), source_format=source_format, layout="NHWC", scale=1)[0]
            assert abs(got - cv2.cvtColor(packed, code)).max() <= YUV_LEVELS


@pytest.mark.usefixtures("isa_level")
@pytest.mark.parametrize("filter", ["linear", "antialias", "cubic"])
def test_letterbox_is_resize_then_pad(picture: np.ndarray, filter: str) -> None:
    height, width = picture.shape[:2]
    affine = hp.letterbox((height, width), (256, 256))
    got = hp.preprocess(
        picture, size_hw=(256, 256), input_from_image=affine, border_value=(10, 114, 250), filter=filter, layout="NHWC",
        dtype="uint8",
    )[0]  # fmt: skip
    inner = 256 * height // width  # whole for both pictures, and so is the padding
    top = (256 - inner) // 2
    resized = hp.preprocess(picture, size_hw=(inner, 256), filter=filter, dtype="uint8", layout="NHWC")[0]
    padding = [(top, 256 - inner - top), (0, 0)]
    expected = np.stack(
        [np.pad(resized[..., n], padding, constant_values=value) for n, value in enumerate((10, 114, 250))], axis=-1
    )
    assert abs(got.astype(int) - expected).max() <= ONE_LEVEL


@pytest.fixture(scope="module")
def unet_crops(shared_dir: Path) -> dict[int, np.ndarray]:
    """The crops of the frames whose inputs are stored.

    The clip is tagged BT.709, but the stored inputs were made by software that converted it with BT.601.
    """
    av = pytest.importorskip("av")
    crops = {}
    with av.open(str(shared_dir / "clips" / "open_hand_720p.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in (0, 60, 300, 600):
                image = frame.reformat(format="bgr24", src_colorspace="ITU601").to_ndarray()
                crops[index] = image[90:474, 520:904].copy()
            if index == 600:
                break
    return crops


def unet_input(crop: np.ndarray) -> np.ndarray:
    return hp.preprocess(
        crop, size_hw=(128, 128), filter="antialias", mean=(0.3950, 0.4323, 0.2954), std=(0.1966, 0.1734, 0.1836)
    )


@pytest.mark.shared
def test_unet_input_matches_the_original_software(shared_dir: Path, unet_crops: dict[int, np.ndarray]) -> None:
    stored = np.load(shared_dir / "reference" / "unet_open_hand.npz")
    assert sorted(unet_crops) == [0, 60, 300, 600]
    for index, crop in unet_crops.items():
        assert abs(unet_input(crop) - stored[f"input_{index}"]).mean() < UNET_INPUT_MEAN


@pytest.mark.shared
@pytest.mark.parametrize(("made_by", "bound"), [("hp", UNET_POINTS), ("original", UNET_SAME_INPUT_POINTS)])
def test_unet_keypoints_match_the_original_software(
    shared_dir: Path, unet_crops: dict[int, np.ndarray], made_by: str, bound: float
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    stored = np.load(shared_dir / "reference" / "unet_open_hand.npz")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    network = onnxruntime.InferenceSession(
        str(shared_dir / "models" / "unet_freihand.onnx"), options, providers=["CPUExecutionProvider"]
    )
    for index, crop in unet_crops.items():
        given = unet_input(crop) if made_by == "hp" else stored[f"input_{index}"]
        heatmaps = network.run(None, {network.get_inputs()[0].name: given})[0]
        points, _ = hp.heatmap_peaks(heatmaps, method="expectation")
        # The original counts from the centre of the first pixel.
        assert abs((points[0] - 0.5) / 128 - stored[f"keypoints_{index}"]).max() < bound
