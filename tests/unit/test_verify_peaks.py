"""Maps with several peaks: which joints of another form are as good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks of the tests")
pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")

import onnx
from tests import networks
from tests.marker_forms import compared

import handpose_native as hp

MAP_HW, PEAK_HW = (64, 64), (128, 128)  # of the maps, and of the input

PLACES = ((14, 20), (44, 30), (30, 52))  # x, y: pixels of a map

PEAKS = {
    method: hp.ModelSpec(
        name="peaks",
        family="heatmap",
        channel_order="rgb",
        method=method,
        upsampled_hw=(96, 96) if method == "upsampled_argmax" else None,
        joint_order=(*range(20, -1, -1),),
        peak_offset_px=0.0,
    )
    for method in ("argmax", "quarter", "dark", "upsampled_argmax", "expectation")
}


def save_peaks(path: Path, heights: tuple[float, float, float]) -> Path:
    """Write a network whose maps have three peaks each, whatever the picture; all joints are alike."""
    rows, columns = np.mgrid[: MAP_HW[0], : MAP_HW[1]]
    one = sum(height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for (x, y), height in zip(PLACES, heights))
    nodes = [
        onnx.helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        onnx.helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        onnx.helper.make_node("Add", ["maps", "zero"], ["heatmaps"]),
    ]
    constants = {"maps": np.tile(one, (1, 21, 1, 1)).astype(np.float32), "nothing": np.zeros(1, np.float32)}
    sides = {"image": ("float32", [1, 3, *PEAK_HW])}, {"heatmaps": ("float32", [1, 21, *MAP_HW])}
    return networks.save_graph(path, nodes, *sides, constants)


@pytest.mark.parametrize("method", ["argmax", "quarter", "dark", "upsampled_argmax"])
def test_a_joint_may_be_at_any_peak_that_the_precision_cannot_tell_from_the_largest(
    tmp_path: Path, method: str
) -> None:
    original = save_peaks(tmp_path / "a.onnx", (0.8, 0.78, 0.6))
    other = save_peaks(tmp_path / "b.onnx", (0.78, 0.8, 0.6))
    result = compared(original, other, spec=PEAKS[method], precision="fp16")
    joints = result.values["figures"]["joints"]
    assert result.passed, result
    assert joints["max_px"] == pytest.approx(2 * np.hypot(30, 10), abs=4)
    assert joints["judged_max_px"] < 0.5
    assert joints["ambiguous"] == 3 * 21
    assert joints["per_joint_ambiguous"] == [3] * 21
    assert "ambiguous, with several peaks in their maps: 63" in str(result)
    # fp32 can tell them apart: then it is another joint.
    failures = compared(original, other, spec=PEAKS[method], precision="fp32").values["failures"]
    assert any("joints are up to" in one for one in failures)
    # The third peak is none that rounding could have made the largest.
    wrong = save_peaks(tmp_path / "c.onnx", (0.78, 0.78, 0.8))
    result = compared(original, wrong, spec=PEAKS[method], precision="fp16")
    assert any("joints are up to" in one for one in result.values["failures"])
    assert result.values["figures"]["joints"]["judged_max_px"] > 20


def test_what_is_ambiguous_depends_on_the_first_form_alone(tmp_path: Path) -> None:
    clear = save_peaks(tmp_path / "a.onnx", (0.8, 0.6, 0.6))
    unclear = save_peaks(tmp_path / "b.onnx", (0.8, 0.79, 0.6))
    for a, b, count in ((clear, unclear, 0), (unclear, clear, 63), (unclear, unclear, 63)):
        joints = compared(a, b, spec=PEAKS["dark"], precision="fp16").values["figures"]["joints"]
        assert joints["ambiguous"] == count
        assert joints["max_px"] < 0.5
    joints = compared(unclear, unclear, spec=PEAKS["expectation"], precision="fp16").values["figures"]["joints"]
    assert joints["ambiguous"] == 0  # centroids have no rivals
