"""Rays against capsules: signed distances, sphere tracing in blocks of the picture, normals.

Sphere tracing: Hart J. C., "Sphere tracing: a geometric method for the antialiased ray tracing of implicit surfaces",
The Visual Computer 12, 1996. The smooth union is the exponential one, ``-k ln(sum(exp(-d / k)))``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["Solid", "Surface", "pixel_rays", "trace"]

_FAR = 80.0  # exp(-80) is a normal float32
# How far capsules flow into each other, in millimetres: those that melt, and all others.
_MELT_MM, _EDGE_MM = 2.6, 0.9
_BLOCK_PX = 48  # the arrays of a block of this size stay in a core's cache
_REACH_MM = 13.0  # capsules this close to a block's rays may still darken or melt into what the rays meet
_CELL_PX = 8  # rays start together in cells of this size, for which one cone is followed
_CONE_STEPS = 14
_MAX_STEPS = 30
_TOUCH_PX = 0.2  # a ray this close has arrived
_MAX_STRETCH = 1.6  # times the gap, for one step
_STEP = 0.93  # of the distance: that to a cone is overestimated by up to a twentieth
_OPENNESS_MM = (4.0, 11.0)  # where, above the surface, it is asked how near other parts are


class Solid(NamedTuple):
    """C capsules in the frame of the camera: origin in its centre, x right, y down, z forward; float32 millimetres."""

    start: Floats
    axis: Floats
    start_radius: Floats
    growth: Floats  # radius at the end minus that at the start
    melting: int  # that many come first and melt into each other

    def only(self, chosen: NDArray[np.intp]) -> Solid:
        """Return some of the capsules; `chosen` rises."""
        melting = int(np.searchsorted(chosen, self.melting))
        return Solid(self.start[chosen], self.axis[chosen], self.start_radius[chosen], self.growth[chosen], melting)


class Surface(NamedTuple):
    """What the rays of N pixels meet; float32 unless said otherwise.

    Attributes
    ----------
    rows, columns : ndarray, intp, shape (N,)
        The pixels.
    distance : ndarray, shape (N,)
        From the camera, along the ray, in millimetres.
    coverage : ndarray, shape (N,)
        Share of the pixel that is covered, 0..1: less than 1 at the outline.
    points, normals : ndarray, shape (N, 3)
        In the frame of the camera.
    openness : ndarray, shape (N,)
        1 where nothing is near, towards 0 in folds (ambient occlusion).
    nearest : ndarray, intp, shape (N,)
        The capsule that the point belongs to.
    along : ndarray, shape (N,)
        Where along that capsule, 0..1.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    distance: Floats
    coverage: Floats
    points: Floats
    normals: Floats
    openness: Floats
    nearest: NDArray[np.intp]
    along: Floats


def pixel_rays(rows: NDArray[Any], columns: NDArray[Any], focal_px: float, size_hw: tuple[int, int]) -> Floats:
    """Return the unit vectors through the centres of pixels, float32, shape (N, 3)."""
    height, width = size_hw
    x, y = (columns + (0.5 - width / 2)) / focal_px, (rows + (0.5 - height / 2)) / focal_px
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    unit: Floats = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)
    return unit


def trace(solid: Solid, focal_px: float, size_hw: tuple[int, int]) -> Surface | None:
    """Trace a ray through the centre of every pixel that may see the solid; None where none does."""
    parts = []
    for top, left, bottom, right in _blocks(solid, focal_px, size_hw):
        rows, columns = (axis.ravel() for axis in np.mgrid[top:bottom, left:right])
        rays = pixel_rays(rows, columns, focal_px, size_hw)
        chosen, begin, end = _near_capsules(solid, rays)
        if not len(chosen):
            continue
        near = solid.only(chosen)
        kept, begins = _approach(near, (top, left, bottom, right), (begin, end), focal_px, size_hw)
        hit, distance, coverage = _march(near, rays[kept], begins, end, focal_px)
        if len(hit):
            hits = kept[hit]
            points = rays[hits] * distance[:, None]
            normals, openness, nearest, along = _inspect(near, points)
            parts.append(
                (rows[hits], columns[hits], distance, coverage, points, normals, openness, chosen[nearest], along)
            )
    return Surface(*(np.concatenate(values) for values in zip(*parts))) if parts else None


def _blocks(solid: Solid, focal_px: float, size_hw: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Cut the box in which the capsules' end spheres project into blocks: top, left, bottom, right."""
    ends = np.concatenate([solid.start, solid.start + solid.axis]).astype(np.float64)
    radius = np.concatenate([solid.start_radius, solid.start_radius + solid.growth]) + 2.0 * _MELT_MM
    box = []
    for axis, size in ((1, size_hw[0]), (0, size_hw[1])):
        across, depth = ends[:, axis], ends[:, 2]
        middle = np.arctan2(across, depth)
        half = np.arcsin(np.minimum(radius / np.maximum(np.hypot(across, depth), 1e-6), 1.0))
        edge = 0.49 * math.pi  # beyond it, the sphere reaches past the picture on that side
        low, high = np.clip([(middle - half).min(), (middle + half).max()], -edge, edge)
        first = focal_px * math.tan(low) + size / 2
        last = focal_px * math.tan(high) + size / 2
        box.append((int(np.clip(first, 0, size)), int(np.clip(math.ceil(last), 0, size))))
    (top, bottom), (left, right) = box
    return [
        (y, x, min(y + _BLOCK_PX, bottom), min(x + _BLOCK_PX, right))
        for y in range(top, bottom, _BLOCK_PX)
        for x in range(left, right, _BLOCK_PX)
    ]


def _near_capsules(solid: Solid, rays: Floats) -> tuple[NDArray[np.intp], float, float]:
    """Choose the capsules near the cone round all rays, and the range of distances in which they lie."""
    centre = rays.mean(axis=0)
    centre /= np.linalg.norm(centre)
    opening = math.acos(min(float((rays @ centre).min()), 1.0))
    at_start, at_end = solid.start @ centre, (solid.start + solid.axis) @ centre
    # The point of the axis nearest to the central ray: both without their parts along it.
    start = solid.start - at_start[:, None] * centre
    axis = solid.axis - (at_end - at_start)[:, None] * centre
    share = np.clip(-(start * axis).sum(1) / np.maximum((axis * axis).sum(1), 1e-6), 0.0, 1.0)
    radius = np.maximum(solid.start_radius, solid.start_radius + solid.growth) + _REACH_MM
    furthest = np.maximum(at_start, at_end) + radius
    near = np.linalg.norm(start + share[:, None] * axis, axis=1) < radius + np.maximum(furthest, 0) * math.tan(opening)
    chosen = np.flatnonzero(near & (furthest > 0))
    if not len(chosen):
        return chosen, 0.0, 0.0
    begin = float((np.minimum(at_start, at_end) - radius)[chosen].min()) + _REACH_MM - 2.0 * _MELT_MM
    return chosen, max(begin, 1.0), float(furthest[chosen].max() - _REACH_MM) / math.cos(opening)


def _approach(
    solid: Solid,
    block: tuple[int, int, int, int],
    span: tuple[float, float],
    focal_px: float,
    size_hw: tuple[int, int],
) -> tuple[NDArray[np.intp], Floats]:
    """Walk with one cone round each cell of pixels, as far as it is empty.

    Returns
    -------
    tuple of ndarray
        The pixels of the block, counted along its rows, whose cones meet something, and the distance to begin at.
    """
    top, left, bottom, right = block
    begin, end = span
    cells_down, cells_across = -(-(bottom - top) // _CELL_PX), -(-(right - left) // _CELL_PX)
    down, across = (axis.ravel() for axis in np.mgrid[:cells_down, :cells_across])
    middle = 0.5 * (_CELL_PX - 1)
    rays = pixel_rays(top + middle + _CELL_PX * down, left + middle + _CELL_PX * across, focal_px, size_hw)
    # From the middle of a cell to the centres of its corners, and two pixels for outlines that fade.
    slope = np.float32((middle * math.sqrt(2.0) + 2.0) / focal_px)
    to_start, to_axis = solid.start @ rays.T, solid.axis @ rays.T
    squares = _squares(solid)
    distance = np.full(len(rays), begin, np.float32)
    for _ in range(_CONE_STEPS):
        gap = _union(_gaps(solid, squares, distance * distance, distance * to_start, distance * to_axis), solid.melting)
        gap -= slope * distance
        distance += np.maximum(gap, 0.0)
        if not (gap > slope * distance).any():
            break
    cell_of_row, cell_of_column = np.arange(bottom - top) // _CELL_PX, np.arange(right - left) // _CELL_PX
    cell = (cell_of_row[:, None] * cells_across + cell_of_column).ravel()
    kept = np.flatnonzero(distance[cell] < end)
    return kept, distance[cell[kept]]


def _march(
    solid: Solid, rays: Floats, begins: Floats, end: float, focal_px: float
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Walk along the rays. The solid is half a pixel thinner, and its outline fades over one pixel."""
    pixel = np.float32(1.0 / focal_px)
    to_start = solid.start @ rays.T
    to_axis = solid.axis @ rays.T
    squares = _squares(solid)
    active = np.arange(len(rays))
    distance = begins
    step = np.zeros_like(distance)
    before = np.full(len(rays), np.inf, np.float32)  # the gap before the last step
    closest = before.copy()
    closest_at = distance.copy()
    for number in range(_MAX_STEPS):
        gap = _union(_gaps(solid, squares, distance * distance, distance * to_start, distance * to_axis), solid.melting)
        pixel_mm = pixel * distance
        gap += 0.5 * pixel_mm
        least = (0.5 + 0.1 * number) * pixel_mm  # so that no ray crawls along an outline that it grazes
        # Where the empty balls round this place and the last one do not meet, something may lie between them.
        too_far = before + np.maximum(gap, 0.0) + least < step
        in_pixels = np.abs(gap) / pixel_mm
        nearer = (in_pixels < closest[active]) & ~too_far
        closest[active[nearer]] = in_pixels[nearer]
        closest_at[active[nearer]] = distance[nearer]
        going = too_far | ((in_pixels > _TOUCH_PX) & (distance < end))
        count = np.count_nonzero(going)
        if not count:
            break
        # Where the gap shrank more slowly than the ray moved, the surface is slanted: the ray may go further.
        stretch = np.clip(step / np.maximum(before - gap, 1e-3), _STEP, _MAX_STRETCH)
        onward = np.where(gap < 0, gap, np.maximum(stretch * gap, least))
        step, before = np.where(too_far, _STEP * before - step, onward), np.where(too_far, before, gap)
        distance = distance + step * going
        if count < 0.8 * len(going):
            active, to_start, to_axis = active[going], to_start[:, going], to_axis[:, going]
            distance, step, before = distance[going], step[going], before[going]
    hit = np.flatnonzero(closest < 1.0)
    return hit, closest_at[hit], np.minimum((1.0 - closest[hit]) / (1.0 - _TOUCH_PX), 1.0).astype(np.float32)


def _squares(solid: Solid) -> tuple[Floats, Floats, Floats]:
    """Return start . start, start . axis and axis . axis, each of shape (C, 1)."""
    start, axis = solid.start, solid.axis
    return (
        (start * start).sum(1)[:, None],
        (start * axis).sum(1)[:, None],
        np.maximum((axis * axis).sum(1), np.float32(1e-6))[:, None],
    )


def _gaps(
    solid: Solid, squares: tuple[Floats, Floats, Floats], points_2: Floats, to_start: Floats, to_axis: Floats
) -> Floats:
    """Return the distances of N points from C capsules, (C, N), from products of vectors.

    Given are the points' with themselves (N,), with the starts and with the axes (C, N); the last is overwritten.
    ``|p - a - h b|^2 = p.p - 2 p.a + a.a + h (h b.b - 2 (p - a).b)``
    """
    start_2, start_axis, axis_2 = squares
    from_start = np.subtract(to_axis, start_axis, out=to_axis)
    along = from_start / axis_2
    np.maximum(along, 0.0, out=along)
    np.minimum(along, 1.0, out=along)
    from_start *= -2.0
    from_start += along * axis_2
    from_start *= along
    from_start += points_2
    from_start -= 2.0 * to_start
    from_start += start_2
    np.maximum(from_start, 0.0, out=from_start)
    np.sqrt(from_start, out=from_start)
    along *= solid.growth[:, None]
    from_start -= along
    from_start -= solid.start_radius[:, None]
    return from_start


def _union(distances: Floats, melting: int) -> Floats:
    """Return the distance from all capsules as one body, shape (N,)."""
    soft, sharp = distances[:melting], distances[melting:]
    if not len(sharp):
        return _smooth_minimum(soft, _MELT_MM)
    if len(soft):
        sharp = np.concatenate([sharp, _smooth_minimum(soft, _MELT_MM)[None]])
    return _smooth_minimum(sharp, _EDGE_MM)


def _smooth_minimum(distances: Floats, width_mm: float) -> Floats:
    """Return the smooth minimum, at most `_FAR` widths: beyond it float32 could not hold the powers."""
    powers = distances * np.float32(-1.0 / width_mm)
    np.maximum(powers, np.float32(-_FAR), out=powers)
    np.exp(powers, out=powers)
    logarithm: Floats = np.log(powers.sum(axis=0))
    logarithm *= np.float32(-width_mm)
    return logarithm


def _inspect(solid: Solid, points: Floats) -> tuple[Floats, Floats, NDArray[np.intp], Floats]:
    """Return normals, openness, the nearest capsule and the place along it, for points on the surface."""
    squares = _squares(solid)
    _, start_axis, axis_2 = squares
    to_axis = solid.axis @ points.T
    along = np.clip((to_axis - start_axis) / axis_2, 0.0, 1.0)
    growth = solid.growth[:, None]
    distances = _gaps(solid, squares, (points * points).sum(1), solid.start @ points.T, to_axis)
    # The gradient of a smooth minimum is the mean of the capsules' gradients, weighted with their parts in its sum. A
    # capsule's points away from the nearest point of its axis, and back along it where the capsule grows thicker.
    weights = _weights(distances, solid.melting)
    slope = np.where((along > 0) & (along < 1), growth / axis_2, np.float32(0))
    over_length = weights / np.maximum(distances + solid.start_radius[:, None] + along * growth, np.float32(1e-3))
    normals = points * over_length.sum(0)[:, None] - over_length.T @ solid.start
    normals -= (over_length * along + weights * slope).T @ solid.axis
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.float32(1e-6))
    nearest = distances.argmin(axis=0)
    return normals, _openness(solid, points, normals), nearest, along[nearest, np.arange(len(points))]


def _weights(distances: Floats, melting: int) -> Floats:
    """Return the part of each capsule in :func:`_union`, shape (C, N)."""
    body = _union(distances, melting)
    weights = np.empty_like(distances)
    weights[melting:] = np.exp((body - distances[melting:]) * np.float32(1.0 / _EDGE_MM))
    if melting:
        palm = _smooth_minimum(distances[:melting], _MELT_MM)
        share = np.exp((body - palm) * np.float32(1.0 / _EDGE_MM)) if melting < len(distances) else np.float32(1)
        weights[:melting] = share * np.exp((palm - distances[:melting]) * np.float32(1.0 / _MELT_MM))
    return weights


def _openness(solid: Solid, points: Floats, normals: Floats) -> Floats:
    openness = np.ones(len(points), np.float32)
    squares = _squares(solid)
    for height in _OPENNESS_MM:
        above = points + np.float32(height) * normals
        gaps = _gaps(solid, squares, (above * above).sum(1), solid.start @ above.T, solid.axis @ above.T)
        blocked = np.float32(height) - _union(gaps, solid.melting)
        openness -= np.float32(1.0 / (height * len(_OPENNESS_MM))) * np.maximum(blocked, 0.0)
    return openness
