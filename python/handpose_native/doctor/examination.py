"""All of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ascend import examine_ascend
from .cameras import examine_cameras
from .findings import Examination
from .machine import Machine
from .models import examine_models
from .software import examine_software

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["examine"]


def examine(models: Sequence[str] = (), machine: Machine | None = None) -> Examination:
    """Look at this machine.

    Parameters
    ----------
    models : sequence of str
        Model files to look at besides the weights that are kept.
    machine : Machine, optional
        Another one, for tests.

    Returns
    -------
    Examination
        Nothing is raised for what is not right, and nothing is changed. Where there is an Ascend device it is opened
        for a moment, by another process.
    """
    machine = machine or Machine()
    findings = [*examine_software(machine), *examine_ascend(machine), *examine_cameras(machine)]
    soc = next((one.value for one in findings if (one.area, one.name) == ("ascend", "soc")), None)
    return Examination([*findings, *examine_models(models, soc)])
