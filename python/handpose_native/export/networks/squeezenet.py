"""HandPose X on a SqueezeNet: 42 numbers from 256 x 256.

Layout and names of parameters are torchvision's (Iandola et al., arXiv 1602.07360): models/squeezenet.py of
github.com/XIAN-HHappy/handpose_x.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SQUEEZENETS", "SqueezeNet"]

_POOL = "pool"
#: First convolution (channels, kernel), then per module the channels of squeeze and of each expansion, or a pooling.
SQUEEZENETS: dict[str, tuple[tuple[int, int], tuple[tuple[int, int] | str, ...]]] = {
    "squeezenet1_0": (
        (96, 7),
        (_POOL, (16, 64), (16, 64), (32, 128), _POOL, (32, 128), (48, 192), (48, 192), (64, 256), _POOL, (64, 256)),
    ),
    "squeezenet1_1": (
        (64, 3),
        (_POOL, (16, 64), (16, 64), _POOL, (32, 128), (32, 128), _POOL, (48, 192), (48, 192), (64, 256), (64, 256)),
    ),
}


class _Fire(nn.Module):
    """Fewer channels, then 1 x 1 and 3 x 3 beside each other."""

    def __init__(self, channels_in: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels_in, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """From (1, 3, 256, 256) to (1, `outputs`).

    Parameters
    ----------
    backbone : str
        Of :data:`SQUEEZENETS`.
    outputs : int
    """

    def __init__(self, backbone: str, outputs: int = 42) -> None:
        super().__init__()
        (channels, kernel), modules = SQUEEZENETS[backbone]
        layers: list[nn.Module] = [nn.Conv2d(3, channels, kernel, 2), nn.ReLU()]
        for module in modules:
            if isinstance(module, str):
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            else:
                squeezed, expanded = module
                layers.append(_Fire(channels, squeezed, expanded))
                channels = 2 * expanded
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(channels, outputs, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)
