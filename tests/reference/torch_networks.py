"""The networks once more, as functions of a state dict: written from the description of their layers alone.

What ``docs/export.md`` says of each network is all that is used; nothing of ``handpose_native.export`` is.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


def conv(state: Any, name: str, x: Any, stride: int = 1, padding: int = 0) -> Any:
    return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding)


def norm(state: Any, name: str, x: Any) -> Any:
    """By the definition, in the dtype of x: (x - mean) / sqrt(var + 1e-5) * weight + bias."""
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean, var, weight, bias = (
        state[f"{name}.{part}"].reshape(shape) for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def unet(state: Any, x: Any) -> Any:
    def block(name: str, x: Any) -> Any:
        for first in (0, 3):
            x = norm(state, f"{name}.double_conv.{first}", x)
            x = F.relu(conv(state, f"{name}.double_conv.{first + 1}", x, padding=1))
        return x

    skips = []
    for name in ("conv_down1", "conv_down2", "conv_down3"):
        x = block(name, x)
        skips.append(x)
        x = F.max_pool2d(x, 2)
    x = block("conv_bottleneck", x)
    for name in ("conv_up1", "conv_up2", "conv_up3"):
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = block(name, torch.cat([x, skips.pop()], 1))
    return torch.sigmoid(conv(state, "conv_out.0", x, padding=1))


def resnet(state: Any, x: Any) -> Any:
    x = F.relu(norm(state, "bn1", conv(state, "conv1", x, 2, 3)))
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    for layer in (1, 2, 3, 4):
        number = 0
        while f"layer{layer}.{number}.conv1.weight" in state:
            block = f"layer{layer}.{number}"
            stride = 2 if layer > 1 and number == 0 else 1
            if f"{block}.conv3.weight" in state:
                y = F.relu(norm(state, f"{block}.bn1", conv(state, f"{block}.conv1", x)))
                y = F.relu(norm(state, f"{block}.bn2", conv(state, f"{block}.conv2", y, stride, 1)))
                y = norm(state, f"{block}.bn3", conv(state, f"{block}.conv3", y))
            else:
                y = F.relu(norm(state, f"{block}.bn1", conv(state, f"{block}.conv1", x, stride, 1)))
                y = norm(state, f"{block}.bn2", conv(state, f"{block}.conv2", y, 1, 1))
            if f"{block}.downsample.0.weight" in state:
                x = norm(state, f"{block}.downsample.1", conv(state, f"{block}.downsample.0", x, stride))
            x = F.relu(x + y)
            number += 1
    return F.linear(F.avg_pool2d(x, 8).flatten(1), state["fc.weight"], state["fc.bias"])


def squeezenet(state: Any, x: Any, pools_after: tuple[int, ...]) -> Any:
    """`pools_after`: the numbers of the modules of ``features`` that a pooling follows."""
    x = F.max_pool2d(F.relu(conv(state, "features.0", x, 2)), 3, 2, ceil_mode=True)
    for number in range(3, 13):
        fire = f"features.{number}"
        if f"{fire}.squeeze.weight" not in state:
            continue
        x = F.relu(conv(state, f"{fire}.squeeze", x))
        wide = [conv(state, f"{fire}.expand1x1", x), conv(state, f"{fire}.expand3x3", x, padding=1)]
        x = F.relu(torch.cat(wide, 1))
        if number in pools_after:
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    return F.relu(conv(state, "classifier.1", x)).mean((2, 3))


def residual(state: Any, name: str, x: Any) -> Any:
    y = conv(state, f"{name}.conv1", F.relu(norm(state, f"{name}.bn", x)))
    y = conv(state, f"{name}.conv2", F.relu(norm(state, f"{name}.bn1", y)), padding=1)
    y = conv(state, f"{name}.conv3", F.relu(norm(state, f"{name}.bn2", y)))
    return y + (conv(state, f"{name}.conv4", x) if f"{name}.conv4.weight" in state else x)


def two(state: Any, name: str, x: Any) -> Any:
    return residual(state, f"{name}.1", residual(state, f"{name}.0", x))


def hourglass(state: Any, name: str, x: Any, depth: int) -> Any:
    low = two(state, f"{name}.low1_", F.max_pool2d(x, 2))
    low = hourglass(state, f"{name}.low2", low, depth - 1) if depth > 1 else two(state, f"{name}.low2_", low)
    low = F.interpolate(two(state, f"{name}.low3_", low), scale_factor=2, mode="nearest")
    return two(state, f"{name}.up1_", x) + low


def heatmap_network(state: Any, x: Any) -> tuple[Any, Any, Any]:
    """Heatmaps, the encoding of the first stack, the encoding of the last."""
    x = F.relu(norm(state, "bn1", conv(state, "conv1_", x, 2, 3)))
    x = F.max_pool2d(residual(state, "r1", x), 2)
    x = residual(state, "r5", residual(state, "r4", x))
    encodings = []
    for stack in (0, 1):
        y = hourglass(state, f"hourglass.{stack}", x, 4)
        y = residual(state, f"Residual.{2 * stack + 1}", residual(state, f"Residual.{2 * stack}", y))
        y = F.relu(norm(state, f"lin_.{stack}.1", conv(state, f"lin_.{stack}.0", y)))
        maps = conv(state, f"tmpOut.{stack}", y)
        if stack == 0:
            x = x + conv(state, "ll_.0", y) + conv(state, "tmpOut_.0", maps)
            encodings.append(x)
        else:
            encodings.append(y)
    return maps, encodings[0], encodings[1]


def depth_network(state: Any, maps: Any, first: Any, last: Any) -> Any:
    x = conv(state, "feat_net.heatmap_conv", maps) + conv(state, "feat_net.encoding_conv", last) + first
    for number in range(0, 8, 2):
        x = residual(state, f"feat_net.reg_.{number}", x)
        x = F.max_pool2d(residual(state, f"feat_net.reg_.{number + 1}", x), 2)
    x = F.relu(norm(state, "bn1", x.flatten(1)))
    x = F.relu(norm(state, "bn2", F.linear(x, state["fc1.weight"], state["fc1.bias"])))
    x = F.relu(norm(state, "bn3", F.linear(x, state["fc2.weight"], state["fc2.bias"])))
    return F.linear(x, state["fc3.weight"], state["fc3.bias"])
