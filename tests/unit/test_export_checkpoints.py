"""Checkpoints: what loads, and what the errors name."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="checkpoints are PyTorch's: pip install torch")

from tests.checkpoints import randomised, save  # noqa: E402

from handpose_native.errors import ModelError  # noqa: E402
from handpose_native.export.networks.checkpoints import load_checkpoint, load_state  # noqa: E402
from handpose_native.export.networks.unet import UNet  # noqa: E402

COUNTER = "num_batches_tracked"
NORM = "conv_down1.double_conv.0"


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    return dict(randomised(UNet(), 1).state_dict())


def assert_equal(network: Any, state: dict[str, Any]) -> None:
    assert not network.training
    for key, value in network.state_dict().items():
        assert key.endswith(COUNTER) or torch.equal(value, state[key]), key


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_checkpoints_load_as_their_authors_write_them(
    tmp_path: Path, state: dict[str, Any], prefix: str, wrapper: str | None
) -> None:
    content: dict[str, Any] = {prefix + key: value for key, value in state.items()}
    torch.save({wrapper: content, "epoch": 3} if wrapper else content, tmp_path / "f.pth")
    network = UNet()
    load_checkpoint(network, tmp_path / "f.pth")
    assert_equal(network, state)


def test_counters_of_batches_may_be_missing_and_halves_are_widened(state: dict[str, Any]) -> None:
    network = UNet()
    load_state(network, {key: value for key, value in state.items() if not key.endswith(COUNTER)}, where="x")
    assert_equal(network, state)
    load_state(network, {key: value.half() for key, value in state.items()}, where="x")
    assert network.conv_out[0].weight.dtype == torch.float32


def without(state: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key not in keys}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: without(s, f"{NORM}.running_mean"),
            rf"missing {NORM}.running_mean; these are buffers of BatchNorm: save network.state_dict\(\)",
        ),
        (lambda s: without(s, "conv_out.0.weight"), r"missing conv_out.0.weight$"),
        (lambda s: {**s, "fc.weight": torch.zeros(1)}, "unknown fc.weight$"),
        (
            lambda s: {f"net.{key}": value for key, value in s.items()},
            r"missing conv_down1.double_conv.0.weight, .* and \d+ more; unknown net.conv_down1.*",
        ),
        (
            lambda s: {**s, f"{NORM}.running_var": torch.ones(3, dtype=torch.int64)},
            f"{NORM}.running_var must be floating-point; got torch.int64: saved as integers",
        ),
        (
            lambda s: {**s, "conv_out.0.weight": torch.zeros(20, 16, 3, 3)},
            r"conv_out.0.weight must have shape \(21, 16, 3, 3\); got \(20, 16, 3, 3\)",
        ),
        (
            lambda s: {**s, f"{NORM}.bias": torch.full((3,), torch.nan)},
            f"{NORM}.bias holds values that are not finite",
        ),
    ],
)
def test_a_wrong_state_dict_is_told_by_its_keys(state: dict[str, Any], change: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        load_state(UNet(), change(state), where="f.pth")
    assert str(caught.value).startswith("f.pth: not a checkpoint of UNet: ")


class _Stranger:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code of a checkpoint was run",))


def test_files_that_are_no_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "f.pth"
    with pytest.raises(ModelError, match=r"f\.pth: the checkpoint cannot be read: No such file"):
        load_checkpoint(UNet(), path)
    path.write_bytes(b"no checkpoint at all")
    with pytest.raises(ModelError, match=r"f\.pth: not a checkpoint of tensors only"):
        load_checkpoint(UNet(), path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"f\.pth: not a checkpoint of tensors only"):
        load_checkpoint(UNet(), path)
    torch.save(randomised(UNet()), path)  # a whole network, which is code
    with pytest.raises(ModelError, match=r"f\.pth: not a checkpoint of tensors only"):
        load_checkpoint(UNet(), path)
    path.write_bytes(pickle.dumps(_Stranger(), protocol=2))
    with pytest.raises(ModelError, match=r"f\.pth: not a checkpoint of tensors only"):
        load_checkpoint(UNet(), path)
    assert "was run" not in capsys.readouterr().out
    for content in ([1, 2], {"epoch": 3}, {}):
        torch.save(content, path)
        with pytest.raises(ModelError, match=r"f\.pth: not a state dict: expected names of parameters with tensors"):
            load_checkpoint(UNet(), path)


def test_a_truncated_checkpoint(tmp_path: Path) -> None:
    path = save(randomised(UNet()), tmp_path / "f.pth")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"f\.pth: (not a checkpoint of tensors only|the checkpoint cannot be read)"):
        load_checkpoint(UNet(), path)
