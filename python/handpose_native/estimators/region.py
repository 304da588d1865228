"""One network that looks at a given region: heatmap and regression models."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..backends import open_backend
from ..errors import HandposeError
from ..geometry import input_from_roi, invert, transform_points
from ..models import check_input, find_spec, make_decoder, spec_from_metadata
from ..preprocess import preprocess
from ..types import Hand, Roi
from .base import Estimator, stage

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..backends import Backend
    from ..models import ModelSpec
    from ..picture import Picture

__all__ = ["RegionEstimator"]


class _Placement(NamedTuple):
    """Where a region meets the model's input."""

    roi: Roi
    input_from_image: NDArray[np.float64]
    image_from_input: NDArray[np.float64]


class RegionEstimator(Estimator):
    """Look for one hand in each region given, or in the whole picture.

    Parameters
    ----------
    model : str or path
    spec : ModelSpec, str or path, optional
    threads : int, optional
    min_presence : float, optional
        See :class:`~handpose_native.Pipeline`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        spec: ModelSpec | str | os.PathLike[str] | None,
        threads: int | None,
        min_presence: float | None,
    ) -> None:
        self._backend, found = _open_model(model, spec, threads)
        self.spec: ModelSpec = found
        self.name, self.device = found.name, self._backend.device
        self._min_presence = found.min_presence if min_presence is None else min_presence
        try:
            self._layout, self._input_hw = check_input(found, self._backend.inputs)
            self._decoder = make_decoder(found, self._backend.outputs, self._input_hw)
        except HandposeError:
            self._backend.close()
            raise
        self._placements: list[_Placement] = []
        self._placed_for: tuple[tuple[int, int], tuple[Roi, ...]] | None = None

    def estimate(
        self, picture: Picture, time_s: float, rois: Sequence[Roi], timings_ms: dict[str, float]
    ) -> list[Hand]:
        image_hw = (picture.height, picture.width)
        hands = [self._look(picture, placement, timings_ms) for placement in self._place(image_hw, tuple(rois))]
        return [hand for hand in hands if hand is not None]

    def reset(self) -> None:
        """Do nothing: every picture is looked at by itself."""

    def close(self) -> None:
        self._backend.close()

    def _look(self, picture: Picture, placement: _Placement, timings_ms: dict[str, float]) -> Hand | None:
        spec = self.spec
        with stage("preprocess", timings_ms):
            preprocess(
                picture,
                input_from_image=placement.input_from_image,
                filter=spec.filter,
                border_value=spec.border_value,
                channel_order=spec.channel_order,
                scale=spec.scale,
                mean=spec.mean,
                std=spec.std,
                layout=self._layout,
                out=self._backend.input_buffer(0),
            )
        with stage("model", timings_ms):
            self._backend.submit(0)
            outputs = self._backend.wait(0)
        with stage("joints", timings_ms):
            points, scores, presence = self._decoder.decode(outputs)
            if presence < self._min_presence:
                return None
            keypoints = transform_points(placement.image_from_input, points)
            return Hand(keypoints=keypoints, scores=scores, presence=presence, roi=placement.roi)

    def _place(self, image_hw: tuple[int, int], rois: tuple[Roi, ...]) -> list[_Placement]:
        """Work out the affines, once for as long as size and regions stay the same."""
        if self._placed_for != (image_hw, rois):
            height, width = image_hw
            self._placements = []
            for roi in rois or (Roi(width / 2, height / 2, width, height),):
                forward = input_from_roi(roi, self._input_hw, fit=self.spec.fit)
                self._placements.append(_Placement(roi, forward, invert(forward)))
            self._placed_for = (image_hw, rois)
        return self._placements


def _open_model(
    model: str | os.PathLike[str], spec: ModelSpec | str | os.PathLike[str] | None, threads: int | None
) -> tuple[Backend, ModelSpec]:
    """Open the file, then settle its spec: one given, one beside the file, or one kept inside it."""
    # A spec may fix what the file leaves open, so one that stands outside the file has to be known first.
    outside = find_spec(model, spec)
    backend = open_backend(
        model,
        threads=threads,
        input_layout=outside.input_layout if outside else None,
        input_hw=outside.input_hw if outside else None,
    )
    try:
        return backend, outside or spec_from_metadata(model, backend.metadata)
    except HandposeError:
        backend.close()
        raise
