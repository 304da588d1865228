"""The UNet's real checkpoint: PyTorch, ONNX, the stored results of its authors' network, and the clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handpose_native as hp
from handpose_native.backends import open_backend
from handpose_native.models import make_decoder

torch = pytest.importorskip("torch", reason="checkpoints are PyTorch's: pip install torch")

from handpose_native.export.checkpoint_models import Exported, export_checkpoint, open_network  # noqa: E402

pytestmark = pytest.mark.shared

FRAMES = (0, 60, 300, 600)
CROP = hp.Roi.from_xywh(520, 90, 384, 384)


@pytest.fixture(scope="module")
def checkpoint(shared_dir: Path) -> Path:
    return shared_dir / "models" / "unet_freihand.pth"


@pytest.fixture(scope="module", params=[(False, False), (True, False), (False, True), (True, True)], ids=str)
def exported(request: Any, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, bool, bool]:
    fold, half = request.param
    target = tmp_path_factory.mktemp("unet") / "unet.onnx"
    return export_checkpoint("unet", checkpoint, target, fold_decode=fold, half=half), fold, half


@pytest.fixture(scope="module")
def stored(shared_dir: Path) -> Any:
    return np.load(shared_dir / "reference" / "unet_open_hand.npz")


def test_outputs_and_joints_on_the_stored_inputs(
    exported: tuple[Exported, bool, bool], checkpoint: Path, stored: Any
) -> None:
    done, fold, half = exported
    network = open_network("unet", checkpoint)
    with open_backend(done.path, threads=1) as backend:
        decoder = make_decoder(done.spec, backend.outputs, (128, 128))
        for frame in FRAMES:
            image = stored[f"input_{frame}"]
            backend.input_buffer(0).array[...] = image  # type: ignore[attr-defined]
            backend.submit(0)
            outputs = backend.wait(0)
            with torch.no_grad():
                maps = network(torch.from_numpy(image).reshape(1, 3, 128, 128)).numpy()
            if not fold:
                assert np.abs(outputs[0] - maps).max() < (4e-3 if half else 1e-5)
            points = decoder.decode(outputs).points
            # In pixels of the network's input, which has 128; the maps of the authors' network are stored in float16.
            assert np.abs(points / 128 - stored[f"keypoints_{frame}"]).max() * 128 < (0.25 if half else 0.01)


def test_the_whole_chain_finds_the_stored_joints_on_the_clip(
    exported: tuple[Exported, bool, bool], shared_dir: Path, stored: Any
) -> None:
    done, _, half = exported
    distances_px, scores = [], []
    with hp.Pipeline(done.path, roi=CROP) as pipe:
        for result in pipe.stream(shared_dir / "clips" / "open_hand_720p.mp4", every=60):
            if result.index in FRAMES:
                (hand,) = result.hands
                wanted = stored[f"keypoints_{result.index}"] * 384 + (520, 90)
                distances_px.append(np.abs(hand.keypoints - wanted).max())
                scores.append(hand.scores)
    assert len(distances_px) == len(FRAMES)
    # Pixels of the picture, three to one of the network's: the decoder of the video and the resizing play a part too.
    assert max(distances_px) < (1.5 if half else 1.0)
    assert np.isfinite(scores).all()
