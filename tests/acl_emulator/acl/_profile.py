"""What board is emulated: SoC, run mode, age of CANN, memory, latencies. From the environment or from the control
module."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

GIB = 1 << 30


@dataclass(frozen=True)
class Soc:
    """One chip. Memory is what a program can have: that of the board less about 2 GB which the system uses."""

    name: str
    memory: int
    himpi: bool
    jpegd_stride: tuple[int, int]
    vpc_stride: tuple[int, int]
    latencies_ms: dict[str, float] = field(default_factory=dict)


# Latencies are measurements on boards of each chip by name of the model (shell pattern); see the README of the
# emulator.
SOCS = {
    "Ascend310": Soc("Ascend310", 6 * GIB, False, (128, 16), (16, 2), {"*openpose*": 17.0, "*gaze*": 3.0}),
    "Ascend310B1": Soc(
        "Ascend310B1",
        20 * GIB,
        True,
        (64, 16),
        (1, 1),
        {"*palm*": 11.56, "*landmark*lite*": 2.16, "*landmark*": 2.66},
    ),
    "Ascend310B4": Soc("Ascend310B4", 6 * GIB, True, (64, 16), (1, 1), {"*palm*": 27.04, "*resnet18*": 3.21}),
}


@dataclass(frozen=True)
class Profile:
    """The emulated board and how the emulator behaves.

    Attributes
    ----------
    soc
        ``Ascend310``, ``Ascend310B1`` or ``Ascend310B4``.
    run_mode
        ``rc``: the program runs on the board's own CPU. ``ep``: on a host, the chip is behind PCIe.
    cann
        ``old`` (5.x: functions are missing) or ``new``.
    devices
        How many devices there are.
    memory
        Bytes of device memory; None for those of the board.
    slow
        True: the first ``set_device`` takes 2 s and ``finalize`` 2 s, and models without a latency of their own take
        that of the SoC's table.
    non_coherent
        True (rc only): the device sees what ``mem_flush`` wrote, the CPU what ``mem_invalidate`` read.
    replay_outputs
        True: a model computes once per gear, later runs write the outputs of that first run again, whatever the input.
        For measurements of throughput on a small machine only.
    record_only
        True: breaches of strict rules that the real runtime would survive are recorded, not raised.
    latencies_ms
        Latency by name of the model (shell pattern, the first that fits).
    threads
        Threads of ONNX Runtime per model.
    """

    soc: str = "Ascend310B4"
    run_mode: str = "rc"
    cann: str = "new"
    devices: int = 1
    memory: int | None = None
    slow: bool = False
    non_coherent: bool = False
    replay_outputs: bool = False
    record_only: bool = False
    latencies_ms: tuple[tuple[str, float], ...] = ()
    threads: int = 1

    def __post_init__(self) -> None:
        allowed = {"soc": tuple(SOCS), "run_mode": ("rc", "ep"), "cann": ("old", "new")}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"acl emulator: {name} must be one of {', '.join(values)}, got {getattr(self, name)!r}"
                )
        if self.non_coherent and self.run_mode == "ep":
            raise ValueError("acl emulator: non_coherent is a property of boards (run_mode rc)")

    @property
    def chip(self) -> Soc:
        return SOCS[self.soc]

    @property
    def memory_bytes(self) -> int:
        return self.chip.memory if self.memory is None else self.memory

    @property
    def is_ep(self) -> bool:
        return self.run_mode == "ep"

    @property
    def is_old(self) -> bool:
        return self.cann == "old"


def from_environment() -> Profile:
    """Read the profile from the variables ``ACL_EMULATOR_*``."""

    def flag(name: str) -> bool:
        return os.environ.get(f"ACL_EMULATOR_{name}", "0") not in ("", "0")

    def text(name: str, default: str) -> str:
        return os.environ.get(f"ACL_EMULATOR_{name}") or default

    default = Profile()
    memory = os.environ.get("ACL_EMULATOR_MEMORY_MB")
    return replace(
        default,
        soc=text("SOC", default.soc),
        run_mode=text("RUN_MODE", default.run_mode).lower(),
        cann=text("CANN", default.cann).lower(),
        devices=int(text("DEVICES", "1")),
        memory=int(memory) << 20 if memory else None,
        slow=flag("SLOW"),
        non_coherent=flag("NON_COHERENT"),
        replay_outputs=flag("REPLAY_OUTPUTS"),
        record_only=flag("RECORD_ONLY"),
        latencies_ms=_latencies(os.environ.get("ACL_EMULATOR_LATENCY_MS", "")),
        threads=int(text("THREADS", "1")),
    )


def _latencies(text: str) -> tuple[tuple[str, float], ...]:
    """``name=ms,name=ms`` as pairs."""
    pairs = []
    for part in filter(None, text.split(",")):
        name, _, value = part.rpartition("=")
        pairs.append((name or "*", float(value)))
    return tuple(pairs)
