"""Which estimator a model needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, DTypeError
from ..models import HandsModel, is_weights_name, require_verified, require_weights
from .hands import HandsEstimator, HandsOptions
from .region import RegionEstimator
from .world import WorldOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..models import ModelSpec
    from .base import Estimator

__all__ = ["find_hands_model", "open_estimator"]


def open_estimator(
    model: str | os.PathLike[str] | HandsModel,
    *,
    spec: ModelSpec | str | os.PathLike[str] | None,
    backend_options: Mapping[str, Any],
    min_presence: float | None,
    options: Mapping[str, Any],
    world: WorldOptions | None = None,
    verified: bool = False,
    crop: str = "cpu",
) -> Estimator:
    """Open the networks that a model names.

    Parameters and errors are those of :class:`~handpose_native.Pipeline`; `backend_options` hold the threads, too,
    `world` is what is known of camera and hand, and `options` are those fields of :class:`HandsOptions` that were
    given.

    Returns
    -------
    Estimator
        To be closed by the caller.
    """
    world = world or WorldOptions()
    if crop not in ("cpu", "vpc"):
        raise ArgumentError(f"Pipeline: crop must be 'cpu' or 'vpc'; got {crop!r}")
    hands = find_hands_model(model, spec)
    if hands is not None:
        if verified and not (isinstance(model, str) and is_weights_name(model)):
            for path in (hands.palm, hands.landmarks):
                require_verified(path, None)
        world.refuse(hands.name)
        if crop == "vpc":
            raise ArgumentError(f"Pipeline: crop='vpc' is for regions that stand upright; those of {hands.name} rotate")
        given = dict(options) if min_presence is None else {**options, "min_presence": min_presence}
        return HandsEstimator(hands, HandsOptions(**given), backend_options)
    if options:
        raise ArgumentError(
            f"Pipeline: {min(options)} is for hands models only ('hands', 'hands-lite', a folder); got model {model!r}"
        )
    return RegionEstimator(
        model,  # type: ignore[arg-type]
        spec,
        backend_options,
        min_presence,
        world,
        verified=verified,
        crop=crop,
    )


def find_hands_model(
    model: str | os.PathLike[str] | HandsModel, spec: ModelSpec | str | os.PathLike[str] | None
) -> HandsModel | None:
    """Return the two networks where a model means such; None where it is one file.

    Parameters and errors are those of :class:`~handpose_native.Pipeline`.
    """
    if isinstance(model, HandsModel):
        found = model
    elif not isinstance(model, (str, os.PathLike)):
        raise DTypeError(f"Pipeline: model must be a name, a path or a HandsModel; got {type(model).__name__}")
    elif isinstance(model, str) and is_weights_name(model) and not Path(model).is_file():
        files = require_weights(model)
        found = HandsModel(model, files["palm"], files["landmarks"])
    elif Path(model).is_dir():
        found = HandsModel.from_folder(model)
    else:
        return None
    if spec is not None:
        raise ArgumentError(f"Pipeline: spec is for a model file; the model {found.name!r} needs none")
    return found
