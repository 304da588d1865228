"""What an evaluation leaves behind: curves as a picture, predictions in FreiHAND's submission format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, VideoError, missing_dependency
from ..skeleton import FINGERS, JOINT_COLORS, JOINT_NAMES
from .measuring import UNITS

if TYPE_CHECKING:
    import os

    from .measuring import Evaluation
    from .predicting import Predictions

__all__ = ["write_curves", "write_submission"]

#: Vertices of the MANO mesh, which FreiHAND asks for beside the joints.
_NUM_VERTICES = 778


def write_curves(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Draw PCK over the threshold, for each unit, and the error of each joint.

    Parameters
    ----------
    evaluation : Evaluation
    path : path
        ``.png``, or another kind that Matplotlib writes.

    Raises
    ------
    VideoError
        If the file cannot be written.
    MissingDependencyError
        If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_dependency(error, "matplotlib", "to draw curves", "handpose_native[eval]") from error
    values = evaluation.values
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for unit, (thresholds, shares) in evaluation.curves.items():
        if np.isfinite(shares).any():
            largest = UNITS[unit].largest
            area = values["auc"][unit]
            left.plot(thresholds / largest, 100 * shares, label=f"{unit}, 1 is {largest:g}: AUC {area:.3f}")
    left.set(xlim=(0, 1), ylim=(0, 100), xlabel="threshold, by the largest of each unit", ylabel="correct keypoints, %")
    left.grid(alpha=0.3)
    if left.lines:
        left.legend(loc="lower right")
    _draw_joints(right, values)
    figure.suptitle(f"{values['model']} on {values['dataset']}: {values['found']} of {values['hands']} hands found")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:  # ValueError: a suffix that it does not know
        raise VideoError(f"{Path(path)}: the curves cannot be written: {error}") from error


def _draw_joints(axes: Any, values: dict[str, Any]) -> None:
    errors = np.array(values["per_joint"]["epe_px"], np.float64)
    colors = [tuple(part / 255 for part in color) for color in JOINT_COLORS]
    colors[0] = (0.4, 0.4, 0.4)  # the wrist's own is nearly white
    places = np.arange(len(JOINT_NAMES))
    axes.barh(places, np.nan_to_num(errors), color=colors)
    axes.set_yticks(places, [name.replace("_", " ") for name in JOINT_NAMES], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="end-point error, px")
    for joints in FINGERS.values():
        axes.axhline(joints[0] - 0.5, color="0.8", linewidth=0.6)


def write_submission(predictions: Predictions, path: str | os.PathLike[str]) -> None:
    """Write predictions as FreiHAND's evaluation takes them: ``[joints, vertices]``, each by sample.

    Parameters
    ----------
    predictions : Predictions
        With `joints_m`.
    path : path
        FreiHAND expects the name ``pred.json``.

    Raises
    ------
    ArgumentError
        If the model gives no joints in space.
    VideoError
        If the file cannot be written.

    Notes
    -----
    Joints are in metres in the camera's frame. No mesh is known, so its 778 vertices are zeros, as in the template of
    FreiHAND's authors; their scores of the mesh mean nothing then. So are the joints of a hand that was not found,
    because every sample must be there.
    """
    joints = predictions.joints_m
    known = np.isfinite(joints).all(axis=(1, 2), keepdims=True)
    if not known.any():
        raise ArgumentError(
            f"write_submission: {predictions.model} must give joints in space; it gave none for {len(joints)} hands"
        )
    vertices = json.dumps([[0, 0, 0]] * _NUM_VERTICES)
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            json_joints = json.dumps(np.where(known, np.round(joints, 6), 0.0).tolist())
            file.write(f"[{json_joints}, [{', '.join([vertices] * len(joints))}]]")
    except OSError as error:
        raise VideoError(f"{Path(path)}: the predictions cannot be written: {error.strerror}") from error
