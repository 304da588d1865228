"""The hand models: a palm detector, a landmark network, and what their outputs mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ..errors import ModelError
from ..skeleton import NUM_JOINTS

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .fitting import TensorLike

__all__ = ["HandsModel", "LandmarkReader", "Landmarks", "PalmReader"]

_DTYPES = ("float32", "float16")
_SUFFIXES = (".tflite", ".onnx", ".om")
_PALM_STEM, _LANDMARK_STEM = "palm_detection", "hand_landmark"


@dataclass(frozen=True)
class HandsModel:
    """The two networks that find and follow hands, as files.

    Attributes
    ----------
    name : str
        For reports.
    palm : Path
        MediaPipe's palm detector: RGB 192 x 192 in, 2016 candidates out.
    landmarks : Path
        MediaPipe's hand landmark network: RGB 224 x 224 in; 21 joints, presence, handedness, joints in metres out.
    """

    name: str
    palm: Path
    landmarks: Path

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str]) -> HandsModel:
        """Take the one ``palm_detection*`` and the one ``hand_landmark*`` model file of a folder.

        Raises
        ------
        ModelError
            If either is missing, or there are several.
        """
        place = Path(folder)
        return cls(place.name, _only(place, _PALM_STEM), _only(place, _LANDMARK_STEM))


def _only(folder: Path, stem: str) -> Path:
    found = sorted(path for path in folder.glob(f"{stem}*") if path.suffix.lower() in _SUFFIXES)
    if len(found) != 1:
        listed = ", ".join(path.name for path in found) or "none"
        raise ModelError(
            f"{folder}: a folder of hand models must hold exactly one {stem}* file ({', '.join(_SUFFIXES)}); "
            f"it holds {listed}"
        )
    return found[0]


class Landmarks(NamedTuple):
    """What the landmark network says of one crop.

    Attributes
    ----------
    points : ndarray, float32, shape (21, 3)
        x, y in pixels of the crop, z as deep as x is wide, from the wrist, smaller is nearer. A view.
    presence : float
        That there is a hand, 0..1.
    right : float
        That it is a person's right hand, 0..1, where the picture is not mirrored; a left one where it is. (MediaPipe
        calls this class "Left", because it takes every picture for mirrored.)
    world : ndarray, float32, shape (21, 3)
        Metres, in the axes of the crop. A view.
    """

    points: NDArray[np.float32]
    presence: float
    right: float
    world: NDArray[np.float32]


class LandmarkReader:
    """Finds the four outputs of a landmark network among those of an opened model.

    Two pairs have one shape each, so the names tell them apart: ``Identity`` (points), ``Identity_1`` (presence),
    ``Identity_2`` (handedness), ``Identity_3`` (metres), as in the files of MediaPipe and what is converted from them.

    Raises
    ------
    ModelError
        If the outputs are not these.
    """

    _SIZES: ClassVar[dict[str, int]] = {
        "Identity": 3 * NUM_JOINTS,
        "Identity_1": 1,
        "Identity_2": 1,
        "Identity_3": 3 * NUM_JOINTS,
    }

    def __init__(self, name: str, outputs: Sequence[TensorLike]) -> None:
        by_name = {one.name.split(":")[0]: index for index, one in enumerate(outputs)}
        sizes = {one.name.split(":")[0]: int(np.prod(one.shape)) for one in outputs}
        if sizes != self._SIZES or any(one.dtype.name not in _DTYPES for one in outputs):
            raise ModelError(
                f"{name}: a hand landmark model must have the float outputs Identity (1, 63), Identity_1 (1, 1), "
                f"Identity_2 (1, 1) and Identity_3 (1, 63); it has {_listed(outputs)}"
            )
        self._points, self._presence, self._right, self._world = (by_name[key] for key in self._SIZES)

    def read(self, outputs: Sequence[NDArray[Any]]) -> Landmarks:
        """Read the outputs of one run."""
        return Landmarks(
            _float32(outputs[self._points]).reshape(NUM_JOINTS, 3),
            float(outputs[self._presence].item()),
            float(outputs[self._right].item()),
            _float32(outputs[self._world]).reshape(NUM_JOINTS, 3),
        )


class PalmReader:
    """Finds the two outputs of a palm detector among those of an opened model, by their shapes.

    Raises
    ------
    ModelError
        If the outputs are not these.
    """

    def __init__(self, name: str, outputs: Sequence[TensorLike], candidates: int) -> None:
        places = {one.shape[1:]: index for index, one in enumerate(outputs) if one.dtype.name in _DTYPES}
        try:
            self._values, self._logits = places[(candidates, 18)], places[(candidates, 1)]
        except KeyError:
            raise ModelError(
                f"{name}: a palm detector must have the float outputs (1, {candidates}, 18) and "
                f"(1, {candidates}, 1); it has {_listed(outputs)}"
            ) from None

    def read(self, outputs: Sequence[NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the candidates' values, shape (candidates, 18), and logits, shape (candidates,); views."""
        return _float32(outputs[self._values])[0], _float32(outputs[self._logits])[0, :, 0]


def _float32(output: NDArray[Any]) -> NDArray[np.float32]:
    """Return an output as it is, or one of half precision (ATC: ``--output_type=FP16``) converted."""
    return output.astype(np.float32, copy=False)


def _listed(outputs: Sequence[TensorLike]) -> str:
    return ", ".join(f"{one.name!r} {one.dtype} {one.shape}" for one in outputs)
