"""The limits of `verify` on every network that `export` makes: fp16 after each layer, and bytes through AIPP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import pytest
from tests.half_precision import rounded_to_half

import handpose_native as hp
from handpose_native.export.aipp import AippConfig
from handpose_native.verify import PRECISIONS, open_form, rendered_frames, verify_forms

if TYPE_CHECKING:
    from .conftest import Board

HANDS = [f"{stem}_{kind}" for stem in ("palm_detection", "hand_landmark") for kind in ("full", "lite")]


def compared(a: Path, b: Path, spec: hp.ModelSpec | None, count: int) -> dict[str, Any]:
    forms = [open_form(path, spec, {"threads": 1}) for path in (a, b)]
    try:
        result = verify_forms(*forms, rendered_frames(count, 0), source="rendered", precision=precision_of(b))
    finally:
        for form in forms:
            form.close()
    assert result.passed, result
    return dict(result.values["figures"])


def precision_of(path: Path) -> str:
    return "aipp" if path.suffix == ".om" else "fp16"


def check_both_precisions(board: Board, model: Path, spec: hp.ModelSpec | None, count: int) -> None:
    """Verify with every layer rounded to half precision: floats in, and bytes through AIPP in."""
    half = model.with_name(f"{model.stem}_half.onnx")
    onnx.save(rounded_to_half(onnx.load(str(model))), str(half))
    described = hp.ModelSpec.from_json(model.with_suffix(".json"))
    assert described.input_hw is not None
    config = AippConfig.from_spec(described, described.input_hw)
    board.start()
    for other in (half, board.om(half, insert_op_conf=config.to_text())):
        figures = compared(model, other, spec, count)
        limits = PRECISIONS[precision_of(other)]
        for row in figures["outputs"]:
            # It is not passed because nothing was rounded, nor with no room left.
            assert 1e-6 < row["max_abs"] < 0.8 * limits.output_max * max(1.0, row["peak"])
        if figures["joints"] is not None:
            assert figures["joints"]["judged_max_px"] < 0.8 * limits.joint_share * max(described.input_hw)


@pytest.mark.parametrize("name", ["unet", "handpose-x", "hourglass-3d"])
def test_checkpoints(blank_board: Board, tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    pytest.importorskip("torch", reason="checkpoints are PyTorch's: pip install torch")
    from tests.checkpoints import randomised, save

    from handpose_native.export.checkpoint_models import export_checkpoint
    from handpose_native.export.networks.hourglass import HandPose3D
    from handpose_native.export.networks.resnet import ResNet

    more: dict[str, Any] = {}
    if name == "unet":  # the one whose weights there are
        weights = request.getfixturevalue("shared_dir") / "models" / "unet_freihand.pth"
    elif name == "handpose-x":
        weights = save(randomised(ResNet("resnet50")), tmp_path / "w.pth")
    else:
        network = randomised(HandPose3D())
        weights = save(network.heatmaps, tmp_path / "w.pth")
        more["depth_weights"] = save(network.depth, tmp_path / "d.pth")
    done = export_checkpoint(name, weights, tmp_path / "model.onnx", **more)
    check_both_precisions(blank_board, done.path, done.spec, 12 if name == "unet" else 2)


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", HANDS)
def test_hands(blank_board: Board, tmp_path: Path, name: str) -> None:
    named = os.environ.get("HANDPOSE_ONNX_HANDS")
    if not named:
        pytest.skip("no MediaPipe networks as .onnx (set HANDPOSE_ONNX_HANDS to the folder that export wrote)")
    for suffix in (".onnx", ".json"):
        (tmp_path / f"{name}{suffix}").symlink_to(Path(named) / f"{name}{suffix}")
    check_both_precisions(blank_board, tmp_path / f"{name}.onnx", None, 12)
