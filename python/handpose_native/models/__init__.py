"""Models: what they expect, what they return, and how the joints are read from it."""

from __future__ import annotations

from .decoders import Decoded, Decoder, HeatmapDecoder, RegressionDecoder, make_decoder
from .known import KNOWN_MODELS, METADATA_KEY, find_spec, spec_from_metadata
from .spec import ModelSpec, TensorLike, check_input, choose_output

__all__ = [
    "KNOWN_MODELS",
    "METADATA_KEY",
    "Decoded",
    "Decoder",
    "HeatmapDecoder",
    "ModelSpec",
    "RegressionDecoder",
    "TensorLike",
    "check_input",
    "choose_output",
    "find_spec",
    "make_decoder",
    "spec_from_metadata",
]
