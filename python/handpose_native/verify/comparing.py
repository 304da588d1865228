"""Two forms beside each other, picture by picture: differences as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .forms import Form, Seen
    from .tolerances import Tolerance

__all__ = ["Comparison", "judge", "pair_outputs"]


class Comparison:
    """Gathers the differences of two forms; the pictures themselves are not kept.

    Parameters
    ----------
    a : Form
        The first form; what its network means by a grey level is the measure of the inputs.
    tolerance : Tolerance

    Attributes
    ----------
    distances_px : list of ndarray, float64, shape (21,)
        Of the joints, by picture, in pixels of the input; empty for models without joints.
    last_output_difference : float
        Largest difference of an output on the last picture.
    """

    def __init__(self, a: Form, tolerance: Tolerance) -> None:
        scale, _, std = a.normalisation
        self._a, self._tolerance = a, tolerance
        self._grey_per_value = np.abs(std / scale)[:, None, None]
        self._bytes_equal: bool | None = True
        self._grey: list[tuple[float, float]] = []
        self._outputs: dict[tuple[str, str], list[tuple[float, float, float, float]]] = {}
        self._shapes: dict[str, list[int]] = {}
        self.distances_px: list[NDArray[np.float64]] = []
        self._judged_px: list[NDArray[np.float64]] = []
        self._ambiguous: list[NDArray[np.bool_]] = []
        self._input_moves_px: list[NDArray[np.float64]] = []
        self.last_output_difference = 0.0
        self._found = 0

    def add(self, one: Seen, two: Seen, on_one_input: tuple[Seen, Seen]) -> None:
        """Take in what both forms made of one picture.

        Parameters
        ----------
        one, two : Seen
            Each with the input that it was given.
        on_one_input : (Seen, Seen)
            What both return for the coarser of these inputs; `one` and `two` where it cannot be given to both.
        """
        self._add_input(one, two)
        self._add_outputs(*on_one_input)
        self._add_joints(*on_one_input)
        for own, other in zip((one, two), on_one_input):
            if own is not other and own.points is not None and other.points is not None:
                self._input_moves_px.append(_distances(own.points, other.points))

    def _add_outputs(self, one: Seen, two: Seen) -> None:
        self.last_output_difference = 0.0
        for name, other in pair_outputs(one, two):
            first = one.outputs[name].astype(np.float64).ravel()
            second = two.outputs[other].astype(np.float64).ravel()
            away = first - second
            row = (_largest(away), float(np.abs(away).mean()), _cosine(first, second), _largest(first))
            self._outputs.setdefault((name, other), []).append(row)
            self._shapes[name] = list(one.outputs[name].shape)
            self.last_output_difference = max(self.last_output_difference, row[0])

    def _add_joints(self, one: Seen, two: Seen) -> None:
        if one.points is None or two.points is None:
            return
        self._found += int(np.isfinite(one.points).all(axis=1).sum())
        away = _distances(one.points, two.points)
        self.distances_px.append(away)
        peaks = self._a.peak_places(one, self._tolerance.output_max)
        if peaks is None:
            self._judged_px.append(away)
            self._ambiguous.append(np.zeros(len(away), bool))
            return
        # A joint is right at any place where the first form's map could have its peak.
        to_nearest = np.maximum(_nearest(peaks.places, two.points) - self._a.within_pixel_px, 0.0)
        self._judged_px.append(np.fmin(away, to_nearest))
        self._ambiguous.append(peaks.several)

    def _add_input(self, one: Seen, two: Seen) -> None:
        if one.written.dtype != two.written.dtype or one.written.shape != two.written.shape:
            self._bytes_equal = None
        elif self._bytes_equal:
            self._bytes_equal = one.written.tobytes() == two.written.tobytes()
        if one.values is not None and two.values is not None:
            away = np.abs(one.values - two.values) * self._grey_per_value
            self._grey.append((float(away.max()), float(away.mean())))

    def figures(self) -> dict[str, Any]:
        """Return all figures as plain values.

        Returns
        -------
        dict
            ``input``: ``bytes_equal`` (None where dtype or layout differ), ``max_grey`` and ``mean_grey`` (None where a
            quantised input holds other numbers). ``outputs``, a list: ``name``, ``other_name``, ``shape``, ``max_abs``,
            ``mean_abs``, ``cosine`` (the smallest of a picture), ``peak`` (the largest absolute value of the first
            form). ``joints``, None for models without, in pixels of the input: ``found`` (how many the first form
            has), ``max_px``, ``mean_px``, ``judged_max_px`` (to the nearest place that the first form's map allows),
            ``ambiguous`` (of how many the map has several peaks that could be its largest), ``input_max_px`` and
            ``input_mean_px`` (how far the coarser input alone moves them in one form; None where the inputs are the
            same), ``per_joint_max_px``, ``per_joint_mean_px`` and ``per_joint_ambiguous``.
        """
        grey = np.array(self._grey)
        exact = 0.0 if self._bytes_equal else None
        return {
            "input": {
                "bytes_equal": self._bytes_equal,
                "max_grey": float(grey[:, 0].max()) if len(grey) else exact,
                "mean_grey": float(grey[:, 1].mean()) if len(grey) else exact,
            },
            "outputs": [self._output(names, np.array(rows)) for names, rows in self._outputs.items()],
            "joints": self._joints(),
        }

    def _output(self, names: tuple[str, str], rows: NDArray[np.float64]) -> dict[str, Any]:
        return {
            "name": names[0],
            "other_name": names[1],
            "shape": self._shapes[names[0]],
            "max_abs": float(rows[:, 0].max()),
            "mean_abs": float(rows[:, 1].mean()),
            "cosine": float(rows[:, 2].min()),
            "peak": float(rows[:, 3].max()),
        }

    def _joints(self) -> dict[str, Any] | None:
        if not self.distances_px:
            return None
        away, ambiguous, moves = np.stack(self.distances_px), np.stack(self._ambiguous), np.array(self._input_moves_px)
        return {
            "found": self._found,
            "max_px": float(away.max()),
            "mean_px": float(away.mean()),
            "judged_max_px": float(np.max(self._judged_px)),
            "ambiguous": int(ambiguous.sum()),
            "input_max_px": float(moves.max()) if len(moves) else None,
            "input_mean_px": float(moves.mean()) if len(moves) else None,
            "per_joint_max_px": away.max(axis=0).tolist(),
            "per_joint_mean_px": away.mean(axis=0).tolist(),
            "per_joint_ambiguous": ambiguous.sum(axis=0).tolist(),
        }


def pair_outputs(one: Seen, two: Seen) -> list[tuple[str, str]]:
    """Return the names of the outputs that are the same thing: by name, else in order among those of one shape.

    Returns
    -------
    list of (name in `one`, name in `two`)
        Shapes are compared without sizes of 1.
    """
    first = {name: np.squeeze(array).shape for name, array in one.outputs.items()}
    second = {name: np.squeeze(array).shape for name, array in two.outputs.items()}
    named = [(name, name) for name, shape in first.items() if second.get(name) == shape]
    if named:
        return named
    pairs = []
    for name, shape in first.items():
        here = [other for other, its in first.items() if its == shape]
        there = [other for other, its in second.items() if its == shape]
        if len(here) == len(there):
            pairs.append((name, there[here.index(name)]))
    return pairs


def _largest(values: NDArray[np.float64]) -> float:
    """Return the largest absolute value; a NaN counts as infinite."""
    return float(np.abs(np.nan_to_num(values, nan=np.inf, posinf=np.inf, neginf=np.inf)).max())


def _cosine(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Return the cosine; 1 for two that are all zeros, -1 where there is none."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(two))
    if lengths == 0.0:
        return 1.0 if not one.any() and not two.any() else -1.0
    value = float(one @ two) / lengths
    return value if np.isfinite(value) else -1.0


def _distances(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distance of each joint: 0 where both forms have no point, infinite where one has."""
    away = np.linalg.norm(one.astype(np.float64) - two, axis=1)
    lost, also_lost = np.isnan(one).any(axis=1), np.isnan(two).any(axis=1)
    away[lost | also_lost] = np.inf
    away[lost & also_lost] = 0.0
    return np.asarray(away)


def _nearest(places: Sequence[NDArray[np.float64]], points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how far each point is from the nearest of its places; NaN where there is none."""
    away = [np.linalg.norm(some - point, axis=1) for some, point in zip(places, points)]
    return np.array([one.min() if len(one) else np.nan for one in away])


def judge(figures: dict[str, Any], tolerance: Tolerance, side_px: int) -> list[str]:
    """Return what is beyond the limits, one sentence each; empty where the forms agree."""
    failures = []
    grey = figures["input"]["max_grey"]
    if grey is not None and not grey <= tolerance.input_grey:
        failures.append(f"the inputs differ by {grey:.3g} grey levels, more than {tolerance.input_grey:g}")
    for row in figures["outputs"]:
        limit = tolerance.output_max * max(1.0, row["peak"])
        if not row["max_abs"] <= limit:
            failures.append(f"output {row['name']} differs by {row['max_abs']:.3g}, more than {limit:.3g}")
        if not row["cosine"] >= tolerance.cosine_min:
            failures.append(f"output {row['name']} has cosine {row['cosine']:.6f}, less than {tolerance.cosine_min}")
    joints = figures["joints"]
    limit_px = tolerance.joint_share * side_px
    if joints is not None and not joints["judged_max_px"] <= limit_px:
        failures.append(f"joints are up to {joints['judged_max_px']:.3g} px apart, more than {limit_px:.3g}")
    if joints is not None and not joints["found"]:
        failures.append("no joint was found on any picture, which proves nothing: give other ones with --inputs")
    if not figures["outputs"] and joints is None:
        failures.append("the forms have no output in common")
    return failures
