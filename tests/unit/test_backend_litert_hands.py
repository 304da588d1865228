"""MediaPipe's hand networks in LiteRT: against MediaPipe itself, and against ONNX Runtime."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handpose_native as hp
from handpose_native.backends import Backend, open_backend

pytest.importorskip("ai_edge_litert", reason="the litert backend needs ai-edge-litert")

HANDS = ("palm_detection_lite", "palm_detection_full", "hand_landmark_lite", "hand_landmark_full")
#: Outputs of up to 220. Each runtime is within 2e-4 of exact arithmetic, so the two are twice as far apart at most.
ONNX_BOUND = 4e-4


def run(backend: Backend, slot: int = 0) -> tuple[Any, ...]:
    backend.submit(slot)
    return backend.wait(slot)


@pytest.fixture(scope="module")
def real_crops(shared_dir: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Frames, affines of a square of 1.6 times the hand to 224 x 224, and MediaPipe's landmarks in the frame."""
    av = pytest.importorskip("av")
    text = (shared_dir / "reference" / "mediapipe_hands_open_hand_720p_full.json").read_text(encoding="utf-8")
    hands = json.loads(text)["frames"]
    crops = []
    with av.open(str(shared_dir / "clips" / "open_hand_720p.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number > 200:
                break
            if number % 40 or len(hands[number]) != 1:
                continue
            points = np.array(hands[number][0]["landmarks"])[:, :2]
            low, high = points.min(axis=0), points.max(axis=0)
            scale = 224 / (1.6 * (high - low).max())
            shift = 112 - scale * (low + high) / 2
            affine = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
            crops.append((frame.to_ndarray(format="bgr24"), affine, points))
    assert len(crops) >= 4
    return crops


@pytest.mark.shared
@pytest.mark.parametrize("model", ["hand_landmark_lite", "hand_landmark_full"])
def test_the_real_landmark_model_finds_what_mediapipe_finds(shared_dir: Path, real_crops: Any, model: str) -> None:
    with open_backend(shared_dir / "models" / f"{model}.tflite", slots=2) as backend:
        assert (backend.inputs[0].shape, backend.inputs[0].layout) == ((1, 224, 224, 3), "NHWC")
        assert [one.shape for one in backend.outputs] == [(1, 63), (1, 1), (1, 1), (1, 63)]
        for number, (frame, affine, points) in enumerate(real_crops):
            slot = number % 2
            hp.preprocess(frame, input_from_image=affine, layout="NHWC", out=backend.input_buffer(slot))
            landmarks, presence, _, _ = run(backend, slot)
            found = (landmarks.reshape(21, 3)[:, :2] - affine[:, 2]) / affine[0, 0]
            errors = np.linalg.norm(found - points, axis=1) / np.ptp(points, axis=0).max()
            assert presence[0, 0] > 0.5
            assert np.median(errors) < 0.05


@pytest.fixture(scope="module")
def onnx_hands() -> Path:
    """The folder with MediaPipe's networks as .onnx files of the same names."""
    named = os.environ.get("HANDPOSE_ONNX_HANDS")
    if not named:
        pytest.skip("no MediaPipe networks as .onnx (set HANDPOSE_ONNX_HANDS to their folder)")
    pytest.importorskip("onnxruntime")
    return Path(named)


@pytest.mark.shared
@pytest.mark.parametrize("model", HANDS)
def test_litert_and_onnx_runtime_agree(
    shared_dir: Path, onnx_hands: Path, real_crops: Any, model: str, rng: np.random.Generator
) -> None:
    pictures = [(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8), None)]
    pictures += [(frame, affine if model.startswith("hand") else None) for frame, affine, _ in real_crops]
    with (
        open_backend(shared_dir / "models" / f"{model}.tflite") as first,
        open_backend(onnx_hands / f"{model}.onnx") as second,
    ):
        assert (first.inputs[0].layout, second.inputs[0].layout) == ("NHWC", "NCHW")
        names = [one.name for one in second.outputs]
        for picture, affine in pictures:
            for backend in (first, second):
                layout = backend.inputs[0].layout
                hp.preprocess(picture, input_from_image=affine, layout=layout, out=backend.input_buffer(0))
            ours, theirs = run(first), run(second)
            for info, one in zip(first.outputs, ours):
                assert np.abs(one - theirs[names.index(info.name)]).max() < ONNX_BOUND, info.name
