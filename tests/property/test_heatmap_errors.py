"""What heatmap_peaks refuses."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from tests.reference.arrays import DeviceBuffer

import handpose_native as hp

MAPS = np.zeros((2, 6, 8), np.float32)
POINTS, SCORES, SPREADS = np.zeros((2, 2), np.float32), np.zeros(2, np.float32), np.zeros(2, np.float32)
FROZEN = np.zeros((2, 2), np.float32)
FROZEN.flags.writeable = False
UNALIGNED = np.zeros(2 * 6 * 8 * 4 + 8, np.uint8)[1:-7].view(np.float32).reshape(2, 6, 8)

A, D = hp.ArgumentError, hp.DTypeError
CASES: dict[str, tuple[Any, dict[str, Any], Any, str]] = {
    "float64": (MAPS.astype(np.float64), {}, D, "heatmaps"),
    "uint8": (MAPS.astype(np.uint8), {}, D, "heatmaps"),
    "big endian": (MAPS.astype(">f4"), {}, D, "heatmaps"),
    "list": ([[[1.0]]], {}, D, "heatmaps"),
    "None": (None, {}, D, "heatmaps"),
    "two dimensions": (MAPS[0], {}, A, "heatmaps"),
    "five dimensions": (MAPS[None, None], {}, A, "heatmaps"),
    "no maps": (MAPS[:0], {}, A, "heatmaps"),
    "no rows": (MAPS[:, :0], {}, A, "heatmaps"),
    "no columns": (MAPS[:, :, :0], {}, A, "heatmaps"),
    "every second column": (MAPS[:, :, ::2], {}, A, "ascontiguousarray"),
    "mirrored columns": (MAPS[:, :, ::-1], {}, A, "ascontiguousarray"),
    "channels last": (np.zeros((6, 8, 2), np.float32).transpose(2, 0, 1), {}, A, "ascontiguousarray"),
    "on a device": (DeviceBuffer((2, 6, 8), np.float32), {}, A, "heatmaps"),
    "method": (MAPS, {"method": "softargmax"}, A, "method.*upsampled_argmax"),
    "method is no text": (MAPS, {"method": 1}, (A, D), "method"),
    "upsampled without size": (MAPS, {"method": "upsampled_argmax"}, A, "upsampled_hw"),
    "shrunk height": (MAPS, {"method": "upsampled_argmax", "upsampled_hw": (5, 8)}, A, "upsampled_hw"),
    "shrunk width": (MAPS, {"method": "upsampled_argmax", "upsampled_hw": (6, 7)}, A, "upsampled_hw"),
    "one size": (MAPS, {"method": "upsampled_argmax", "upsampled_hw": 12}, (A, D), "upsampled_hw"),
    "even blur": (MAPS, {"method": "dark", "blur_kernel": 10}, A, "blur_kernel"),
    "small blur": (MAPS, {"method": "dark", "blur_kernel": 1}, A, "blur_kernel"),
    "large blur": (MAPS, {"method": "dark", "blur_kernel": 33}, A, "blur_kernel"),
    "negative blur": (MAPS, {"method": "dark", "blur_kernel": -3}, A, "blur_kernel"),
    "fractional blur": (MAPS, {"method": "dark", "blur_kernel": 5.5}, (A, D), "blur_kernel"),
    "out is one array": (MAPS, {"out": POINTS}, (A, D), "out"),
    "out of three without spreads": (MAPS, {"out": (POINTS, SCORES, SPREADS)}, A, "out"),
    "out of two with spreads": (MAPS, {"out": (POINTS, SCORES), "spreads": True}, A, "out"),
    "out float64": (MAPS, {"out": (POINTS.astype(np.float64), SCORES)}, D, "out"),
    "out too long": (MAPS, {"out": (np.zeros((3, 2), np.float32), SCORES)}, A, "out"),
    "out with a batch": (MAPS, {"out": (POINTS[None], SCORES[None])}, A, "out"),
    "out read-only": (MAPS, {"out": (FROZEN, SCORES)}, A, "out"),
    "out strided": (MAPS, {"out": (np.zeros((2, 4), np.float32)[:, ::2], SCORES)}, A, "out"),
}


@pytest.mark.parametrize("case", CASES)
def test_refusals(case: str) -> None:
    heatmaps, options, error, says = CASES[case]
    with pytest.raises(error, match=rf"^heatmap_peaks: .*{says}"):
        hp.heatmap_peaks(heatmaps, **options)


def test_odd_addresses_are_read_or_refused() -> None:
    """A pitch must be a multiple of the item size; an address that is not is either refused or read rightly."""
    UNALIGNED[...] = np.random.default_rng(0).random(UNALIGNED.shape)
    with contextlib.suppress(hp.ArgumentError):
        points, scores = hp.heatmap_peaks(UNALIGNED)
        want = hp.heatmap_peaks(UNALIGNED.copy())
        np.testing.assert_array_equal(points, want[0])
        np.testing.assert_array_equal(scores, want[1])


def test_pitch_that_is_no_multiple_of_the_item() -> None:
    memory = np.zeros(400, np.uint8)
    heatmaps = np.lib.stride_tricks.as_strided(memory.view(np.float32), (1, 3, 4), (60, 18, 4))
    with pytest.raises(hp.ArgumentError, match=r"^heatmap_peaks: .*heatmaps"):
        hp.heatmap_peaks(heatmaps)


def test_results_at_odd_addresses_are_refused() -> None:
    scores = np.zeros(9, np.uint8)[1:].view(np.float32)
    with pytest.raises(hp.ArgumentError, match=r"^heatmap_peaks: out\[1\] must be .*aligned"):
        hp.heatmap_peaks(np.zeros((2, 6, 8), np.float32), out=(np.zeros((2, 2), np.float32), scores))


def test_out_over_the_heatmaps_or_over_itself() -> None:
    memory = np.zeros(200, np.float32)
    heatmaps = memory[:96].reshape(2, 6, 8)
    scores = np.zeros(2, np.float32)
    with pytest.raises(hp.ArgumentError, match=r"^heatmap_peaks: .*out"):
        hp.heatmap_peaks(heatmaps, out=(memory[92:96].reshape(2, 2), scores))
    with pytest.raises(hp.ArgumentError, match=r"^heatmap_peaks: .*out"):
        hp.heatmap_peaks(heatmaps, out=(memory[100:104].reshape(2, 2), memory[103:105]))
    points = memory[96:100].reshape(2, 2)
    assert hp.heatmap_peaks(heatmaps, out=(points, scores))[0] is points
