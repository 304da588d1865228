"""ModelSpec: every field is checked, JSON comes back equal, and a model that disagrees is told so."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from handpose_native.errors import DTypeError, ModelError
from handpose_native.models import (
    KNOWN_MODELS,
    METADATA_KEY,
    ModelSpec,
    check_input,
    choose_depth_output,
    choose_output,
    find_spec,
    spec_from_metadata,
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "models.md"
HEATMAP: dict[str, Any] = {"name": "h", "family": "heatmap", "channel_order": "rgb", "method": "argmax"}
REGRESSION: dict[str, Any] = {"name": "r", "family": "regression", "channel_order": "bgr"}
FULL: dict[str, Any] = {
    "name": "full",
    "family": "heatmap",
    "channel_order": "bgr",
    "input_hw": (96, 128),
    "input_layout": "NHWC",
    "filter": "cubic",
    "scale": 1.0,
    "mean": (1.0, 2.0, 3.0),
    "std": (4.0, 5.0, 6.0),
    "fit": "stretch",
    "border_value": (7.0, 8.0, 9.0),
    "joint_order": tuple(reversed(range(21))),
    "method": "upsampled_argmax",
    "upsampled_hw": (192, 256),
    "peak_offset_px": 0.25,
    "input": "image",
    "constants": {"K": [[1.5, 0.0], [0.0, 2.5]], "gain": 3},
    "output": "maps",
    "depth_output": "depths",
    "min_presence": 0.3,
    "source": "somewhere",
    "license": "MIT",
    "sha256": "0123456789abcdef" * 4,
    "weights_sha256": ("0" * 64, "f" * 64),
}


def settled(model: Path, spec: str | None, metadata: dict[str, str]) -> ModelSpec:
    """The spec as the pipeline settles it: one outside the file, else the one inside."""
    return find_spec(model, spec) or spec_from_metadata(model, metadata)


def tensor(shape: tuple[int, ...], dtype: str = "float32", layout: str | None = None, name: str = "t") -> Any:
    return SimpleNamespace(name=name, shape=shape, dtype=np.dtype(dtype), layout=layout)


@pytest.mark.parametrize("values", [HEATMAP, REGRESSION, FULL, {**FULL, "output": 0}])
def test_json_comes_back_equal(tmp_path: Path, values: dict[str, Any]) -> None:
    spec = ModelSpec(**values)
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec.to_dict()), encoding="utf-8")
    assert ModelSpec.from_json(path) == spec
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    assert spec.to_dict()["schema"] == 1


@pytest.mark.parametrize("name", sorted(KNOWN_MODELS))
def test_known_specs_come_back_equal_and_carry_their_name(name: str) -> None:
    spec = KNOWN_MODELS[name]
    assert ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.name == name
    assert spec.source.startswith("https://")
    assert spec.license


def test_the_page_models_has_a_valid_example_and_every_field() -> None:
    text = DOCS.read_text(encoding="utf-8")
    example = text[text.index('    {\n      "schema"') : text.index("\n    }\n") + len("\n    }")]
    assert ModelSpec.from_dict(json.loads(example)).name == "my-hands"
    assert [field.name for field in dataclasses.fields(ModelSpec) if f"`{field.name}`" not in text] == []


def test_a_full_spec_tests_every_field() -> None:
    assert set(FULL) == {field.name for field in dataclasses.fields(ModelSpec)}


def test_one_number_stands_for_three_and_lists_become_tuples() -> None:
    spec = ModelSpec(**{**HEATMAP, "mean": 1, "std": [1, 2, 3], "input_hw": [4, 5], "joint_order": list(range(21))})
    assert spec.mean == (1.0, 1.0, 1.0)
    assert spec.std == (1.0, 2.0, 3.0)
    assert spec.input_hw == (4, 5)
    assert spec.joint_order == tuple(range(21))
    assert hash(spec) == hash(ModelSpec.from_dict(spec.to_dict()))


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelSpec(**HEATMAP).name = "other"  # type: ignore[misc]


WRONG: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", 3),
    ("family", "transformer"),
    ("family", ["heatmap"]),
    ("channel_order", "rbg"),
    ("channel_order", None),
    ("filter", "nearest"),
    ("fit", "crop"),
    ("input_layout", "CHW"),
    ("input_hw", 128),
    ("input_hw", (128,)),
    ("input_hw", (128, 0)),
    ("input_hw", (128.0, 128)),
    ("input_hw", (True, 128)),
    ("scale", 0),
    ("scale", math.nan),
    ("scale", "1/255"),
    ("mean", (1, 2)),
    ("mean", math.inf),
    ("mean", None),
    ("std", 0),
    ("std", (1.0, 0.0, 1.0)),
    ("border_value", -1),
    ("border_value", (0.0, 0.0, 256.0)),
    ("joint_order", tuple(range(20))),
    ("joint_order", (0,) * 21),
    ("joint_order", tuple(range(1, 22))),
    ("joint_order", [False, *range(1, 21)]),
    ("joint_order", [0.0, *range(1, 21)]),
    ("joint_order", "wrist"),
    ("method", None),
    ("method", "softmax"),
    ("upsampled_hw", (64, 64)),
    ("upsampled_hw", "64"),
    ("peak_offset_px", math.nan),
    ("peak_offset_px", None),
    ("input", True),
    ("input", -1),
    ("constants", [1, 2]),
    ("constants", {1: 2}),
    ("constants", {"K": "x"}),
    ("constants", {"K": [[1], [2, 3]]}),
    ("constants", {"K": float("nan")}),
    ("output", -1),
    ("output", True),
    ("output", 1.0),
    ("depth_output", -2),
    ("depth_output", 2.5),
    ("min_presence", 1.5),
    ("min_presence", math.nan),
    ("source", None),
    ("license", 2),
    ("sha256", "0123"),
    ("sha256", 7),
    ("weights_sha256", "0" * 64),
    ("weights_sha256", ("0" * 63,)),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=[f"{field}-{value!r}" for field, value in WRONG])
def test_a_wrong_value_names_field_and_value(field: str, value: Any) -> None:
    with pytest.raises(ModelError, match=rf"{field} must be .*; got ") as caught:
        ModelSpec(**{**HEATMAP, field: value})
    assert repr(value) in str(caught.value)


def test_upsampled_argmax_needs_its_size() -> None:
    with pytest.raises(ModelError, match="upsampled_hw must be given with method 'upsampled_argmax'"):
        ModelSpec(**{**HEATMAP, "method": "upsampled_argmax"})


@pytest.mark.parametrize(
    ("field", "value"), [("method", "argmax"), ("upsampled_hw", (64, 64)), ("peak_offset_px", 0.0)]
)
@pytest.mark.parametrize("family", ["regression", "keypoints"])
def test_other_families_take_no_fields_of_heatmaps(family: str, field: str, value: Any) -> None:
    with pytest.raises(ModelError, match=f"{field} must be left out, because family is '{family}'"):
        ModelSpec(**{**REGRESSION, "family": family, field: value})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "a spec must be a JSON object; got list"),
        ({**HEATMAP}, "schema must be 1; got None"),
        ({**HEATMAP, "schema": 2}, "schema must be 1; got 2"),
        ({**HEATMAP, "schema": True}, "schema must be 1; got True"),
        ({**HEATMAP, "schema": 1, "mena": 0}, r"unknown fields \['mena'\]; a spec has name, family"),
        ({"schema": 1, "name": "x"}, r"missing fields \['family', 'channel_order'\]"),
        ({**HEATMAP, "schema": 1, "fit": 3}, "fit must be one of 'letterbox', 'stretch'; got 3"),
    ],
)
def test_json_that_is_no_spec_says_where(tmp_path: Path, values: Any, message: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ModelError, match=message) as caught:
        ModelSpec.from_json(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00", b'{"schema": 1,}'])
def test_a_file_that_is_no_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "spec.json"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"spec\.json: the spec is not JSON"):
        ModelSpec.from_json(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.json: the spec cannot be read: No such file"):
        ModelSpec.from_json(tmp_path / "nowhere.json")


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_check_input_returns_layout_and_size(dtype: str) -> None:
    spec = ModelSpec(**HEATMAP)
    assert check_input(spec, [tensor((1, 3, 4, 5), dtype, "NCHW")]) == ("NCHW", (4, 5))
    assert check_input(spec, [tensor((1, 4, 5, 3), dtype, "NHWC")]) == ("NHWC", (4, 5))


@pytest.mark.parametrize(
    ("changes", "inputs", "message"),
    [
        ({}, [], r"one input is needed; it has \[\]"),
        ({}, [tensor((1, 3, 4, 5), layout="NCHW", name=n) for n in "ab"], r"one input is needed; it has \['a', 'b'\]"),
        ({}, [tensor((4, 3, 4, 5), layout="NCHW")], r"NCHW \(4, 3, 4, 5\); one image, \(1, 3, h, w\)"),
        ({}, [tensor((1, 3))], r"None \(1, 3\); one image"),
        ({}, [tensor((1, 3, 4, 5), "int32", "NCHW")], "is int32 .*must be one of float32, float16, uint8"),
        (
            {"input_layout": "NHWC"},
            [tensor((1, 3, 4, 5), layout="NCHW")],
            r"is float32 NCHW \(1, 3, 4, 5\), but the spec says input_layout 'NHWC'",
        ),
        (
            {"input_hw": (128, 128)},
            [tensor((1, 3, 256, 256), layout="NCHW")],
            r"NCHW \(1, 3, 256, 256\), but the spec says input_hw \(128, 128\)",
        ),
    ],
)
def test_check_input_says_both_sides(changes: dict[str, Any], inputs: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_input(ModelSpec(**{**HEATMAP, **changes}), inputs)


MAPS = tensor((1, 21, 8, 8), name="maps")
NUMBERS = tensor((1, 42), name="numbers")
JOINTS = tensor((1, 21, 3), name="joints")
DEPTHS = tensor((1, 20), name="depths")
KEYPOINTS: dict[str, Any] = {"name": "k", "family": "keypoints", "channel_order": "rgb"}
FEATURES = tensor((1, 256, 8, 8), name="features")


@pytest.mark.parametrize(
    ("values", "outputs", "index"),
    [
        (HEATMAP, [MAPS], 0),
        (HEATMAP, [FEATURES, NUMBERS, MAPS], 2),
        (HEATMAP, [tensor((1, 21, 8, 8), "float16")], 0),
        (REGRESSION, [FEATURES, NUMBERS], 1),
        (KEYPOINTS, [NUMBERS, JOINTS], 1),
        (REGRESSION, [tensor((42,))], 0),
        (REGRESSION, [tensor((1, 42, 1, 1), "float16")], 0),
        ({**HEATMAP, "output": 1}, [MAPS, MAPS], 1),
        ({**HEATMAP, "output": "maps"}, [FEATURES, MAPS], 1),
    ],
)
def test_the_output_is_named_or_the_only_one_that_fits(values: dict[str, Any], outputs: list[Any], index: int) -> None:
    assert choose_output(ModelSpec(**values), outputs) == index


@pytest.mark.parametrize(
    ("values", "outputs", "message"),
    [
        (
            HEATMAP,
            [tensor((1, 20, 8, 8))],
            r"needs an output of shape \(1, 21, h, w\).*has 't' float32 \(1, 20, 8, 8\)",
        ),
        (HEATMAP, [tensor((1, 8, 8, 21))], r"needs an output of shape \(1, 21, h, w\)"),
        (HEATMAP, [tensor((2, 21, 8, 8))], r"needs an output of shape \(1, 21, h, w\)"),
        (HEATMAP, [tensor((1, 21, 8, 8), "float64")], r"float32 or float16; the model has 't' float64"),
        (HEATMAP, [MAPS, MAPS], "several fit, say which with the field output"),
        (REGRESSION, [tensor((1, 63))], r"\(42,\), \(1, 42\) or \(1, 42, 1, 1\).*has 't' float32 \(1, 63\)"),
        (REGRESSION, [tensor((1, 21, 2))], r"has 't' float32 \(1, 21, 2\)"),
        (KEYPOINTS, [NUMBERS, tensor((1, 63))], r"needs an output of shape \(1, 21, 3\), float32 or float16"),
        ({**HEATMAP, "output": "map"}, [MAPS], r"there is no output 'map'; the model has 'maps' float32"),
        ({**HEATMAP, "output": 1}, [MAPS], "there is no output 1; the model has 'maps'"),
        ({**HEATMAP, "output": 0}, [FEATURES], r"\(1, 21, h, w\).*output 0 is float32 \(1, 256, 8, 8\)"),
    ],
)
def test_choose_output_says_both_sides(values: dict[str, Any], outputs: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        choose_output(ModelSpec(**values), outputs)


@pytest.mark.parametrize(
    ("wanted", "outputs", "index"),
    [(None, [JOINTS], None), ("depths", [JOINTS, DEPTHS], 1), (0, [tensor((20,), "float16")], 0)],
)
def test_depths_are_read_from_the_output_that_the_spec_names(
    wanted: Any, outputs: list[Any], index: int | None
) -> None:
    assert choose_depth_output(ModelSpec(**{**KEYPOINTS, "depth_output": wanted}), outputs) == index


@pytest.mark.parametrize(
    ("wanted", "outputs", "message"),
    [
        (
            "depth",
            [JOINTS, DEPTHS],
            r"there is no output 'depth'; the model has 'joints' float32 \(1, 21, 3\), 'depths'",
        ),
        (2, [JOINTS, DEPTHS], "there is no output 2"),
        (0, [JOINTS], r"shape \(20,\) or \(1, 20\), float32 or float16; output 0 is float32 \(1, 21, 3\)"),
        (0, [tensor((1, 20), "int32")], r"output 0 is int32 \(1, 20\)"),
    ],
)
def test_depths_that_are_none_say_both_sides(wanted: Any, outputs: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        choose_depth_output(ModelSpec(**{**KEYPOINTS, "depth_output": wanted}), outputs)


def write_spec(path: Path, **changes: Any) -> ModelSpec:
    spec = ModelSpec(**{**HEATMAP, **changes})
    path.write_text(json.dumps(spec.to_dict()), encoding="utf-8")
    return spec


def test_find_spec_takes_a_spec_a_name_and_a_file(tmp_path: Path) -> None:
    spec = write_spec(tmp_path / "other.json", name="other")
    assert find_spec("m.onnx", spec) is spec
    assert find_spec("m.onnx", "unet") is KNOWN_MODELS["unet"]
    assert find_spec("m.onnx", tmp_path / "other.json") == spec
    assert find_spec("m.onnx", str(tmp_path / "other.json")) == spec


def test_find_spec_looks_beside_the_model(tmp_path: Path) -> None:
    model = tmp_path / "hand.v2.onnx"
    assert find_spec(model) is None
    spec = write_spec(tmp_path / "hand.v2.json")
    assert find_spec(model) == spec
    assert find_spec(str(model), "unet") is KNOWN_MODELS["unet"]
    (tmp_path / "hand.v2.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match=r"hand\.v2\.json: schema must be 1"):
        find_spec(model)


def test_find_spec_lists_the_known_names() -> None:
    with pytest.raises(
        ModelError, match=r"a known name \(handpose-x, hourglass-3d, unet\) or a JSON file; got 'unett'"
    ):
        find_spec("m.onnx", "unett")
    with pytest.raises(DTypeError, match="spec must be a ModelSpec, a name or a path; got int"):
        find_spec("m.onnx", 3)  # type: ignore[arg-type]
    assert find_spec("") is None


def test_a_spec_may_be_inside_the_model(tmp_path: Path) -> None:
    spec = ModelSpec(**FULL)
    metadata = {METADATA_KEY: json.dumps(spec.to_dict())}
    assert spec_from_metadata("m.onnx", metadata) == spec
    assert settled(tmp_path / "m.onnx", None, metadata) == spec
    assert settled(tmp_path / "m.onnx", "unet", metadata) is KNOWN_MODELS["unet"]
    beside = write_spec(tmp_path / "m.json")
    assert settled(tmp_path / "m.onnx", None, metadata) == beside


@pytest.mark.parametrize("text", ["{", '{"schema": 2}'])
def test_a_wrong_spec_inside_the_model_says_where(text: str) -> None:
    with pytest.raises(ModelError, match=r"m\.onnx, metadata 'handpose_native\.spec': "):
        spec_from_metadata("m.onnx", {METADATA_KEY: text})


def test_without_any_spec_the_error_tells_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        settled(tmp_path / "m.onnx", None, {})
    for part in ("m.onnx", "unet", "handpose-x", "m.json", METADATA_KEY, "ModelSpec"):
        assert part in str(caught.value)
