"""Hands found anywhere in the picture, followed and told apart: palm detector, landmark network, tracker."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..backends import images_of, open_backend
from ..errors import ArgumentError, HandposeError, ModelError
from ..geometry import input_from_roi, invert, transform_points
from ..models import LandmarkReader, PalmReader
from ..preprocess import preprocess
from ..timing import stage
from ..tracking import (
    NUM_CANDIDATES,
    PALM_JOINTS,
    SMOOTHING,
    JointScores,
    Observation,
    OneEuroFilter,
    Palm,
    Tracker,
    decode_palms,
    is_hand_like,
    overlap,
    roi_from_palm,
)
from ..types import Hand, Roi
from .base import Estimator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from ..backends import Backend
    from ..models import HandsModel
    from ..picture import Picture
    from ..timing import FrameTimes
    from ..tracking import Track
    from .base import PendingHands

__all__ = ["HandsEstimator", "HandsOptions"]

#: A detected palm is of a tracked hand where the regions overlap by more (hand_landmark_tracking_cpu.pbtxt).
_SAME_REGION_IOU = 0.5

#: MediaPipe's crops put the centre of the image's first pixel where its corner belongs, and read the results as if they
#: had not. The networks were made for such crops, so theirs are taken in the same way: off by half a pixel of the image
#: and half a pixel of the crop. Which of the two the networks themselves mean cannot be told: their answers on a crop
#: and on its mirror image lie between.
_HALF_PX = 0.5


@dataclass(frozen=True)
class HandsOptions:
    """How hands are looked for and followed; see :class:`~handpose_native.Pipeline` for each.

    Raises
    ------
    ArgumentError
        For a value out of range.
    """

    max_hands: int = 1
    redetect_every: int = 10
    min_presence: float = 0.5
    min_palm_score: float = 0.5
    mirrored: bool = False
    smoothing: str = "off"
    tracking: bool = True
    detector_only: bool = False

    def __post_init__(self) -> None:
        for name in ("max_hands", "redetect_every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ArgumentError(f"Pipeline: {name} must be a whole number from 1; got {value!r}")
        for name in ("min_presence", "min_palm_score"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0.0 < value < 1.0:
                raise ArgumentError(f"Pipeline: {name} must be between 0 and 1, exclusive; got {value!r}")
        if self.smoothing not in SMOOTHING:
            raise ArgumentError(f"Pipeline: smoothing must be one of {', '.join(SMOOTHING)}; got {self.smoothing!r}")
        if self.detector_only and not self.tracking:
            raise ArgumentError("Pipeline: detector_only never tracks; leave tracking out")


class _Network:
    """One network with a square RGB input of values 0..1, and where its input lies in the image.

    Where the model scales them itself, its input takes bytes.
    """

    def __init__(self, path: Any, backend_options: Mapping[str, Any], name: str, border: str) -> None:
        # One frame in flight, and eager: where to look in the next one is known from the result.
        self.backend: Backend = open_backend(path, **{**backend_options, "slots": 1, "eager": True})
        try:
            (image,) = self.backend.inputs
            takes_unit_range = image.dtype in (np.float32, np.float16)
            if image.layout not in ("NCHW", "NHWC") or not (takes_unit_range or image.normalises):
                raise ModelError(f"{path}: {name} needs one float image input; it has {self.backend.inputs}")
            shape = image.shape[1:3] if image.layout == "NHWC" else image.shape[2:4]
            if shape[0] != shape[1]:
                raise ModelError(f"{path}: {name} needs a square input; it has {image.shape}")
        except (HandposeError, ValueError) as error:
            self.backend.close()
            if isinstance(error, HandposeError):
                raise
            raise ModelError(f"{path}: {name} needs one image input; it has {self.backend.inputs}") from error
        self.side = shape[0]
        self._layout = image.layout
        self._border = border

    def run(
        self, picture: Picture, rois: Sequence[Roi], times: FrameTimes, stage_name: str
    ) -> Iterator[tuple[tuple[NDArray[Any], ...], NDArray[np.float64]]]:
        """Yield the outputs on each region and ``image_from_input``; to be read before the next is asked for.

        As many regions are looked at in one run as the model takes.
        """
        together = self.backend.max_batch
        for start in range(0, len(rois), together):
            affines = []
            with stage("preprocess", times):
                for item, roi in enumerate(rois[start : start + together]):
                    affines.append(self._sample(picture, roi, item))
            with stage(stage_name, times):
                self.backend.submit(0, len(affines))
                outputs = self.backend.wait(0)
            yield from zip(images_of(outputs, len(affines)), affines)

    def _sample(self, picture: Picture, roi: Roi, item: int) -> NDArray[np.float64]:
        """Bring a region into the network's memory; return ``image_from_input``."""
        input_from_image = input_from_roi(roi, (self.side, self.side), fit="letterbox")
        sampled = input_from_image.copy()
        sampled[:, 2] += _HALF_PX - input_from_image[:, :2].sum(axis=1) * _HALF_PX
        preprocess(
            picture,
            input_from_image=sampled,
            border=self._border,
            layout=self._layout,
            out=self.backend.input_buffer(0, 0, item),
        )
        return invert(input_from_image)


class HandsEstimator(Estimator):
    """Find, follow and tell apart several hands.

    Parameters
    ----------
    model : HandsModel
    options : HandsOptions
    backend_options : mapping
        For :func:`~handpose_native.backends.open_backend`, of each network.

    Raises
    ------
    ArgumentError
        For more than one slot.
    """

    def __init__(self, model: HandsModel, options: HandsOptions, backend_options: Mapping[str, Any]) -> None:
        if backend_options.get("slots") not in (None, 1):
            raise ArgumentError(
                "Pipeline: hands models have one frame in flight, because where to look in the next one is known from "
                f"its result: slots must be 1 or left out; got {backend_options['slots']!r}"
            )
        self.name = model.name
        self.options = options
        self._landmarks = _Network(model.landmarks, backend_options, "the hand landmark network", "replicate")
        try:
            self._landmark_reader = LandmarkReader(str(model.landmarks), self._landmarks.backend.outputs)
            self._palms = _Network(model.palm, backend_options, "the palm detector", "constant")
        except HandposeError:
            self._landmarks.backend.close()
            raise
        try:
            self._palm_reader = PalmReader(str(model.palm), self._palms.backend.outputs, NUM_CANDIDATES)
        except HandposeError:
            self.close()
            raise
        self.device = self._landmarks.backend.device
        self._tracker = Tracker()
        self._marks: dict[int, _Marks] = {}
        self._since_detection = 0

    def begin(self, picture: Picture, time_s: float, rois: Sequence[Roi], times: FrameTimes) -> PendingHands:
        # Nothing can be done ahead: where to look in a picture is known from the one before it.
        return _Later(partial(self._find, picture, time_s, rois, times))

    def _find(self, picture: Picture, time_s: float, rois: Sequence[Roi], times: FrameTimes) -> list[Hand]:
        image_hw = (picture.height, picture.width)
        if self.options.detector_only:
            return [_palm_as_hand(palm) for palm in self._detect(picture, times)[: self.options.max_hands]]
        if not self.options.tracking:
            self.reset()
        seen = self._look(picture, [(track.seen.next_roi, track) for track in self._tracker.active], times)
        observations = [one for one in seen if one is not None]
        if self._should_search(len(observations), len(seen)):
            self._since_detection = 0
            observations += self._search(picture, rois, observations, times)
        with stage("joints", times):
            tracks = self._tracker.update(observations, time_s)
            marks = {track.track_id: self._marks.get(track.track_id) for track in (*tracks, *self._tracker.lost)}
            self._marks = {key: known or _Marks(self.options.smoothing) for key, known in marks.items()}
            return [self._as_hand(track, time_s, image_hw) for track in tracks]

    def reset(self) -> None:
        self._tracker.reset()
        self._marks.clear()
        self._since_detection = 0

    def close(self) -> None:
        self._landmarks.backend.close()
        self._palms.backend.close()

    def _should_search(self, found: int, looked_for: int) -> bool:
        """Search for hands that are not tracked: where none is, where one was just lost, else every few frames."""
        if found >= self.options.max_hands:
            return False
        self._since_detection += 1
        return found == 0 or found < looked_for or self._since_detection >= self.options.redetect_every

    def _search(
        self, picture: Picture, rois: Sequence[Roi], known: list[Observation], times: FrameTimes
    ) -> list[Observation]:
        candidates = rois or [roi_from_palm(palm) for palm in self._detect(picture, times)]
        found: list[Observation] = []
        for roi in candidates:
            if len(known) + len(found) >= self.options.max_hands:
                break
            if any(overlap(roi, hand.next_roi) > _SAME_REGION_IOU for hand in (*known, *found)):
                continue
            (hand,) = self._look(picture, [(roi, None)], times)
            if hand is not None and is_hand_like(hand.world):
                found.append(hand)
        return found

    def _detect(self, picture: Picture, times: FrameTimes) -> list[Palm]:
        """Return the palms in the whole picture, in its pixels, best first."""
        height, width = picture.height, picture.width
        whole = Roi(width / 2, height / 2, width, height)
        ((outputs, image_from_input),) = self._palms.run(picture, [whole], times, "detect")
        with stage("joints", times):
            palms = decode_palms(*self._palm_reader.read(outputs), self.options.min_palm_score)
            return [_moved(palm, image_from_input) for palm in palms]

    def _look(
        self, picture: Picture, wanted: Sequence[tuple[Roi, Track | None]], times: FrameTimes
    ) -> list[Observation | None]:
        """Look for one hand in each region."""
        seen: list[Observation | None] = []
        results = self._landmarks.run(picture, [roi for roi, _ in wanted], times, "model")
        for (roi, track), (outputs, image_from_input) in zip(wanted, results):
            with stage("joints", times):
                seen.append(self._observe(outputs, image_from_input, roi, track))
        return seen

    def _observe(
        self, outputs: tuple[NDArray[Any], ...], image_from_input: NDArray[np.float64], roi: Roi, track: Track | None
    ) -> Observation | None:
        """Return the hand that the network has seen in a region."""
        landmarks = self._landmark_reader.read(outputs)
        # Written so that a NaN is no hand either.
        if not landmarks.presence >= self.options.min_presence or not np.isfinite(landmarks.points).all():
            return None
        right = 1.0 - landmarks.right if self.options.mirrored else landmarks.right
        in_crop = landmarks.points[:, :2] / np.float32(self._landmarks.side)
        keypoints = transform_points(image_from_input, landmarks.points[:, :2])
        world = _turned(landmarks.world, roi.angle_rad)
        return Observation(keypoints, in_crop, world, landmarks.presence, right, roi, track)

    def _as_hand(self, track: Track, time_s: float, image_hw: tuple[int, int]) -> Hand:
        seen = track.seen
        marks = self._marks[track.track_id]
        scores = marks.scores(seen.keypoints, seen.in_crop, seen.presence, seen.size, image_hw)
        keypoints, world = marks.smooth(seen, time_s)
        return Hand(
            keypoints=keypoints,
            scores=scores,
            presence=seen.presence,
            handedness="right" if track.right >= 0.5 else "left",
            handedness_score=max(track.right, 1.0 - track.right),
            world=world,
            roi=seen.roi,
            track_id=track.track_id if self.options.tracking else None,
        )


class _Later:
    """Hands that are looked for when they are asked for."""

    def __init__(self, find: Callable[[], list[Hand]]) -> None:
        self.finish = find


class _Marks:
    """What is remembered of one hand's joints: filters and scores."""

    #: Longer side of the box round a hand's joints that make its region, in metres: the unit of speed of `world`.
    _WORLD_SIZE_M = 0.1

    def __init__(self, smoothing: str) -> None:
        setting = SMOOTHING[smoothing]
        self.scores = JointScores()
        self._filters = (OneEuroFilter(setting), OneEuroFilter(setting)) if setting else None

    def smooth(self, seen: Observation, time_s: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return keypoints and world coordinates, smoothed."""
        if self._filters is None:
            return seen.keypoints, seen.world
        image, world = self._filters
        return image(seen.keypoints, time_s, seen.size), world(seen.world, time_s, self._WORLD_SIZE_M)


def _moved(palm: Palm, image_from_input: NDArray[np.float64]) -> Palm:
    """Take a palm from the detector's input to the image; the map scales and moves only."""
    return Palm(
        transform_points(image_from_input, palm.box_xyxy.reshape(2, 2)).reshape(4),
        transform_points(image_from_input, palm.keypoints),
        palm.score,
    )


def _palm_as_hand(palm: Palm) -> Hand:
    """Return a palm as a hand whose other joints are unknown."""
    keypoints = np.full((21, 2), np.nan, dtype=np.float32)
    scores = np.zeros(21, dtype=np.float32)
    keypoints[list(PALM_JOINTS)] = palm.keypoints
    scores[list(PALM_JOINTS)] = palm.score
    return Hand(keypoints=keypoints, scores=scores, presence=palm.score, roi=roi_from_palm(palm))


def _turned(world: NDArray[np.float32], angle_rad: float) -> NDArray[np.float32]:
    """Turn joints in metres from the axes of the crop to those of the image; new array."""
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)
    result: NDArray[np.float32] = world @ turn
    return result
