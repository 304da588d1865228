"""How far two forms of one model may be apart."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PRECISIONS", "Tolerance"]


@dataclass(frozen=True)
class Tolerance:
    """The limits of one precision.

    Attributes
    ----------
    input_grey : float
        Largest difference of what preprocessing wrote, in grey levels.
    output_max : float
        Largest difference of a raw output, in parts of 1 or of the output's largest value, whichever is larger.
    cosine_min : float
        Smallest cosine between the raw outputs of one picture.
    joint_share : float
        Distance of a joint, in parts of the input's longer side.
    joint_quantile : float
        The share of all joints that must lie within it.
    """

    input_grey: float
    output_max: float
    cosine_min: float
    joint_share: float
    joint_quantile: float


#: Limits by precision; the page "Verify" of the documentation says what each is made of, and what was measured.
PRECISIONS: dict[str, Tolerance] = {
    # The same bytes go in. Sums of a convolution differ by their order: some units of 2**-24 per layer.
    "fp32": Tolerance(1e-3, 1e-5, 0.999999, 0.01 / 128, 1.0),
    # An input rounded to 11 bits is off by up to 0.06 grey levels; every layer rounds again. A map with two peaks of
    # nearly one height may give the other one, so a few joints may be anywhere.
    "fp16": Tolerance(0.1, 2e-2, 0.9995, 0.5 / 128, 0.95),
    # As fp16, and half a grey level for the rounding to bytes.
    "aipp": Tolerance(0.51, 3e-2, 0.999, 0.5 / 128, 0.95),
    # 8 bits for weights and values between layers; not measured here.
    "int8": Tolerance(1.01, 0.25, 0.98, 2.5 / 128, 0.9),
}
