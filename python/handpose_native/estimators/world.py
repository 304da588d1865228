"""Joints in metres, for models that say how deep each joint is."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from ..camera import Intrinsics
from ..errors import ArgumentError
from ..reconstruction import HAND_SCALE_M, reconstruct_world

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from ..models import DepthReader

    IntrinsicsLike = Union[Intrinsics, ArrayLike, str, os.PathLike[str]]

__all__ = ["WorldOptions", "WorldReconstruction"]


@dataclass(frozen=True)
class WorldOptions:
    """What is known of the camera and the hand; see :class:`~handpose_native.Pipeline` for each.

    Raises
    ------
    ArgumentError
        For a value out of range.
    ModelError
        If a file of intrinsics cannot be read.
    """

    intrinsics: Intrinsics | None = None
    hand_scale_m: float | None = None

    def __post_init__(self) -> None:
        scale = self.hand_scale_m
        if scale is not None and not (isinstance(scale, (int, float)) and math.isfinite(scale) and scale > 0):
            raise ArgumentError(f"Pipeline: hand_scale_m must be a positive number of metres; got {scale!r}")

    @classmethod
    def of(cls, intrinsics: IntrinsicsLike | None, hand_scale_m: float | None) -> WorldOptions:
        """Take intrinsics in any of their forms: themselves, a (3, 3) matrix, or a JSON file."""
        if intrinsics is None or isinstance(intrinsics, Intrinsics):
            return cls(intrinsics, hand_scale_m)
        if isinstance(intrinsics, (str, os.PathLike)):
            return cls(Intrinsics.from_json(intrinsics), hand_scale_m)
        return cls(Intrinsics(intrinsics), hand_scale_m)  # type: ignore[arg-type]

    def refuse(self, model: str) -> None:
        """Raise an error if something was given that the model has no use for."""
        for name, value in (("intrinsics", self.intrinsics), ("hand_scale_m", self.hand_scale_m)):
            if value is not None:
                raise ArgumentError(
                    f"Pipeline: {name} is for models that give depths (a spec with depth_output); {model!r} does not"
                )


class WorldReconstruction:
    """Makes `Hand.world` of the joints in the picture and the depths of a run.

    Parameters
    ----------
    depths : DepthReader
    options : WorldOptions
    """

    def __init__(self, depths: DepthReader, options: WorldOptions) -> None:
        self._depths = depths
        self.see_through(options)

    def see_through(self, options: WorldOptions) -> None:
        """Take what is known of camera and hand from now on."""
        self._intrinsics = options.intrinsics
        self._hand_scale_m = HAND_SCALE_M if options.hand_scale_m is None else options.hand_scale_m
        self._settled: tuple[tuple[int, int], Intrinsics] | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        """Indices of the outputs that :meth:`place` reads."""
        return self._depths.reads

    def place(
        self, keypoints: NDArray[np.float32], outputs: Sequence[NDArray[Any]], image_hw: tuple[int, int]
    ) -> NDArray[np.float32] | None:
        """Return the joints in metres in the frame of the camera, or None; see :func:`reconstruct_world`.

        Parameters
        ----------
        keypoints : ndarray, shape (21, 2)
            In pixels of the image. That they are not those of the crop changes nothing: K of a crop is the crop's
            affine times K, so that K and the affine are undone one after the other, whatever the crop is.
        outputs : sequence of ndarray
            Of the run.
        image_hw : tuple of int

        Raises
        ------
        ArgumentError
            If the intrinsics are for pictures of another aspect.
        """
        if self._settled is None or self._settled[0] != image_hw:
            known = self._intrinsics
            settled = Intrinsics.from_field_of_view(image_hw) if known is None else known.for_image(image_hw)
            self._settled = (image_hw, settled)
        directions = self._settled[1].directions(keypoints)
        return reconstruct_world(directions, self._depths.read(outputs), self._hand_scale_m)
