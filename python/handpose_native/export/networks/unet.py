"""The shallow UNet of "2D Hand Pose Estimation RGB": 21 heatmaps of 128 x 128.

Layers, sizes and names of parameters: utils/model.py of github.com/OlgaChernytska/2D-Hand-Pose-Estimation-RGB.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["UNet"]


class _DoubleConv(nn.Module):
    """Twice: normalise, convolve 3 x 3, rectify."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.BatchNorm2d(channels_out),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.double_conv(x)


class UNet(nn.Module):
    """From (1, 3, 128, 128) to heatmaps (1, 21, 128, 128) of 0..1; any size that 8 divides will do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_down1 = _DoubleConv(3, 16)
        self.conv_down2 = _DoubleConv(16, 32)
        self.conv_down3 = _DoubleConv(32, 64)
        self.conv_bottleneck = _DoubleConv(64, 128)
        self.conv_up1 = _DoubleConv(128 + 64, 64)
        self.conv_up2 = _DoubleConv(64 + 32, 32)
        self.conv_up3 = _DoubleConv(32 + 16, 16)
        self.conv_out = nn.Sequential(nn.Conv2d(16, 21, 3, padding=1, bias=False), nn.Sigmoid())
        self.pool = nn.MaxPool2d(2)
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        down1 = self.conv_down1(x)
        down2 = self.conv_down2(self.pool(down1))
        down3 = self.conv_down3(self.pool(down2))
        x = self.conv_bottleneck(self.pool(down3))
        x = self.conv_up1(torch.cat([self.upsample(x), down3], 1))
        x = self.conv_up2(torch.cat([self.upsample(x), down2], 1))
        x = self.conv_up3(torch.cat([self.upsample(x), down1], 1))
        return self.conv_out(x)
