"""A model on every hand of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ArgumentError
from ..estimators import WorldOptions, find_hands_model, open_estimator
from ..picture import Picture
from ..skeleton import NUM_JOINTS
from ..timing import FrameTimes
from ..types import Roi
from ..video import read_image
from .placing import place_in_camera

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ..estimators import Estimator
    from ..models import HandsModel, ModelSpec
    from ..types import Hand
    from .samples import Dataset, Sample

__all__ = ["PICTURE", "Predictions", "predict"]

#: The region of a model that is shown all of every picture.
PICTURE = "picture"
#: Side of the square to show a model, by hand size; measured for unet, as its authors do for handpose-x (see the page
#: "Models" of the documentation), and MMPose's padding of boxes for others.
_REGIONS = {"unet": 2.1, "handpose-x": 1.1}
_OTHER_REGION = 1.25
#: A hand whose joints are further away than this, by hand size, is another one.
_MAX_MATCH = 1.0


@dataclass(frozen=True)
class Predictions:
    """What a model made of N annotated hands.

    Attributes
    ----------
    model, device : str
        For reports.
    region : float or "picture"
        See :func:`predict`.
    keypoints : ndarray, float64, shape (N, 21, 2)
        Continuous pixels; NaN where the hand was not found.
    joints_m : ndarray, float64, shape (N, 21, 3)
        Metres; NaN where the model gives none.
    in_camera : ndarray, bool, shape (N,)
        Whether `joints_m` is in the camera's frame; else it is about the hand itself.
    handedness : tuple of {"left", "right"} or None
    picture_px : ndarray, float64, shape (N,)
        Longer side of the picture.
    """

    model: str
    device: str
    region: float | str
    keypoints: NDArray[np.float64]
    joints_m: NDArray[np.float64]
    in_camera: NDArray[np.bool_]
    handedness: tuple[str | None, ...]
    picture_px: NDArray[np.float64]


class _Found(NamedTuple):
    """One sample, what was found for it, and the longer side of its picture."""

    hand: Hand | None
    picture_px: int


def predict(
    dataset: Dataset,
    model: str | os.PathLike[str] | HandsModel = "hands",
    *,
    spec: ModelSpec | str | os.PathLike[str] | None = None,
    region: float | str | None = None,
    threads: int | None = None,
    backend_options: Mapping[str, Any] | None = None,
    on_sample: Callable[[int], None] | None = None,
) -> Predictions:
    """Run a model on every hand of a data set, each picture by itself.

    Parameters
    ----------
    dataset : Dataset
    model, spec, threads, backend_options
        As for :class:`~handpose_native.Pipeline`.
    region : float or "picture", optional
        What the model is shown of a picture. A number: for each annotated hand the square round its centre whose side
        is so many times the longer side of the box round its joints. ``"picture"``: all of it. Unless given: all of it
        for hands models, which look for the hand, and where pictures are crops already; else 2.1 for unet, 1.1 for
        handpose-x and 1.25 for other models.
    on_sample : callable, optional
        Called with the number of hands done.

    Returns
    -------
    Predictions
        One for each of ``dataset.samples``, in their order.

    Raises
    ------
    ArgumentError
        For a wrong region, or one that needs a truth that is not published.
    ModelError, VideoError, MissingDependencyError
        If the model cannot be opened or a picture not be read.

    Notes
    -----
    A hands model may find several hands in a picture; they are paired with the annotated ones, the closest first. One
    that finds none there has missed the hand. A model that looks at a region always has an answer; its `min_presence`
    is not used. A model that gives depths sees each picture through the data set's own camera, where that is known, and
    with its hand's scale; else through the usual one and with the mean of adults.
    """
    estimator = _opened(dataset, model, spec, {"threads": threads, **(backend_options or {})})
    try:
        chosen = _chosen_region(region, dataset, estimator.spec)
        found = [_Found(None, 0)] * len(dataset.samples)
        for done, (index, one) in enumerate(_each(dataset.samples, estimator, chosen), 1):
            found[index] = one
            if on_sample is not None:
                on_sample(done)
        return _collected(dataset.samples, found, estimator, chosen)
    finally:
        estimator.close()


def _opened(
    dataset: Dataset,
    model: str | os.PathLike[str] | HandsModel,
    spec: ModelSpec | str | os.PathLike[str] | None,
    backend: Mapping[str, Any],
) -> Estimator:
    hands_model = find_hands_model(model, spec)
    if hands_model is None:
        return open_estimator(model, spec=spec, backend_options=backend, min_presence=0.0, options={})
    most = max(map(len, _by_picture(dataset.samples).values()))
    options = {"tracking": False, "max_hands": most}
    return open_estimator(hands_model, spec=None, backend_options=backend, min_presence=None, options=options)


def _chosen_region(region: float | str | None, dataset: Dataset, spec: ModelSpec | None) -> float | str:
    if region is None:
        if spec is None or dataset.whole_pictures:
            return PICTURE
        return _REGIONS.get(spec.name, _OTHER_REGION)
    if region == PICTURE:
        return PICTURE
    if isinstance(region, (str, bool)) or not 0 < region < float("inf"):
        raise ArgumentError(f"predict: region must be a number above 0 or {PICTURE!r}; got {region!r}")
    if any(sample.hand_box is None for sample in dataset.samples):
        raise ArgumentError(f"predict: region {region} is by the true joints, which {dataset.name} does not have")
    return float(region)


def _by_picture(samples: Sequence[Sample]) -> dict[Path, list[int]]:
    """Return which samples are in each picture, in the order in which the pictures first occur."""
    result: dict[Path, list[int]] = {}
    for index, sample in enumerate(samples):
        result.setdefault(sample.image, []).append(index)
    return result


def _each(samples: Sequence[Sample], estimator: Estimator, region: float | str) -> Iterator[tuple[int, _Found]]:
    """Yield what was found for each sample, with its index; every picture is read once."""
    for path, indices in _by_picture(samples).items():
        picture = Picture.from_bgr(read_image(path))
        longer = max(picture.height, picture.width)
        if region == PICTURE:
            estimator.see_through(_world_of(samples[indices[0]]))
            hands = estimator.estimate(picture, 0.0, [], FrameTimes())
            matched = _matched(hands, [samples[index] for index in indices])
            yield from ((index, _Found(hand, longer)) for index, hand in zip(indices, matched))
            continue
        for index in indices:
            estimator.see_through(_world_of(samples[index]))
            hands = estimator.estimate(picture, 0.0, [_square(samples[index], float(region))], FrameTimes())
            yield index, _Found(hands[0] if hands else None, longer)


def _world_of(sample: Sample) -> WorldOptions:
    return WorldOptions(sample.camera, sample.hand_scale_m)


def _square(sample: Sample, scale: float) -> Roi:
    left, top, width, height = sample.hand_box or (0.0, 0.0, 1.0, 1.0)
    side = max(scale * max(width, height), 1.0)
    return Roi(left + width / 2, top + height / 2, side, side)


def _matched(hands: Sequence[Hand], samples: Sequence[Sample]) -> list[Hand | None]:
    """Pair hands with samples, the closest first, no hand twice."""
    result: list[Hand | None] = [None] * len(samples)
    pairs = []
    for row, sample in enumerate(samples):
        box = sample.hand_box
        for column, hand in enumerate(hands):
            if sample.keypoints is None or box is None:
                pairs.append((0.0, row, column))  # without a truth any hand will do
                continue
            away = np.linalg.norm(hand.keypoints - sample.keypoints, axis=1)[sample.visible].mean()
            relative = away / max(*box[2:], 1.0)
            if len(hands) == len(samples) == 1 or relative <= _MAX_MATCH:
                pairs.append((float(relative), row, column))
    taken: set[int] = set()
    for _, row, column in sorted(pairs):
        if result[row] is None and column not in taken:
            taken.add(column)
            result[row] = hands[column]
    return result


def _collected(
    samples: Sequence[Sample], found: list[_Found], estimator: Estimator, region: float | str
) -> Predictions:
    relative = estimator.spec is None  # hands models give joints about the hand's middle
    keypoints = np.full((len(samples), NUM_JOINTS, 2), np.nan)
    joints_m = np.full((len(samples), NUM_JOINTS, 3), np.nan)
    in_camera = np.zeros(len(samples), bool)
    for index, (sample, (hand, _)) in enumerate(zip(samples, found)):
        if hand is None:
            continue
        keypoints[index] = hand.keypoints
        if hand.world is None:
            continue
        joints_m[index] = hand.world
        in_camera[index] = not relative
        if relative and sample.intrinsics is not None:
            joints_m[index] = place_in_camera(hand.world, hand.keypoints, sample.intrinsics)
            in_camera[index] = True
    sides = tuple(hand.handedness if hand is not None else None for hand, _ in found)
    longer = np.array([picture_px for _, picture_px in found], np.float64)
    return Predictions(estimator.name, estimator.device, region, keypoints, joints_m, in_camera, sides, longer)
