"""The exceptions of the package.

Every class is a :class:`HandposeError` and also the standard exception a caller would expect, so that both
``except HandposeError`` and ``except ValueError`` work. Messages name the function, the argument, what was
expected and what came.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "DTypeError",
    "DeviceError",
    "DeviceMemoryError",
    "HandposeError",
    "MissingDependencyError",
    "ModelError",
    "VideoError",
    "missing_dependency",
]


class HandposeError(Exception):
    """Root of all errors that this package raises on purpose."""


class ArgumentError(HandposeError, ValueError):
    """An argument has a wrong value, shape or layout."""


class DTypeError(HandposeError, TypeError):
    """An array or buffer has a wrong dtype, or an argument a wrong type."""


class DeviceError(HandposeError, RuntimeError):
    """A device or its runtime failed.

    Attributes
    ----------
    code : int or None
        The vendor's error code, where there is one.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class DeviceMemoryError(DeviceError, MemoryError):
    """A device could not give the memory asked for."""


class ModelError(HandposeError, ValueError):
    """A model file, or its description, does not fit what is asked of it."""


class VideoError(HandposeError, OSError):
    """A source cannot be read or a sink cannot be written."""


class MissingDependencyError(HandposeError, ImportError):
    """An optional package is needed and not installed."""


def missing_dependency(error: ImportError, package: str, purpose: str, install: str) -> MissingDependencyError:
    """Make the error for an optional package that is missing or does not load.

    Parameters
    ----------
    error : ImportError
        What importing it raised.
    package : str
        The package as it is imported.
    purpose : str
        What it is needed for, e.g. ``"to run .onnx models"``.
    install : str
        What to give to pip, e.g. ``"handpose_native[cpu]"``.
    """
    if isinstance(error, ModuleNotFoundError) and (error.name or package).split(".")[0] == package:
        return MissingDependencyError(f"{package} is needed {purpose} and is not installed: pip install '{install}'")
    hint = "; without a desktop, opencv-python-headless serves as well" if package == "cv2" else ""
    return MissingDependencyError(f"{package} is needed {purpose}, is installed, but does not load: {error}{hint}")
