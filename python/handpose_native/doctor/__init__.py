"""Whether this machine is ready: software, board, cameras, models, and how to mend what is not right."""

from __future__ import annotations

from .examination import examine
from .findings import Examination, Finding
from .machine import Machine

__all__ = ["Examination", "Finding", "Machine", "examine"]
