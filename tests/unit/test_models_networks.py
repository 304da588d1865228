"""Backend, spec and decoder together: on coloured markers, on the demo, and on the real UNet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests import networks

import handpose_native as hp
from handpose_native.backends import open_backend
from handpose_native.models import KNOWN_MODELS, METADATA_KEY, ModelSpec, check_input, make_decoder, spec_from_metadata

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("onnxruntime", reason="running networks needs onnxruntime")

MARKERS = ModelSpec(name="markers", family="heatmap", channel_order="rgb", method="expectation")


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_markers_are_found_where_they_were_drawn(tmp_path: Path, dtype: str, layout: str) -> None:
    path = networks.save_marker_network(
        tmp_path / "m.onnx",
        (96, 128),
        dtype=dtype,
        layout=layout,
        metadata={METADATA_KEY: json.dumps(MARKERS.to_dict())},
    )
    points = networks.marker_points((192, 256))
    picture = networks.draw_markers((192, 256), points, 10)
    with open_backend(path, threads=1) as backend:
        spec = spec_from_metadata(path, backend.metadata)
        assert spec == MARKERS
        found_layout, input_hw = check_input(spec, backend.inputs)
        decoder = make_decoder(spec, backend.outputs, input_hw)
        hp.preprocess(picture, layout=found_layout, out=backend.input_buffer(0))
        backend.submit(0)
        found = decoder.decode(backend.wait(0))
    assert np.abs(found.points * 2 - points).max() < 0.25
    assert found.scores.min() > 0.9


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_regression_network(tmp_path: Path, dtype: str) -> None:
    values = np.linspace(0, 1, 42)
    path = networks.save_regression_network(tmp_path / "r.onnx", values, dtype=dtype)
    spec = ModelSpec(name="r", family="regression", channel_order="bgr")
    with open_backend(path) as backend:
        _, input_hw = check_input(spec, backend.inputs)
        decoder = make_decoder(spec, backend.outputs, input_hw)
        buffer: Any = backend.input_buffer(0)
        buffer.array[...] = 0.25
        backend.submit(0)
        found = decoder.decode(backend.wait(0))
    assert np.allclose(found.points, (values.reshape(21, 2) + 0.25) * 8, atol=0.01)


def test_the_demo_is_found_within_two_pixels_of_the_truth(tmp_path: Path) -> None:
    networks.DEMO.make_demo(tmp_path)
    truth = np.load(tmp_path / "truth.npz")["keypoints"]
    assert truth.shape == (150, 21, 2)
    with hp.Pipeline(tmp_path / "markers.onnx", threads=1) as pipe:
        assert pipe.spec.name == "markers"
        results = list(pipe.stream(tmp_path / "markers.mp4", every=5))
    assert [result.index for result in results] == list(range(0, 150, 5))
    error_px = np.array([result.hands[0].keypoints for result in results]) - truth[::5]
    assert np.linalg.norm(error_px, axis=-1).max() < 2
    assert min(result.hands[0].scores.min() for result in results) > 0.5


@pytest.mark.shared
@pytest.mark.parametrize("frame", [0, 60, 300, 600])
def test_the_unet_gives_the_stored_heatmaps_and_keypoints(shared_dir: Path, frame: int) -> None:
    stored = np.load(shared_dir / "reference" / "unet_open_hand.npz")
    spec = KNOWN_MODELS["unet"]
    with open_backend(shared_dir / "models" / "unet_freihand.onnx", threads=1) as backend:
        layout, input_hw = check_input(spec, backend.inputs)
        assert (layout, input_hw) == ("NCHW", (128, 128))
        buffer: Any = backend.input_buffer(0)
        buffer.array[...] = stored[f"input_{frame}"]
        backend.submit(0)
        outputs = backend.wait(0)
        # float16 has 11 bits, so values below 1 are rounded by 2**-12 at most; as much again for another runtime.
        assert np.abs(outputs[0][0] - stored[f"heatmaps_{frame}"].astype(np.float32)).max() < 2 * 2**-12
        found = make_decoder(spec, backend.outputs, input_hw).decode(outputs)
        halved = make_decoder(spec, backend.outputs, input_hw).decode([stored[f"heatmaps_{frame}"][None]])
    assert np.abs(found.points / 128 - stored[f"keypoints_{frame}"]).max() < 1e-4
    assert np.abs(halved.points - found.points).max() < 1e-2
    assert spec.min_presence < found.presence < 1
