"""Who starts and ends what: several models and pipelines, threads, programs with an ACL of their own, fork, exit."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests import networks
from tests.acl_emulator.importing import FOLDER

import handpose_native as hp
from handpose_native.backends import Backend, open_backend

from .conftest import save_hand_models

if TYPE_CHECKING:
    from .conftest import Board

STARTS = ("init", "rt.set_device", "rt.create_context")
ENDS = ("rt.destroy_context", "rt.reset_device")


@pytest.fixture
def model(board: Board, tmp_path: Path) -> Path:
    return board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))


def works(path: Path) -> bool:
    with open_backend(path) as npu:
        npu.input_buffer(0).array[...] = 5
        npu.submit(0)
        return bool((npu.wait(0)[0] == 5).all())


def test_models_share_one_runtime_and_the_last_one_releases_the_device(board: Board, model: Path) -> None:
    with open_backend(model) as first, open_backend(model) as second:
        assert [board.calls(name) for name in STARTS] == [1, 1, 1]
        first.close()
        assert [board.calls(name) for name in ENDS] == [0, 0]
        second.submit(0)
        second.wait(0)
    assert [board.calls(name) for name in ENDS] == [1, 1]
    assert board.control.living() == ""
    assert board.calls("finalize") == 0
    board.end()
    assert board.calls("finalize") == 1


def test_opening_again_does_not_initialise_again(blank_board: Board, tmp_path: Path) -> None:
    blank_board.start(cann="old")  # which is not known to start twice in a process
    model = blank_board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    assert works(model)
    assert works(model)
    assert [blank_board.calls(name) for name in ("init", "rt.set_device", "finalize")] == [1, 2, 0]


def test_closing_twice_and_after_an_error(board: Board, model: Path) -> None:
    def fail_within(backend: Backend) -> None:
        with backend:
            backend.submit(0)
            raise ZeroDivisionError

    backend = open_backend(model)
    with pytest.raises(ZeroDivisionError):
        fail_within(backend)
    backend.close()
    assert board.control.living() == ""


def test_closing_with_runs_in_flight_waits_for_them(board: Board, model: Path) -> None:
    board.control.set_latency("i", 100)
    with open_backend(model) as npu:
        npu.submit(0)
        npu.submit(1)
    assert board.control.living() == ""


def test_closing_in_another_thread(board: Board, model: Path) -> None:
    backend = open_backend(model)
    thread = threading.Thread(target=backend.close)
    thread.start()
    thread.join()
    assert board.control.living() == ""
    assert works(model)  # here the context that is gone was current


def test_a_thread_that_has_used_an_earlier_context(board: Board, model: Path) -> None:
    turns = [threading.Event(), threading.Event()]
    results: list[object] = []

    def work() -> None:
        for turn in turns:
            turn.wait()
            try:
                backends[-1].submit(1)
                results.append(backends[-1].wait(1)[0].shape)
            except BaseException as error:
                results.append(error)
            done.set()

    backends, done = [open_backend(model)], threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    for index, turn in enumerate(turns):
        turn.set()
        done.wait()
        done.clear()
        backends[-1].close()
        if index == 0:
            backends.append(open_backend(model))
    thread.join()
    assert results == [(1, 3, 4, 5)] * 2


def test_a_program_with_a_runtime_of_its_own_is_respected(board: Board, model: Path) -> None:
    acl = board.acl
    assert acl.init() == 0
    assert acl.rt.set_device(0) == 0
    own, code = acl.rt.create_context(0)
    assert code == 0
    stream, code = acl.rt.create_stream()
    assert code == 0
    before = {name: board.calls(name) for name in ("rt.set_device", "rt.reset_device", "finalize")}

    with open_backend(model) as npu:
        assert acl.rt.get_context() == (own, 0)
        npu.submit(0)
        assert acl.rt.get_context() == (own, 0)
        assert acl.rt.synchronize_stream(stream) == 0
        npu.wait(0)
        assert acl.rt.get_context() == (own, 0)
    assert acl.rt.get_context() == (own, 0)
    board.end()

    assert {name: board.calls(name) for name in before} == before
    assert acl.rt.destroy_stream(stream) == 0
    assert acl.rt.destroy_context(own) == 0
    assert acl.rt.reset_device(0) == 0
    assert acl.finalize() == 0


def test_contexts_of_other_threads_of_such_a_program(board: Board, model: Path) -> None:
    acl = board.acl
    acl.init()
    acl.rt.set_device(0)
    default, _ = acl.rt.get_context()
    with open_backend(model) as npu:
        found: list[int] = []

        def work() -> None:
            npu.submit(0)
            npu.wait(0)
            acl.rt.set_context(default)
            npu.submit(0)
            npu.wait(0)
            found.append(acl.rt.get_context()[0])

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [default]
    board.end()
    acl.rt.reset_device(0)
    acl.finalize()


def test_a_program_that_ends_the_runtime_first(board: Board, model: Path) -> None:
    works(model)
    board.acl.finalize()
    board.end()  # no complaint: it has ended, which is all that is wanted
    assert board.calls("finalize") == 2


def test_another_device(blank_board: Board, tmp_path: Path) -> None:
    blank_board.start(devices=2)
    model = blank_board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))
    for device_id in (1, 0):
        with open_backend(model, device_id=device_id) as npu:
            assert f"(device {device_id})" in npu.device
            npu.input_buffer(0).array[...] = 5
            npu.submit(0)
            assert (npu.wait(0)[0] == 5).all()


def test_two_pipelines_with_two_networks_each(board: Board, tmp_path: Path) -> None:
    save_hand_models(board, tmp_path)
    image = np.zeros((480, 640, 3), np.uint8)
    image[130:170, 180:220, 2] = 255
    with hp.Pipeline(tmp_path) as one, hp.Pipeline(tmp_path) as other:
        assert len(one(image)) == len(other(image)) == 1
        one.close()
        assert len(other(image)) == 1
    assert [board.calls(name) for name in STARTS] == [1, 1, 1]
    assert board.control.living() == ""


def script(tmp_path: Path, model: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own on the emulated board."""
    head = f"""
    import os, sys
    sys.path.insert(0, {str(FOLDER)!r})
    from handpose_native.ascend import runtime
    from handpose_native.backends import open_backend
    from handpose_native.errors import DeviceError
    MODEL = {str(model)!r}
    """
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(head) + textwrap.dedent(text))
    paths = [str(Path(hp.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, env=environment, timeout=60, check=False
    )


@pytest.fixture
def file(blank_board: Board, tmp_path: Path) -> Path:
    return blank_board.om(networks.save_identity(tmp_path / "i.onnx", [1, 3, 4, 5]))


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "backend.submit(1)", "del backend"])
def test_the_interpreter_exits_without_close(file: Path, tmp_path: Path, ending: str) -> None:
    result = script(tmp_path, file, f"backend = open_backend(MODEL)\nbackend.submit(0)\n{ending}\n")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_an_exception_that_nobody_catches(file: Path, tmp_path: Path) -> None:
    result = script(tmp_path, file, "backend = open_backend(MODEL)\nbackend.submit(0)\n1 / 0\n")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_process_made_by_fork_is_told_and_harms_nothing(file: Path, tmp_path: Path) -> None:
    text = """
    backend = open_backend(MODEL)
    backend.submit(0)
    child = os.fork()
    if child == 0:
        for use in (lambda: open_backend(MODEL), lambda: backend.wait(0), lambda: backend.submit(1)):
            try:
                use()
            except DeviceError as error:
                print(str(error)[:65])
        backend.close()
        runtime._end()  # what the interpreter's exit would do
        sys.stdout.flush()
        os._exit(0)  # onnxruntime inside the emulator does not survive a fork
    assert os.waitpid(child, 0)[1] == 0
    backend.wait(0)
    backend.close()
    """
    result = script(tmp_path, file, text)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "this process was made by fork after the ACL runtime was started, \n" * 3


def test_a_fork_before_the_first_model_is_harmless(file: Path, tmp_path: Path) -> None:
    text = """
    child = os.fork()
    with open_backend(MODEL) as backend:
        backend.submit(0)
        backend.wait(0)
    if child:
        assert os.waitpid(child, 0)[1] == 0
    """
    result = script(tmp_path, file, text)
    assert (result.returncode, result.stderr) == (0, "")


def test_ctrl_c_while_a_run_is_waited_for(file: Path, tmp_path: Path) -> None:
    text = """
    import signal, threading
    import acl_emulator_control as control
    control.set_latency("i", 300)
    backend = open_backend(MODEL)
    backend.submit(0)
    threading.Timer(0.1, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)).start()
    try:
        backend.wait(0)
    except KeyboardInterrupt:
        print("interrupted")
    backend.wait(0)  # the run is still the slot's
    backend.close()
    print(control.living())
    """
    result = script(tmp_path, file, text)
    assert (result.returncode, result.stdout, result.stderr) == (0, "interrupted\n\n", "")


def test_device_errors_have_an_exit_code_of_their_own(board: Board, model: Path, tmp_path: Path) -> None:
    from handpose_native.cli import main

    spec = '{"schema": 1, "name": "i", "family": "regression", "channel_order": "rgb"}'
    model.with_suffix(".json").write_text(spec)
    board.control.inject("rt.create_stream", 1, 207008)
    source, target = tmp_path / "in.png", tmp_path / "out.jsonl"
    import cv2

    cv2.imwrite(str(source), np.zeros((8, 8, 3), np.uint8))
    assert main(["run", str(source), "--keypoints", str(target), "--model", str(model)]) == 7
