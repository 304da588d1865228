"""One form of a model, opened: what it reads of a picture, and what it returns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..backends import open_backend
from ..errors import HandposeError
from ..estimators.region import normalisation_left, open_model, prepare_inputs
from ..geometry import input_from_roi, invert
from ..models import KNOWN_MODELS, LandmarkReader, ModelSpec, check_input, find_spec, make_decoder
from ..models.manifest import digest_of_file, digest_of_spec
from ..preprocess import preprocess
from .rivals import SUBPIXEL_METHODS, peak_places

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..backends import Backend
    from ..picture import Picture
    from ..types import Roi
    from .rivals import PeakPlaces

__all__ = ["CHECKPOINT_SUFFIXES", "Form", "Seen", "open_checkpoint", "open_form"]

#: Files that hold a PyTorch network's weights, and not which network that is.
CHECKPOINT_SUFFIXES = (".pth", ".pt")

_LANDMARK_STEM, _PALM_STEM = "hand_landmark", "palm_detection"
#: What MediaPipe's networks take: RGB 0..1.
_HAND_INPUT = ModelSpec(name="hands", family="regression", channel_order="rgb")


class Seen(NamedTuple):
    """What a form made of one picture; new arrays.

    Attributes
    ----------
    values : ndarray, float64, shape (1, 3, h, w), or None
        The network's input as normalised numbers; None where what was written cannot be brought to that.
    written : ndarray
        The input as it was written.
    outputs : dict of str to ndarray
        By name.
    points : ndarray, float32, shape (21, 2), or None
        Joints in pixels of the input; None for a model that has none.
    image_from_input : ndarray, float64, shape (2, 3)
    """

    values: NDArray[np.float64] | None
    written: NDArray[Any]
    outputs: dict[str, NDArray[Any]]
    points: NDArray[np.float32] | None
    image_from_input: NDArray[np.float64]

    def has_input_of(self, other: Seen) -> bool:
        """Tell whether both networks were given the same numbers."""
        return self.values is not None and other.values is not None and np.array_equal(self.values, other.values)


class Form:
    """A model file that is run on one picture after another.

    Parameters
    ----------
    files : sequence of path
        What the model is made of, the model file first.
    backend : Backend
        Closed by :meth:`close`.
    spec : ModelSpec or None
        None for the networks of hands, which are known by their file names.

    Attributes
    ----------
    path : Path
    device : str
    spec : ModelSpec or None
    dtype : str
        Of the image input.
    input_hw : tuple of int
    normalises : bool
        Whether the model takes grey levels and normalises them.
    has_half : bool
        Whether an input or output is float16.
    """

    def __init__(self, files: Sequence[Path], backend: Backend, spec: ModelSpec | None) -> None:
        self.path, self.files, self._backend, self.spec = files[0], tuple(files), backend, spec
        self._described = spec or _HAND_INPUT
        self._layout, self.input_hw = check_input(self._described, backend.inputs)
        self._image = prepare_inputs(self._described, backend)
        info = backend.inputs[self._image]
        self.device, self.dtype, self.normalises = backend.device, info.dtype.name, info.normalises
        self.has_half = any(one.dtype == np.float16 for one in (*backend.inputs, *backend.outputs))
        self._left = normalisation_left(self._described, info)
        self._decoder = make_decoder(spec, backend.outputs, self.input_hw) if spec is not None else None
        self._reader = None
        if spec is None and self.path.name.startswith(_LANDMARK_STEM):
            self._reader = LandmarkReader(str(self.path), backend.outputs)

    def look(self, picture: Picture, roi: Roi) -> Seen:
        """Run the model on a region of a picture."""
        spec = self._described
        forward = input_from_roi(roi, self.input_hw, fit=spec.fit)
        buffer = self._backend.input_buffer(0, self._image)
        preprocess(
            picture,
            input_from_image=forward,
            filter=spec.filter,
            border_value=spec.border_value,
            channel_order=spec.channel_order,
            layout=self._layout,
            out=buffer,
            **self._left,
        )
        return self._run(buffer, invert(forward))

    def look_at_input_of(self, other: Seen) -> Seen:
        """Run the model on the very numbers that another form was given, which its input can hold."""
        buffer: Any = self._backend.input_buffer(0, self._image)
        assert other.values is not None
        buffer.array[...] = other.values.transpose(0, 2, 3, 1) if self._layout == "NHWC" else other.values
        return self._run(buffer, other.image_from_input)

    def _run(self, buffer: Any, image_from_input: NDArray[np.float64]) -> Seen:
        written = np.array(buffer.array)
        self._backend.submit(0)
        results = self._backend.wait(0)
        outputs = {info.name.split(":")[0]: np.array(one) for info, one in zip(self._backend.outputs, results)}
        return Seen(self._normalised(written), written, outputs, self._points(results), image_from_input)

    def peak_places(self, seen: Seen, share: float) -> PeakPlaces | None:
        """Return where the peaks of the maps could be: see :func:`~handpose_native.verify.rivals.peak_places`.

        Parameters
        ----------
        seen : Seen
            Of this form.
        share : float
            What values may be off by, in parts of 1 or of the largest value.
        """
        if self._decoder is None or self.spec is None:
            return None
        maps = seen.outputs[self._backend.outputs[self._decoder.reads[0]].name.split(":")[0]]
        error = share * max(1.0, float(np.nan_to_num(np.abs(maps)).max()))
        return peak_places(self.spec, maps[0], self.input_hw, error)

    @property
    def within_pixel_px(self) -> float:
        """How far from the centre of its pixel a peak may be read: half a pixel of a map, in pixels of the input."""
        if self._decoder is None or self.spec is None or self.spec.method not in SUBPIXEL_METHODS:
            return 0.0
        map_hw = self._backend.outputs[self._decoder.reads[0]].shape[2:]
        return 0.5 * max(side / size for side, size in zip(self.input_hw, map_hw))

    def _normalised(self, written: NDArray[Any]) -> NDArray[np.float64] | None:
        values = written.astype(np.float64)
        if self._layout == "NHWC":
            values = values.transpose(0, 3, 1, 2)
        if self.normalises:
            scale, mean, std = self.normalisation
            return np.asarray((scale * values - mean[:, None, None]) / std[:, None, None])
        return values if written.dtype.kind == "f" else None  # stored numbers of a quantised input

    @property
    def normalisation(self) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Scale, and mean and std by channel: what makes the network's input of grey levels."""
        spec = self._described
        scale = 1 / 255 if spec.scale is None else spec.scale
        return scale, np.atleast_1d(spec.mean).astype(np.float64), np.atleast_1d(spec.std).astype(np.float64)

    def _points(self, results: Sequence[NDArray[Any]]) -> NDArray[np.float32] | None:
        if self._decoder is not None:
            return self._decoder.decode(results).points
        return np.array(self._reader.read(results).points[:, :2]) if self._reader is not None else None

    def describe(self) -> dict[str, Any]:
        """Return what the form is, as plain values; reads its files."""
        more = [{"file": path.name, "sha256": digest_of_file(path)} for path in self.files[1:]]
        return {
            "file": self.path.name,
            "sha256": digest_of_file(self.path),
            "spec": self.spec.name if self.spec is not None else "",
            "spec_sha256": digest_of_spec(self.spec),
            "device": self.device,
            "input": f"{self.dtype} {self._layout}" + (", normalised in the model" if self.normalises else ""),
            **({"with": more} if more else {}),
        }

    def close(self) -> None:
        """Release the model. May be called again."""
        self._backend.close()


def open_form(
    path: str | os.PathLike[str],
    spec: ModelSpec | str | os.PathLike[str] | None,
    backend_options: Mapping[str, Any],
) -> Form:
    """Open a model file.

    Parameters
    ----------
    path : path
        ``.onnx``, ``.tflite`` or ``.om``. A ``hand_landmark*`` or ``palm_detection*`` file without a spec is taken for
        MediaPipe's.
    spec : ModelSpec, str or path, optional
        As for :class:`~handpose_native.Pipeline`.
    backend_options : mapping
        For :func:`~handpose_native.backends.open_backend`; those that the file's runtime does not have are left out.

    Raises
    ------
    ModelError, ArgumentError, MissingDependencyError, DeviceError
        As :class:`~handpose_native.Pipeline`.
    """
    file = Path(path)
    only = ("device_id", "flush") if file.suffix.lower() == ".om" else ("threads",)
    options = {name: value for name, value in backend_options.items() if name in only and value is not None}
    options["slots"] = 1
    found: ModelSpec | None
    if spec is None and file.name.startswith((_LANDMARK_STEM, _PALM_STEM)):
        backend, found = open_backend(file, **options), None
    else:
        backend, found = open_model(file, spec, options)
    try:
        return Form([file], backend, found)
    except HandposeError:
        backend.close()
        raise


def open_checkpoint(
    network: str,
    weights: str | os.PathLike[str],
    *,
    spec: ModelSpec | str | os.PathLike[str] | None = None,
    depth_weights: str | os.PathLike[str] | None = None,
    backbone: str | None = None,
) -> Form:
    """Open a PyTorch checkpoint.

    Parameters
    ----------
    network : str
        Which network the weights are of: a model that ``handpose-native export`` makes of checkpoints.
    weights : path
    spec : ModelSpec, str or path, optional
        That of the network unless given.
    depth_weights : path, optional
        Of a second network, where the model has one.
    backbone : str, optional
        What the network is built on, where there is a choice.

    Raises
    ------
    ArgumentError, ModelError, MissingDependencyError
        As ``export``.
    """
    from ..export import checkpoint_models as models
    from .torch_backend import TorchBackend

    module = models.open_network(network, weights, depth_weights=depth_weights, backbone=backbone)
    known = KNOWN_MODELS[network]
    found = find_spec(Path(weights), known if spec is None else spec) or known
    backend = TorchBackend(module, models.CHECKPOINT_MODELS[network], found.input_hw or (0, 0))
    files = [Path(weights), *([Path(depth_weights)] if depth_weights is not None else [])]
    try:
        return Form(files, backend, found)
    except HandposeError:
        backend.close()
        raise
