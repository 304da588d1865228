"""State dicts of the authors, into the networks of this package."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...errors import ModelError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from torch import nn

__all__ = ["load_checkpoint", "load_state"]

#: Wrapped by ``DataParallel``, every key begins so.
_PARALLEL = "module."
#: Training keeps the state dict of the network under one of these, beside that of the optimiser.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
#: Counts batches in training; plays no part afterwards, and older versions of PyTorch did not write it.
_COUNTER = "num_batches_tracked"
_LISTED = 6


def load_checkpoint(network: nn.Module, path: str | os.PathLike[str]) -> None:
    """Fill a network with the checkpoint of a file, every parameter of it, and set it to inference.

    Only tensors are read (``torch.load(weights_only=True)``): a file cannot run code. Keys may begin with ``module.``,
    the state dict may stand under ``state_dict`` or ``model``, and ``num_batches_tracked`` may be there or not.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    path : str or path

    Raises
    ------
    ModelError
        If the file cannot be read or is not the checkpoint of this network; it names the keys.
    """
    load_state(network, _read(Path(path)), where=str(path))


def load_state(network: nn.Module, state: Mapping[str, Any], *, where: str) -> None:
    """Fill a network with a state dict; see :func:`load_checkpoint`.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.
    state : mapping of str to torch.Tensor
        Only read.
    where : str
        Where it comes from, for messages.

    Raises
    ------
    ModelError
        For missing, unknown or misshapen parameters and for those that are no floating-point numbers; it names them.
    """
    given = {key[len(_PARALLEL) :] if key.startswith(_PARALLEL) else key: value for key, value in state.items()}
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in given and not key.endswith(_COUNTER)]
    unknown = [key for key in given if key not in wanted and not key.endswith(_COUNTER)]
    if missing or unknown:
        raise ModelError(f"{where}: not a checkpoint of {type(network).__name__}: {_differences(missing, unknown)}")
    used = {key: value if key.endswith(_COUNTER) else given[key] for key, value in wanted.items()}
    wrong = [_fault(key, used[key], wanted[key]) for key in wanted if not key.endswith(_COUNTER)]
    faults = [fault for fault in wrong if fault]
    if faults:
        raise ModelError(f"{where}: not a checkpoint of {type(network).__name__}: {_some(faults, '; ')}")
    network.load_state_dict(used, strict=True)
    network.eval()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: the checkpoint cannot be read: {error.strerror or error}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path}: not a checkpoint of tensors only, as torch.save(network.state_dict()) writes: {reason}"
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    if not isinstance(content, dict) or not content or not all(map(torch.is_tensor, content.values())):
        raise ModelError(f"{path}: not a state dict: expected names of parameters with tensors; got {_kind(content)}")
    return content


def _kind(content: Any) -> str:
    return f"a dict of {_some(list(map(str, content)), ', ')}" if isinstance(content, dict) else type(content).__name__


def _differences(missing: list[str], unknown: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"missing {_some(missing, ', ')}")
    if unknown:
        parts.append(f"unknown {_some(unknown, ', ')}")
    buffers = [key for key in missing if key.endswith((".running_mean", ".running_var"))]
    if buffers and len(buffers) == len(missing):
        parts.append("these are buffers of BatchNorm: save network.state_dict(), not only its parameters")
    return "; ".join(parts)


def _fault(key: str, given: torch.Tensor, wanted: torch.Tensor) -> str | None:
    if given.shape != wanted.shape:
        return f"{key} must have shape {tuple(wanted.shape)}; got {tuple(given.shape)}"
    if not given.is_floating_point():
        return f"{key} must be floating-point; got {given.dtype}: saved as integers, it lost its fractions"
    if not bool(torch.isfinite(given).all()):
        return f"{key} holds values that are not finite"
    return None


def _some(names: list[str], separator: str) -> str:
    rest = len(names) - _LISTED
    return separator.join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
