"""The networks in PyTorch, with the parameter names of their authors' checkpoints, and their way to ONNX.

Only the modules of this folder import torch; whoever wants them imports them where they are used.
"""

from __future__ import annotations
