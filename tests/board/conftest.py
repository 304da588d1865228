"""An emulated board for each test: fresh, and asked at the end whether all was given back and no rule was broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests import networks
from tests.acl_emulator.importing import importable

from handpose_native.ascend import runtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("onnxruntime", reason="the emulator runs networks with onnxruntime")
pytest.importorskip("onnx", reason="the networks of the tests are built with onnx")


class Board:
    """The emulator, its controls, and a maker of models for it."""

    def __init__(self, acl: Any, control: Any) -> None:
        self.acl, self.control = acl, control
        self.checks = {"leaks", "warnings"}

    def start(self, **profile: Any) -> None:
        """Begin anew, as a new process on this board would."""
        self.end()
        self.control.reset(**profile)

    def end(self) -> None:
        """Leave as the interpreter's exit does."""
        runtime._end()

    def om(self, network: Path, **options: Any) -> Path:
        """Convert an ONNX file for the board and return the model, beside it and with its name."""
        from make_om import make_om  # found while the emulator is importable

        path = network.with_suffix(".om")
        make_om(network, path, soc_version=self.control.profile().soc, **options)
        return path

    def calls(self, *names: str) -> int:
        """Return how often these functions were called so far."""
        counts = self.control.calls()
        return sum(counts.get(name, 0) for name in names)


def save_hand_models(board: Board, folder: Path) -> Path:
    """Write the two networks whose hands are red squares, as models for the board only."""
    networks.save_hand_networks(folder)
    for network in sorted(folder.glob("*.onnx")):
        board.om(network)
        network.unlink()
    return folder


@pytest.fixture
def blank_board() -> Iterator[Board]:
    """A board that the test starts itself."""
    with importable() as (acl, control):
        board = Board(acl, control)
        try:
            yield board
            board.end()
            if "leaks" in board.checks:
                assert control.living() == ""
                assert control.leaks() == []
                assert control.violations() == []
            if "warnings" in board.checks:
                assert control.warnings() == []
        finally:  # whatever the test has left
            runtime._library = runtime._started_in = None
            runtime._devices.clear()
            runtime._living.clear()


@pytest.fixture(params=["rc", "ep"])
def board(request: pytest.FixtureRequest, blank_board: Board) -> Board:
    """A board (rc) and a card in a machine (ep)."""
    blank_board.start(run_mode=request.param)
    return blank_board
