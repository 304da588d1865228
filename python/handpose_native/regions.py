"""Regions as users write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

from .errors import ArgumentError
from .types import Roi

if TYPE_CHECKING:
    from collections.abc import Sequence

    RoiLike = Union[Roi, Sequence[float]]

__all__ = ["as_rois"]


def as_rois(roi: RoiLike | Sequence[RoiLike] | None) -> list[Roi]:
    """Take one region or several, each a Roi or four numbers."""
    if roi is None:
        return []
    regions: list[Any] = [roi] if isinstance(roi, Roi) or _is_box(roi) else list(roi)
    if not all(isinstance(one, Roi) or _is_box(one) for one in regions):
        raise ArgumentError(f"Pipeline: roi must be a Roi or (x, y, width, height) in pixels, or a list; got {roi!r}")
    return [one if isinstance(one, Roi) else Roi.from_xywh(*map(float, one)) for one in regions]


def _is_box(value: Any) -> bool:
    try:
        return len(value) == 4 and all(isinstance(float(number), float) for number in value)
    except (TypeError, ValueError):
        return False
