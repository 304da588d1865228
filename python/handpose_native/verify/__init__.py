"""Whether two forms of one model, such as an ONNX file and an .om made of it, do the same."""

from __future__ import annotations

from .forms import CHECKPOINT_SUFFIXES, Form, open_checkpoint, open_form
from .inputs import rendered_frames, source_frames
from .pictures import write_worst
from .tolerances import PRECISIONS, Tolerance
from .verification import Verification, WorstFrame, verify_forms

__all__ = [
    "CHECKPOINT_SUFFIXES",
    "PRECISIONS",
    "Form",
    "Tolerance",
    "Verification",
    "WorstFrame",
    "open_checkpoint",
    "open_form",
    "rendered_frames",
    "source_frames",
    "verify_forms",
    "write_worst",
]
