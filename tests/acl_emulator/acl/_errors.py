"""The two ways in which a call can go wrong: a code of ACL, and a breach of a rule."""

from __future__ import annotations

from . import _codes as codes


class AclError(Exception):
    """A failure that the caller gets as a return code. Never leaves the emulator."""

    def __init__(self, code: int, text: str = "") -> None:
        meaning = codes.MEANINGS.get(code, "injected failure")
        super().__init__(f"{meaning}: {text}" if text else meaning)
        self.code = code


class RuleViolation(Exception):
    """The program did something that a board forbids or leaves undefined.

    Attributes
    ----------
    rule
        Number of the rule, as in the README of the emulator.
    """

    def __init__(self, rule: int, text: str) -> None:
        super().__init__(f"rule {rule}: {text}")
        self.rule = rule
