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
        Distance of a joint, in parts of the input's longer side: of every joint.
    """

    input_grey: float
    output_max: float
    cosine_min: float
    joint_share: float


#: Limits by precision; the page "Verify" of the documentation says what each is made of, and what was measured.
PRECISIONS: dict[str, Tolerance] = {
    # The same bytes go in. Sums of a convolution differ by their order: some units of 2**-24 per layer.
    "fp32": Tolerance(1e-3, 1e-5, 0.999999, 0.01 / 128),
    # Half a step of fp16 is 2**-11 of a number at most, and no number is of more than 255 grey levels. Outputs and
    # joints: twice the largest difference of any network that was exported, with every layer rounded to fp16.
    "fp16": Tolerance(255 * 2**-11, 2.5e-2, 0.9995, 1 / 128),
    # Half a grey level for the rounding to bytes. Both networks then get these bytes, which AIPP normalises in fp16.
    "aipp": Tolerance(0.51, 3.5e-2, 0.9995, 1 / 128),
    # 8 bits for weights and values between layers; not measured here.
    "int8": Tolerance(1.01, 0.25, 0.98, 2.5 / 128),
}
