"""AIPP: the unit of Ascend chips that normalises a picture at the front of a model, so that bytes go in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ..errors import ArgumentError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..models import ModelSpec

__all__ = ["AippConfig"]

_Number = TypeVar("_Number", int, float)

_MAX_GREY = 255
_SOURCE_WIDTHS = (2, 4096)
#: fp16: the smallest number with full precision, and the largest.
_FP16_RANGE = (2.0**-14, 65504.0)


@dataclass(frozen=True)
class AippConfig:
    """What AIPP does to a channel: ``(x - mean - minimum) * reciprocal``, in fp16.

    What is subtracted goes in two parts: whole grey levels (``mean_chn``, which CANN reads as integers: 8.3 refuses
    123.675 there) and what remains (``min_chn``, fp16). So x - mean is exact, and the remainder is rounded where fp16
    is finest.

    Attributes
    ----------
    size_hw : tuple of int
        Of the picture and of the model's input; AIPP neither crops nor pads here.
    mean : tuple of three int
        0..255, in the order of the input's channels.
    minimum : tuple of three float
        Grey levels from 0.
    reciprocal : tuple of three float
    """

    size_hw: tuple[int, int]
    mean: tuple[int, int, int]
    minimum: tuple[float, float, float]
    reciprocal: tuple[float, float, float]

    @classmethod
    def from_spec(cls, spec: ModelSpec, size_hw: tuple[int, int]) -> AippConfig:
        """Make AIPP do what the spec says: ``(scale * x - mean) / std`` is ``(x - mean / scale) * scale / std``.

        Parameters
        ----------
        spec : ModelSpec
            Of the model without AIPP.
        size_hw : tuple of int
            Height and width of the model's input.

        Raises
        ------
        ModelError
            If AIPP cannot do it.
        """
        if not _SOURCE_WIDTHS[0] <= size_hw[1] <= _SOURCE_WIDTHS[1]:
            raise ModelError(f"AIPP takes pictures {_SOURCE_WIDTHS[0]} to {_SOURCE_WIDTHS[1]} wide; got {size_hw[1]}")
        scale = 1.0 / _MAX_GREY if spec.scale is None else spec.scale
        offsets = np.atleast_1d(spec.mean) / scale
        reciprocals = scale / np.atleast_1d(spec.std)
        if (offsets < 0).any() or (offsets > _MAX_GREY).any():
            raise ModelError(
                f"spec {spec.name!r}: AIPP subtracts grey levels 0..{_MAX_GREY}; mean / scale is {offsets.tolist()}"
            )
        if (reciprocals < _FP16_RANGE[0]).any() or (reciprocals > _FP16_RANGE[1]).any():
            raise ModelError(
                f"spec {spec.name!r}: AIPP multiplies by fp16 numbers {_FP16_RANGE[0]:.2g}..{_FP16_RANGE[1]:g}; "
                f"scale / std is {reciprocals.tolist()}"
            )
        whole = [_nearly_whole(offset) for offset in offsets.tolist()]
        rest = [max(offset - part, 0.0) for offset, part in zip(offsets.tolist(), whole)]
        rest = [0.0 if part < 1e-9 else part for part in rest]
        return cls(size_hw, _three(whole), _three(rest), _three(reciprocals.tolist()))

    def to_text(self) -> str:
        """Return the file for ``atc --insert_op_conf``: static AIPP for the one image input."""
        height, width = self.size_hw
        lines = [
            "aipp_mode: static",
            "related_input_rank: 0",
            # Three bytes a pixel in the order of the model's channels, whichever that is: nothing is swapped.
            "input_format: RGB888_U8",
            f"src_image_size_w: {width}",
            f"src_image_size_h: {height}",
            "crop: false",
            "csc_switch: false",
            "rbuv_swap_switch: false",
            *(f"mean_chn_{channel}: {value}" for channel, value in enumerate(self.mean)),
            *(f"min_chn_{channel}: {value:.9g}" for channel, value in enumerate(self.minimum)),
            *(f"var_reci_chn_{channel}: {value:.12g}" for channel, value in enumerate(self.reciprocal)),
        ]
        return "aipp_op {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Do in NumPy what AIPP is documented to do, every step rounded to fp16.

        Parameters
        ----------
        pixels : ndarray, uint8, shape (..., 3)

        Returns
        -------
        ndarray, float16, shape (..., 3)
            New array. For a value v, within ``3 * 2**-11 * |v| + 2**-12 * reciprocal`` of the exact one.
        """
        if pixels.dtype != np.uint8 or pixels.shape[-1:] != (3,):
            raise ArgumentError(f"AippConfig.apply: pixels must be uint8 (..., 3); got {pixels.dtype} {pixels.shape}")
        levels = pixels.astype(np.float16) - np.array(self.mean, np.float16) - np.array(self.minimum, np.float16)
        return np.asarray(levels * np.array(self.reciprocal, np.float16), np.float16)


def _nearly_whole(offset: float) -> int:
    """Return the whole grey levels in an offset; 127.9999999 is 128."""
    nearest = round(offset)
    return nearest if abs(offset - nearest) < 1e-9 else math.floor(offset)


def _three(values: Sequence[_Number]) -> tuple[_Number, _Number, _Number]:
    return values[0], values[1], values[2]
