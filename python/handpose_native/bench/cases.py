"""What a case of the benchmark is: our call, the other ways to the same answer, and how right each has to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..isa import active_isa, isa_levels

if TYPE_CHECKING:
    from collections.abc import Callable
    from tempfile import TemporaryDirectory

__all__ = ["OURS", "Case", "Definition", "Variant"]

#: Name of the variant that all others are compared with.
OURS = "handpose_native"


@dataclass(frozen=True)
class Variant:
    """One way to do the work of a case.

    Attributes
    ----------
    name : str
        Stable: it stands in the JSON.
    kind : str
        ``ours``; ``peer``, other software; ``part``, a part of a peer's way; ``level``, ours on a slower level;
        ``own``, another of our own calls.
    call : callable
        What is timed.
    error_of : callable
        Distance of an answer from the exact one, in the unit of the case; NaN and infinity are wrong answers.
    tolerance : float
        The largest `error_of` that is a right answer.
    level : str or None
        ISA level to run it on; the active one unless given.
    answer : callable or None
        Takes `call` and returns the answer to check, where `call` itself does not: it draws in place or writes a file.
    """

    name: str
    kind: str
    call: Callable[[], Any]
    error_of: Callable[[Any], float]
    tolerance: float
    level: str | None = None
    answer: Callable[[Callable[[], Any]], Any] | None = None


@dataclass
class Case:
    """Variants of one piece of work; see :class:`Variant`.

    Attributes
    ----------
    bytes_moved : int
        Bytes that any way has to read and write at least; 0 where that says nothing.
    memory_limit : callable or None
        Reads and writes so many bytes and does nothing else; timed beside the variants.
    items : int
        Times are divided by it: frames of one call.
    error_unit : str
        Of the errors and tolerances.
    missing : dict of str to str
        Peers that cannot run here, and why.
    folder : TemporaryDirectory, optional
        Where calls write files; removed with the case.
    """

    bytes_moved: int = 0
    memory_limit: Callable[[], Any] | None = None
    items: int = 1
    error_unit: str = "grey levels"
    variants: list[Variant] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    folder: TemporaryDirectory[str] | None = None

    def add_ours(
        self, call: Callable[[], Any], error_of: Callable[[Any], float], tolerance: float, **more: Any
    ) -> None:
        """Add our call, and the same on every level slower than the active one."""
        self.variants.append(Variant(OURS, "ours", call, error_of, tolerance, **more))
        levels = isa_levels()
        for level in levels[: levels.index(active_isa())]:
            self.variants.append(Variant(f"level {level}", "level", call, error_of, tolerance, level=level, **more))

    def add_own(
        self, name: str, call: Callable[[], Any], error_of: Callable[[Any], float], tolerance: float, **more: Any
    ) -> None:
        """Add another of our own calls, to compare with."""
        self.variants.append(Variant(name, "own", call, error_of, tolerance, **more))

    def add_peer(
        self,
        name: str,
        make: Callable[[], Callable[[], Any]],
        error_of: Callable[[Any], float],
        tolerance: float,
        *,
        kind: str = "peer",
        **more: Any,
    ) -> None:
        """Add other software; `make` imports it and returns the call; its ImportError leaves the peer out by name."""
        try:
            call = make()
        except ImportError as error:
            self.missing[name] = str(error)
            return
        self.variants.append(Variant(name, kind, call, error_of, tolerance, **more))


@dataclass(frozen=True)
class Definition:
    """A case that is not built yet: its stable name, and what builds it."""

    name: str
    build: Callable[[], Case]
