"""How far found joints are from true ones: PCK, AUC, EPE, MPJPE. Definitions are those of MMPose where it has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["ALIGNMENTS", "align", "auc", "distances", "joint_errors", "mean_of_joints", "pck", "pck_curve"]

#: What may be done to found joints in space before they are compared.
ALIGNMENTS = ("none", "wrist", "scale", "procrustes")


def distances(found: ArrayLike, true: ArrayLike, visible: ArrayLike, size: ArrayLike = 1.0) -> Floats:
    """Return how far each joint is from the truth, as a share of a size.

    Parameters
    ----------
    found, true : array_like, shape (N, K, D)
        Joints of N hands in the same unit. A joint that was not found is NaN.
    visible : array_like, bool, shape (N, K)
        Which joints have a truth.
    size : array_like, shape (), (N,) or (N, D)
        What 1 means, in that unit; per axis with D numbers. A hand whose size is 0 or less is left out.

    Returns
    -------
    ndarray, float64, shape (N, K)
        Inf where a joint with a truth was not found, NaN where there is no truth.

    Raises
    ------
    ArgumentError
        If the shapes do not belong together.
    """
    points, truth, mask = _checked("distances", found, true, visible)
    sizes = np.asarray(size, np.float64)
    sizes = sizes[:, None] if sizes.ndim == 1 else sizes
    sizes = np.broadcast_to(sizes, (len(points), points.shape[2]))
    usable = mask & (sizes > 0).all(axis=1, keepdims=True)
    scaled = (points - truth) / np.where(sizes > 0, sizes, 1.0)[:, None, :]
    result = np.linalg.norm(scaled, axis=-1)
    result[np.isnan(result)] = np.inf
    return np.where(usable, result, np.nan)


def pck(of: ArrayLike, threshold: float) -> Floats:
    """Return the share of correct keypoints of each joint: those nearer to the truth than the threshold.

    Parameters
    ----------
    of : array_like, shape (N, K)
        What :func:`distances` returns.
    threshold : float
        In the unit of the distances; a joint exactly as far away is not correct.

    Returns
    -------
    ndarray, float64, shape (K,)
        0..1; NaN for a joint without any truth.

    Notes
    -----
    The PCK of a data set is :func:`mean_of_joints` of this: every joint counts the same, however often it has a truth
    (MMPose, ``keypoint_pck_accuracy``).
    """
    curve: Floats = pck_curve(of, [threshold])[0]
    return curve


def pck_curve(of: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Return :func:`pck` at many thresholds.

    Parameters
    ----------
    of : array_like, shape (N, K)
    thresholds : array_like, shape (T,)

    Returns
    -------
    ndarray, float64, shape (T, K)
    """
    values = np.sort(np.asarray(of, np.float64), axis=0)  # NaN goes last
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    limits = np.asarray(thresholds, np.float64)
    below = [np.searchsorted(column[:count], limits, side="left") for column, count in zip(values.T, counts)]
    shares = np.stack(below, axis=1) / np.where(counts, counts, 1)
    return np.where(counts > 0, shares, np.nan)


def auc(of: ArrayLike, steps: int = 20) -> float:
    """Return the area under the PCK curve between the thresholds 0 and 1.

    Parameters
    ----------
    of : array_like, shape (N, K)
        Distances as shares of the largest threshold of interest.
    steps : int
        The curve is read at 0, 1 / steps, ... (steps - 1) / steps and averaged (MMPose, ``keypoint_auc``).

    Returns
    -------
    float
        0..1; NaN without any truth.
    """
    curve = pck_curve(of, np.arange(steps) / steps)
    return float(np.mean([mean_of_joints(row) for row in curve]))


def mean_of_joints(values: ArrayLike) -> float:
    """Return the mean over the joints that have a value; NaN where none has."""
    row = np.asarray(values, np.float64)
    known = row[~np.isnan(row)]
    return float(known.mean()) if known.size else float("nan")


def joint_errors(
    found: ArrayLike, true: ArrayLike, visible: ArrayLike, *, alignment: str = "none"
) -> tuple[float, Floats]:
    """Return the mean distance from the truth over all joints that have one and were found, and that of each joint.

    In pixels this is the end-point error (EPE), in space the mean per-joint position error (MPJPE); with
    ``"procrustes"``, PA-MPJPE.

    Parameters
    ----------
    found, true : array_like, shape (N, K, D)
        Joints of N hands in the same unit. A joint that was not found is NaN and left out; with an alignment its whole
        hand is.
    visible : array_like, bool, shape (N, K)
        Which joints are compared.
    alignment : {"none", "wrist", "scale", "procrustes"}
        As in :func:`align`.

    Returns
    -------
    mean : float
        Every joint of every hand counts the same; NaN without any.
    per_joint : ndarray, float64, shape (K,)
        NaN for a joint without any.

    Raises
    ------
    ArgumentError
        If the shapes do not belong together, or for another alignment.
    """
    points, truth, mask = _checked("joint_errors", found, true, visible)
    finite: Mask = np.asarray(np.isfinite(points).all(axis=-1))
    mask = mask & (finite if alignment == "none" else finite.all(axis=1, keepdims=True))
    points = np.where(finite[..., None], points, 0.0)
    error = np.linalg.norm(align(points, truth, alignment) - truth, axis=-1)
    error[~mask] = 0.0
    counts = mask.sum(axis=0)
    per_joint = np.where(counts > 0, error.sum(axis=0) / np.where(counts, counts, 1), np.nan)
    return (float(error.sum() / mask.sum()) if mask.any() else float("nan")), per_joint


def align(found: ArrayLike, true: ArrayLike, alignment: str) -> Floats:
    """Bring found hands to where the true ones are.

    Parameters
    ----------
    found, true : array_like, shape (N, K, D)
        All joints are used, also those that are not compared afterwards (as in MMPose).
    alignment : {"none", "wrist", "scale", "procrustes"}
        ``"none"`` leaves them; ``"wrist"`` puts the first joint onto the true one; ``"scale"`` multiplies by the number
        that leaves the least squares; ``"procrustes"`` moves, turns and scales so, without mirroring (Umeyama 1991,
        "Least-squares estimation of transformation parameters between two point patterns", equations 40 to 42).

    Returns
    -------
    ndarray, float64, shape (N, K, D)
        New array. A hand whose joints all lie in one point is only moved.
    """
    points, truth = np.array(found, np.float64), np.asarray(true, np.float64)
    if alignment not in ALIGNMENTS:
        raise ArgumentError(f"align: alignment must be one of {', '.join(ALIGNMENTS)}; got {alignment!r}")
    if alignment == "none" or not len(points):
        return points
    if alignment == "wrist":
        return np.asarray(points - points[:, :1] + truth[:, :1])
    if alignment == "scale":
        squares = (points**2).sum(axis=(1, 2))
        factor = (points * truth).sum(axis=(1, 2)) / np.where(squares > 0, squares, 1.0)
        return np.asarray(points * factor[:, None, None])
    return _procrustes(points, truth)


def _procrustes(points: Floats, truth: Floats) -> Floats:
    center, true_center = points.mean(axis=1, keepdims=True), truth.mean(axis=1, keepdims=True)
    moved, target = points - center, truth - true_center
    u, sizes, vt = np.linalg.svd(np.swapaxes(moved, 1, 2) @ target)
    signs = np.ones_like(sizes)
    signs[:, -1] = np.sign(np.linalg.det(u @ vt))  # turn, never mirror
    rotation = (u * signs[:, None, :]) @ vt
    spread = (moved**2).sum(axis=(1, 2))
    factor = (sizes * signs).sum(axis=1) / np.where(spread > 0, spread, 1.0)
    return np.asarray(factor[:, None, None] * moved @ rotation + true_center)


def _checked(function: str, found: ArrayLike, true: ArrayLike, visible: ArrayLike) -> tuple[Floats, Floats, Mask]:
    points, truth = np.asarray(found, np.float64), np.asarray(true, np.float64)
    mask = np.asarray(visible, bool)
    if points.ndim != 3 or points.shape != truth.shape or mask.shape != points.shape[:2]:
        raise ArgumentError(
            f"{function}: found and true must have one shape (N, K, D) and visible (N, K); "
            f"got {points.shape}, {truth.shape} and {mask.shape}"
        )
    return points, truth, mask
