"""The two networks of "Real-Time 2D and 3D Hand Pose Estimation": a stacked hourglass, and one for depths.

Written from a description of layers and names of parameters (hand_shape_pose/model/net_hg.py, net_hm_feat_mesh.py and
net_mlp.py of github.com/enghock1/Real-Time-2D-and-3D-Hand-Pose-Estimation); none of that code, GPL-2.0, is here.
Hourglass: Newell et al., ECCV 2016.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["DepthNetwork", "HandPose3D", "HeatmapNetwork"]

_STACKS, _MODULES, _CHANNELS, _JOINTS, _LEVELS = 2, 2, 256, 21, 4


class _Residual(nn.Module):
    """Normalise, rectify, convolve, three times; the input is added."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        half = channels_out // 2
        self.bn = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, half, 1)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, channels_out, 1)
        self.relu = nn.ReLU()
        self.conv4 = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv1(self.relu(self.bn(x)))
        y = self.conv2(self.relu(self.bn1(y)))
        y = self.conv3(self.relu(self.bn2(y)))
        return y + (x if self.conv4 is None else self.conv4(x))


def _residuals(count: int) -> nn.ModuleList:
    return nn.ModuleList(_Residual(_CHANNELS, _CHANNELS) for _ in range(count))


class _Hourglass(nn.Module):
    """Down to half the size and up again, `level` times within each other."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.up1_ = _residuals(_MODULES)
        self.low1_ = _residuals(_MODULES)
        if level > 1:
            self.low2 = _Hourglass(level - 1)
        else:
            self.low2_ = _residuals(_MODULES)
        self.low3_ = _residuals(_MODULES)
        self.pool = nn.MaxPool2d(2)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self._level = level

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        upper = _through(self.up1_, x)
        lower = _through(self.low1_, self.pool(x))
        lower = self.low2(lower) if self._level > 1 else _through(self.low2_, lower)
        return upper + self.upsample(_through(self.low3_, lower))


def _through(modules: nn.ModuleList, x: torch.Tensor) -> torch.Tensor:
    for module in modules:
        x = module(x)
    return x


class HeatmapNetwork(nn.Module):
    """From (1, 3, 256, 256) to heatmaps (1, 21, 64, 64) and the two encodings (1, 256, 64, 64) of the stacks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_ = nn.Conv2d(3, 64, 7, 2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.r1 = _Residual(64, 128)
        self.pool = nn.MaxPool2d(2)
        self.r4 = _Residual(128, 128)
        self.r5 = _Residual(128, _CHANNELS)
        self.hourglass = nn.ModuleList(_Hourglass(_LEVELS) for _ in range(_STACKS))
        self.Residual = _residuals(_STACKS * _MODULES)
        self.lin_ = nn.ModuleList(
            nn.Sequential(nn.Conv2d(_CHANNELS, _CHANNELS, 1), nn.BatchNorm2d(_CHANNELS), nn.ReLU())
            for _ in range(_STACKS)
        )
        self.tmpOut = nn.ModuleList(nn.Conv2d(_CHANNELS, _JOINTS, 1) for _ in range(_STACKS))
        self.ll_ = nn.ModuleList(nn.Conv2d(_CHANNELS, _CHANNELS, 1) for _ in range(_STACKS - 1))
        self.tmpOut_ = nn.ModuleList(nn.Conv2d(_JOINTS, _CHANNELS, 1) for _ in range(_STACKS - 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.r1(self.relu(self.bn1(self.conv1_(x))))
        x = self.r5(self.r4(self.pool(x)))
        features = self._stack(0, x)
        x = x + self.ll_[0](features) + self.tmpOut_[0](self.tmpOut[0](features))
        features = self._stack(1, x)
        return self.tmpOut[1](features), x, features

    def _stack(self, number: int, x: torch.Tensor) -> torch.Tensor:
        x = self.hourglass[number](x)
        for module in range(_MODULES):
            x = self.Residual[_MODULES * number + module](x)
        return self.lin_[number](x)


class _FeatureNetwork(nn.Module):
    """From heatmaps and encodings to (1, 4096)."""

    def __init__(self) -> None:
        super().__init__()
        self.heatmap_conv = nn.Conv2d(_JOINTS, _CHANNELS, 1)
        self.encoding_conv = nn.Conv2d(_CHANNELS, _CHANNELS, 1)
        self.reg_ = _residuals(8)
        self.pool = nn.MaxPool2d(2)

    def forward(self, heatmaps: torch.Tensor, before: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        x = self.heatmap_conv(heatmaps) + self.encoding_conv(last) + before
        for number in range(0, 8, 2):
            x = self.pool(self.reg_[number + 1](self.reg_[number](x)))
        return torch.flatten(x, 1)


class DepthNetwork(nn.Module):
    """From heatmaps and encodings to the depths (1, 20) of joints 1..20 beyond the wrist's, in lengths of a bone."""

    def __init__(self) -> None:
        super().__init__()
        self.feat_net = _FeatureNetwork()
        self.bn1 = nn.BatchNorm1d(4096)
        self.fc1 = nn.Linear(4096, 1024)
        self.bn2 = nn.BatchNorm1d(1024)
        self.fc2 = nn.Linear(1024, 256)
        self.bn3 = nn.BatchNorm1d(256)
        self.fc3 = nn.Linear(256, 20)
        self.relu = nn.ReLU()

    def forward(self, heatmaps: torch.Tensor, before: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.feat_net(heatmaps, before, last)))
        x = self.relu(self.bn2(self.fc1(x)))
        x = self.relu(self.bn3(self.fc2(x)))
        return self.fc3(x)


class HandPose3D(nn.Module):
    """Both networks as one: from (1, 3, 256, 256) to heatmaps (1, 21, 64, 64) and depths (1, 20)."""

    def __init__(self) -> None:
        super().__init__()
        self.heatmaps = HeatmapNetwork()
        self.depth = DepthNetwork()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        heatmaps, before, last = self.heatmaps(x)
        return heatmaps, self.depth(heatmaps, before, last)
