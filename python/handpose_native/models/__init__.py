"""Models: what they expect, what they return, and how the joints are read from it."""

from __future__ import annotations

from .decoders import (
    Decoded,
    Decoder,
    DepthReader,
    HeatmapDecoder,
    KeypointDecoder,
    RegressionDecoder,
    make_decoder,
)
from .fitting import TensorLike, check_input, choose_depth_output, choose_input, choose_output
from .hands import HandsModel, LandmarkReader, PalmReader
from .known import KNOWN_MODELS, METADATA_KEY, find_spec, spec_from_metadata
from .manifest import require_verified
from .spec import ModelSpec
from .weights import is_weights_name, require_weights

__all__ = [
    "KNOWN_MODELS",
    "METADATA_KEY",
    "Decoded",
    "Decoder",
    "DepthReader",
    "HandsModel",
    "HeatmapDecoder",
    "KeypointDecoder",
    "LandmarkReader",
    "ModelSpec",
    "PalmReader",
    "RegressionDecoder",
    "TensorLike",
    "check_input",
    "choose_depth_output",
    "choose_input",
    "choose_output",
    "find_spec",
    "is_weights_name",
    "make_decoder",
    "require_verified",
    "require_weights",
    "spec_from_metadata",
]
