"""An environment of its own for tf2onnx, which needs TensorFlow: made once, kept beside the weights."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..models.weights import weights_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["PYTHON_VARIABLE", "convert_tflite"]

logger = logging.getLogger(__name__)

#: Names another Python, one that has tf2onnx and TensorFlow, for machines where pip cannot fetch them.
PYTHON_VARIABLE = "HANDPOSE_NATIVE_TF2ONNX_PYTHON"

#: What works together: tf2onnx 1.17 is for Python 3.10 and later, 1.16.1 for NumPy 1 and TensorFlow before 2.14.
_PINS = (
    ("tf2onnx==1.17.0", "onnx==1.23.2", "numpy==2.2.6", "protobuf==7.36.2", "flatbuffers==25.12.19")
    if sys.version_info >= (3, 10)
    else ("tf2onnx==1.16.1", "onnx==1.14.1", "numpy==1.24.3", "protobuf==3.20.3")
)
_TENSORFLOW_VERSION = "2.20.0" if sys.version_info >= (3, 10) else "2.13.1"

_INSTALL_TIMEOUT_S, _CONVERT_TIMEOUT_S = 3600.0, 900.0
_DONE = "complete"


def convert_tflite(source: Path, target: Path, opset: int) -> None:
    """Convert a ``.tflite`` file with tf2onnx.

    Parameters
    ----------
    source, target : Path
        The ``.tflite`` and the ``.onnx`` file.
    opset : int

    Raises
    ------
    ModelError
        If the environment cannot be made, or the conversion fails; with the last words of pip or tf2onnx.
    """
    command = [_python(), "-m", "tf2onnx.convert", f"--tflite={source}", f"--opset={opset}", f"--output={target}"]
    said = _run(command, _CONVERT_TIMEOUT_S, f"tf2onnx cannot convert {source}")
    if not target.is_file():
        raise ModelError(f"export: tf2onnx cannot convert {source}: {said}")


def _python() -> str:
    """Return the Python that has tf2onnx; makes its environment where there is none."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        return named
    version = "".join(map(str, sys.version_info[:2]))
    folder = weights_folder().parent / f"{_PINS[0].replace('==', '-')}-py{version}"
    python = folder / "bin" / "python"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _only_one_process(folder.with_suffix(".lock")):
            if not (folder / _DONE).is_file():
                shutil.rmtree(folder, ignore_errors=True)  # what a stopped one left
                _install(folder, python)
                (folder / _DONE).touch()
    except OSError as error:
        raise ModelError(f"export: {folder} cannot be written: {error.strerror or error}") from error
    return str(python)


def _install(folder: Path, python: Path) -> None:
    # The plain wheel for x86-64 brings what graphics cards need.
    tensorflow = "tensorflow-cpu" if platform.machine() == "x86_64" else "tensorflow"
    wanted = [*_PINS, f"{tensorflow}=={_TENSORFLOW_VERSION}"]
    logger.warning("export: installing %s into %s, about 1.6 GB, once", ", ".join(wanted), folder)
    try:
        _run([sys.executable, "-m", "venv", str(folder)], _INSTALL_TIMEOUT_S, "no environment can be made")
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", *wanted]
        _run(
            command, _INSTALL_TIMEOUT_S, f"pip cannot install {', '.join(wanted)}; {PYTHON_VARIABLE} may name a Python"
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run(command: Sequence[str], timeout_s: float, failed: str) -> str:
    """Run a command; returns the last line that it said on stderr."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"export: {failed}: not done after {timeout_s:.0f} s") from error
    except OSError as error:
        raise ModelError(f"export: {failed}: {command[0]} cannot be run: {error.strerror}") from error
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    last = [*errors[:1], *lines[-1:], ""][0]
    if done.returncode != 0:
        raise ModelError(f"export: {failed}: {last or f'exit code {done.returncode}'}")
    return last


@contextmanager
def _only_one_process(place: Path) -> Iterator[None]:
    """Hold a lock, which ends with the process however that ends."""
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
