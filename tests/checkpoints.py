"""Checkpoints of seeded random numbers, whose BatchNorm statistics are anything but 0 and 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="checkpoints are PyTorch's: pip install torch")


def randomised(network: Any, seed: int = 0) -> Any:
    """Fill a network, in place, so that values neither die out nor grow, and set it to inference."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                module.running_mean.uniform_(-0.4, 0.4, generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
                module.weight.uniform_(0.5, 1.2, generator=generator)
                module.bias.uniform_(-0.3, 0.3, generator=generator)
            elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                inputs = module.weight[0].numel()
                module.weight.normal_(0, inputs**-0.5, generator=generator)
                if module.bias is not None:
                    module.bias.uniform_(-0.1, 0.1, generator=generator)
    return network.eval()


def save(network: Any, path: Path, *, prefix: str = "") -> Path:
    """Write a state dict as its authors do."""
    torch.save({prefix + key: value for key, value in network.state_dict().items()}, path)
    return path
