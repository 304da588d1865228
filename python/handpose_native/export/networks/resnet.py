"""HandPose X on a ResNet: 42 numbers from 256 x 256.

Layout and names of parameters are torchvision's (He et al., CVPR 2016, with the stride in the 3 x 3 convolution); the
first pooling has no padding and rounds up, the last is 8 x 8: models/resnet.py of github.com/XIAN-HHappy/handpose_x.
"""

from __future__ import annotations

from typing import Union

import torch
from torch import nn

__all__ = ["RESNETS", "ResNet"]


class _BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.downsample = _downsample(channels_in, channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class _Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.relu = nn.ReLU()
        self.downsample = _downsample(channels_in, 4 * channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def _downsample(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    """Return what brings the skip to the shape of the branch; None where it has it."""
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
        nn.BatchNorm2d(channels_out),
    )


_Block = Union[type[_BasicBlock], type[_Bottleneck]]

#: Block and number of blocks per layer.
RESNETS: dict[str, tuple[_Block, tuple[int, int, int, int]]] = {
    "resnet18": (_BasicBlock, (2, 2, 2, 2)),
    "resnet34": (_BasicBlock, (3, 4, 6, 3)),
    "resnet50": (_Bottleneck, (3, 4, 6, 3)),
    "resnet101": (_Bottleneck, (3, 4, 23, 3)),
}


class ResNet(nn.Module):
    """From (1, 3, 256, 256) to (1, `outputs`).

    Parameters
    ----------
    backbone : str
        Of :data:`RESNETS`.
    outputs : int
    """

    def __init__(self, backbone: str, outputs: int = 42) -> None:
        super().__init__()
        block, counts = RESNETS[backbone]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
        channels_in = 64
        for number, (count, channels) in enumerate(zip(counts, (64, 128, 256, 512)), start=1):
            blocks = []
            for step in range(count):
                blocks.append(block(channels_in, channels, 2 if number > 1 and step == 0 else 1))
                channels_in = channels * block.expansion
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.avgpool = nn.AvgPool2d(8)
        self.dropout = nn.Dropout()
        self.fc = nn.Linear(channels_in, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.dropout(torch.flatten(self.avgpool(x), 1)))
