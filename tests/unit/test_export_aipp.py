"""AIPP: what it is told gives, in fp16 as it is documented to compute, what preprocessing gives in float32."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

import handpose_native as hp
from handpose_native.export.aipp import AippConfig
from handpose_native.models import KNOWN_MODELS

HOURGLASS = hp.ModelSpec(name="hourglass", family="heatmap", channel_order="bgr", method="argmax", mean=0.5)
TORCHVISION = dataclasses.replace(HOURGLASS, name="v", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
UNIT = dataclasses.replace(HOURGLASS, name="unit", mean=0.0)
SPECS = [KNOWN_MODELS["unet"], KNOWN_MODELS["handpose-x"], HOURGLASS, TORCHVISION, UNIT]


def exact(spec: hp.ModelSpec, pixels: np.ndarray) -> np.ndarray:
    scale = 1 / 255 if spec.scale is None else spec.scale
    return (scale * pixels.astype(np.float64) - np.array(spec.mean)) / np.array(spec.std)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_grey_level_is_normalised_as_the_spec_says(spec: hp.ModelSpec) -> None:
    config = AippConfig.from_spec(spec, (128, 128))
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    expected = exact(spec, levels)
    got = config.apply(levels)
    assert got.dtype == np.float16
    bound = 3 * 2.0**-11 * np.abs(expected) + 2.0**-12 * np.array(config.reciprocal)
    assert (np.abs(got - expected) <= bound).all()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_bytes_through_aipp_are_near_the_float_input(spec: hp.ModelSpec, rng: np.random.Generator) -> None:
    """Half a grey level for the rounding to bytes, and what fp16 costs."""
    picture = rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)
    sampling: dict[str, Any] = {
        "size_hw": (48, 64),
        "filter": spec.filter,
        "channel_order": spec.channel_order,
        "layout": "NHWC",
    }
    floats = hp.preprocess(picture, scale=spec.scale, mean=spec.mean, std=spec.std, **sampling)
    pixels = hp.preprocess(picture, dtype="uint8", **sampling)
    config = AippConfig.from_spec(spec, (48, 64))
    reciprocal = np.array(config.reciprocal)
    bound = 0.502 * reciprocal + 3 * 2.0**-11 * np.abs(floats) + 2.0**-12 * reciprocal
    assert (np.abs(config.apply(pixels) - floats) <= bound).all()


def test_the_file() -> None:
    text = AippConfig.from_spec(KNOWN_MODELS["unet"], (96, 128)).to_text()
    assert text.startswith("aipp_op {\n")
    assert text.endswith("}\n")
    values = dict(re.findall(r"^  (\w+): (\S+)$", text, re.MULTILINE))
    assert (values["aipp_mode"], values["input_format"]) == ("static", "RGB888_U8")
    assert (values["src_image_size_w"], values["src_image_size_h"]) == ("128", "96")
    assert [values[f"mean_chn_{i}"] for i in range(3)] == ["100", "110", "75"]  # whole numbers, as CANN 8.3 wants
    assert [float(values[f"min_chn_{i}"]) for i in range(3)] == pytest.approx([0.725, 0.2365, 0.327], abs=1e-7)
    assert float(values["var_reci_chn_0"]) == pytest.approx(1 / 255 / 0.1966, rel=1e-10)
    whole = AippConfig.from_spec(KNOWN_MODELS["handpose-x"], (256, 256))
    assert (whole.mean, whole.minimum, whole.reciprocal) == ((128,) * 3, (0.0,) * 3, (1 / 256,) * 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": -0.1}, "subtracts grey levels"),
        ({"mean": 1.1}, "subtracts grey levels"),
        ({"std": -1.0}, "multiplies by fp16"),
        ({"std": 1e9}, "multiplies by fp16"),
    ],
)
def test_what_aipp_cannot_do(changes: dict[str, float], message: str) -> None:
    with pytest.raises(hp.ModelError, match=message):
        AippConfig.from_spec(dataclasses.replace(UNIT, **changes), (64, 64))
    with pytest.raises(hp.ModelError, match="wide"):
        AippConfig.from_spec(UNIT, (64, 5000))
    with pytest.raises(hp.ArgumentError, match="uint8"):
        AippConfig.from_spec(UNIT, (64, 64)).apply(np.zeros((2, 3)))  # type: ignore[arg-type]
