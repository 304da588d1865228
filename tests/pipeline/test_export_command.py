"""The command ``export``: from files to files that the pipeline runs."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import handpose_native as hp
from handpose_native import cli
from handpose_native.backends import open_backend
from handpose_native.export import tf2onnx_environment
from handpose_native.export.exact import ExactRun
from handpose_native.models import ModelSpec

pytest.importorskip("onnxruntime", reason="what is exported is run")
pytest.importorskip("ai_edge_litert", reason="what is exported is compared with LiteRT")

HANDS = ("palm_detection", "hand_landmark")
FRAME = np.full((240, 320, 3), 100, np.uint8)


def test_a_checkpoint_runs_in_the_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="checkpoints are PyTorch's: pip install torch")
    from tests.checkpoints import randomised, save

    from handpose_native.export.networks.unet import UNet

    file, target = save(randomised(UNet(), 1), tmp_path / "unet.pth"), tmp_path / "unet.onnx"
    arguments = ["export", "unet", "--weights", str(file), "-o", str(target)]
    assert cli.main([*arguments, "--fold-decode", "--opset", "13"]) == 0
    said = capsys.readouterr().out
    assert "unet.onnx: 2." in said
    assert "description in unet.json" in said
    assert "heatmaps: differs from PyTorch by" in said
    assert "joints inside the graph against the maps decoded outside" in said
    with hp.Pipeline(target, min_presence=0) as pipe:
        assert pipe.spec == ModelSpec.from_json(tmp_path / "unet.json")
        (folded,) = pipe(FRAME)
    (tmp_path / "unet.json").unlink()
    with hp.Pipeline(target, min_presence=0) as pipe:  # the file carries its description, too
        (again,) = pipe(FRAME)
    assert np.array_equal(folded.keypoints, again.keypoints)
    assert cli.main([*arguments, "--fp16"]) == 0
    with hp.Pipeline(target, min_presence=0) as pipe:
        (half,) = pipe(FRAME)
    assert np.abs(half.keypoints - folded.keypoints).max() < 5
    assert np.allclose(half.scores, folded.scores, atol=0.02)


def test_errors_have_their_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "unet", "-o", str(tmp_path / "u.onnx")]) == 2
    assert "--weights is needed for unet" in capsys.readouterr().err
    assert cli.main(["export", "hands", "-o", str(tmp_path), "--fp16"]) == 2
    assert "--fp16 is not for hands" in capsys.readouterr().err
    assert cli.main(["export", "hands", "-o", str(tmp_path), "--depth-weights", "x"]) == 2
    assert "--depth-weights is not for hands" in capsys.readouterr().err
    assert cli.main(["export", "hands", "-o", str(tmp_path / "out"), "--weights", str(tmp_path)]) == 4
    assert "has no palm_detection_full.tflite, hand_landmark_full.tflite" in capsys.readouterr().err
    assert cli.main(["export", "hands", "-o", str(tmp_path / "out"), "--opset", "18"]) == 2
    assert not (tmp_path / "out").exists()


def test_without_torch_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["export", "unet", "--weights", "u.pth", "-o", str(tmp_path / "u.onnx")]) == 5
    assert "torch is needed to read PyTorch checkpoints" in capsys.readouterr().err


def fake_python(folder: Path, text: str) -> Path:
    """A program that stands in for the Python of tf2onnx."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo 'ValueError: operator 97 is strange' >&2; exit 1", "tf2onnx cannot convert .*operator 97 is strange"),
        ("exit 7", "tf2onnx cannot convert .*exit code 7"),
        ("echo done >&2", "tf2onnx cannot convert .*done"),
        (None, "cannot be run: No such file"),
    ],
)
def test_a_conversion_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    weights, target = tmp_path / "tflite", tmp_path / "onnx"
    weights.mkdir()
    for stem in HANDS:
        (weights / f"{stem}_lite.tflite").write_bytes(b"a model")
    python = fake_python(tmp_path, text) if text is not None else tmp_path / "nowhere"
    monkeypatch.setenv(tf2onnx_environment.PYTHON_VARIABLE, str(python))
    assert cli.main(["export", "hands-lite", "--weights", str(weights), "-o", str(target)]) == 4
    assert re.search(message, capsys.readouterr().err)
    assert list(target.iterdir()) == []


def save_doubling(folder: Path, weight: float = 2.0, *, reads_pixels: bool = False) -> None:
    """Write what tf2onnx would make of the networks of `litert_networks.save_affine`; right if `weight` is 2."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "weight"], ["doubled"]),
        helper.make_node("Transpose", ["doubled"], ["double"], perm=[0, 2, 3, 1]),
        helper.make_node("Add", ["double", "one"], ["more"]),
    ]
    if reads_pixels:
        nodes[3] = helper.make_node("Add", ["image", "one"], ["more"])
    sides = [
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 8, 8, 3]) for name in names]
        for names in (["image"], ["double", "more"])
    ]
    constants = {"weight": weight, "one": 1.0, "unused": 7.0}
    tensors = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "doubling", *sides, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.save(model, str(folder / "converted.onnx"))


COPY = (
    'for one in "$@"; do case $one in --output=*) cp "$(dirname "$0")/converted.onnx" "${one#--output=}";; esac; done'
)


@pytest.fixture
def doubling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that exports two networks that double numbers; a program that copies stands in for tf2onnx."""
    from tests import litert_networks

    weights = tmp_path / "tflite"
    weights.mkdir()
    for stem in HANDS:
        litert_networks.save_affine(weights / f"{stem}_lite.tflite", (1, 8, 8, 3))
    monkeypatch.setenv(tf2onnx_environment.PYTHON_VARIABLE, str(fake_python(tmp_path, COPY)))
    return ["export", "hands-lite", "--weights", str(weights), "-o", str(tmp_path / "onnx")]


def test_hands_take_planes_and_nothing_is_left_over(
    tmp_path: Path, doubling: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_doubling(tmp_path)
    assert cli.main(doubling) == 0
    said = capsys.readouterr().out
    assert said.count("differs from exact arithmetic by") == 2
    spec = ModelSpec.from_json(tmp_path / "onnx" / "palm_detection_lite.json")
    assert (spec.family, spec.input_hw, spec.input_layout) == ("palms", (8, 8), "NCHW")
    model = onnx.load(str(tmp_path / "onnx" / "palm_detection_lite.onnx"))
    assert [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 8, 8]
    assert [node.op_type for node in model.graph.node] == ["Mul", "Transpose", "Add"]
    assert sorted(one.name for one in model.graph.initializer) == ["one", "weight"]
    arguments = ["convert", str(tmp_path / "onnx" / "palm_detection_lite.onnx"), "--soc", "Ascend310B4", "--aipp"]
    assert cli.main([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "--input_format=NCHW" in said
    assert f"var_reci_chn_2: {1 / 255:.12g}" in said


def test_hands_converted_wrongly_are_refused(
    tmp_path: Path, doubling: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_doubling(tmp_path, 2.01)
    assert cli.main(doubling) == 4
    assert re.search(r"output 'double' differs by 0\.\d+ in LiteRT from exact arithmetic", capsys.readouterr().err)
    save_doubling(tmp_path, reads_pixels=True)
    assert cli.main(doubling) == 4
    assert "(Add) reads the input as pixels" in capsys.readouterr().err
    assert list((tmp_path / "onnx").iterdir()) == []


def test_the_environment_is_made_once_and_not_left_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[list[str]] = []
    works = False

    def run(command: list[str], _: float, failed: str) -> str:
        calls.append(command)
        if "venv" in command:
            Path(command[-1], "bin").mkdir(parents=True)
        elif "pip" in command and not works:
            raise tf2onnx_environment.ModelError(f"export: {failed}: no network")
        return "said"

    monkeypatch.delenv(tf2onnx_environment.PYTHON_VARIABLE, raising=False)
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", str(tmp_path))
    monkeypatch.setattr(tf2onnx_environment, "_run", run)
    target = tmp_path / "x.onnx"
    target.touch()
    with pytest.raises(tf2onnx_environment.ModelError, match=r"pip cannot install tf2onnx==.*: no network"):
        tf2onnx_environment.convert_tflite(Path("x.tflite"), target, 11)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    works = True
    calls.clear()
    for _ in range(2):
        tf2onnx_environment.convert_tflite(Path("x.tflite"), target, 11)
    assert ["venv" in call or call[2:4] == ["pip", "install"] for call in calls] == [True, True, False, False]
    assert calls[2][1:] == ["-m", "tf2onnx.convert", "--tflite=x.tflite", "--opset=11", f"--output={target}"]
    assert Path(calls[2][0]).is_relative_to(tmp_path)


@pytest.fixture(scope="module")
def exported_hands(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if tf2onnx_environment.PYTHON_VARIABLE not in os.environ:
        pytest.skip(f"no Python with tf2onnx and TensorFlow (set {tf2onnx_environment.PYTHON_VARIABLE})")
    pytest.importorskip("ai_edge_litert", reason="LiteRT runs what is converted")
    folder = tmp_path_factory.mktemp("hands")
    for name in ("hands", "hands-lite"):
        arguments = ["export", name, "--weights", str(shared_dir / "models"), "-o", str(folder / name)]
        assert cli.main(arguments) == 0
    return folder


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("stem", HANDS)
@pytest.mark.parametrize("variant", ["full", "lite"])
def test_exported_hands_on_real_crops_and_noise(
    exported_hands: Path, shared_dir: Path, stem: str, variant: str
) -> None:
    """Against exact arithmetic: two runtimes differ from each other by what both round."""
    converted = exported_hands / ("hands" if variant == "full" else "hands-lite") / f"{stem}_{variant}.onnx"
    spec = ModelSpec.from_json(converted.with_suffix(".json"))
    assert spec.sha256 == hashlib.sha256(converted.read_bytes()).hexdigest()
    assert (spec.license, spec.input_layout) == ("Apache-2.0", "NCHW")
    with hp.open_source(shared_dir / "clips" / "open_hand_720p.mp4") as source:
        pictures = [frame.image[90:474, 520:904].copy() for frame in source if frame.index % 60 == 0]
    assert len(pictures) >= 10
    noise = np.random.default_rng(0)
    pictures += [noise.integers(0, 256, (224, 224, 3), dtype=np.uint8) for _ in range(10)]
    original = shared_dir / "models" / f"{stem}_{variant}.tflite"
    exact = ExactRun(onnx.load(str(converted)))
    with open_backend(original, threads=1) as litert, open_backend(converted, threads=1) as onnxruntime:
        for picture in pictures:
            returned = []
            for backend in (litert, onnxruntime):
                buffer: Any = backend.input_buffer(0)
                layout = backend.inputs[0].layout
                hp.preprocess(picture, size_hw=spec.input_hw, channel_order="rgb", layout=layout, out=buffer)
                backend.submit(0)
                values = (array.copy() for array in backend.wait(0))
                names = (info.name.split(":")[0] for info in backend.outputs)
                returned.append(dict(zip(names, values)))
            true = exact({onnxruntime.inputs[0].name: buffer.array})
            assert returned[0].keys() == returned[1].keys() == true.keys()
            for key, values in true.items():
                assert np.abs(returned[1][key] - values).max() < 2e-4, key
                assert np.abs(returned[0][key] - values).max() < 3e-4, key  # the original's own rounding


@pytest.mark.shared
@pytest.mark.slow
def test_the_pipeline_runs_exported_hands(exported_hands: Path, shared_dir: Path) -> None:
    clip = shared_dir / "clips" / "open_hand_720p.mp4"
    folder = exported_hands / "lite"
    folder.mkdir()
    for stem in HANDS:
        (folder / f"{stem}.tflite").symlink_to((shared_dir / "models" / f"{stem}_lite.tflite").resolve())
    with hp.Pipeline(exported_hands / "hands-lite") as converted, hp.Pipeline(folder) as original:
        pairs = zip(converted.stream(clip, max_frames=30), original.stream(clip, max_frames=30))
        for one, other in pairs:
            (ours,), (theirs,) = one.hands, other.hands
            assert np.abs(ours.keypoints - theirs.keypoints).max() < 0.01
            assert ours.handedness == theirs.handedness
