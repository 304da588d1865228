"""From ONNX to an .om that the pipeline insists on, on the emulated board; its maker of .om files stands in for atc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks of the tests")
pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")

from tests import networks

import handpose_native as hp

EMULATOR = Path(__file__).resolve().parents[1] / "acl_emulator"
SPEC = hp.ModelSpec(
    name="markers",
    family="heatmap",
    channel_order="bgr",
    method="expectation",
    mean=(0.2, 0.3, 0.1),
    std=(0.5, 0.4, 0.25),
)

pytestmark = pytest.mark.skipif(not EMULATOR.is_dir(), reason="the emulator of the board is not here")

ATC = f"""#!{sys.executable}
import subprocess, sys
options = dict(one[2:].split("=", 1) for one in sys.argv[1:])
command = [sys.executable, {str(EMULATOR / "make_om.py")!r}, options["model"], options["output"] + ".om"]
for name in ("soc_version", "insert_op_conf"):
    if name in options:
        command += ["--" + name, options[name]]
sys.exit(subprocess.call(command))
"""


@pytest.fixture
def board(tmp_path: Path) -> dict[str, str]:
    """The variables of a machine with an NPU and CANN."""
    program = tmp_path / "bin" / "atc"
    program.parent.mkdir()
    program.write_text(ATC)
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    modules = os.pathsep.join([str(EMULATOR), *sys.path])
    return {**os.environ, "PATH": path, "PYTHONPATH": modules, "ACL_EMULATOR_SOC": "Ascend310B4"}


def command(board: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "handpose_native", *map(str, arguments)],
        env=board,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def save_normalised_markers(path: Path) -> Path:
    """Write the marker network with an input that is normalised as the spec says, so that doing it twice shows."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    model = networks.DEMO.marker_network((64, 64))
    graph = model.graph
    name = graph.input[0].name
    graph.input[0].name = "normalised"
    std = numpy_helper.from_array(np.array(SPEC.std, np.float32).reshape(1, 3, 1, 1), "std")
    mean = numpy_helper.from_array(np.array(SPEC.mean, np.float32).reshape(1, 3, 1, 1), "mean")
    order = numpy_helper.from_array(np.array([2, 1, 0]), "order")
    before = [
        helper.make_node("Mul", ["normalised", "std"], ["denormalised"]),
        helper.make_node("Add", ["denormalised", "mean"], ["bgr"]),
        helper.make_node("Gather", ["bgr", "order"], [name], axis=1),
    ]
    nodes = [*before, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend([std, mean, order])
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    path.with_suffix(".json").write_text(json.dumps(SPEC.to_dict()))
    return path


def test_bytes_go_in_and_the_joints_are_the_same(tmp_path: Path, board: dict[str, str]) -> None:
    model = save_normalised_markers(tmp_path / "m.onnx")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    points = networks.marker_points((128, 128))
    for index in range(3):
        cv2.imwrite(str(pictures / f"{index}.png"), networks.draw_markers((128, 128), points, 7 + index))

    converted = command(board, "convert", model, "--soc", "Ascend310B4", "--aipp")
    assert converted.returncode == 0, converted.stderr
    om = tmp_path / "m-aipp.om"
    verified = command(board, "verify", model, om, "--inputs", pictures, "--frames", 3)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    values = json.loads((tmp_path / "m-aipp.om.verified.json").read_text())
    assert (values["verdict"], values["precision"]) == ("passed", "aipp")
    assert values["model"]["input"] == "uint8 NHWC, normalised in the model"
    assert 0 < values["figures"]["input"]["max_grey"] <= 0.501  # the rounding to bytes, nothing else

    keypoints = tmp_path / "k.jsonl"
    ran = command(board, "run", pictures, "--model", om, "--verified", "--keypoints", keypoints, "--quiet")
    assert ran.returncode == 0, ran.stderr
    for line in keypoints.read_text().splitlines():
        for hand in json.loads(line).get("hands", []):
            found = [joint[:2] for joint in hand["keypoints"]]
            assert max(abs(a - b) for one, two in zip(found, points.tolist()) for a, b in zip(one, two)) < 1.5


def test_a_wrong_aipp_is_found(tmp_path: Path, board: dict[str, str]) -> None:
    """As if another model's AIPP had been given to atc: nothing fails on the board, the joints are only wrong."""
    model = save_normalised_markers(tmp_path / "m.onnx")
    assert command(board, "convert", model, "--soc", "Ascend310B4", "--aipp").returncode == 0
    config = tmp_path / "m-aipp.aipp.cfg"
    config.write_text(config.read_text().replace("mean_chn_0: 51", "mean_chn_0: 151"))
    om = tmp_path / "m-aipp.om"
    maker = [sys.executable, EMULATOR / "make_om.py", model, om, "--soc_version", "Ascend310B4"]
    subprocess.run([*map(str, maker), "--insert_op_conf", str(config)], env=board, check=True)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "0.png"), networks.draw_markers((128, 128), networks.marker_points((128, 128)), 8))
    verified = command(board, "verify", model, om, "--inputs", pictures)
    assert verified.returncode == 1
    assert "FAILED: output" in verified.stdout
    refused = command(board, "run", model, "--model", om, "--verified", "--keypoints", tmp_path / "k.jsonl")
    assert refused.returncode == 4
    assert "failed its verification" in refused.stderr
