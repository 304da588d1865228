"""Boards to test the emulator on, and small models for them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.acl_emulator.importing import FOLDER, importable

SIZE = 1 * 3 * 8 * 8 * 4  # bytes of the default model's input and output


def double_network(shape: tuple[Any, ...] = (1, 3, 8, 8), factor: float = 2.0) -> onnx.ModelProto:
    """``y = factor * x``."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "k"], ["y"], name="mul")],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [helper.make_tensor("k", TensorProto.FLOAT, [], [factor])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)


class Board:
    """A program's view of an emulated board, with the returns checked."""

    def __init__(self, acl: Any, control: Any, folder: Path) -> None:
        self.acl, self.control, self.folder = acl, control, folder

    def ok(self, result: Any) -> Any:
        """Return the value of a call that must succeed."""
        code = result[-1] if isinstance(result, tuple) else result
        assert code == 0, f"{code}: {self.acl.get_recent_err_msg()}"
        return (result[0] if len(result) == 2 else result[:-1]) if isinstance(result, tuple) else None

    def reset(self, **profile: Any) -> None:
        self.control.reset(**profile)

    def start(self) -> int:
        """init, set_device, create_context; returns the context."""
        self.ok(self.acl.init())
        self.ok(self.acl.rt.set_device(0))
        return int(self.ok(self.acl.rt.create_context(0)))

    def om(self, network: onnx.ModelProto | None = None, name: str = "double", **options: Any) -> str:
        from make_om import make_om  # found while the emulator is importable

        path = self.folder / f"{name}.om"
        options.setdefault("soc_version", self.control.profile().soc)
        make_om(double_network() if network is None else network, path, **options)
        return str(path)

    def load(self, *arguments: Any, **options: Any) -> int:
        return int(self.ok(self.acl.mdl.load_from_file(self.om(*arguments, **options))))

    def block(self, size: int = SIZE) -> int:
        return int(self.ok(self.acl.rt.malloc(size, 0)))

    def dataset(self, *blocks: tuple[int, int]) -> int:
        """A dataset of (address, size) pairs."""
        dataset = self.acl.mdl.create_dataset()
        for address, size in blocks:
            self.ok(self.acl.mdl.add_dataset_buffer(dataset, self.acl.create_data_buffer(address, size)))
        return int(dataset)

    def ready(self, size: int = SIZE, **options: Any) -> tuple[int, int, int, int, int]:
        """Everything to run the default model: model, input block, output block, their datasets."""
        self.start()
        model = self.load(**options)
        source, result = self.block(size), self.block(size)
        return model, source, result, self.dataset((source, size)), self.dataset((result, size))

    def write(self, address: int, values: np.ndarray) -> None:
        data = np.ascontiguousarray(values)
        self.ok(self.acl.rt.memcpy(address, data.nbytes, data.ctypes.data, data.nbytes, 1))

    def read(self, address: int, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        result = np.empty(shape, dtype)
        self.ok(self.acl.rt.memcpy(result.ctypes.data, result.nbytes, address, result.nbytes, 2))
        return result

    def breaks(self, rule: int) -> Any:
        """The block must raise a breach of this rule."""
        return pytest.raises(self.control.RuleViolation, match=f"^rule {rule}: ")

    def in_thread(self, work: Callable[[], Any]) -> Any:
        """Run ``work`` in a new thread and return what it returned or raised."""
        results: list[Any] = []

        def run() -> None:
            try:
                results.append(work())
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return results[0]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board with an Ascend310B4 (RC)."""
    with importable() as (acl, control):
        yield Board(acl, control, tmp_path)


@pytest.fixture(params=["rc", "ep"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    """The test runs on a board and on a host with a card."""
    with importable(run_mode=request.param) as (acl, control):
        yield Board(acl, control, tmp_path)


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program with the emulator as ``acl`` in a process of its own; ``ok`` checks a return there."""
    preamble = (
        "import acl\n"
        "def ok(result):\n"
        "    code = result[-1] if isinstance(result, tuple) else result\n"
        "    assert code == 0, code\n"
        "    return result[0] if isinstance(result, tuple) else None\n"
    )

    def run(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "program.py"
        file.write_text(preamble + text, encoding="utf-8")
        variables = {**os.environ, "PYTHONPATH": str(FOLDER), **environment}
        command = [sys.executable, str(file)]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)

    return run
