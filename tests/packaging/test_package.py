"""What is installed: names, stubs, typing marker, version, errors."""

from __future__ import annotations

import ast
import inspect
from importlib import metadata
from pathlib import Path

import pytest

import handpose_native as hp
from handpose_native import _native, errors

PACKAGE = Path(hp.__file__).parent
ROOT = Path(__file__).resolve().parents[2]


def stub_names() -> dict[str, ast.stmt]:
    tree = ast.parse((PACKAGE / "_native.pyi").read_text(encoding="utf-8"))
    names: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return names


def test_stub_and_module_have_the_same_names() -> None:
    module = {name for name in vars(_native) if not name.startswith("__")}
    assert module == set(stub_names())


@pytest.mark.parametrize("name", [name for name, node in stub_names().items() if isinstance(node, ast.FunctionDef)])
def test_stub_and_module_take_the_same_number_of_arguments(name: str) -> None:
    node = stub_names()[name]
    assert isinstance(node, ast.FunctionDef)
    documented = len(node.args.posonlyargs) + len(node.args.args)
    signature = (getattr(_native, name).__doc__ or "").splitlines()[0]
    inside = signature[signature.index("(") + 1 : signature.rindex(") ->")]
    assert len([part for part in inside.split(",") if part.strip() and part.strip() != "/"]) == documented


def test_constants_have_the_types_of_the_stub() -> None:
    for name, node in stub_names().items():
        if isinstance(node, ast.AnnAssign):
            assert type(getattr(_native, name)).__name__ == ast.unparse(node.annotation)


def test_the_version_is_one() -> None:
    assert hp.__version__ == _native.VERSION == metadata.version("handpose_native")


def test_typing_marker_and_stub_are_installed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_native.pyi").exists()


def test_every_public_name_exists_and_every_public_function_is_documented() -> None:
    assert sorted(hp.__all__) == sorted(set(hp.__all__))
    for name in hp.__all__:
        thing = getattr(hp, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            assert inspect.getdoc(thing), f"{name} has no docstring"


@pytest.mark.parametrize(
    ("error", "standard"),
    [
        (errors.ArgumentError, ValueError),
        (errors.DTypeError, TypeError),
        (errors.DeviceError, RuntimeError),
        (errors.DeviceMemoryError, MemoryError),
        (errors.ModelError, ValueError),
        (errors.VideoError, OSError),
        (errors.MissingDependencyError, ImportError),
    ],
)
def test_errors_are_also_the_standard_ones(error: type[Exception], standard: type[Exception]) -> None:
    assert issubclass(error, standard)
    assert issubclass(error, hp.HandposeError)


def test_show_config_names_version_compiler_flags_levels_and_packages(capsys: pytest.CaptureFixture[str]) -> None:
    hp.show_config()
    text = capsys.readouterr().out
    for expected in (hp.__version__, _native.COMPILER, _native.FLAGS, "scalar", "onnxruntime", "numpy"):
        assert expected in text


@pytest.mark.skipif(not (ROOT / "CHANGELOG.md").exists(), reason="not in a source checkout")
def test_the_changelog_names_the_version() -> None:
    assert f"## {hp.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
