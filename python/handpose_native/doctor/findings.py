"""What the doctor says."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["AREAS", "Examination", "Finding"]

AREAS = ("software", "ascend", "cameras", "models")
_MARKS = {"ok": "ok", "note": "--", "warning": "!!", "error": "NO"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    area : {"software", "ascend", "cameras", "models"}
    name : str
        What it is, the same on every machine.
    level : {"ok", "note", "warning", "error"}
        ``"note"``: not there, and not needed here. ``"warning"``: something will not work, or not well. ``"error"``: in
        the way.
    value : str
        What was found, in words.
    fix : str or None
        What to do; always there for warnings and errors.
    """

    area: str
    name: str
    level: str
    value: str
    fix: str | None = None


@dataclass
class Examination:
    """All findings.

    Attributes
    ----------
    findings : list of Finding
    """

    findings: list[Finding] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        """Whether nothing is in the way."""
        return all(finding.level != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "schema": "handpose_native.doctor/1",
            "ready": self.is_ready,
            "findings": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        lines: list[str] = []
        for area in AREAS:
            found = [finding for finding in self.findings if finding.area == area]
            if found:
                lines.append(area)
            for one in found:
                lines.append(f"  {_MARKS[one.level]}  {one.name:<22} {one.value}")
                if one.fix is not None:
                    lines += textwrap.wrap(one.fix, 100, initial_indent=" " * 6 + "-> ", subsequent_indent=" " * 9)
        counts = {level: sum(one.level == level for one in self.findings) for level in ("error", "warning")}
        summary = ", ".join(f"{count} {level}{'s' * (count > 1)}" for level, count in counts.items() if count)
        return "\n".join([*lines, summary or "nothing in the way"])
