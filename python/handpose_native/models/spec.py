"""What a model expects and returns, as data that can be written down beside it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import ModelError
from ..skeleton import NUM_JOINTS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ModelSpec"]

_FAMILIES = ("heatmap", "regression", "keypoints", "palms", "landmarks")
_METHODS = ("argmax", "quarter", "dark", "expectation", "upsampled_argmax")
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "family": _FAMILIES,
    "channel_order": ("rgb", "bgr"),
    "filter": ("linear", "antialias", "cubic"),
    "fit": ("letterbox", "stretch"),
    "input_layout": (None, "NCHW", "NHWC"),
}
_SIZES = ("input_hw", "upsampled_hw")
_TRIPLES = ("mean", "std", "border_value")
_NAMED = ("input", "output", "depth_output")
_HEATMAP_ONLY = ("method", "upsampled_hw", "peak_offset_px")


@dataclass(frozen=True)
class ModelSpec:
    """What a model expects and returns.

    Every field is checked when a spec is made; a wrong one is a :class:`ModelError` that names it. The page "Models" of
    the documentation has an example in JSON.

    Attributes
    ----------
    name : str
    family : {"heatmap", "regression", "keypoints", "palms", "landmarks"}
        21 maps (1, 21, h, w); 42 numbers x0 y0 x1 y1 ... in parts of the input's width and height; or (1, 21, 3): x, y
        in such parts and a score 0..1 for each joint, as networks return that have the decoding inside. The last two
        are the networks of a hands model, which are run from their folder: there a spec says how the input is made
        only.
    channel_order : {"rgb", "bgr"}
        Of the input.
    input_hw : tuple of int, optional
        Height and width of the input in pixels; None: as in the model file.
    input_layout : {"NCHW", "NHWC"}, optional
        None: as in the model file.
    filter : {"linear", "antialias", "cubic"}
        How the image is resized; see ``preprocess``.
    scale : float, optional
    mean, std : float or three
        ``(scale * x - mean) / std``, x in grey levels 0..255, in the order of the input's channels. A `scale` of None
        is 1/255, and 1 for uint8 inputs. `mean` and `std` are kept as three numbers.
    fit : {"letterbox", "stretch"}
        How a region of another aspect is brought to the input: with a border, or distorted.
    border_value : float or three
        Grey levels 0..255 seen outside the image, in the order of the input's channels. Kept as three numbers.
    joint_order : tuple of 21 int
        At the place of the model's joint, the index of that joint here; see ``JOINT_NAMES``.
    method : {"argmax", "quarter", "dark", "expectation", "upsampled_argmax"}, optional
        How a peak is read from a map; needed for heatmaps, see ``heatmap_peaks``.
    upsampled_hw : tuple of int, optional
        For ``upsampled_argmax`` only, and needed there.
    peak_offset_px : float
        Heatmaps only: the coordinate that the network means by the first pixel of a map. 0.5 for its centre; 0.0 where
        it was trained with joints at ``index / size``.
    input : str or int, optional
        Name or index of the input that is the image; None: the only one that could be.
    constants : dict of str to numbers
        Values of the model's other inputs, by name, the same in every run: one number, or (nested) lists of them.
    output : str or int, optional
        Name or index of the output to decode; None: the only one that fits.
    depth_output : str or int, optional
        Name or index of an output of 20 numbers: how much farther than the wrist the model's joints 1..20 are from the
        camera, in lengths of the bone between joints 9 and 10; None: there is none.
    min_presence : float
        0..1; a picture with a lower presence shows no hand.
    source, license : str
        Of the weights.
    sha256 : str
        Of the model file that the spec was written for, in hexadecimal; for the record.
    weights_sha256 : tuple of str
        Of the files that the model was made from; for the record.
    """

    #: Version of the JSON form.
    SCHEMA: ClassVar[int] = 1

    name: str
    family: str
    channel_order: str
    input_hw: tuple[int, int] | None = None
    input_layout: str | None = None
    filter: str = "linear"
    scale: float | None = None
    mean: float | tuple[float, float, float] = 0.0
    std: float | tuple[float, float, float] = 1.0
    fit: str = "letterbox"
    border_value: float | tuple[float, float, float] = 0.0
    joint_order: tuple[int, ...] = tuple(range(NUM_JOINTS))
    method: str | None = None
    upsampled_hw: tuple[int, int] | None = None
    peak_offset_px: float = 0.5
    input: str | int | None = None
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    output: str | int | None = None
    depth_output: str | int | None = None
    min_presence: float = 0.0
    source: str = ""
    license: str = ""
    sha256: str = ""
    weights_sha256: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("name", "source", "license", "sha256"):
            if not isinstance(getattr(self, field), str):
                raise _wrong(self, field, "text")
        if not self.name:
            raise _wrong(self, "name", "not empty")
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise _wrong(self, field, f"one of {', '.join(map(repr, choices))}")
        for field in _SIZES:
            object.__setattr__(self, field, _size(self, field))
        for field in _TRIPLES:
            object.__setattr__(self, field, _triple(self, field))
        self._check_numbers()
        self._check_decoding()

    def _check_numbers(self) -> None:
        if self.scale is not None and not (_is_number(self.scale) and self.scale != 0):
            raise _wrong(self, "scale", "a finite number that is not 0, or None")
        if 0.0 in np.atleast_1d(self.std):
            raise _wrong(self, "std", "of numbers other than 0")
        if np.min(self.border_value) < 0 or np.max(self.border_value) > 255:
            raise _wrong(self, "border_value", "in grey levels 0..255")
        if not _is_number(self.peak_offset_px):
            raise _wrong(self, "peak_offset_px", "a finite number")
        if not _is_number(self.min_presence) or not 0 <= self.min_presence <= 1:
            raise _wrong(self, "min_presence", "a number 0..1")
        for field in _NAMED:
            value = getattr(self, field)
            if isinstance(value, bool) or not (value is None or isinstance(value, (str, int))):
                raise _wrong(self, field, "a name, an index or None")
            if isinstance(value, int) and value < 0:
                raise _wrong(self, field, "an index of at least 0")
        _check_constants(self)
        self._check_digests()

    def _check_digests(self) -> None:
        if self.sha256 and not _is_digest(self.sha256):
            raise _wrong(self, "sha256", "64 hexadecimal digits")
        digests = self.weights_sha256
        if not isinstance(digests, (tuple, list)) or not all(map(_is_digest, digests)):
            raise _wrong(self, "weights_sha256", "a list of 64 hexadecimal digits each")
        object.__setattr__(self, "weights_sha256", tuple(digests))

    def _check_decoding(self) -> None:
        order = self.joint_order
        if not isinstance(order, (tuple, list)) or any(isinstance(joint, bool) for joint in order):
            raise _wrong(self, "joint_order", f"{NUM_JOINTS} integers")
        if not all(isinstance(joint, int) for joint in order) or sorted(order) != list(range(NUM_JOINTS)):
            raise _wrong(self, "joint_order", f"each of 0..{NUM_JOINTS - 1} once")
        object.__setattr__(self, "joint_order", tuple(order))
        if self.family != "heatmap":
            for field in _HEATMAP_ONLY:
                if getattr(self, field) != getattr(type(self), field):
                    raise _wrong(self, field, f"left out, because family is {self.family!r}")
            return
        if self.method not in _METHODS:
            raise _wrong(self, "method", f"one of {', '.join(map(repr, _METHODS))}, because family is 'heatmap'")
        if (self.upsampled_hw is None) == (self.method == "upsampled_argmax"):
            raise _wrong(self, "upsampled_hw", "given with method 'upsampled_argmax', and only there")

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as values that JSON can hold; fields that say nothing are left out.

        Returns
        -------
        dict
            :meth:`from_dict` makes an equal spec of it.
        """
        values: dict[str, Any] = {"schema": self.SCHEMA}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value in (None, "", (), {}) or (self.family != "heatmap" and field.name in _HEATMAP_ONLY):
                continue
            values[field.name] = list(value) if isinstance(value, tuple) else value
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "ModelSpec") -> ModelSpec:
        """Make a spec of values read from JSON.

        Parameters
        ----------
        values : mapping
            ``"schema": 1`` and the fields, at least those without a default.
        where : str
            Where the values come from, for messages.

        Raises
        ------
        ModelError
            For another schema, an unknown or missing field, or a wrong value.
        """
        if not isinstance(values, dict):
            raise ModelError(f"{where}: a spec must be a JSON object; got {type(values).__name__}")
        if values.get("schema") != cls.SCHEMA or isinstance(values["schema"], bool):
            raise ModelError(f"{where}: schema must be {cls.SCHEMA}; got {values.get('schema')!r}")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields) - {"schema"})
        if unknown:
            raise ModelError(f"{where}: unknown fields {unknown}; a spec has {', '.join(fields)}")
        no = dataclasses.MISSING
        needed = [name for name, field in fields.items() if field.default is no and field.default_factory is no]
        missing = [name for name in needed if name not in values]
        if missing:
            raise ModelError(f"{where}: missing fields {missing}")
        try:
            return cls(**{name: value for name, value in values.items() if name != "schema"})
        except ModelError as error:
            raise ModelError(f"{where}: {error}") from error

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> ModelSpec:
        """Read a spec from a JSON file.

        Raises
        ------
        ModelError
            If the file cannot be read, is not JSON or holds no valid spec.
        """
        where = os.fspath(path)
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelError(f"{where}: the spec cannot be read: {error.strerror}") from error
        except ValueError as error:  # also text that is not UTF-8
            raise ModelError(f"{where}: the spec is not JSON: {error}") from error
        return cls.from_dict(values, where=where)


def _wrong(spec: ModelSpec, field: str, expected: str) -> ModelError:
    return ModelError(f"spec {spec.name!r}: {field} must be {expected}; got {getattr(spec, field)!r}")


def _check_constants(spec: ModelSpec) -> None:
    if not isinstance(spec.constants, dict) or not all(isinstance(name, str) for name in spec.constants):
        raise _wrong(spec, "constants", "values by name of the input")
    for value in spec.constants.values():
        try:
            numbers = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.array(np.nan)
        if not np.isfinite(numbers).all():
            raise _wrong(spec, "constants", "finite numbers, or lists of them, by name of the input")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _size(spec: ModelSpec, field: str) -> tuple[int, int] | None:
    value = getattr(spec, field)
    if value is None:
        return None
    pair = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(pair) != 2 or any(isinstance(one, bool) or not isinstance(one, int) or one < 1 for one in pair):
        raise _wrong(spec, field, "(height, width), both integers of at least 1, or None")
    return (pair[0], pair[1])


def _triple(spec: ModelSpec, field: str) -> tuple[float, float, float]:
    value = getattr(spec, field)
    three = tuple(value) if isinstance(value, (tuple, list)) else (value,) * 3
    if len(three) != 3 or not all(map(_is_number, three)):
        raise _wrong(spec, field, "one finite number or three")
    return (float(three[0]), float(three[1]), float(three[2]))
