"""A PyTorch network behind the protocol of the backends, so that it can be verified like a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import Backend, HostBuffer, TensorInfo
from ..errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..backends import InputBuffer

__all__ = ["TorchBackend"]


class TorchBackend(Backend):
    """Run a network on the CPU in float32.

    Parameters
    ----------
    network : torch.nn.Module
        In inference mode; takes (1, 3, h, w) and returns one tensor or a tuple.
    names : sequence of str
        Of what it returns.
    input_hw : tuple of int
        Height and width of its input.

    Raises
    ------
    ModelError
        If it does not run on zeros, or returns another number of tensors.
    """

    def __init__(self, network: Any, names: Sequence[str], input_hw: tuple[int, int]) -> None:
        import torch

        super().__init__(1)
        self._network = network
        self.inputs = (TensorInfo("image", (1, 3, *input_hw), np.dtype(np.float32), "NCHW"),)
        self._input = HostBuffer(self.inputs[0].shape, np.float32)
        self._tensor = torch.from_numpy(self._input.array)  # the very memory that preprocessing writes
        self.device = f"CPU, torch {torch.__version__}"
        self.metadata = {}
        results = self._run()
        if len(results) != len(names):
            raise ModelError(f"the network must return {', '.join(names)}; it returned {len(results)} tensors")
        self.outputs = tuple(TensorInfo(name, one.shape, one.dtype) for name, one in zip(names, results))
        self._results: tuple[NDArray[Any], ...] = ()

    def _run(self) -> tuple[NDArray[Any], ...]:
        import torch

        try:
            with torch.inference_mode():
                returned = self._network(self._tensor)
        except RuntimeError as error:
            raise ModelError(f"the network does not run on an input of {self.inputs[0].shape}: {error}") from error
        return tuple(one.numpy() for one in (returned if isinstance(returned, tuple) else (returned,)))

    def _buffer(self, slot: int, index: int) -> InputBuffer:
        return self._input

    def _start(self, slot: int) -> None:
        self._results = self._run()

    def _finish(self, slot: int) -> tuple[NDArray[Any], ...]:
        return self._results

    def _release(self) -> None:
        del self._network
