"""The command line of atc, a stand-in for atc that fails as the real one does, and what is said about it."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")

from tests import networks

import handpose_native as hp
from handpose_native.cli import main
from handpose_native.export import atc_environment
from handpose_native.export.atc import plan_conversion, run_conversion
from handpose_native.export.atc_advice import ADVICE, explain
from handpose_native.models import METADATA_KEY

MARKERS = hp.ModelSpec(name="markers", family="heatmap", channel_order="rgb", method="expectation")

#: What atc prints at its ends (taken from reports of users), by what it should be recognised as.
FAILURES = {
    "libascend_hal": "atc.bin: error while loading shared libraries: libascend_hal.so: cannot open shared object file",
    "too new": "AttributeError: module 'numpy' has no attribute 'float'",
    "lacks a module: decorator": "EC0010: [PID: 1] Failed to import Python module [ModuleNotFoundError: No module "
    "named 'decorator'.].\n        Solution: Check that all required components are properly installed",
    "does not know an operator": "E19010: No parser is registered for Op [node, optype [ai.onnx::23::Div]].",
    "no kernel": "EZ3003: No supported Ops kernel and engine are found for [AddDsl], optype [AddDsl].",
    "AIPP configuration": "E10052: AIPP configuration is invalid. Reason: mean_chn_0.",
    "know the chip": "E10001: Value Ascend311 for parameter soc_version is invalid. Reason: unknown",
    "leaves a size": "E10001: Value [-1] for parameter [input_2] is invalid. Reason: maybe you should set input_shape "
    "to specify its shape.",
    "different integer types": "E89999 op[Add_718], The Add_718 op dtype is not same, type1:DT_INT64, type2:DT_INT32",
    "no ONNX model": "E10041: Failed to load the model from /x/y.onnx.",
    "exclude each other": "E10047: --precision_mode and --precision_mode_v2 are mutually exclusive.",
    "disk is full": "OSError: [Errno 28] No space left on device",
}


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return networks.save_marker_network(
        folder / "m.onnx", (64, 96), metadata={METADATA_KEY: json.dumps(MARKERS.to_dict())}
    )


@pytest.fixture
def fake_atc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an atc first on PATH that writes the .om; `ATC_SAYS` and `ATC_CODE` make it fail."""
    program = tmp_path / "bin" / "atc"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, sys, time\n"
        "print('ATC start working now, please wait for a moment.', flush=True)\n"
        "if os.environ.get('ATC_WAITS'):\n"
        "    time.sleep(60)\n"
        "code = int(os.environ.get('ATC_CODE', '0'))\n"
        "if code:\n"
        "    print(\"ATC run failed, Please check the detail log, Try 'atc --help' for more information\")\n"
        "    print(os.environ.get('ATC_SAYS', ''))\n"
        "    sys.exit(code) if code > 0 else os.kill(os.getpid(), -code)\n"
        "options = dict(one[2:].split('=', 1) for one in sys.argv[1:])\n"
        "if 'insert_op_conf' in options:\n"
        "    assert 'aipp_op' in open(options['insert_op_conf']).read()\n"
        "if os.environ.get('ATC_SAYS') != 'nothing':\n"
        "    open(options['output'] + '.om', 'w').write(' '.join(sys.argv[1:]))\n"
        "print('ATC run success, welcome to the next use.')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def test_the_reports_own_line(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the report on an Atlas 200 DK."""
    monkeypatch.chdir(onnx_file.parent)
    Path("x.onnx").write_bytes(onnx_file.read_bytes())
    line = "atc --input_format=NCHW --model=x.onnx --framework=5 --output=x --soc_version=Ascend310"
    assert shlex.join(plan_conversion("x.onnx", soc="Ascend310").command) == line


def test_every_option(onnx_file: Path) -> None:
    conversion = plan_conversion(onnx_file, soc="Ascend310B4", aipp=True, precision="mixed", options={"log": "error"})
    stem = onnx_file.parent / "m-aipp"
    assert conversion.output == stem.with_suffix(".om")
    assert conversion.command[4:] == (
        f"--output={stem}",
        "--soc_version=Ascend310B4",
        f"--insert_op_conf={stem}.aipp.cfg",
        "--precision_mode=allow_mix_precision",
        "--log=error",
    )
    assert conversion.spec == MARKERS


def test_open_sizes_are_filled(tmp_path: Path) -> None:
    path = networks.save_identity(tmp_path / "i.onnx", ["batch", 3, None, None])
    with pytest.raises(hp.ModelError, match="say input_hw"):
        plan_conversion(path, soc="Ascend310", spec=MARKERS)
    with pytest.raises(hp.ModelError, match="say input_hw"):
        plan_conversion(path, soc="Ascend310")
    sized = dataclasses.replace(MARKERS, input_hw=(32, 48))
    assert "--input_shape=image:1,3,32,48" in plan_conversion(path, soc="Ascend310", spec=sized).command
    fixed = networks.save_identity(tmp_path / "f.onnx", [1, 3, 16, 16])
    with pytest.raises(hp.ModelError, match="input_hw"):
        plan_conversion(fixed, soc="Ascend310", spec=sized)


def test_other_layouts_and_dtypes(tmp_path: Path) -> None:
    bytes_in = networks.save_marker_network(tmp_path / "u.onnx", dtype="uint8", layout="NHWC")
    conversion = plan_conversion(bytes_in, soc="Ascend310", spec=MARKERS)
    assert conversion.command[1] == "--input_format=ND"
    with pytest.raises(hp.ArgumentError, match="uint8 already"):
        plan_conversion(bytes_in, soc="Ascend310", spec=MARKERS, aipp=True)
    channels_last = networks.save_marker_network(tmp_path / "l.onnx", layout="NHWC")
    with pytest.raises(hp.ArgumentError, match=r"needs an input \(1, 3, h, w\)"):
        plan_conversion(channels_last, soc="Ascend310", spec=MARKERS, aipp=True)
    assert plan_conversion(channels_last, soc="Ascend310").spec is None


def test_the_command_converts(onnx_file: Path, fake_atc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = onnx_file.parent / "bytes.om"
    assert main(["convert", str(onnx_file), "--soc", "Ascend310B1", "--aipp", "-o", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "ATC run success" in printed
    assert f"wrote {output}\nwrote {output.with_suffix('.json')}\n" in printed
    assert f"--insert_op_conf={output.with_suffix('.aipp.cfg')}" in output.read_text()
    assert hp.ModelSpec.from_json(output.with_suffix(".json")) == MARKERS


def test_a_dry_run_writes_nothing(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    before = sorted(onnx_file.parent.iterdir())
    assert main(["convert", str(onnx_file), "--soc", "Ascend310", "--aipp", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("atc --input_format=NCHW")
    assert "aipp_op {" in printed
    assert sorted(onnx_file.parent.iterdir()) == before


@pytest.mark.parametrize("expected", FAILURES)
def test_failures_are_explained(
    expected: str, onnx_file: Path, fake_atc: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATC_CODE", "255")
    monkeypatch.setenv("ATC_SAYS", FAILURES[expected])
    assert main(["convert", str(onnx_file), "--soc", "Ascend310"]) == 4
    error = capsys.readouterr().err
    assert expected in error
    assert "atc ended with code 255" in error
    log = onnx_file.with_suffix(".atc.log")
    assert str(log) in error
    assert FAILURES[expected] in log.read_text()
    assert not onnx_file.with_suffix(".om").exists()
    assert not onnx_file.with_suffix(".json").exists()


def test_every_piece_of_advice_is_said_of_its_own_message() -> None:
    for expected, message in FAILURES.items():
        assert any(expected in advice.cause + advice.remedy + message for advice in explain(message, 255)), expected
    assert explain("something else", 255) == []
    assert [advice.cause for advice in explain("", -9)] == ["There was not enough memory."]
    said = {advice.pattern for message in FAILURES.values() for advice in explain(message, 1)}
    untold = {"E10034", "AscendDequant", ADVICE[-1].pattern}
    assert {advice.pattern for advice in ADVICE} - said == untold


def test_atc_that_is_killed_or_writes_nothing(onnx_file: Path, fake_atc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conversion = plan_conversion(onnx_file, soc="Ascend310")
    monkeypatch.setenv("ATC_SAYS", "nothing")
    with pytest.raises(hp.ModelError, match=r"wrote no .*m\.om"):
        run_conversion(conversion)
    monkeypatch.setenv("ATC_CODE", "-9")
    with pytest.raises(hp.ModelError, match="not enough memory"):
        run_conversion(conversion)


def test_ctrl_c_ends_atc(onnx_file: Path, fake_atc: Path) -> None:
    command = [sys.executable, "-m", "handpose_native", "convert", str(onnx_file), "--soc", "Ascend310"]
    process = subprocess.Popen(
        command, env={**os.environ, "ATC_WAITS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while "ATC start" not in process.stdout.readline():
        assert process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    process.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_without_atc(onnx_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(hp.MissingDependencyError, match="--dry-run"):
        run_conversion(plan_conversion(onnx_file, soc="Ascend310"))
    script = tmp_path / "set_env.sh"
    script.touch()
    monkeypatch.setattr(atc_environment, "_ENVIRONMENT_SCRIPTS", (str(script),))
    with pytest.raises(hp.MissingDependencyError, match=f"source {script}"):
        run_conversion(plan_conversion(onnx_file, soc="Ascend310"))


def fake_python(folder: Path, facts: dict[str, Any]) -> dict[str, str]:
    folder.mkdir()
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(facts)}'\n")
    program.chmod(0o755)
    return {"PATH": str(folder), "ASCEND_OPP_PATH": str(folder)}


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = atc_environment.check_environment
    monkeypatch.setattr(atc_environment, "available_memory_bytes", lambda: 8 << 30)
    good = fake_python(tmp_path / "good", {"version": [3, 9], "missing": [], "numpy": "1.23.0"})
    assert check(good) == []
    bad = fake_python(tmp_path / "bad", {"version": [3, 13], "missing": ["sympy", "decorator"], "numpy": "2.1.0"})
    problems = " ".join(check(bad))
    for expected in ("Python 3.13", "sympy, decorator", "NumPy 2.1.0"):
        assert expected in problems
    monkeypatch.setattr(atc_environment, "available_memory_bytes", lambda: 2 << 30)
    problems = " ".join(check({"PATH": ""}))
    for expected in ("ASCEND_OPP_PATH is not set", "no python3", "2.0 GB"):
        assert expected in problems


def test_this_machines_own_environment_can_be_asked() -> None:
    assert all(isinstance(problem, str) for problem in atc_environment.check_environment())
    memory = atc_environment.available_memory_bytes()
    assert memory is None or memory > 0


def test_low_memory_makes_atc_compile_one_by_one(
    onnx_file: Path, fake_atc: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from handpose_native.export import atc

    monkeypatch.setattr(atc_environment, "available_memory_bytes", lambda: 1 << 30)
    monkeypatch.setattr(atc, "available_memory_bytes", lambda: 1 << 30)
    monkeypatch.delenv("TE_PARALLEL_COMPILER", raising=False)
    fake_atc.write_text('#!/bin/sh\necho "one by one: $TE_PARALLEL_COMPILER"\nexit 3\n')
    with caplog.at_level(logging.WARNING), pytest.raises(hp.ModelError, match="one by one: 1"):
        run_conversion(plan_conversion(onnx_file, soc="Ascend310"))
    assert "1.0 GB" in caplog.text


def test_another_specs_place_is_not_taken(onnx_file: Path) -> None:
    planes_first = dataclasses.replace(MARKERS, input_layout="NCHW")
    onnx_file.with_suffix(".json").write_text(json.dumps(planes_first.to_dict()))
    plan_conversion(onnx_file, soc="Ascend310")  # the same spec serves both
    with pytest.raises(hp.ArgumentError, match="another name"):
        plan_conversion(onnx_file, onnx_file.with_suffix(".om"), soc="Ascend310", aipp=True)
    conversion = plan_conversion(onnx_file, soc="Ascend310", aipp=True)
    assert (conversion.output.name, conversion.spec) == ("m-aipp.om", MARKERS)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("m.tflite", {}, r"\.onnx file"),
        ("m.onnx", {"output": "m.bin"}, r"end in \.om"),
        ("m.onnx", {"soc": "310"}, "soc must be one of"),
        ("m.onnx", {"precision": "int4"}, "precision must be one of"),
    ],
)
def test_wrong_arguments(onnx_file: Path, model: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(hp.ArgumentError, match=message):
        plan_conversion(onnx_file.with_name(model), **{"soc": "Ascend310", **options})  # type: ignore[arg-type]


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(hp.ModelError, match="cannot be read"):
        plan_conversion(tmp_path / "none.onnx", soc="Ascend310")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is not protobuf")
    with pytest.raises(hp.ModelError, match="no ONNX model"):
        plan_conversion(broken, soc="Ascend310")
    flat = networks.save_identity(tmp_path / "flat.onnx", [1, 42])
    with pytest.raises(hp.ModelError, match="one image"):
        plan_conversion(flat, soc="Ascend310")
    plain = networks.save_identity(tmp_path / "plain.onnx", [1, 3, 8, 8])
    with pytest.raises(hp.ModelError, match="no description"):
        plan_conversion(plain, soc="Ascend310", aipp=True)


def test_unknown_chips_are_passed_with_a_warning(onnx_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        conversion = plan_conversion(onnx_file, soc="Ascend310P3")
    assert "--soc_version=Ascend310P3" in conversion.command
    assert "Ascend310P3 is passed to atc" in caplog.text
