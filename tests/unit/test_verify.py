"""Two forms of one model: what is brought together before it is compared, the verdict, and manifests."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks of the tests")

from tests import networks
from tests.marker_forms import IMAGE_HW, MARKERS, changed, compared, marker_pictures

import handpose_native as hp
from handpose_native.cli import main
from handpose_native.models.manifest import manifest_path, write_manifest
from handpose_native.verify import (
    PRECISIONS,
    Form,
    open_form,
    rendered_frames,
    source_frames,
    verify_forms,
    write_worst,
)
from handpose_native.verify.comparing import judge, pair_outputs
from handpose_native.verify.forms import Seen


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return networks.save_marker_network(tmp_path / "a.onnx", (96, 128))


def test_a_model_agrees_with_itself(original: Path) -> None:
    result = compared(original, original)
    figures = result.values["figures"]
    assert result.passed
    assert result.values["precision"] == "fp32"
    assert figures["input"] == {"bytes_equal": True, "max_grey": 0.0, "mean_grey": 0.0}
    (row,) = figures["outputs"]
    assert (row["max_abs"], row["mean_abs"], row["shape"]) == (0.0, 0.0, [1, 21, 48, 64])
    assert row["cosine"] == pytest.approx(1)
    assert figures["joints"]["max_px"] == 0.0
    assert "the same bytes" in str(result)
    assert str(result).endswith("\npassed")


def test_half_precision_and_another_layout_are_brought_together(original: Path, tmp_path: Path) -> None:
    other = networks.save_marker_network(tmp_path / "b.onnx", (96, 128), dtype="float16", layout="NHWC")
    result = compared(original, other)
    assert result.passed, result
    assert result.values["precision"] == "fp16"
    figures = result.values["figures"]
    assert figures["input"]["bytes_equal"] is None
    assert 0 < figures["input"]["max_grey"] < 0.07
    assert 0 < figures["outputs"][0]["max_abs"] < 0.02


def test_a_quantised_input_holds_other_numbers(original: Path, tmp_path: Path) -> None:
    other = networks.save_marker_network(tmp_path / "b.onnx", (96, 128), dtype="uint8", layout="NHWC")
    result = compared(original, other)
    assert result.values["precision"] == "int8"
    assert result.values["figures"]["input"]["max_grey"] is None
    assert "not compared" in str(result)
    assert result.passed, result


def test_another_colour_order_is_seen_at_the_input(original: Path, tmp_path: Path) -> None:
    other = networks.save_marker_network(tmp_path / "b.onnx", (96, 128))
    wrong = dataclasses.replace(MARKERS, channel_order="bgr")
    a, b = open_form(original, MARKERS, {}), open_form(other, wrong, {})
    result = verify_forms(a, b, marker_pictures(), source="markers")
    a.close()
    b.close()
    assert not result.passed
    assert "grey levels" in result.values["failures"][0]
    assert result.values["figures"]["input"]["bytes_equal"] is False


def test_other_weights_fail(original: Path) -> None:
    other = changed(original, "b.onnx", lambda values: values * np.float32(1.001))
    result = compared(original, other)
    assert not result.passed
    assert any(one.startswith("output heatmaps differs by") for one in result.values["failures"])
    assert "FAILED: output heatmaps" in str(result)
    assert compared(original, other, precision="int8").passed


def test_outputs_that_are_not_numbers_fail_and_can_be_written(original: Path) -> None:
    other = changed(original, "b.onnx", lambda values: values * np.nan)
    result = compared(original, other)
    assert not result.passed
    values = json.loads(result.to_json())
    assert values["figures"]["outputs"][0]["max_abs"] is None
    assert values["figures"]["outputs"][0]["cosine"] == -1.0
    assert values["figures"]["joints"]["max_px"] is None


def seen(outputs: dict[str, np.ndarray]) -> Seen:
    return Seen(None, np.zeros(1), outputs, None, np.eye(2, 3))


def test_outputs_are_paired_by_name_then_by_shape() -> None:
    a = seen({"Identity": np.zeros((1, 63)), "Identity_1": np.zeros((1, 1)), "Identity_2": np.zeros((1, 1))})
    assert pair_outputs(a, seen({name: np.zeros(63 if name == "Identity" else 1) for name in a.outputs})) == [
        ("Identity", "Identity"),
        ("Identity_1", "Identity_1"),
        ("Identity_2", "Identity_2"),
    ]
    renamed = seen({"x": np.zeros((1,)), "y": np.zeros((63, 1)), "z": np.zeros((1, 1))})
    assert pair_outputs(a, renamed) == [("Identity", "y"), ("Identity_1", "x"), ("Identity_2", "z")]
    assert pair_outputs(a, seen({"x": np.zeros((1, 42)), "y": np.zeros(1)})) == []
    nothing = {"input": {"max_grey": 0.0}, "outputs": [], "joints": None}
    assert judge(nothing, PRECISIONS["fp32"], 128) == ["the forms have no output in common"]


def test_a_joint_that_only_one_form_has_is_infinitely_far(original: Path) -> None:
    """Where neither has a point they agree, but agreement on nothing but that is none."""
    black = [hp.Picture.from_bgr(np.zeros((*IMAGE_HW, 3), np.uint8))]
    a, b = open_form(original, MARKERS, {}), open_form(original, MARKERS, {})
    a._points = lambda _: np.full((21, 2), np.nan, np.float32)  # type: ignore[method-assign]
    result = verify_forms(a, a, black, source="black")
    assert result.values["figures"]["joints"]["max_px"] == 0
    assert [one.split(",")[0] for one in result.values["failures"]] == ["no joint was found on any picture"]
    b._points = lambda _: np.zeros((21, 2), np.float32)  # type: ignore[method-assign]
    result = verify_forms(a, b, black, source="black")
    assert result.values["figures"]["joints"]["max_px"] is None
    assert not result.passed
    a.close()
    b.close()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "aipp", "int8"])
def test_one_joint_on_one_picture_decides(original: Path, precision: str) -> None:
    a, b = open_form(original, MARKERS, {}), open_form(original, MARKERS, {})
    points = a.look(marker_pictures(1)[0], hp.Roi(80, 60, 160, 120)).points
    assert points is not None
    moved = points.copy()
    moved[4] += 30
    answers = iter([points, moved, points])
    a._points = lambda _: points  # type: ignore[method-assign]
    b._points = lambda _: next(answers)  # type: ignore[method-assign]
    result = verify_forms(a, b, marker_pictures(), source="markers", precision=precision)
    assert result.values["figures"]["joints"]["max_px"] == pytest.approx(30 * 2**0.5, abs=1e-3)
    assert len(result.values["failures"]) == 1
    assert result.values["failures"][0].startswith("joints are up to 42.4 px apart")
    a.close()
    b.close()


def test_the_networks_are_compared_on_one_input(original: Path, tmp_path: Path) -> None:
    """What rounding the input does to the joints is told, and no fault of the network."""
    half = networks.save_marker_network(tmp_path / "b.onnx", (96, 128), dtype="float16", layout="NHWC")
    a, b = open_form(original, MARKERS, {}), open_form(half, MARKERS, {})
    picture, roi = marker_pictures(1)[0], hp.Roi(80, 60, 160, 120)
    one, two = a.look(picture, roi), b.look(picture, roi)
    assert not one.has_input_of(two)
    again = a.look_at_input_of(two)
    assert again.has_input_of(two)
    assert np.array_equal(again.image_from_input, one.image_from_input)
    away = one.points - again.points  # type: ignore[operator]
    for pair in ((a, b), (b, a)):
        joints = verify_forms(*pair, [picture], source="markers", roi=roi).values["figures"]["joints"]
        assert joints["input_max_px"] == pytest.approx(np.linalg.norm(away, axis=1).max(), abs=1e-6)
        assert joints["input_max_px"] > 0
    assert "moved by the input" in str(verify_forms(a, b, [picture], source="markers", roi=roi))
    a.close()
    b.close()


def test_hands_networks_need_no_spec(tmp_path: Path) -> None:
    networks.save_hand_networks(tmp_path)
    for name, has_joints in (("palm_detection_toy.onnx", False), ("hand_landmark_toy.onnx", True)):
        result = compared(tmp_path / name, tmp_path / name, spec=None)
        assert result.passed
        assert (result.values["figures"]["joints"] is not None) is has_joints
        assert len(result.values["figures"]["outputs"]) == (4 if has_joints else 2)
        write_manifest(tmp_path / name, result.values)
    with hp.Pipeline(tmp_path, verified=True) as pipe:
        assert pipe(np.zeros((480, 640, 3), np.uint8)) == []
    manifest_path(tmp_path / "hand_landmark_toy.onnx").unlink()
    with pytest.raises(hp.ModelError, match=r"toy\.onnx: is not verified"):
        hp.Pipeline(tmp_path, verified=True)


def test_wrong_arguments(original: Path, tmp_path: Path) -> None:
    smaller = networks.save_marker_network(tmp_path / "s.onnx", (64, 64))
    with pytest.raises(hp.ArgumentError, match="one input size"):
        compared(original, smaller)
    with pytest.raises(hp.ArgumentError, match="precision must be one of"):
        compared(original, original, precision="fp8")
    with pytest.raises(hp.ModelError, match="no description"):
        open_form(original, None, {})
    with pytest.raises(hp.ModelError, match="no model file"):
        open_form(tmp_path / "none.onnx", MARKERS, {})
    form = open_form(original, MARKERS, {})
    with pytest.raises(hp.ArgumentError, match="no picture"):
        verify_forms(form, form, [], source="nothing")
    form.close()


# -- the command, its pictures -----------------------------------------------------------------------------------------


def test_the_command(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original.with_suffix(".json").write_text(json.dumps(MARKERS.to_dict()))
    other = changed(original, "b.onnx", lambda values: values * np.float32(1.5))
    other.with_suffix(".json").write_text(json.dumps(MARKERS.to_dict()))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index, picture in enumerate(marker_pictures(5)):
        cv2.imwrite(str(pictures / f"{index}.png"), picture.to_bgr())
    arguments = ["--inputs", str(pictures), "--frames", "4", "--threads", "1"]
    assert main(["verify", str(original), str(original), *arguments]) == 0
    assert "4 pictures" in capsys.readouterr().out
    more = ["--json", str(tmp_path / "r.json"), "--pictures", str(tmp_path / "worst")]
    assert main(["verify", str(original), str(other), *arguments, *more]) == 1
    printed = capsys.readouterr().out
    assert "FAILED" in printed
    values = json.loads((tmp_path / "r.json").read_text())
    assert json.loads(manifest_path(other).read_text()) == values
    assert values["inputs"] == {"source": str(pictures), "frames": 4, "roi": None}
    assert len(list((tmp_path / "worst").glob("worst_*_frame_*.png"))) == 4
    assert main(["verify", str(original), str(other), *arguments, "--no-manifest", "--roi", "0,0,80,60"]) == 1
    assert json.loads(manifest_path(other).read_text()) == values
    assert (
        main(["run", str(pictures), "--model", str(other), "--keypoints", str(tmp_path / "k.jsonl"), "--verified"]) == 4
    )
    assert "failed its verification" in capsys.readouterr().err


def test_the_worst_pictures_show_both_forms(original: Path, tmp_path: Path) -> None:
    a = open_form(original, MARKERS, {})
    b = open_form(original, dataclasses.replace(MARKERS, peak_offset_px=4.0), {})
    result = verify_forms(a, b, marker_pictures(6), source="markers")
    a.close()
    b.close()
    assert len(result.worst) == 4
    badness = [frame.badness for frame in result.worst]
    assert badness == sorted(badness, reverse=True)
    (first, *_) = write_worst(result.worst, tmp_path / "new")
    image = cv2.imread(str(first)).astype(int)
    assert image.shape[0] >= 512
    green, pink = np.array([110, 220, 90]), np.array([200, 60, 255])
    for color in (green, pink):
        assert (np.abs(image - color).max(axis=2) < 20).sum() > 100


def test_rendered_frames_are_the_same_for_the_same_seed() -> None:
    first, second = (next(iter(rendered_frames(1, 5))).to_bgr() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (256, 256, 3)
    assert (next(iter(rendered_frames(1, 6))).to_bgr() != first).any()


def test_frames_of_a_source_are_spread_over_it() -> None:
    clip = np.stack([np.full((8, 8, 3), index, np.uint8) for index in range(20)])
    taken = [int(picture.to_bgr()[0, 0, 0]) for picture in source_frames(clip, 4)]
    assert taken == [0, 5, 10, 15]
    assert len(list(source_frames(clip[:2], 4))) == 2


@pytest.mark.shared
def test_the_unet_does_the_same_on_one_thread_and_two(shared_dir: Path) -> None:
    forms: list[Form] = [
        open_form(shared_dir / "models" / "unet_freihand.onnx", "unet", {"threads": threads}) for threads in (1, 2)
    ]
    result = verify_forms(*forms, rendered_frames(2, 0), source="rendered")
    for form in forms:
        form.close()
    assert result.passed, result
    assert result.values["figures"]["outputs"][0]["peak"] > 0.3


# -- PyTorch -----------------------------------------------------------------------------------------------------------


def test_a_pytorch_network_stands_behind_the_protocol_of_the_backends(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch runs networks that are not exported yet")
    from handpose_native.verify.torch_backend import TorchBackend

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 21, 3, padding=1), torch.nn.Sigmoid()).eval()
    backend = TorchBackend(network, ("heatmaps",), (24, 32))
    (output,) = backend.outputs
    assert (output.name, output.shape, output.dtype) == ("heatmaps", (1, 21, 24, 32), np.float32)
    image = marker_pictures(1)[0]
    hp.preprocess(image, out=backend.input_buffer(0))
    backend.submit(0)
    (maps,) = backend.wait(0)
    with torch.no_grad():
        expected = network(torch.from_numpy(hp.preprocess(image, size_hw=(24, 32))))
    np.testing.assert_array_equal(maps, expected.numpy())
    weights = tmp_path / "net.pth"
    torch.save(network.state_dict(), weights)
    form = Form([weights], backend, MARKERS)
    assert verify_forms(form, form, [image], source="markers").passed
    form.close()
    with pytest.raises(hp.ModelError, match="must return a, b; it returned 1"):
        TorchBackend(network, ("a", "b"), (24, 32))
    with pytest.raises(hp.ModelError, match="does not run on an input"):
        TorchBackend(torch.nn.Linear(7, 7), ("a",), (24, 32))


@pytest.mark.shared
def test_the_unets_checkpoint_and_its_onnx_file_do_the_same(
    shared_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="torch reads checkpoints")
    for name in ("unet_freihand.pth", "unet_freihand.onnx"):
        (tmp_path / name).symlink_to(shared_dir / "models" / name)
    files = [str(tmp_path / name) for name in ("unet_freihand.pth", "unet_freihand.onnx")]
    assert main(["verify", *files, "--spec", "unet"]) == 2
    assert "--network" in capsys.readouterr().err
    assert main(["verify", *files, "--spec", "unet", "--network", "unet", "--frames", "3", "--threads", "1"]) == 0
    values = json.loads(manifest_path(files[1]).read_text())
    assert values["precision"] == "fp32"
    assert values["figures"]["input"]["bytes_equal"] is True
    assert values["figures"]["outputs"][0]["max_abs"] <= 1e-5
    assert values["figures"]["joints"]["max_px"] <= 0.01
