"""The UNet's real checkpoint: PyTorch, ONNX, the stored results of its authors' network, and the clip."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import handpose_native as hp
from handpose_native.backends import open_backend
from handpose_native.models import KNOWN_MODELS, make_decoder

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
                assert np.abs(outputs[0] - maps).max() < (1e-2 if half else 1e-5)
            points = decoder.decode(outputs).points
            # In pixels of the network's input, which has 128; the maps of the authors' network are stored in float16.
            assert np.abs(points / 128 - stored[f"keypoints_{frame}"]).max() * 128 < (0.25 if half else 0.01)


def test_the_pipeline_is_the_network_on_what_preprocessing_writes(
    exported: tuple[Exported, bool, bool], checkpoint: Path, shared_dir: Path
) -> None:
    """On the video as it says of itself, BT.709; the stored results were made of other colours."""
    done, _, half = exported
    network = open_network("unet", checkpoint)
    known = KNOWN_MODELS["unet"]
    map_info = SimpleNamespace(name="heatmaps", shape=(1, 21, 128, 128), dtype=np.dtype("float32"), layout=None)
    decoder = make_decoder(known, [map_info], (128, 128))
    seen = 0
    with hp.Pipeline(done.path, roi=CROP) as pipe:
        for result in pipe.stream(shared_dir / "clips" / "open_hand_720p.mp4", every=60):
            if result.index not in FRAMES:
                continue
            (hand,) = result.hands
            image = np.empty((1, 3, 128, 128), np.float32)
            crop = hp.input_from_roi(CROP, (128, 128))
            options = {"filter": known.filter, "channel_order": "rgb", "mean": known.mean, "std": known.std}
            hp.preprocess(result.frame, input_from_image=crop, out=image, **options)
            with torch.no_grad():
                maps = network(torch.from_numpy(image)).numpy()
            wanted = decoder.decode([maps]).points
            assert np.abs((hand.keypoints - (520, 90)) / 3 - wanted).max() < (0.25 if half else 0.01)
            seen += 1
    assert seen == len(FRAMES)


@pytest.fixture(scope="module")
def reference_frames(shared_dir: Path) -> dict[int, np.ndarray]:
    """The frames in the colours that the stored results were made of: the video is BT.709, and was read as BT.601."""
    av = pytest.importorskip("av")
    frames = {}
    with av.open(str(shared_dir / "clips" / "open_hand_720p.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in FRAMES:
                frames[index] = frame.reformat(format="bgr24", src_colorspace="ITU601").to_ndarray()
            if index == max(FRAMES):
                break
    return frames


def test_the_whole_chain_gives_the_stored_joints(
    exported: tuple[Exported, bool, bool], reference_frames: dict[int, np.ndarray], stored: Any
) -> None:
    """From whole frames to joints in them, through the pipeline.

    Only resizing differs: the reference rounds to bytes after each of its two passes, the kernel does not. This network
    answers half a grey level of noise with up to a pixel of its 128.
    """
    done, _, _ = exported
    distances = []
    with hp.Pipeline(done.path, roi=CROP) as pipe:
        for index, frame in reference_frames.items():
            (hand,) = pipe(frame)
            away = (hand.keypoints - (520, 90)) / 384 - stored[f"keypoints_{index}"]
            distances.append(np.abs(away).max(axis=1))
    assert np.max(distances) < 0.01  # of the crop's side; measured 0.0076
    assert np.median(distances) < 0.002  # measured 0.0014
    assert len(distances) == len(FRAMES)


def test_the_whole_chain_on_pictures_resized_as_the_reference_does(
    exported: tuple[Exported, bool, bool], reference_frames: dict[int, np.ndarray], stored: Any
) -> None:
    """Then nothing differs: the joints are those of the authors' network within 0.01 px of its 128."""
    image = pytest.importorskip("PIL.Image")
    done, _, half = exported
    with hp.Pipeline(done.path) as pipe:
        for index, frame in reference_frames.items():
            crop = image.fromarray(np.ascontiguousarray(frame[90:474, 520:904, ::-1]))
            resized = np.asarray(crop.resize((128, 128), image.BILINEAR))
            (hand,) = pipe(np.ascontiguousarray(resized[..., ::-1]))
            away = hand.keypoints - 128 * stored[f"keypoints_{index}"]
            assert np.abs(away).max() < (0.25 if half else 0.01)
