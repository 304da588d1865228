"""ONNX to OM: the command line of atc, its inputs and what it leaves behind."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, ModelError
from ..models import ModelSpec, find_spec, spec_from_metadata
from ..models.manifest import digest_of_file, digest_of_spec
from .aipp import AippConfig
from .atc_advice import explain
from .atc_environment import LOW_MEMORY_BYTES, available_memory_bytes, check_environment, find_atc
from .onnx_inputs import OnnxFacts, read_onnx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PRECISIONS", "SOCS", "Conversion", "plan_conversion", "run_conversion"]

logger = logging.getLogger(__name__)

#: Chips of the boards: Atlas 200 DK; OrangePi AIpro 20T and Atlas 200I DK A2; OrangePi AIpro 8T.
SOCS = ("Ascend310", "Ascend310B1", "Ascend310B4")
#: Values of atc's precision_mode by a word. fp16 is atc's own choice and not written.
PRECISIONS: dict[str, str | None] = {
    "fp16": None,
    "mixed": "allow_mix_precision",
    "origin": "must_keep_origin_dtype",
    "fp32": "force_fp32",
}
#: atc reads ONNX with opsets from 11; CANN 5 to 7 are sure of 11 to 13.
_OPSETS = (11, 13)
_STOP_AFTER_S = 10.0


@dataclass(frozen=True)
class Conversion:
    """What is going to be done.

    Attributes
    ----------
    command : tuple of str
        atc and its arguments.
    output : Path
        The .om file.
    spec : ModelSpec or None
        What the .om expects; None where nothing is known of the model.
    aipp : AippConfig or None
    remarks : tuple of str
        What the user should know before, one sentence each.
    """

    command: tuple[str, ...]
    output: Path
    spec: ModelSpec | None
    aipp: AippConfig | None
    remarks: tuple[str, ...]

    @property
    def aipp_path(self) -> Path:
        """Where the AIPP configuration is written."""
        return self.output.with_suffix(".aipp.cfg")

    @property
    def spec_path(self) -> Path:
        """Where the spec is written, and looked for when the .om is opened."""
        return self.output.with_suffix(".json")

    @property
    def log_path(self) -> Path:
        """Where atc's output is kept when it fails."""
        return self.output.with_suffix(".atc.log")


def plan_conversion(
    model: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    soc: str,
    spec: ModelSpec | str | os.PathLike[str] | None = None,
    aipp: bool = False,
    precision: str = "fp16",
    options: Mapping[str, str] | None = None,
) -> Conversion:
    """Work out the command that makes an .om of an ONNX model. Nothing is run or written.

    Parameters
    ----------
    model : path
        The ``.onnx`` file, with one image input.
    output : path, optional
        The ``.om`` file; named as the model unless given, with ``-aipp`` where AIPP goes in.
    soc : str
        "Ascend" and the chip's name in ``npu-smi info``; see :data:`SOCS`.
    spec : ModelSpec, str or path, optional
        As for :class:`~handpose_native.Pipeline`; needed with `aipp`.
    aipp : bool
        Whether the .om normalises by itself and takes uint8.
    precision : {"fp16", "mixed", "origin", "fp32"}
        What the network computes in; inputs and outputs keep their dtype.
    options : mapping of str to str, optional
        Further options of atc, without dashes.

    Returns
    -------
    Conversion

    Raises
    ------
    ArgumentError
        For a wrong argument, or an output that would take another model's spec.
    ModelError
        If the model cannot be read, has no spec where it needs one, or AIPP cannot do what the spec says.
    MissingDependencyError
        If onnx is not installed.
    """
    source = Path(model)
    target = Path(output) if output is not None else source.with_name(f"{source.stem}{'-aipp' if aipp else ''}.om")
    _check_arguments(source, target, soc, precision)
    facts = read_onnx(source)
    found = find_spec(source, spec)
    if found is None and (aipp or facts.has_spec):
        found = spec_from_metadata(source, facts.metadata)
    remarks = [] if _OPSETS[0] <= facts.opset <= _OPSETS[1] else [_opset_remark(facts.opset)]
    if found is None:
        remarks.append("the model has no spec: none is written beside the .om")
    shape = facts.input_shape(found)
    config = None
    if aipp and found is not None:
        config = _aipp_config(facts, found, shape)
        # The .om says itself that it normalises, and takes NHWC; what it does stays in the spec.
        found = dataclasses.replace(found, input_layout=None)
    command = ["atc", f"--input_format={'ND' if facts.layout == 'NHWC' else 'NCHW'}", f"--model={source}"]
    command += ["--framework=5", f"--output={target.with_suffix('')}", f"--soc_version={soc}"]
    if facts.is_open:
        command.append(f"--input_shape={facts.name}:{','.join(map(str, shape))}")
    conversion = Conversion((), target, found, config, tuple(remarks))
    if config is not None:
        command.append(f"--insert_op_conf={conversion.aipp_path}")
    if PRECISIONS[precision] is not None:
        command.append(f"--precision_mode={PRECISIONS[precision]}")
    command += [f"--{name}={value}" for name, value in (options or {}).items()]
    _check_spec_place(conversion)
    return dataclasses.replace(conversion, command=tuple(command))


def _check_arguments(source: Path, target: Path, soc: str, precision: str) -> None:
    if source.suffix.lower() != ".onnx":
        raise ArgumentError(f"convert: the model must be an .onnx file; got {source}")
    if target.suffix != ".om":
        raise ArgumentError(f"convert: the output must end in .om; got {target}")
    if not soc.startswith("Ascend"):
        raise ArgumentError(f"convert: soc must be one of {', '.join(SOCS)}, or Ascend...; got {soc!r}")
    if soc not in SOCS:
        logger.warning("convert: %s is passed to atc as it is; known are %s", soc, ", ".join(SOCS))
    if precision not in PRECISIONS:
        raise ArgumentError(f"convert: precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")


def _aipp_config(facts: OnnxFacts, spec: ModelSpec, shape: tuple[int, ...]) -> AippConfig:
    if facts.dtype == "uint8":
        raise ArgumentError("convert: aipp is for models with float inputs; this one takes uint8 already")
    if facts.layout != "NCHW":
        raise ArgumentError(f"convert: aipp needs an input (1, 3, h, w); it is {facts.layout} {shape}")
    return AippConfig.from_spec(spec, (shape[2], shape[3]))


def _check_spec_place(conversion: Conversion) -> None:
    """Refuse an output whose spec would replace another one, as that of the ONNX model itself."""
    place = conversion.spec_path
    if conversion.spec is not None and place.is_file() and not _is_there(conversion):
        raise ArgumentError(
            f"convert: {place} holds another spec than {conversion.output.name} needs; give the output another name, "
            "or leave the spec out"
        )


def _is_there(conversion: Conversion) -> bool:
    """Tell whether a spec that says the same stands beside the output already."""
    place = conversion.spec_path
    return place.is_file() and digest_of_spec(ModelSpec.from_json(place)) == digest_of_spec(conversion.spec)


def _opset_remark(opset: int) -> str:
    return (
        f"the model has opset {opset}: CANN before 8 is sure of {_OPSETS[0]} to {_OPSETS[1]} only, "
        f"{_OPSETS[0]} is read by all"
    )


def run_conversion(conversion: Conversion, *, on_line: Callable[[str], None] | None = None) -> list[Path]:
    """Check the environment, run atc, and write the spec beside the .om.

    Parameters
    ----------
    conversion : Conversion
    on_line : callable, optional
        Called with every line that atc prints.

    Returns
    -------
    list of Path
        What was written for good: the .om, and its spec unless that was there.

    Raises
    ------
    MissingDependencyError
        If atc is not there.
    ModelError
        If atc fails, with what is known about why; its output is kept in ``log_path``.

    Notes
    -----
    What the environment lacks is logged as warnings. Ctrl-C ends atc and what it started.
    """
    find_atc()
    environment = dict(os.environ)
    for problem in check_environment(environment):
        logger.warning("convert: %s", problem)
    memory = available_memory_bytes()
    if memory is not None and memory < LOW_MEMORY_BYTES:
        environment.setdefault("TE_PARALLEL_COMPILER", "1")
    try:
        if conversion.aipp is not None:
            conversion.aipp_path.write_text(conversion.aipp.to_text(), encoding="ascii")
        before = _stamp(conversion.output)
        code, output = _run(conversion.command, environment, on_line)
        if code != 0 or _stamp(conversion.output) == before:
            conversion.log_path.write_text(output, encoding="utf-8")
            raise ModelError(_failure(conversion, code, output))
        if conversion.spec is not None and not _is_there(conversion):
            spec = dataclasses.replace(conversion.spec, sha256=digest_of_file(conversion.output))
            text = json.dumps(spec.to_dict(), indent=2) + "\n"
            conversion.spec_path.write_text(text, encoding="utf-8")
            return [conversion.output, conversion.spec_path]
        return [conversion.output]
    except OSError as error:
        raise ModelError(f"convert: {error.filename or conversion.output}: {error.strerror}") from error


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _run(
    command: tuple[str, ...], environment: dict[str, str], on_line: Callable[[str], None] | None
) -> tuple[int, str]:
    """Run a program in a session of its own, so that all it starts can be ended."""
    lines = []
    process: Any = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with process:
        try:
            for line in process.stdout:
                lines.append(line)
                if on_line is not None:
                    on_line(line.rstrip("\n"))
            return process.wait(), "".join(lines)
        except BaseException:
            _end(process)
            raise


def _end(process: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_STOP_AFTER_S)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _failure(conversion: Conversion, code: int, output: str) -> str:
    errors = [line.strip() for line in output.splitlines() if line.startswith(("E", "[ERROR]")) or "Error" in line]
    said = errors[0] if errors else (output.strip().splitlines() or ["nothing"])[-1]
    ended = f"atc ended with code {code}" if code else f"atc ended well, but wrote no {conversion.output}"
    text = f"convert: {ended}: {said}"
    for advice in explain(output, code):
        text += f"\n  {advice.cause} {advice.remedy}"
    return f"{text}\n  All that it printed is in {conversion.log_path}"
