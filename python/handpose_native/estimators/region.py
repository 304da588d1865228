"""One network that looks at a given region: heatmap and regression models."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ..ascend.vpc import VpcCropper
from ..backends import images_of, open_backend
from ..errors import HandposeError
from ..geometry import input_from_roi, invert, transform_points
from ..models import (
    DepthReader,
    check_input,
    choose_input,
    find_spec,
    make_decoder,
    require_verified,
    spec_from_metadata,
)
from ..preprocess import preprocess
from ..timing import stage
from ..types import Hand, Roi
from .base import Estimator
from .world import WorldOptions, WorldReconstruction

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ..ascend.vpc import Area
    from ..backends import Backend, InputBuffer, TensorInfo
    from ..models import ModelSpec
    from ..picture import Picture
    from ..timing import FrameTimes
    from .base import PendingHands

__all__ = ["RegionEstimator", "normalisation_left", "open_model", "prepare_inputs"]


class _Placement(NamedTuple):
    """Where a region meets the model's input."""

    roi: Roi
    input_from_image: NDArray[np.float64]
    image_from_input: NDArray[np.float64]
    image_hw: tuple[int, int]
    area: Area | None


class _Pending:
    """The hands of one picture, as their runs are over."""

    def __init__(self, estimator: RegionEstimator) -> None:
        self._estimator = estimator
        self.outstanding = 0
        self.hands: list[Hand] = []

    def finish(self) -> list[Hand]:
        while self.outstanding:
            self._estimator._collect()
        return self.hands


class _Run(NamedTuple):
    """The model at work on one region of one picture, or on as many as it takes at once."""

    slot: int
    placements: list[_Placement]
    pending: _Pending
    times: FrameTimes


class RegionEstimator(Estimator):
    """Look for one hand in each region given, or in the whole picture.

    Parameters
    ----------
    model : str or path
    spec : ModelSpec, str or path, optional
    backend_options : mapping
        For :func:`~handpose_native.backends.open_backend`.
    min_presence : float, optional
    verified : bool
        See :class:`~handpose_native.Pipeline`.
    world : WorldOptions
        For models that give depths.
    crop : {"cpu", "vpc"}
        What brings regions to the size of the model's input.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        spec: ModelSpec | str | os.PathLike[str] | None,
        backend_options: Mapping[str, Any],
        min_presence: float | None,
        world: WorldOptions,
        *,
        verified: bool = False,
        crop: str = "cpu",
    ) -> None:
        self._backend, found = open_model(model, spec, backend_options)
        self.spec: ModelSpec = found
        self.name, self.device = found.name, self._backend.device
        self._min_presence = found.min_presence if min_presence is None else min_presence
        try:
            if verified:
                require_verified(model, found)
            self._layout, self._input_hw = check_input(found, self._backend.inputs)
            self._decoder = make_decoder(found, self._backend.outputs, self._input_hw)
            self._world = _open_world(found, self._backend, world)
            self._backend.select_outputs((*self._decoder.reads, *(self._world.reads if self._world else ())))
            self._image = prepare_inputs(found, self._backend)
            device = backend_options.get("device_id") or 0
            self._cropper = VpcCropper(device, self._input_hw) if crop == "vpc" else None
        except HandposeError:
            self._backend.close()
            raise
        self.in_flight = self._backend.slots
        self._runs: deque[_Run] = deque()
        self._next_slot = 0
        self._normalisation = normalisation_left(found, self._backend.inputs[self._image])
        self._placements: list[_Placement] = []
        self._placed_for: tuple[tuple[int, int], tuple[Roi, ...]] | None = None

    def begin(self, picture: Picture, time_s: float, rois: Sequence[Roi], times: FrameTimes) -> PendingHands:
        pending = _Pending(self)
        placements = self._place((picture.height, picture.width), tuple(rois))
        together = self._backend.max_batch
        for start in range(0, len(placements), together):
            if len(self._runs) == self._backend.slots:
                self._collect()
            self._submit(pending, picture, placements[start : start + together], times)
        return pending

    def see_through(self, world: WorldOptions) -> None:
        if self._world is not None:
            self._world.see_through(world)

    def reset(self) -> None:
        while self._runs:
            with suppress(HandposeError):  # of a run that nobody waits for any more
                self._collect()

    def close(self) -> None:
        self._runs.clear()
        if self._cropper is not None:
            self._cropper.close()
        self._backend.close()

    def _submit(self, pending: _Pending, picture: Picture, placements: list[_Placement], times: FrameTimes) -> None:
        """Run the model on regions in the next slot."""
        slot = self._next_slot
        with stage("preprocess", times):
            for item, placement in enumerate(placements):
                self._prepare(picture, placement, self._backend.input_buffer(slot, self._image, item))
        # Noted before it is submitted, so that a run that is then interrupted is waited for in `reset`.
        self._next_slot = (slot + 1) % self._backend.slots
        self._runs.append(_Run(slot, placements, pending, times))
        pending.outstanding += 1
        with stage("model", times):
            try:
                self._backend.submit(slot, len(placements))
            except Exception:
                self._runs.pop()
                pending.outstanding -= 1
                raise

    def _prepare(self, picture: Picture, placement: _Placement, buffer: InputBuffer) -> None:
        """Bring one region into the model's memory."""
        affine: NDArray[np.float64] | None = placement.input_from_image
        if self._cropper is not None and placement.area is not None:
            picture, affine = self._cropper.crop(picture, placement.area), None
        preprocess(
            picture,
            input_from_image=affine,
            filter=self.spec.filter,
            border_value=self.spec.border_value,
            channel_order=self.spec.channel_order,
            layout=self._layout,
            out=buffer,
            **self._normalisation,
        )

    def _collect(self) -> None:
        """Wait for the oldest run and hand its hands over to whom they belong."""
        run = self._runs[0]
        with stage("model", run.times):
            try:
                outputs = self._backend.wait(run.slot)
            except KeyboardInterrupt:  # the run goes on
                raise
            except BaseException:
                self._forget(run)
                raise
        self._forget(run)
        with stage("joints", run.times):
            for placement, own in zip(run.placements, images_of(outputs, len(run.placements))):
                run.pending.hands += self._hand(placement, own)

    def _hand(self, placement: _Placement, outputs: tuple[NDArray[Any], ...]) -> list[Hand]:
        """Return the hand in a region; none where its presence is too low."""
        points, scores, presence = self._decoder.decode(outputs)
        if presence < self._min_presence:
            return []
        keypoints = transform_points(placement.image_from_input, points)
        world = self._world.place(keypoints, outputs, placement.image_hw) if self._world else None
        return [Hand(keypoints=keypoints, scores=scores, presence=presence, world=world, roi=placement.roi)]

    def _forget(self, run: _Run) -> None:
        self._runs.popleft()
        run.pending.outstanding -= 1

    def _place(self, image_hw: tuple[int, int], rois: tuple[Roi, ...]) -> list[_Placement]:
        """Work out the affines, once for as long as size and regions stay the same."""
        if self._placed_for != (image_hw, rois):
            height, width = image_hw
            self._placements = []
            for roi in rois or (Roi(width / 2, height / 2, width, height),):
                forward, area = input_from_roi(roi, self._input_hw, fit=self.spec.fit), None
                if self._cropper is not None:
                    area, forward = self._cropper.place(forward, image_hw)
                self._placements.append(_Placement(roi, forward, invert(forward), image_hw, area))
            self._placed_for = (image_hw, rois)
        return self._placements


def open_model(
    model: str | os.PathLike[str],
    spec: ModelSpec | str | os.PathLike[str] | None,
    backend_options: Mapping[str, Any],
) -> tuple[Backend, ModelSpec]:
    """Open the file, then settle its spec: one given, one beside the file, or one kept inside it."""
    # A spec may fix what the file leaves open, so one that stands outside the file has to be known first.
    outside = find_spec(model, spec)
    backend = open_backend(
        model,
        **backend_options,
        input_layout=outside.input_layout if outside else None,
        input_hw=outside.input_hw if outside else None,
        image_input=outside.input if outside else None,
    )
    try:
        return backend, outside or spec_from_metadata(model, backend.metadata)
    except HandposeError:
        backend.close()
        raise


def _open_world(spec: ModelSpec, backend: Backend, options: WorldOptions) -> WorldReconstruction | None:
    """Return what places joints before the camera; None for a model without depths."""
    if spec.depth_output is None:
        options.refuse(spec.name)
        return None
    return WorldReconstruction(DepthReader(spec, backend.outputs), options)


def prepare_inputs(spec: ModelSpec, backend: Backend) -> int:
    """Write the inputs that stay the same, and return which one is the image."""
    image = choose_input(spec, backend.inputs)
    for index, info in enumerate(backend.inputs):
        if index != image:
            backend.set_constant(index, spec.constants[info.name])
    return image


def normalisation_left(spec: ModelSpec, image: TensorInfo) -> dict[str, Any]:
    """Return what is left for ``preprocess`` to do to the grey levels: nothing where the model does it."""
    return {} if image.normalises else {"scale": spec.scale, "mean": spec.mean, "std": spec.std}
