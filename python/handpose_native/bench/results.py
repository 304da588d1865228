"""Results as plain values: the JSON of ``handpose-native bench``, its check, and the table of the terminal."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..diagnostics import build_config
from ..errors import ArgumentError
from .cases import OURS
from .data import last_level_cache_bytes
from .measure import check_case, measure_case, one_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .cases import Definition

__all__ = ["SCHEMA", "SCHEMA_VERSION", "check_results", "environment", "kernel_lines", "pipeline_lines", "run_kernels"]

SCHEMA = "handpose-native-bench"
#: Raised when a field changes its meaning or goes; new fields do not raise it.
SCHEMA_VERSION = 1

_PEERS = ("Pillow", "imageio", "torch")
_NUMBER = (int, float)
_MAYBE_NUMBER = (int, float, type(None))
_DOCUMENT = {
    "schema": str, "schema_version": int, "started": str, "machine": dict, "build": dict, "peers": dict,
    "budget_s": _NUMBER, "threads": int, "kernels": list, "pipelines": list,
}  # fmt: skip
_MACHINE = {"name": str, "cpu": str, "architecture": str, "cores": int, "last_level_cache_bytes": int}
_KERNEL = {
    "name": str, "level": str, "items": int, "bytes_moved": int, "memory_limit_us": _MAYBE_NUMBER, "error_unit": str,
    "wrong": list, "missing": dict, "variants": list,
}  # fmt: skip
_VARIANT = {
    "name": str, "kind": str, "error": _NUMBER, "tolerance": _NUMBER, "median_us": _NUMBER, "quartiles_us": list,
    "ratio": _NUMBER, "ratio_quartiles": list, "rounds": int, "gb_per_s": _MAYBE_NUMBER, "limit_share": _MAYBE_NUMBER,
}  # fmt: skip
_PIPELINE = {
    "name": str, "source": str, "output": (str, type(None)), "wrong": list, "missing": (str, type(None)),
    "frames": int, "frames_with_hands": int, "fps": _MAYBE_NUMBER, "fps_range": list, "stages_ms": dict,
}  # fmt: skip


def environment(machine: str | None = None) -> dict[str, Any]:
    """Return what a run was made on: machine, build, versions; the start of the JSON.

    Parameters
    ----------
    machine : str, optional
        A name for it; the processor's unless given.
    """
    versions: dict[str, str | None] = {}
    for package in _PEERS:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    cpu = _cpu_name()
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "name": machine or cpu,
            "cpu": cpu,
            "architecture": platform.machine(),
            "cores": os.cpu_count() or 1,
            "last_level_cache_bytes": last_level_cache_bytes(),
        },
        "build": build_config(),
        "peers": versions,
        "threads": 1,
    }


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Hardware", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def run_kernels(definitions: Iterable[Definition], budget_s: float | None) -> Iterator[dict[str, Any]]:
    """Check and time cases one by one on the active level.

    Parameters
    ----------
    budget_s : float or None
        Seconds of timing for each case; None only checks the answers.

    Yields
    ------
    dict
        An entry of ``kernels``. `wrong` holds a sentence for each wrong answer, and then nothing has been timed.
    """
    with one_thread():
        for definition in definitions:
            yield _run_kernel(definition, budget_s)


def _run_kernel(definition: Definition, budget_s: float | None) -> dict[str, Any]:
    case = definition.build()
    errors, wrong = check_case(case)
    entry: dict[str, Any] = {
        "name": definition.name,
        "level": str(build_config()["isa_active"]),
        "items": case.items,
        "bytes_moved": case.bytes_moved,
        "memory_limit_us": None,
        "error_unit": case.error_unit,
        "wrong": wrong,
        "missing": case.missing,
        "variants": [],
    }
    if wrong or budget_s is None:
        return entry
    timings, entry["memory_limit_us"] = measure_case(case, budget_s)
    for variant, timing in zip(case.variants, timings):
        facts = {"name": variant.name, "kind": variant.kind, "error": errors[variant.name]}
        entry["variants"].append({**facts, "tolerance": variant.tolerance, **timing})
    return entry


def check_results(document: Any) -> None:
    """Raise unless a document is the JSON that ``handpose-native bench`` writes.

    Raises
    ------
    ArgumentError
        With the field that is missing or of another type, or the version that is not known.
    """
    _check("the document", document, _DOCUMENT)
    if (document["schema"], document["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
        got = f"{document['schema']} {document['schema_version']}"
        raise ArgumentError(f"check_results: expected {SCHEMA} {SCHEMA_VERSION}; got {got}")
    _check("machine", document["machine"], _MACHINE)
    for kernel in document["kernels"]:
        _check("a kernel", kernel, _KERNEL)
        for variant in kernel["variants"]:
            _check(f"a variant of {kernel['name']}", variant, _VARIANT)
    for pipeline in document["pipelines"]:
        _check("a pipeline", pipeline, _PIPELINE)


def _check(what: str, value: Any, fields: dict[str, Any]) -> None:
    if not isinstance(value, dict):
        raise ArgumentError(f"check_results: {what} must be an object; got {type(value).__name__}")
    for name, kinds in fields.items():
        if name not in value:
            raise ArgumentError(f"check_results: {what} has no field {name!r}")
        if not isinstance(value[name], kinds) or isinstance(value[name], bool):
            raise ArgumentError(f"check_results: {what}: {name} is a {type(value[name]).__name__}")


def kernel_lines(entry: dict[str, Any]) -> list[str]:
    """Return an entry of ``kernels`` for the terminal, at most 110 columns."""
    title = entry["name"]
    if entry["wrong"]:
        return [f"{title}: not timed", *(f"  ERROR {sentence}" for sentence in entry["wrong"])]
    if not entry["variants"]:
        return [f"{title}: answers right", *_left_out(entry)]
    if entry["bytes_moved"]:
        title += f"  ({entry['bytes_moved'] / 1e6:.2f} MB; memory limit {entry['memory_limit_us']:.1f} us)"
    lines = [title]
    for row in entry["variants"]:
        name = f"{row['name']} ({entry['level']})" if row["name"] == OURS else row["name"]
        line = f"  {name:<38}{row['median_us']:>12.1f} us{row['ratio']:>8.2f}x"
        low, high = row["ratio_quartiles"]
        line += f"{f'[{low:.2f} {high:.2f}]':>18}"
        if row["gb_per_s"] is not None:
            line += f"{row['gb_per_s']:>9.2f} GB/s{100 * row['limit_share']:>6.0f} %"
        lines.append(line)
    return [*lines, *_left_out(entry)]


def _left_out(entry: dict[str, Any]) -> list[str]:
    return [f"  left out: {name}: {reason}" for name, reason in entry["missing"].items()]


def pipeline_lines(entry: dict[str, Any]) -> list[str]:
    """Return an entry of ``pipelines`` for the terminal."""
    title = f"pipeline {entry['name']}, {entry['source']} -> {entry['output'] or 'nothing written'}"
    if entry["missing"]:
        return [f"{title}: left out: {entry['missing']}"]
    if entry["wrong"]:
        return [f"{title}: not timed", *(f"  ERROR {sentence}" for sentence in entry["wrong"])]
    low, high = entry["fps_range"]
    stages = "  ".join(f"{name} {value:.2f}" for name, value in entry["stages_ms"].items())
    return [
        title,
        f"  {entry['fps']:.1f} fps [{low:.1f} {high:.1f}], {entry['frames']} frames, hands in "
        f"{entry['frames_with_hands']}",
        f"  ms per frame that the stage ran on: {stages}",
    ]
