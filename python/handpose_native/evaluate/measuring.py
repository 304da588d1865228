"""From predictions to figures."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..diagnostics import build_config
from ..errors import ArgumentError
from ..skeleton import JOINT_NAMES, NUM_JOINTS
from .metrics import auc, distances, joint_errors, mean_of_joints, pck, pck_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .predicting import Predictions
    from .samples import Dataset, Sample

    Floats = NDArray[np.float64]

__all__ = ["SCHEMA", "SCHEMA_VERSION", "UNITS", "Evaluation", "measure"]

SCHEMA = "handpose-native-eval"
#: Raised when a field changes its meaning or goes; new fields do not raise it.
SCHEMA_VERSION = 1

_MIDDLE_MCP = 9
_MM_PER_M = 1000.0


@dataclass(frozen=True)
class _Unit:
    """What a distance is measured in: the thresholds of PCK, and the largest of AUC and the curves."""

    meaning: str
    thresholds: tuple[float, ...]
    largest: float


#: Units of PCK and AUC. "box" and the 30 px are MMPose's; a hand has neither head nor torso, so its palm stands in.
UNITS: dict[str, _Unit] = {
    "box": _Unit("longer side of the annotated box (of the picture, where pictures are crops)", (0.05, 0.1, 0.2), 0.2),
    "hand": _Unit("longer side of the box round the true joints", (0.05, 0.1, 0.2), 0.2),
    "palm": _Unit("true distance from the wrist to the middle finger's first joint", (0.1, 0.2, 0.5), 0.5),
    "px": _Unit("pixels", (5.0, 10.0, 20.0), 30.0),
}


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on a data set.

    Attributes
    ----------
    values : dict
        Plain values, as in the JSON; NaN where there is nothing to compare.
    curves : dict of str to (thresholds, shares)
        By unit: PCK, mean over the joints, at thresholds from 0 to the unit's largest.
    """

    values: dict[str, Any]
    curves: dict[str, tuple[Floats, Floats]]

    def to_json(self) -> str:
        """Return `values` as JSON text; NaN is null."""
        return json.dumps(_without_nan(self.values), indent=1) + "\n"

    def __str__(self) -> str:
        values = self.values
        lines = [
            f"{values['dataset']}: {values['hands']} hands, {values['found']} found ({values['found_share']:.1%}), "
            f"by {values['model']}, region {values['region']}",
            *(f"{name:<12}{text}" for name, text in self._totals() if text),
        ]
        table = self._joint_table()
        return "\n".join([*lines, "", *table] if table else lines)

    def _totals(self) -> list[tuple[str, str]]:
        values = self.values
        rows = []
        for unit, numbers in values["pck"].items():
            shares = "  ".join(f"@{limit} {_percent(share)}" for limit, share in numbers.items())
            area = f"  AUC 0..{UNITS[unit].largest:g} {values['auc'][unit]:.4f}"
            rows.append((f"PCK {unit}", shares + area if math.isfinite(values["auc"][unit]) else ""))
        rows.append(("EPE", _number(values["epe_px"], "px")))
        for name, alignment in (("MPJPE", "wrist"), ("", "camera"), ("PA-MPJPE", "procrustes")):
            value = values["mpjpe_mm"][alignment]
            note = {"wrist": "  wrists brought together", "camera": "  in the camera's frame", "procrustes": ""}
            rows.append((name, _number(value, "mm") + note[alignment] if math.isfinite(value) else ""))
        side = values["handedness_share"]
        rows.append(("left, right", f"told right in {side:.1%}" if math.isfinite(side) else ""))
        return rows

    def _joint_table(self) -> list[str]:
        joints = self.values["per_joint"]
        columns = {
            "EPE px": joints["epe_px"],
            "PCK hand@0.1": [100 * share for share in joints["pck"]["hand"]["0.1"]],
            "MPJPE mm": joints["mpjpe_mm"]["wrist"],
            "PA-MPJPE mm": joints["mpjpe_mm"]["procrustes"],
        }
        known = {name: column for name, column in columns.items() if np.isfinite(column).any()}
        if not known:
            return []
        head = f"{'joint':<14}" + "".join(f"{name:>14}" for name in known)
        rows = zip(JOINT_NAMES, *known.values())
        return [head, *(f"{name:<14}" + "".join(f"{value:>14.2f}" for value in row) for name, *row in rows)]


def measure(dataset: Dataset, predictions: Predictions) -> Evaluation:
    """Compare predictions with the truth.

    Parameters
    ----------
    dataset : Dataset
    predictions : Predictions
        Of the same samples.

    Returns
    -------
    Evaluation
        A joint of a hand that was not found counts as wrong in PCK and AUC; EPE and MPJPE are over the hands found.

    Raises
    ------
    ArgumentError
        If the numbers of hands differ.
    """
    samples = dataset.samples
    if len(samples) != len(predictions.keypoints):
        raise ArgumentError(
            f"measure: predictions must be of the data set's {len(samples)} samples; got {len(predictions.keypoints)}"
        )
    true = _stacked([sample.keypoints for sample in samples], 2)
    visible = np.stack([sample.visible for sample in samples]) & np.isfinite(true).all(axis=-1)
    sizes = _sizes(dataset, true, visible, predictions.picture_px)
    away = {unit: distances(predictions.keypoints, true, visible, size) for unit, size in sizes.items()}
    shares = {unit: {f"{at:g}": pck(away[unit], at) for at in UNITS[unit].thresholds} for unit in UNITS}
    limits = {unit: np.linspace(0.0, scale.largest, 101) for unit, scale in UNITS.items()}
    curves = {unit: (at, _curve(away[unit], at)) for unit, at in limits.items()}
    epe, epe_per_joint = joint_errors(predictions.keypoints, true, visible)
    spatial = _spatial(samples, predictions)
    found = np.isfinite(predictions.keypoints).all(axis=(1, 2))
    values = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "version": build_config()["version"],
        "dataset": dataset.name,
        "model": predictions.model,
        "device": predictions.device,
        "region": predictions.region,
        "hands": len(samples),
        "found": int(found.sum()),
        "found_share": float(found.mean()),
        "units": {unit: scale.meaning for unit, scale in UNITS.items()},
        "pck": {unit: {at: mean_of_joints(row) for at, row in rows.items()} for unit, rows in shares.items()},
        "auc": {unit: auc(away[unit] / UNITS[unit].largest) for unit in UNITS},
        "auc_largest": {unit: scale.largest for unit, scale in UNITS.items()},
        "epe_px": epe,
        "mpjpe_mm": {alignment: total for alignment, (total, _) in spatial.items()},
        "handedness_share": _handedness_share(samples, predictions.handedness),
        "joints": list(JOINT_NAMES),
        "per_joint": {
            "pck": {unit: {at: row.tolist() for at, row in rows.items()} for unit, rows in shares.items()},
            "epe_px": epe_per_joint.tolist(),
            "mpjpe_mm": {alignment: row.tolist() for alignment, (_, row) in spatial.items()},
        },
    }
    return Evaluation(values, curves)


def _stacked(points: Sequence[Floats | None], dimensions: int) -> Floats:
    unknown = np.full((NUM_JOINTS, dimensions), np.nan)
    return np.stack([unknown if one is None else one for one in points])


def _sizes(dataset: Dataset, true: Floats, visible: NDArray[np.bool_], picture_px: Floats) -> dict[str, Floats]:
    """Return what 1 means for each hand, by unit; 0 where the hand does not have it."""
    samples = dataset.samples
    boxes = np.array([max(sample.box_xywh[2:]) if sample.box_xywh else 0.0 for sample in samples])
    hands = np.array([max(sample.hand_box[2:]) if sample.hand_box else 0.0 for sample in samples])
    palms = np.linalg.norm(true[:, _MIDDLE_MCP] - true[:, 0], axis=1)
    return {
        "box": picture_px if dataset.whole_pictures else boxes,
        "hand": hands,
        "palm": np.where(visible[:, 0] & visible[:, _MIDDLE_MCP], palms, 0.0),
        "px": np.ones(len(samples)),
    }


def _curve(away: Floats, thresholds: Floats) -> Floats:
    return np.array([mean_of_joints(row) for row in pck_curve(away, thresholds)])


def _spatial(samples: Sequence[Sample], predictions: Predictions) -> dict[str, tuple[float, Floats]]:
    """Return MPJPE in millimetres, total and per joint, by how hands are brought together first."""
    true = _stacked([sample.joints_m for sample in samples], 3) * _MM_PER_M
    found = predictions.joints_m * _MM_PER_M
    visible = np.isfinite(true).all(axis=-1)
    compared = np.nan_to_num(true)  # a hand is known in space wholly or not at all
    placed = found.copy()
    placed[~predictions.in_camera] = np.nan
    return {
        "camera": joint_errors(placed, compared, visible),
        "wrist": joint_errors(found, compared, visible, alignment="wrist"),
        "procrustes": joint_errors(found, compared, visible, alignment="procrustes"),
    }


def _handedness_share(samples: Sequence[Sample], told: Sequence[str | None]) -> float:
    pairs = [(sample.handedness, side) for sample, side in zip(samples, told) if sample.handedness and side]
    return float(np.mean([true == side for true, side in pairs])) if pairs else float("nan")


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _number(value: float, unit: str) -> str:
    return f"{value:.3f} {unit}" if math.isfinite(value) else ""


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
