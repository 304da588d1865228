"""The whole chain with the default models: frames per second, and milliseconds of every stage."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..draw import draw_skeleton
from ..errors import MissingDependencyError
from ..models.weights import find_weights
from ..pipeline import Pipeline
from .data import hand, scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ..report import RunReport

__all__ = ["MODELS", "run_pipelines"]

MODELS = ("hands-lite", "hands")
_MADE_FRAMES = 60
_ROUNDS = 3


def run_pipelines(video: str | None, max_frames: int) -> Iterator[dict[str, Any]]:
    """Run each model over a video, without and with a GIF written, three times in turn.

    Parameters
    ----------
    video : str or None
        A path; frames made here unless given, 60 of 640 x 480, in which the palm detector finds a hand or not.
    max_frames : int
        How much of the video.

    Yields
    ------
    dict
        An entry of ``pipelines``; `missing` says why a model was left out.
    """
    source: Any = video if video is not None else _made_frames()
    for model in MODELS:
        entries = {output: _entry(model, video or "made frames", output) for output in (None, "gif")}
        reports: dict[str | None, list[RunReport]] = {output: [] for output in entries}
        reason = None
        if find_weights(model) is None:
            reason = f"no weights here: `handpose-native models pull {model}`"
        else:
            try:
                _run(model, source, max_frames, reports)
            except MissingDependencyError as error:
                reason = str(error)
        for output, entry in entries.items():
            yield {**entry, "missing": reason} if reason else _filled(entry, reports[output])


def _run(model: str, source: Any, max_frames: int, reports: dict[str | None, list[RunReport]]) -> None:
    with Pipeline(model) as pipeline, tempfile.TemporaryDirectory(prefix="handpose-native-bench-") as folder:
        pipeline.run(source, max_frames=min(max_frames, 5))  # warms the runtime up
        for _ in range(_ROUNDS):
            for output in reports:
                path = None if output is None else Path(folder) / f"out.{output}"
                reports[output].append(pipeline.run(source, path, max_frames=max_frames))


def _entry(model: str, source: str, output: str | None) -> dict[str, Any]:
    return {
        "name": model, "source": Path(source).name, "output": output, "wrong": [], "missing": None, "frames": 0,
        "frames_with_hands": 0, "fps": None, "fps_range": [], "stages_ms": {},
    }  # fmt: skip


def _filled(entry: dict[str, Any], reports: list[RunReport]) -> dict[str, Any]:
    if len({(report.frames, report.frames_with_hands) for report in reports}) != 1:
        return {**entry, "wrong": ["the same frames gave other hands"]}
    rates = [report.fps for report in reports]
    return {
        **entry,
        "frames": reports[0].frames,
        "frames_with_hands": reports[0].frames_with_hands,
        "fps": statistics.median(rates),
        "fps_range": [min(rates), max(rates)],
        "stages_ms": {
            name: statistics.median(report.stages[name].mean_ms for report in reports) for name in reports[0].stages
        },
    }


def _made_frames() -> NDArray[np.uint8]:
    """Return a hand of one colour that moves over soft shapes, uint8 (N, 480, 640, 3)."""
    skin = [(224, 172, 105)]
    frames = []
    for index in range(_MADE_FRAMES):
        frame = scene(640, 480).copy()
        points = hand(640, 480, 260.0) + np.float32(index - _MADE_FRAMES / 2)
        draw_skeleton(frame, points, thickness=26, joint_radius=14, bone_colors=skin * 20, joint_colors=skin * 21)
        frames.append(frame)
    return np.stack(frames)
