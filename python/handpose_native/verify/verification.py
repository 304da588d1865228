"""The whole verification: two forms, the same pictures, figures and a verdict."""

from __future__ import annotations

import heapq
import json
import math
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..diagnostics import build_config
from ..errors import ArgumentError
from ..models.manifest import MANIFEST_SCHEMA, MANIFEST_SCHEMA_VERSION
from ..picture import Picture
from ..skeleton import JOINT_NAMES
from ..types import Roi
from .comparing import Comparison, judge
from .tolerances import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from .forms import Form, Seen

__all__ = ["Verification", "WorstFrame", "verify_forms"]

_KEPT_FRAMES = 4


class WorstFrame(NamedTuple):
    """A picture on which the forms are far apart.

    Attributes
    ----------
    badness : float
        Largest distance of a joint in pixels of the input; of an output where there are no joints.
    frame_index : int
        Of the picture, from 0.
    image : ndarray, uint8, shape (H, W, 3)
        BGR.
    points, other_points : ndarray, float64, shape (21, 2), or None
        Joints of both forms in pixels of the picture.
    """

    badness: float
    frame_index: int
    image: NDArray[np.uint8]
    points: NDArray[np.float64] | None
    other_points: NDArray[np.float64] | None


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    values : dict
        Plain values: the manifest, as the page "Verify" of the documentation describes it.
    worst : tuple of WorstFrame
        The worst first.
    """

    values: dict[str, Any]
    worst: tuple[WorstFrame, ...]

    @property
    def passed(self) -> bool:
        """Whether the forms agree within the limits of the precision."""
        return bool(self.values["verdict"] == "passed")

    def to_json(self) -> str:
        """Return `values` as JSON text."""
        return json.dumps(self.values, indent=1) + "\n"

    def __str__(self) -> str:
        values, figures = self.values, self.values["figures"]
        lines = [
            f"A  {values['reference']['file']}: {values['reference']['device']}, {values['reference']['input']}",
            f"B  {values['model']['file']}: {values['model']['device']}, {values['model']['input']}",
            f"{values['inputs']['frames']} pictures, {values['inputs']['source']}; limits of {values['precision']}",
            "",
            f"{'':<24}{'max':>11}{'mean':>11}{'cosine':>11}{'largest A':>11}",
            _input_line(figures["input"]),
            *(
                f"{'output ' + row['name']:<24.24}{_number(row['max_abs'])}{_number(row['mean_abs'])}"
                f"{row['cosine']:>11.7f}{_number(row['peak'])}"
                for row in figures["outputs"]
            ),
        ]
        if figures["joints"] is not None:
            lines += _joint_lines(figures["joints"])
        return "\n".join([*lines, "", *(f"FAILED: {one}" for one in values["failures"]), values["verdict"]])


def _number(value: float | None) -> str:
    """Return a number, 11 wide; what was not finite is None in plain values."""
    return f"{'not finite':>11}" if value is None else f"{value:>11.3g}"


def _joint_lines(joints: dict[str, Any]) -> list[str]:
    lines = [f"{'joints, px of the input':<24}{_number(joints['max_px'])}{_number(joints['mean_px'])}"]
    if joints["ambiguous"]:
        several = f"ambiguous, with several peaks in their maps: {joints['ambiguous']}"
        lines.append(f"{'  from the nearest peak':<24}{_number(joints['judged_max_px'])}   {several}")
    if joints["input_max_px"] is not None:
        moves = (joints["input_max_px"], joints["input_mean_px"])
        lines.append(
            f"{'  moved by the input':<24}{''.join(map(_number, moves))}   what its rounding alone does, in one form"
        )
    lines += ["", f"{'joint':<24}{'max px':>11}{'mean px':>11}{'ambiguous':>11}"]
    rows = zip(JOINT_NAMES, *(joints[f"per_joint_{what}"] for what in ("max_px", "mean_px", "ambiguous")))
    table = (f"{name:<24}{_number(worst)}{_number(mean)}{count or '':>11}" for name, worst, mean, count in rows)
    return lines + [line.rstrip() for line in table]


def _input_line(row: dict[str, Any]) -> str:
    if row["max_grey"] is None:
        return f"{'input':<24}  holds other numbers in each: not compared"
    equal = "the same bytes" if row["bytes_equal"] else ""
    return f"{'input, grey levels':<24}{row['max_grey']:>11.3g}{row['mean_grey']:>11.3g}   {equal}".rstrip()


def verify_forms(
    a: Form,
    b: Form,
    pictures: Iterable[Picture],
    *,
    source: str,
    roi: Roi | None = None,
    precision: str | None = None,
) -> Verification:
    """Run the same pictures through two forms of one model and compare all that can be compared.

    Parameters
    ----------
    a, b : Form
        The one that is believed, and the one that is to be verified. Not closed.
    pictures : iterable of Picture
        At least one.
    source : str
        Where they come from, for the manifest.
    roi : Roi, optional
        What the models are shown of each picture; all of it unless given.
    precision : {"fp32", "fp16", "aipp", "int8"}, optional
        Whose limits apply; found out from dtypes and file names unless given.

    Returns
    -------
    Verification

    Raises
    ------
    ArgumentError
        If the inputs differ in size, there is no picture, or for another precision.
    ModelError, DeviceError
        If a run fails.
    """
    if a.input_hw != b.input_hw:
        raise ArgumentError(
            f"verify: both forms must have one input size; {a.path.name} has {a.input_hw}, {b.path.name} {b.input_hw}"
        )
    chosen = _precision(a, b) if precision is None else precision
    if chosen not in PRECISIONS:
        raise ArgumentError(f"verify: precision must be one of {', '.join(PRECISIONS)}; got {chosen!r}")
    tolerance = PRECISIONS[chosen]
    comparison = Comparison(a, tolerance)
    worst: list[tuple[float, int, WorstFrame]] = []
    count = 0
    for count, picture in enumerate(pictures, 1):
        where = roi or Roi(picture.width / 2, picture.height / 2, picture.width, picture.height)
        one, two = a.look(picture, where), b.look(picture, where)
        on_one_input = _on_one_input(a, b, one, two)
        comparison.add(one, two, on_one_input)
        frame = _frame(count - 1, picture, *on_one_input, comparison)
        heapq.heappush(worst, (frame.badness, -frame.frame_index, frame))
        if len(worst) > _KEPT_FRAMES:
            heapq.heappop(worst)
    if count == 0:
        raise ArgumentError(f"verify: there is no picture in {source}")
    figures = comparison.figures()
    failures = judge(figures, tolerance, max(a.input_hw))
    values = {
        "schema": MANIFEST_SCHEMA,
        "schema_version": MANIFEST_SCHEMA_VERSION,
        "version": build_config()["version"],
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "verdict": "failed" if failures else "passed",
        "failures": failures,
        "model": b.describe(),
        "reference": a.describe(),
        "precision": chosen,
        "limits": asdict(tolerance),
        "inputs": {"source": source, "frames": count, "roi": None if roi is None else asdict(roi)},
        "figures": _finite(figures),
    }
    return Verification(values, tuple(frame for *_, frame in sorted(worst, key=lambda one: one[:2], reverse=True)))


def _on_one_input(a: Form, b: Form, one: Seen, two: Seen) -> tuple[Seen, Seen]:
    """Return what both make of the coarser of their inputs, so that only what the networks do is compared."""
    if one.values is None or two.values is None or one.has_input_of(two):
        return one, two
    finer = max((a, b), key=lambda form: np.dtype(form.dtype).itemsize)  # of two alike the first form
    if finer.dtype == "uint8":
        return one, two
    return (a.look_at_input_of(two), two) if finer is a else (one, b.look_at_input_of(one))


def _precision(a: Form, b: Form) -> str:
    """Return whose limits apply to what the coarser of the two can do."""
    forms = (a, b)
    if any(form.dtype in ("uint8", "int8") and not form.normalises for form in forms):
        return "fp32" if a.dtype == b.dtype and not _computes_in_half(forms) else "int8"
    if any(form.normalises for form in forms):
        return "aipp"
    return "fp16" if _computes_in_half(forms) else "fp32"


def _computes_in_half(forms: tuple[Form, ...]) -> bool:
    """Tell whether one computes in fp16: it shows it, or it is an .om, which does so unless converted otherwise."""
    return any(form.has_half or form.path.suffix.lower() == ".om" for form in forms)


def _frame(index: int, picture: Picture, one: Seen, two: Seen, comparison: Comparison) -> WorstFrame:
    points = [_in_picture(seen) for seen in (one, two)]
    if one.points is not None and two.points is not None:
        badness = float(comparison.distances_px[-1].max())
    else:
        badness = comparison.last_output_difference
    return WorstFrame(badness, index, picture.to_bgr(), points[0], points[1])


def _in_picture(seen: Seen) -> NDArray[np.float64] | None:
    if seen.points is None:
        return None
    affine = seen.image_from_input
    return np.asarray(seen.points @ affine[:, :2].T + affine[:, 2])


def _finite(value: Any) -> Any:
    """Return plain values that JSON can hold: what is infinite becomes null."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
