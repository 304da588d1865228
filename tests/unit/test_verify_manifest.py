"""Manifests: what a pipeline insists on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks of the tests")
pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")

from tests import networks
from tests.marker_forms import MARKERS, changed, compared, marker_pictures

import handpose_native as hp
from handpose_native.models.manifest import manifest_path, require_verified, write_manifest


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return networks.save_marker_network(tmp_path / "a.onnx", (96, 128))


def verified(original: Path) -> Path:
    write_manifest(original, compared(original, original).values)
    return original


def test_a_pipeline_can_insist_on_a_manifest(original: Path) -> None:
    with pytest.raises(hp.ModelError, match=r"is not verified: there is no a\.onnx\.verified\.json"):
        hp.Pipeline(original, spec=MARKERS, verified=True)
    verified(original)
    with hp.Pipeline(original, spec=MARKERS, verified=True) as pipe:
        assert len(pipe(marker_pictures(1)[0])) == 1
    hp.Pipeline(original, spec=dataclasses.replace(MARKERS, source="told differently"), verified=True).close()
    with pytest.raises(hp.ModelError, match="another spec"):
        hp.Pipeline(original, spec=dataclasses.replace(MARKERS, channel_order="bgr"), verified=True)


def test_another_file_under_the_same_name_is_not_verified(original: Path) -> None:
    verified(original)
    networks.save_marker_network(original, (64, 64))
    with pytest.raises(hp.ModelError, match="not the file that was verified"):
        require_verified(original, MARKERS)


def test_a_failed_verification_is_kept(original: Path) -> None:
    other = changed(original, "b.onnx", lambda values: values * np.float32(1.5))
    write_manifest(other, compared(original, other).values)
    with pytest.raises(hp.ModelError, match="failed its verification: output heatmaps differs"):
        require_verified(other, MARKERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "no manifest"),
        ('{"schema": "handpose-native-verified", "schema_version": 9}', "schema"),
    ],
)
def test_what_is_no_manifest(original: Path, text: str, message: str) -> None:
    manifest_path(original).write_text(text)
    with pytest.raises(hp.ModelError, match=message):
        require_verified(original, MARKERS)


def test_a_manifest_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(hp.ModelError, match="cannot be written"):
        write_manifest(tmp_path / "none" / "m.onnx", {})
