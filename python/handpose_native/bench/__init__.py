"""Benchmarks: the definitions once, for the command ``bench``, its tests and the scripts in ``benchmarks/``."""

from __future__ import annotations

from . import heatmap_cases, picture_cases, preprocess_cases, thread_cases
from .cases import OURS, Case, Definition, Variant
from .measure import check_case, measure_case, one_thread
from .results import SCHEMA, SCHEMA_VERSION, check_results, environment, kernel_lines, pipeline_lines, run_kernels

__all__ = [
    "OURS",
    "SCHEMA",
    "SCHEMA_VERSION",
    "Case",
    "Definition",
    "Variant",
    "check_case",
    "check_results",
    "environment",
    "kernel_definitions",
    "kernel_lines",
    "measure_case",
    "one_thread",
    "pipeline_lines",
    "run_kernels",
]


def kernel_definitions(pattern: str | None = None) -> list[Definition]:
    """Return the cases of the kernels whose name contains `pattern`, in which ``*`` and ``?`` stand for anything."""
    from fnmatch import fnmatchcase

    modules = (preprocess_cases, heatmap_cases, picture_cases, thread_cases)
    found = [definition for module in modules for definition in module.definitions()]
    return [definition for definition in found if pattern is None or fnmatchcase(definition.name, f"*{pattern}*")]
