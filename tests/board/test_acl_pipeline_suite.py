"""The tests of the whole pipeline once more: on an emulated board and on a card, with models for them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.pipeline import test_hands, test_pipeline
from tests.pipeline.conftest import Demo
from tests.pipeline.conftest import demo as demo_for_the_cpu  # noqa: F401 - a fixture, which the one here is made of

from .conftest import save_hand_models

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Board

for module in (test_pipeline, test_hands):
    globals().update({name: test for name, test in vars(module).items() if name.startswith("test_")})
del globals()["test_networks_in_each_other_s_place_are_refused"]  # which reads .onnx files
del globals()["test_memory_does_not_grow_with_frames"]  # of the emulator it does a little; see test_acl_backend


@pytest.fixture
def demo(board: Board, demo_for_the_cpu: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:  # noqa: F811
    network = tmp_path_factory.mktemp("model") / "markers.onnx"
    for suffix in (".onnx", ".json"):
        shutil.copy(demo_for_the_cpu.model.with_suffix(suffix), network.with_suffix(suffix))
    return Demo(demo_for_the_cpu.clip, board.om(network), demo_for_the_cpu.truth)


@pytest.fixture
def folder(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hand_models(board, tmp_path_factory.mktemp("hands"))
