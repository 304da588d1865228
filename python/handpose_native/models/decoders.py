"""From a model's outputs to joints in its input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ModelError
from ..heatmap import heatmap_peaks
from ..skeleton import NUM_JOINTS
from .fitting import choose_depth_output, choose_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .fitting import TensorLike
    from .spec import ModelSpec

__all__ = [
    "Decoded",
    "Decoder",
    "DepthReader",
    "HeatmapDecoder",
    "KeypointDecoder",
    "RegressionDecoder",
    "make_decoder",
]

#: A map's pixel (i, j) has its centre here; ``heatmap_peaks`` counts so.
_PIXEL_CENTRE_PX = 0.5


class Decoded(NamedTuple):
    """What a decoder returns; new arrays.

    Attributes
    ----------
    points : ndarray, float32, shape (21, 2)
        x, y in pixels of the model's input, continuous; NaN where the output gives no point.
    scores : ndarray, float32, shape (21,)
        0..1; NaN where the model gives no estimate; 0 where the point is NaN.
    presence : float
        0..1; NaN where the model gives no estimate.
    """

    points: NDArray[np.float32]
    scores: NDArray[np.float32]
    presence: float


class Decoder(ABC):
    """Reads the joints from a model's outputs.

    Parameters
    ----------
    spec : ModelSpec
    outputs : sequence of TensorLike
        All outputs of the opened model: ``Backend.outputs``.
    input_hw : tuple of int
        Height and width of the model's input in pixels.

    Raises
    ------
    ModelError
        If no output, or not just one, is what the spec describes.

    Attributes
    ----------
    reads : tuple of int
        Indices of the outputs that :meth:`decode` reads.
    """

    def __init__(self, spec: ModelSpec, outputs: Sequence[TensorLike], input_hw: tuple[int, int]) -> None:
        self._output = choose_output(spec, outputs)
        self.reads: tuple[int, ...] = (self._output,)
        self._input_hw = input_hw
        self._model_from_ours = np.argsort(spec.joint_order)

    def decode(self, outputs: Sequence[NDArray[Any]]) -> Decoded:
        """Read the joints.

        Parameters
        ----------
        outputs : sequence of ndarray, float32 or float16
            All outputs of one run, with the shapes that were given at the start. Only read.

        Returns
        -------
        Decoded
        """
        points, scores = self._decode(outputs[self._output])
        lost = ~np.isfinite(points).all(axis=1)
        points[lost] = np.nan
        scores[lost] = 0.0
        return Decoded(points[self._model_from_ours], scores[self._model_from_ours], float(scores.mean()))

    @abstractmethod
    def _decode(self, output: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return new arrays, points in input pixels and scores, with the joints in the model's order."""


class HeatmapDecoder(Decoder):
    """One map per joint.

    The score of a joint is ``sqrt(peak * value)``, both clipped to 0..1: the largest value of its map, and the map's
    value in the pixel that holds the point returned. For a clean peak both are its height. Where ``expectation``
    averages several peaks the point lies between them, where the map is low, and so is the score. The page "Models" of
    the documentation says what it was measured to be worth. Presence is the mean of the scores.

    Parameters are those of :class:`Decoder`.
    """

    def __init__(self, spec: ModelSpec, outputs: Sequence[TensorLike], input_hw: tuple[int, int]) -> None:
        super().__init__(spec, outputs, input_hw)
        map_h, map_w = outputs[self._output].shape[2:]
        input_h, input_w = input_hw
        self._method = spec.method or ""  # a spec of this family has one
        self._upsampled_hw = spec.upsampled_hw
        self._input_from_map = np.array([input_w / map_w, input_h / map_h], dtype=np.float32)
        self._shift_px = np.float32(spec.peak_offset_px - _PIXEL_CENTRE_PX)
        self._last_pixel = np.array([map_w - 1, map_h - 1], dtype=np.intp)
        self._joints = np.arange(NUM_JOINTS)

    def _decode(self, output: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        maps = output[0]
        points, peaks = heatmap_peaks(maps, method=self._method, upsampled_hw=self._upsampled_hw)
        pixels = np.nan_to_num(points).astype(np.intp)
        columns, rows = np.clip(pixels, 0, self._last_pixel).T
        values = maps[self._joints, rows, columns].astype(np.float32)
        # A NaN counts as 0, as in the kernel.
        scores = np.sqrt(np.clip(np.nan_to_num(peaks), 0.0, 1.0) * np.clip(np.nan_to_num(values), 0.0, 1.0))
        return (points + self._shift_px) * self._input_from_map, scores


class RegressionDecoder(Decoder):
    """42 numbers: x0 y0 x1 y1 ... in parts of the input's width and height.

    Such a network returns 21 points for any picture and nothing that says how sure it is, so scores and presence are
    NaN. Points outside the input are returned as they are.

    Parameters are those of :class:`Decoder`.
    """

    def _decode(self, output: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        input_h, input_w = self._input_hw
        points = output.reshape(NUM_JOINTS, 2).astype(np.float32) * np.array([input_w, input_h], dtype=np.float32)
        return points, np.full(NUM_JOINTS, np.nan, dtype=np.float32)


class KeypointDecoder(Decoder):
    """x, y in parts of the input's width and height, and a score, for each joint: decoded inside the network.

    The score is that of :class:`HeatmapDecoder`, clipped to 0..1; one that is not a number says that the joint has no
    point. Presence is the mean of the scores.

    Parameters are those of :class:`Decoder`.
    """

    def _decode(self, output: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        input_h, input_w = self._input_hw
        joints = output[0].astype(np.float32)
        points = joints[:, :2] * np.array([input_w, input_h], dtype=np.float32)
        points[np.isnan(joints[:, 2])] = np.nan
        return points, np.clip(joints[:, 2], 0.0, 1.0)


class DepthReader:
    """Reads how far joints are beyond the wrist, where a spec has a ``depth_output``.

    Parameters
    ----------
    spec : ModelSpec
    outputs : sequence of TensorLike
        All outputs of the opened model: ``Backend.outputs``.

    Raises
    ------
    ModelError
        If there is no such output.

    Attributes
    ----------
    reads : tuple of int
        Indices of the outputs that :meth:`read` reads.
    """

    def __init__(self, spec: ModelSpec, outputs: Sequence[TensorLike]) -> None:
        found = choose_depth_output(spec, outputs)
        if found is None:
            raise ModelError(f"spec {spec.name!r}: depth_output is needed to read depths")
        self._output = found
        self.reads: tuple[int, ...] = (found,)
        self._model_from_ours = np.argsort(spec.joint_order)

    def read(self, outputs: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """Return depths beyond the model's joint 0, in lengths of a bone: new array, float64, shape (21,)."""
        depths = np.concatenate([[0.0], outputs[self._output].reshape(-1).astype(np.float64)])
        ours: NDArray[np.float64] = depths[self._model_from_ours]
        return ours


_DECODERS: dict[str, type[Decoder]] = {
    "heatmap": HeatmapDecoder,
    "regression": RegressionDecoder,
    "keypoints": KeypointDecoder,
}


def make_decoder(spec: ModelSpec, outputs: Sequence[TensorLike], input_hw: tuple[int, int]) -> Decoder:
    """Make the decoder of the spec's family.

    Parameters, returns and errors are those of :class:`Decoder`.
    """
    if spec.family not in _DECODERS:
        raise ModelError(
            f"spec {spec.name!r}: family {spec.family!r} is one of the two networks of a hands model; run their folder"
        )
    return _DECODERS[spec.family](spec, outputs, input_hw)
