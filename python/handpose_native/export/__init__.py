"""Networks as files for the runtimes: from checkpoints to ONNX."""

from __future__ import annotations
