"""ISA levels: how they are chosen, and that all give the bits of "scalar"."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tests.reference.arrays import FILTERS, SOURCE_FORMATS, copy_of, noise, split
from tests.reference.guard_pages import affine_of, size_of

import handpose_native as hp

# The values do not matter here, only that every level makes the same of them.
METHODS = ("argmax", "quarter", "dark", "expectation", "upsampled_argmax")


def same_bits(a: Any, b: Any) -> bool:
    """Equal as bytes: also NaN and the sign of zero."""
    return all(
        x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in zip(split(a), split(b))
    )


def on_both(level: str, call: Any) -> None:
    with hp.isa("scalar"):
        expected = call()
    with hp.isa(level):
        assert hp.active_isa() == level
        got = call()
    assert same_bits(got, expected)


@pytest.mark.parametrize("source_format", SOURCE_FORMATS)
@pytest.mark.parametrize("level", hp.isa_levels())
def test_preprocess_bits(rng: np.random.Generator, level: str, source_format: str) -> None:
    for number in range(400):
        height, width, size_hw = size_of(rng), size_of(rng), (size_of(rng), size_of(rng))
        image = noise(rng, source_format, height, width)
        rotated = number % 4 == 0
        options = {
            "size_hw": size_hw, "source_format": source_format, "layout": ("NCHW", "NHWC")[number % 2],
            "dtype": ("float32", "float16", "uint8")[number % 3], "border": ("constant", "replicate")[number % 5 % 2],
            "channel_order": ("rgb", "bgr")[number % 7 % 2],
            "filter": "linear" if rotated else FILTERS[number // 3 % 3],
            "mean": rng.uniform(-1, 1, 3), "std": rng.uniform(0.01, 2, 3), "border_value": rng.uniform(0, 255, 3),
            "input_from_image": affine_of(rng, height, width, size_hw, rotated) if number % 3 else None,
        }  # fmt: skip
        if options["input_from_image"] is None and rotated:
            options["filter"] = "cubic"
        on_both(level, lambda image=image, options=options: hp.preprocess(image, **options))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", hp.isa_levels())
def test_heatmap_bits(rng: np.random.Generator, level: str, method: str) -> None:
    for number in range(150):
        heatmaps = rng.standard_normal((2, size_of(rng), size_of(rng))).astype(("f4", "f2")[number % 2])
        if number % 3 == 0:
            heatmaps = heatmaps.round()  # ties
        if number % 5 == 0:
            heatmaps[rng.random(heatmaps.shape) < 0.2] = (np.nan, np.inf, -np.inf, -0.0)[number // 5 % 4]
        size_hw = tuple(size * 2 + number % 4 for size in heatmaps.shape[1:])
        options = {"upsampled_hw": size_hw} if method == "upsampled_argmax" else {}
        on_both(level, lambda maps=heatmaps, o=options: hp.heatmap_peaks(maps, method=method, spreads=True, **o))


@pytest.mark.parametrize("source_format", ["bgr24", "rgb24", "bgra32", "nv12", "yuv420p"])
@pytest.mark.parametrize("level", hp.isa_levels())
def test_drawing_bits(rng: np.random.Generator, level: str, source_format: str) -> None:
    for _ in range(60):
        height, width = size_of(rng), size_of(rng)
        image = noise(rng, source_format, height, width)
        points = (rng.uniform(-0.3, 1.3, (21, 2)) * (width, height)).astype(np.float32)
        scores, thickness = rng.random(21), float(rng.uniform(0, 9))

        def draw(image: Any = image, points: Any = points, scores: Any = scores, thickness: float = thickness) -> Any:
            return hp.draw_skeleton(copy_of(image), points, scores, source_format=source_format, thickness=thickness)

        on_both(level, draw)


@pytest.mark.parametrize("level", hp.isa_levels())
def test_palette_bits(rng: np.random.Generator, level: str) -> None:
    lut = rng.integers(0, 256, (64, 64, 64), dtype=np.uint8)
    for _ in range(60):
        image = noise(rng, "bgr24", size_of(rng), size_of(rng))
        on_both(level, lambda image=image: hp.palette_map(image, lut))


def test_forcing_a_level() -> None:
    levels = hp.isa_levels()
    assert levels[0] == "scalar"
    assert len(set(levels)) == len(levels)
    before = hp.active_isa()
    assert before == levels[-1] or os.environ.get("HANDPOSE_NATIVE_ISA") == before
    with hp.isa("scalar"):
        assert hp.active_isa() == "scalar"
        with hp.isa(levels[-1]):
            assert hp.active_isa() == levels[-1]
        assert hp.active_isa() == "scalar"
    assert hp.active_isa() == before


def test_the_level_comes_back_after_an_error() -> None:
    before = hp.active_isa()
    with pytest.raises(ZeroDivisionError), hp.isa("scalar"):
        raise ZeroDivisionError
    assert hp.active_isa() == before


@pytest.mark.parametrize("level", ["avx9000", "", "SCALAR"])
def test_unknown_levels(level: str) -> None:
    with pytest.raises(hp.ArgumentError, match="scalar"), hp.isa(level):
        pass


def test_a_level_is_a_name() -> None:
    with pytest.raises(hp.HandposeError, match=r"level|isa"), hp.isa(3):
        pass


@pytest.mark.parametrize(("level", "fine"), [("scalar", True), ("avx9000", False)])
def test_environment_variable(level: str, fine: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import handpose_native as hp; print(hp.active_isa())"],
        env={**os.environ, "HANDPOSE_NATIVE_ISA": level}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if fine:
        assert (done.returncode, done.stdout.strip()) == (0, "scalar")
    else:
        assert done.returncode != 0
        assert "avx9000" in done.stderr
        assert "scalar" in done.stderr
