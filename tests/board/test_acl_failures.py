"""Every call of a whole run fails once, in every way: the right error comes out, nothing is left, nothing hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests import networks

import handpose_native as hp
from handpose_native.errors import DeviceError, HandposeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Board

#: Without a context that could be put back, nothing depends on what this one says.
HARMLESS = {"rt.get_context"}
#: What a run gives back; where one of these fails, what it should have given back stays.
RELEASES = {
    "destroy_data_buffer",
    "finalize",
    "mdl.destroy_dataset",
    "mdl.destroy_desc",
    "mdl.unload",
    "rt.destroy_context",
    "rt.destroy_stream",
    "rt.free",
    "rt.free_host",
    "rt.reset_device",
}
FRAMES = np.stack([networks.draw_markers((64, 64), networks.marker_points((64, 64), seed), 4) for seed in range(3)])
SPEC = hp.ModelSpec("markers", "heatmap", "rgb", method="expectation")


@pytest.fixture
def model(board: Board, tmp_path: Path) -> Path:
    return board.om(networks.save_marker_network(tmp_path / "m.onnx"))


def work(board: Board, model: Path) -> int:
    """The whole run, up to the exit of the interpreter; returns how many hands were found."""
    try:
        with hp.Pipeline(model, spec=SPEC) as pipe:
            return sum(len(result.hands) for result in pipe.stream(FRAMES, policy="all"))
    finally:
        board.end()


def cases(board: Board, model: Path) -> Iterator[Any]:
    """Yield each failure, on a board that has not seen one; records instead of raising what a real one survives."""
    profile = {"run_mode": board.control.profile().run_mode}
    board.start(**profile)
    assert work(board, model) == len(FRAMES)
    for failure in list(board.control.failures_of(board.control.calls())):
        board.start(**profile, record_only=failure.function in RELEASES)
        yield failure


def test_every_call_fails_once(board: Board, model: Path) -> None:
    wrong, seen = [], 0
    for failure in cases(board, model):
        seen += 1
        board.control.inject(failure.function, failure.nth)
        try:
            found: object = work(board, model)
        except HandposeError as error:
            found = error
        released = failure.function in RELEASES
        silent = failure.function in HARMLESS or failure.function == "finalize"  # nobody is left to be told
        right = found == len(FRAMES) if silent else isinstance(found, DeviceError)
        if not right or (not released and board.control.living()) or (not released and board.control.violations()):
            wrong.append((failure, found, board.control.living(), board.control.violations()))
        if released and failure.function != "rt.reset_device":
            board.control.reset()  # what was not given back is the board's to forget
    board.checks.clear()
    assert wrong == []
    assert seen > 70


def test_every_call_is_interrupted_once(board: Board, model: Path) -> None:
    wrong = []
    for failure in cases(board, model):
        board.control.inject(failure.function, failure.nth, raises=KeyboardInterrupt)
        try:
            found: object = work(board, model)
        except KeyboardInterrupt as error:
            found = error
        released = failure.function in RELEASES
        if not isinstance(found, KeyboardInterrupt) or (not released and board.control.living()):
            wrong.append((failure, found, board.control.living()))
        board.control.reset()
    board.checks.clear()
    assert wrong == []


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_run_fails_late(board: Board, model: Path, nth: int) -> None:
    board.control.inject("mdl.execute_async", nth, 507014, late=True)
    with hp.Pipeline(model, spec=SPEC) as pipe:
        results = pipe.stream(FRAMES, policy="all")
        assert [next(results).index for _ in range(nth - 1)] == list(range(nth - 1))
        with pytest.raises(DeviceError, match="507014 ACL_ERROR_RT_AICORE_TIMEOUT"):
            next(results)
        # The pipeline goes on with another video.
        assert [len(result.hands) for result in pipe.stream(FRAMES, policy="all")] == [1, 1, 1]


def test_a_copy_fails_late(blank_board: Board, tmp_path: Path) -> None:
    blank_board.start(run_mode="ep")
    model = blank_board.om(networks.save_marker_network(tmp_path / "m.onnx"))
    for nth in (1, 2):
        blank_board.control.inject("rt.memcpy_async", nth, 507899, late=True)
        with hp.Pipeline(model, spec=SPEC) as pipe:
            with pytest.raises(DeviceError, match="507899"):
                pipe(FRAMES[0])
            assert len(pipe(FRAMES[1])) == 1


def test_an_interrupted_stream_can_be_started_again(board: Board, model: Path) -> None:
    with hp.Pipeline(model, spec=SPEC) as pipe:
        for function in ("mdl.execute_async", "rt.synchronize_stream"):
            board.control.inject(function, 2, raises=KeyboardInterrupt)
            with pytest.raises(KeyboardInterrupt):
                list(pipe.stream(FRAMES, policy="all"))
            assert [len(result.hands) for result in pipe.stream(FRAMES, policy="all")] == [1, 1, 1]
