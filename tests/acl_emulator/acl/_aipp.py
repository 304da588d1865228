"""AIPP: what the AI Core does with a uint8 picture before the network sees it.

Channel swap, crop, colour conversion, ``(x - mean - min) * var_reci``, padding, in this order; the result has 16 bits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# aclAippInputFormat; bytes per pixel and channels after unpacking.
FORMATS = {1: "YUV420SP_U8", 3: "RGB888_U8", 4: "YUV400_U8"}
CHANNELS = {"YUV420SP_U8": 3, "RGB888_U8": 3, "YUV400_U8": 1}


@dataclass
class Channels:
    """Crop, padding and normalisation, which dynamic AIPP has for each picture of a batch."""

    mean: list[float] = field(default_factory=lambda: [0.0] * 4)
    least: list[float] = field(default_factory=lambda: [0.0] * 4)
    reciprocal: list[float] = field(default_factory=lambda: [1.0] * 4)
    crop: list[int] = field(default_factory=list)  # start_w, start_h, w, h; empty without
    padding: list[int] = field(default_factory=list)  # top, bottom, left, right; empty without
    padding_value: float = 0.0


@dataclass
class Aipp:
    """All parameters of one input."""

    mode: str = "static"
    format: str = "RGB888_U8"
    width: int = 0
    height: int = 0
    swap: bool = False
    convert: bool = False
    matrix: list[int] = field(default_factory=lambda: [256, 0, 0, 0, 256, 0, 0, 0, 256])
    input_bias: list[int] = field(default_factory=lambda: [0, 0, 0])
    output_bias: list[int] = field(default_factory=lambda: [0, 0, 0])
    pictures: list[Channels] = field(default_factory=lambda: [Channels()])

    @property
    def channels(self) -> int:
        return CHANNELS[self.format]

    def bytes_per_picture(self) -> int:
        area = self.width * self.height
        return area * 3 // 2 if self.format == "YUV420SP_U8" else area * self.channels

    def output_size(self) -> tuple[int, int]:
        """Return width and height of what the network sees."""
        picture = self.pictures[0]
        width, height = picture.crop[2:] if picture.crop else (self.width, self.height)
        if picture.padding:
            top, bottom, left, right = picture.padding
            width, height = width + left + right, height + top + bottom
        return width, height

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Aipp:
        values = dict(values)
        pictures = [Channels(**picture) for picture in values.pop("pictures")]
        return cls(**values, pictures=pictures)

    def apply(self, data: Array, batch: int) -> Array:
        """Return float32 NCHW, rounded to half precision, from the bytes of ``batch`` pictures."""
        size = self.bytes_per_picture()
        return np.stack([self._picture(data[i * size : (i + 1) * size], i) for i in range(batch)])

    def _picture(self, data: Array, number: int) -> Array:
        values = self.pictures[min(number, len(self.pictures) - 1)]
        pixels = self._unpack(data).astype(np.int32)
        if values.crop:
            left, top, width, height = values.crop
            pixels = pixels[top : top + height, left : left + width]
        if self.convert:
            matrix = np.array(self.matrix, np.int32).reshape(3, 3)
            pixels = ((pixels - np.array(self.input_bias)) @ matrix.T >> 8) + np.array(self.output_bias)
            pixels = np.clip(pixels, 0, 255)
        count = pixels.shape[2]
        reciprocal = np.array(values.reciprocal[:count], np.float16).astype(np.float32)
        least = np.array(values.least[:count], np.float16).astype(np.float32)
        result = (pixels.astype(np.float32) - np.array(values.mean[:count], np.float32) - least) * reciprocal
        if values.padding:
            top, bottom, left, right = values.padding
            edges = ((top, bottom), (left, right), (0, 0))
            result = np.pad(result, edges, constant_values=values.padding_value)
        rounded: Array = result.transpose(2, 0, 1).astype(np.float16).astype(np.float32)
        return rounded

    def _unpack(self, data: Array) -> Array:
        """Return H x W x C with the channels in the order of the CSC matrix."""
        width, height = self.width, self.height
        if self.format != "YUV420SP_U8":
            pixels = data.reshape(height, width, self.channels)
            return pixels[:, :, ::-1] if self.swap else pixels
        luma = data[: width * height].reshape(height, width)
        chroma = data[width * height :].reshape(height // 2, width // 2, 2)
        if self.swap:
            chroma = chroma[:, :, ::-1]
        chroma = chroma.repeat(2, axis=0).repeat(2, axis=1)
        return np.dstack([luma, chroma])
