"""The layers: who may import whom, read from the source of the installed package."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import handpose_native

PACKAGE = Path(handpose_native.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))

# From the bottom up: a module may import those of its own layer and of the layers below.
LAYERS = [
    {"errors", "types", "geometry", "skeleton", "picture", "ahead", "timing", "camera", "reconstruction", "regions"},
    {"isa", "preprocess", "heatmap", "draw", "palette", "ascend"},
    {"models", "backends", "video", "tracking", "synthetic"},
    {"estimators"},
    {"report", "diagnostics", "engine", "trace", "pipeline"},
    {"batch", "bench", "calibration", "doctor", "evaluate", "export", "verify", "web"},
    {"cli", "__init__", "__main__"},
]
KERNEL_FACES = {"isa", "preprocess", "heatmap", "draw", "palette"}
MAY_IMPORT_NATIVE = KERNEL_FACES | {"picture", "__init__", "diagnostics"}
# Packages of the third layer stand beside each other.
APART = {"models", "backends", "video", "tracking", "synthetic"}
# Only imported where a network is wanted, so that they may import torch as they are loaded.
NETWORKS = Path("export/networks")
# Modules that are themselves imported only when used, by `web.load_server`.
SERVER = {Path("web") / name for name in ("application.py", "metrics.py", "server.py")}
OPTIONAL = {
    "PIL", "acl", "ai_edge_litert", "aiohttp", "av", "cv2", "imageio", "matplotlib", "onnx", "onnxruntime",
    "prometheus_client", "pyarrow", "ray", "torch", "tqdm",
}  # fmt: skip


def layer_of(name: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Top-level names imported by a module: ours as ".name", others by package; and whether at import time."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    depth = len(path.parts)
    at_import = {id(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))}
    for function in ast.walk(tree):
        lazy = isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or (
            isinstance(function, ast.If) and "TYPE_CHECKING" in ast.dump(function.test)
        )
        if lazy:
            at_import -= {id(node) for node in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], id(node) in at_import) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(((node.module or "").split(".")[0], id(node) in at_import))
        elif isinstance(node, ast.ImportFrom):
            if node.level < depth:  # within its own subpackage
                continue
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            found += [(f".{name}", id(node) in at_import) for name in names]
    return found


def name_of(path: Path) -> str:
    return path.parts[0].split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_modules_import_only_from_their_own_layer_and_below(path: Path) -> None:
    name = name_of(path)
    for imported, _ in imports_of(path):
        if not imported.startswith("."):
            continue
        target = imported[1:]
        if target == "_native":
            assert name in MAY_IMPORT_NATIVE, f"{path} imports _native; only the kernel faces and the picture may"
            continue
        if target == name:
            continue
        assert layer_of(target) <= layer_of(name), f"{path} imports {target} from a layer above"
        assert not (name in APART and target in APART), f"{path} imports {target}, which stands beside it"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_optional_packages_are_imported_only_when_used(path: Path) -> None:
    at_import = {imported for imported, at_import in imports_of(path) if at_import}
    if path in SERVER:
        at_import -= {"aiohttp", "prometheus_client"}
    if path.parent == NETWORKS:
        at_import -= {"torch"}
    assert not at_import & OPTIONAL


def test_importing_the_package_loads_no_optional_package() -> None:
    modules = "handpose_native, handpose_native.cli, handpose_native.web"
    code = f"import sys, {modules}; print(*(set(sys.modules) & {OPTIONAL!r}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_files_stay_readable_in_length() -> None:
    long = {str(path): count for path in MODULES if (count := len((PACKAGE / path).read_text().splitlines())) > 420}
    assert not long
