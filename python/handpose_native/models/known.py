"""The models that are known by name, and where a model's spec is looked for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DTypeError, ModelError
from .spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KNOWN_MODELS", "METADATA_KEY", "find_spec", "spec_from_metadata"]

#: Where a model file may carry its spec, as the JSON text of ``ModelSpec.to_dict()`` (ONNX: metadata_props).
METADATA_KEY = "handpose_native.spec"

#: Specs by name. The weights are not part of the package.
KNOWN_MODELS: dict[str, ModelSpec] = {
    # Sizes, mean, std and the index / 128 coordinates: utils/prep_utils.py and utils/dataset.py of the source.
    "unet": ModelSpec(
        name="unet",
        family="heatmap",
        input_hw=(128, 128),
        channel_order="rgb",
        filter="antialias",
        mean=(0.3950, 0.4323, 0.2954),
        std=(0.1966, 0.1734, 0.1836),
        fit="letterbox",
        method="expectation",
        peak_offset_px=0.0,
        min_presence=0.03,  # measured: see the page "Models" of the documentation
        source="https://github.com/OlgaChernytska/2D-Hand-Pose-Estimation-RGB",
        license="MIT",
    ),
    # (x - 128) / 256 in grey levels, cubic, BGR, crops stretched: inference.py and hand_data_iter/ of the source.
    "handpose-x": ModelSpec(
        name="handpose-x",
        family="regression",
        input_hw=(256, 256),
        channel_order="bgr",
        filter="cubic",
        scale=1 / 256,
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
        fit="stretch",
        source="https://github.com/XIAN-HHappy/handpose_x",
        license="none stated by the source",
    ),
    # x / 255 - 0.5, linear, BGR, maps read at 224 x 224: util/image_util.py and util/heatmap_util.py of the source.
    "hourglass-3d": ModelSpec(
        name="hourglass-3d",
        family="heatmap",
        input_hw=(256, 256),
        channel_order="bgr",
        filter="linear",
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
        fit="letterbox",
        method="upsampled_argmax",
        upsampled_hw=(224, 224),
        depth_output="depth",
        source="https://github.com/enghock1/Real-Time-2D-and-3D-Hand-Pose-Estimation",
        license="GPL-2.0 (of the source; none stated for the weights)",
    ),
}


def find_spec(
    model: str | os.PathLike[str], spec: ModelSpec | str | os.PathLike[str] | None = None
) -> ModelSpec | None:
    """Find the spec of a model outside the model file.

    Parameters
    ----------
    model : str or path
        The model file; need not exist.
    spec : ModelSpec, str or path, optional
        A spec, the name of a known one (names win over files), or a JSON file.

    Returns
    -------
    ModelSpec or None
        `spec`, or else that of the JSON file beside the model (``hand.json`` for ``hand.onnx``); None if there is none.

    Raises
    ------
    ModelError
        If `spec` is neither a known name nor a file, or the file holds no valid spec.
    DTypeError
        If `spec` has another type.
    """
    if isinstance(spec, ModelSpec):
        return spec
    if spec is None:
        beside = Path(model).with_suffix(".json") if Path(model).name else Path(model)
        return ModelSpec.from_json(beside) if beside.is_file() else None
    if not isinstance(spec, (str, os.PathLike)):
        raise DTypeError(f"find_spec: spec must be a ModelSpec, a name or a path; got {type(spec).__name__}")
    if isinstance(spec, str) and spec in KNOWN_MODELS:
        return KNOWN_MODELS[spec]
    if not Path(spec).is_file():
        raise ModelError(
            f"find_spec: spec must be a known name ({_known_names()}) or a JSON file; got {os.fspath(spec)!r}"
        )
    return ModelSpec.from_json(spec)


def spec_from_metadata(model: str | os.PathLike[str], metadata: Mapping[str, str]) -> ModelSpec:
    """Read the spec that a model file carries.

    Parameters
    ----------
    model : str or path
        The model file, for messages.
    metadata : mapping of str to str
        The file's own texts (``Backend.metadata``); the spec stands under ``"handpose_native.spec"``.

    Raises
    ------
    ModelError
        If there is none, with the ways to give one, or if it is not valid.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        beside = Path(model).with_suffix(".json")
        raise ModelError(
            f"{os.fspath(model)}: there is no description of what this model expects; name a known spec "
            f"({_known_names()}), give a ModelSpec or a JSON file, put one beside the model as {beside.name}, or into "
            f"its metadata as {METADATA_KEY!r}"
        )
    where = f"{os.fspath(model)}, metadata {METADATA_KEY!r}"
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{where}: not JSON: {error}") from error
    return ModelSpec.from_dict(values, where=where)


def _known_names() -> str:
    return ", ".join(sorted(KNOWN_MODELS))
