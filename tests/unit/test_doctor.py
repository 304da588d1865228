"""The doctor on machines that look like boards: trees of files, environments, and a pyACL that says what it is told."""

from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handpose_native.cli import main
from handpose_native.doctor import Finding, Machine, examine
from handpose_native.doctor.ascend import PROBE, examine_ascend
from handpose_native.doctor.cameras import describe_camera, examine_cameras
from handpose_native.doctor.models import examine_models, soc_of_om
from handpose_native.doctor.software import examine_software

TOOLKIT = "/usr/local/Ascend/ascend-toolkit"
NODES = ("/dev/davinci0", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
ANSWER = {
    "file": "/x/acl.so",
    "engines": {"VDEC": None, "JPEGD": None, "VPC": None},
    "init": 0,
    "soc": "Ascend310B4",
    "run_mode": 0,
    "devices": 1,
    "count_ret": 0,
    "set_device": 0,
    "memory": [3_000_000_000, 8_000_000_000],
}


class Board(Machine):
    """A machine whose answers are given."""

    def __init__(self, root: Path, environ: dict[str, str] | None = None) -> None:
        super().__init__(root, environ or {}, "aarch64")
        self.answer: dict[str, Any] | None = dict(ANSWER)
        self.reason = ""
        self.forbidden: set[str] = set()

    def may_use(self, name: str) -> bool:
        return name not in self.forbidden

    def can_import(self, module: str) -> bool:
        return self.answer is not None

    def group_of(self, name: str) -> str:
        return "HwHiAiUser"

    def run_python(self, code: str, *arguments: str) -> tuple[dict[str, Any] | None, str]:
        return self.answer, self.reason

    def add(self, *names: str, text: str = "") -> None:
        for name in names:
            self.path(name).parent.mkdir(parents=True, exist_ok=True)
            self.path(name).write_text(text)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """An OrangePi AIpro as it should be."""
    board = Board(tmp_path, {"ASCEND_HOME_PATH": f"{TOOLKIT}/latest", "HOME": "/home/HwHiAiUser"})
    board.add(*NODES, "/dev/davinci_other")
    board.add("/proc/device-tree/model", text="Orange Pi AI Pro\0")
    board.add("/usr/local/Ascend/driver/version.info", text="Version=23.0.0\nascendhal_version=7.35.19\n")
    info = "package_name=Ascend-cann-toolkit\nversion=7.0.0\ninnerversion=V100R001\n"
    board.add(f"{TOOLKIT}/7.0.0/aarch64-linux/ascend_toolkit_install.info", text=info)
    board.add(f"{TOOLKIT}/set_env.sh", f"{TOOLKIT}/7.0.0/bin/atc")
    board.path(f"{TOOLKIT}/latest").symlink_to("7.0.0")
    return board


def by_name(found: Any) -> dict[str, Finding]:
    findings = list(found)
    for one in findings:
        assert one.level in ("ok", "note", "warning", "error")
        assert (one.fix is not None) >= (one.level in ("warning", "error")), f"{one} has no fix"
    return {one.name: one for one in findings}


def test_a_board_as_it_should_be(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__version__", "1.26.4")
    found = by_name(examine_ascend(board))
    assert {one.level for one in found.values()} == {"ok"}
    assert {name: one.value for name, one in found.items()} == {
        "board": "Orange Pi AI Pro",
        "device": "/dev/davinci0",
        "driver": "23.0.0",
        "cann": f"7.0.0 in {TOOLKIT}/latest",
        "set_env.sh": f"sourced: {TOOLKIT}/latest",
        "atc": "its Python parts run with NumPy 1.26.4",
        "acl": "/x/acl.so",
        "soc": "Ascend310B4",
        "run mode": "0: RC (the board's own processor runs the program)",
        "media engines": "VDEC, JPEGD, VPC",
        "devices": "1 usable",
        "memory": "3000 of 8000 MB free",
    }


def test_no_board_is_no_fault(tmp_path: Path) -> None:
    board = Board(tmp_path)
    found = by_name(examine_ascend(board))
    assert found["device"].level == "note"
    assert found["soc"].value == "Ascend310B4"  # pyACL that is there all the same, as an emulator is
    board.answer = None
    (one,) = examine_ascend(board)
    assert (one.name, one.level) == ("device", "note")


def test_numpy_2_breaks_atc(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "__version__", "2.1.0")
    one = by_name(examine_ascend(board))["atc"]
    assert one.level == "warning"
    assert "numpy<2" in str(one.fix)
    board.path(f"{TOOLKIT}/7.0.0/bin/atc").unlink()
    assert "atc" not in by_name(examine_ascend(board))


def test_environment_not_set(board: Board) -> None:
    board.environ = {}
    one = by_name(examine_ascend(board))["set_env.sh"]
    assert one.level == "error"
    assert f"source {TOOLKIT}/set_env.sh" in str(one.fix)


def test_environment_of_something_that_is_gone(board: Board) -> None:
    board.environ = {"ASCEND_TOOLKIT_HOME": "/opt/old"}
    one = by_name(examine_ascend(board))["set_env.sh"]
    assert one.level == "error"
    assert "ASCEND_TOOLKIT_HOME=/opt/old, which does not exist" in one.value


def test_libraries_that_only_serve_to_link(board: Board) -> None:
    board.environ = {**board.environ, "LD_LIBRARY_PATH": f"/lib:{TOOLKIT}/latest/lib64/stub"}
    one = by_name(examine_ascend(board))["LD_LIBRARY_PATH"]
    assert one.level == "error"
    assert "100039" in str(one.fix)


def test_nodes_that_are_missing_or_forbidden(board: Board) -> None:
    board.path("/dev/hisi_hdc").unlink()
    board.forbidden = {"/dev/davinci0"}
    found = by_name(examine_ascend(board))
    assert found["/dev/hisi_hdc"].level == found["/dev/davinci0"].level == "error"
    assert "--device /dev/hisi_hdc" in str(found["/dev/hisi_hdc"].fix)
    assert "usermod -aG HwHiAiUser" in str(found["/dev/davinci0"].fix)
    assert "/dev/devmm_svm" not in found


def test_cann_without_a_device_and_a_device_without_cann(board: Board, tmp_path: Path) -> None:
    for name in NODES:
        board.path(name).unlink()
    board.answer = {**ANSWER, "devices": 0}
    found = by_name(examine_ascend(board))
    assert found["device"].level == "error"
    assert found["devices"].level == "note"
    other = Board(tmp_path / "other")
    other.add(*NODES)
    other.answer, other.reason = None, "ModuleNotFoundError: No module named 'acl'"
    found = by_name(examine_ascend(other))
    assert found["cann"].level == "error"
    assert "hiascend" in str(found["cann"].fix)
    assert found["driver"].level == "note"


@pytest.mark.parametrize(
    ("home", "script", "file", "text", "version"),
    [
        (
            "/usr/local/Ascend/cann",
            "{}/set_env.sh",
            "{}/aarch64-linux/ascend_toolkit_install.info",
            "version=8.5.0",
            "8.5.0",
        ),
        ("/usr/local/Ascend/nnrt/latest", "{}/../set_env.sh", "{}/version.cfg", "Version=[6.2.RC2:x]", "6.2.RC2"),
        ("/home/HwHiAiUser/Ascend/ascend-toolkit/latest", "{}/../set_env.sh", "{}/nothing", "", "version unknown"),
    ],
)
def test_where_cann_may_be(tmp_path: Path, home: str, script: str, file: str, text: str, version: str) -> None:
    board = Board(tmp_path, {"HOME": "/home/HwHiAiUser"})
    board.add(*NODES)
    board.add(file.format(home), text=text)
    board.add(os.path.normpath(script.format(home)))
    found = by_name(examine_ascend(board))
    assert found["cann"].value == f"{version} in {home}"
    assert os.path.normpath(script.format(home)) in str(found["set_env.sh"].fix)


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("ModuleNotFoundError: No module named 'acl'", "PYTHONPATH"),
        ("ImportError: libascendcl.so: cannot open shared object file: No such file or directory", "LD_LIBRARY_PATH"),
        ("ImportError: acl.so: undefined symbol: _PyUnicode_Ready", "the Python that CANN names"),
        ("no answer within 60 s", "restart"),
        ("Segmentation fault", "ascend/log"),
    ],
)
def test_an_acl_that_cannot_be_imported(board: Board, reason: str, fix: str) -> None:
    board.answer, board.reason = None, reason
    one = by_name(examine_ascend(board))["acl"]
    assert one.level == "error"
    assert reason in one.value
    assert fix in str(one.fix)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ({"init": 500000}, "acl.init"),
        ({"count_ret": 507899, "devices": 0}, "devices"),
        ({"set_device": 507033, "memory": None}, "set_device"),
    ],
)
def test_an_acl_that_fails(board: Board, answer: dict[str, Any], name: str) -> None:
    board.answer = {**ANSWER, **answer}
    one = by_name(examine_ascend(board))[name]
    assert one.level == "error"
    assert "returned" in one.value


def test_media_engines_that_are_missing_are_no_fault(board: Board) -> None:
    board.answer = {**ANSWER, "engines": {"VDEC": "vdec_send_frame", "JPEGD": None, "VPC": None}}
    one = by_name(examine_ascend(board))["media engines"]
    assert (one.level, one.value) == ("note", "JPEGD, VPC; VDEC is missing (no acl.media.vdec_send_frame)")


#: A pyACL with the calls and returns of the real one that the probe uses.
FAKE_ACL = """
calls = []
def init(): calls.append("init"); return 0
def finalize(): calls.append("finalize"); return 0
def get_soc_name(): return "Ascend310"
class rt:
    def get_run_mode(): return 0, 0
    def get_device_count(): return 1, 0
    def set_device(device): calls.append("set"); return 0
    def get_mem_info(kind): return 10, 20, 0
    def reset_device(device): calls.append("reset"); return 0
class media:
    vdec_create_channel_desc = vdec_create_channel = vdec_send_frame = vdec_destroy_channel = None
    dvpp_create_channel = None
import atexit
atexit.register(lambda: open(__file__ + ".calls", "w").write(" ".join(calls)))
"""


def test_the_probe_asks_and_undoes_what_it_did(tmp_path: Path) -> None:
    (tmp_path / "acl.py").write_text(FAKE_ACL)
    answer, reason = Machine(environ={**os.environ, "PYTHONPATH": str(tmp_path)}).run_python(PROBE)
    assert reason == ""
    assert answer is not None
    assert (answer["soc"], answer["memory"], answer["devices"]) == ("Ascend310", [10, 20], 1)
    assert answer["engines"] == {"VDEC": None, "JPEGD": "dvpp_jpeg_get_image_info", "VPC": "dvpp_create_roi_config"}
    assert (tmp_path / "acl.py.calls").read_text() == "init set reset finalize"


def test_other_programs_may_crash_and_say_nonsense() -> None:
    machine = Machine()
    assert machine.run_python("raise ImportError('no luck')") == (None, "ImportError: no luck")
    assert machine.run_python("import os; os._exit(3)") == (None, "it ended with exit code 3")
    assert machine.run_python("print('hello')")[0] is None
    assert machine.run_python("print('noise'); print('{\"a\": 1}')") == ({"a": 1}, "")


def test_software_that_is_missing_or_does_not_load(tmp_path: Path) -> None:
    class Bare(Board):
        def version_of(self, *distributions: str) -> str | None:
            return {"av": "12.3", "opencv-python": "4.5"}.get(distributions[0])

        def run_python(self, code: str, *arguments: str) -> tuple[dict[str, Any] | None, str]:
            return (None, "ImportError: libGL.so.1") if "cv2" in code else ({}, "")

    found = by_name(examine_software(Bare(tmp_path)))
    assert found["av"].level == "ok"
    assert found["cv2"].level == "error"
    assert "opencv-python-headless" in str(found["cv2"].fix)
    assert found["onnxruntime"].level == "note"
    assert found["runtimes"].level == "error"
    assert "handpose_native[cpu]" in str(found["runtimes"].fix)


class FakeCamera:
    """Answers the ioctls of linux/videodev2.h."""

    def __init__(self, capabilities: int = 0x1) -> None:
        self.capabilities = capabilities
        self.formats = {b"MJPG": [(1, 1280, 720), (1, 640, 480)], b"YUYV": [(3, 320, 640, 16, 240, 480, 16)]}

    def __call__(self, descriptor: int, request: int, data: bytearray) -> int:
        if request == 0x80685600:
            data[16:26] = b"HD Webcam\0"
            struct.pack_into("<II", data, 84, 0x80000001, self.capabilities)
            return 0
        index, code = struct.unpack_from("<II", data)
        names = list(self.formats)
        entries: list[Any] = names if request == 0xC0405602 else self.formats[struct.pack("<I", code)]
        if index >= len(entries):
            raise OSError(errno.EINVAL, "Invalid argument")
        if request == 0xC0405602:
            data[44:48] = names[index]
        else:
            struct.pack_into(f"<{len(entries[index])}I", data, 8, *entries[index])
        return 0


def test_cameras() -> None:
    expected = "HD Webcam: MJPG 1280x720 640x480; YUYV 320x240 to 640x480"
    assert describe_camera(0, FakeCamera()) == expected
    assert describe_camera(0, FakeCamera(0x00A00000)) is None  # the node of its metadata


def test_cameras_that_cannot_be_used(tmp_path: Path) -> None:
    board = Board(tmp_path)
    assert [one.level for one in examine_cameras(board)] == ["note"]
    board.add("/dev/video0", "/dev/video10", "/dev/video2")
    board.forbidden = {"/dev/video10"}
    found = by_name(examine_cameras(board))
    assert list(found) == ["/dev/video0", "/dev/video2", "/dev/video10"]
    assert found["/dev/video10"].level == "error"
    assert found["/dev/video0"].level == "warning"  # a file answers no ioctl
    assert "cannot be asked" in found["/dev/video0"].value


@pytest.mark.parametrize(
    ("soc", "level"),
    [
        ("Ascend310B4", "ok"),
        ("Ascend310B1", "warning"),
        ("Ascend310P3", "error"),
        ("Ascend310", "error"),
        (None, "note"),
    ],
)
def test_a_model_and_the_chip(tmp_path: Path, soc: str | None, level: str) -> None:
    om = tmp_path / "hand.om"
    om.write_bytes(b"IMOD\0\1" + bytes(500) + b"atc --model=hand.onnx --soc_version=Ascend310B4 --output=x" + bytes(90))
    one = by_name(examine_models([str(om)], soc))[str(om)]
    assert one.level == level
    assert "Ascend310B4" in one.value
    if level in ("warning", "error"):
        assert f"--soc_version={soc}" in str(one.fix)


def test_models_that_say_nothing(tmp_path: Path) -> None:
    om, onnx = tmp_path / "a.om", tmp_path / "a.onnx"
    om.write_bytes(b"IMOD")
    onnx.write_bytes(b"x")
    assert soc_of_om(om) is None
    levels = [one.level for one in examine_models([str(om), str(onnx), "missing.om"], "Ascend310")][-3:]
    assert levels == ["note", "ok", "error"]


def test_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDPOSE_NATIVE_CACHE", str(tmp_path))
    found = by_name(examine_models([], None))
    assert {one.level for one in found.values()} == {"note"}
    assert "handpose-native models pull hands-lite" in found["hands-lite"].value


def test_the_command(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    examination = examine(machine=board)
    assert examination.is_ready
    assert "nothing in the way" in str(examination) or "warning" in str(examination)
    board.environ = {}
    examination = examine(machine=board)
    assert not examination.is_ready
    text = str(examination)
    assert "NO  set_env.sh" in text
    assert f"-> source {TOOLKIT}/set_env.sh" in text
    assert "1 error" in text

    code = main(["doctor", "--json", "--model", "missing.onnx"])
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "handpose_native.doctor/1"
    assert (code, document["ready"]) == (1, False)
    assert {"area", "name", "level", "value", "fix"} == set(document["findings"][0])


def test_this_machine() -> None:
    """As a user calls it; whatever is here, it says so and does not fail."""
    done = subprocess.run(
        [sys.executable, "-m", "handpose_native", "doctor"], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    for word in ("software", "python", "ascend", "cameras", "models", "hands-lite"):
        assert word in done.stdout
