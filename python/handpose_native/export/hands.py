"""The default models as ONNX: MediaPipe's palm detector and landmark network, out of their ``.tflite`` files."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backends import open_backend
from ..errors import ArgumentError, ModelError
from ..models import ModelSpec, require_weights
from ..models.weights import is_weights_name, weight_set
from ..preprocess import preprocess
from ..synthetic import POSES, Camera, Scene, SceneHand, render
from .comparing import check_difference
from .files import digest_of, require_packages, spec_metadata, write_model
from .graph import OPSETS, GraphWriter, write_doubled
from .operators import check_operators
from .tf2onnx_environment import convert_tflite

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

    from ..backends import Backend

__all__ = ["ExportedNetwork", "export_hands", "without_linear_resizes"]

#: Outputs are pixels of up to a few hundred, logits and metres. Converted rightly, they differ by rounding: on frames
#: of a video by 2.0e-4 at most, on noise by 2.8e-4 (x86-64); perhaps by more where sums are taken in another order.
_LIMIT = 1e-3

_FAMILIES = {"palm": "palms", "landmarks": "landmarks"}


@dataclass(frozen=True)
class ExportedNetwork:
    """One network of two.

    Attributes
    ----------
    path : Path
        The ``.onnx`` file; its spec is beside it as ``.json``.
    spec : ModelSpec
        As written; says how the input is made, not how hands are found: that takes both networks.
    differences : dict of str to float
        Per output: the largest absolute difference between LiteRT and ONNX Runtime on rendered hands.
    """

    path: Path
    spec: ModelSpec
    differences: dict[str, float]


def export_hands(
    name: str,
    output: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    opset: int = 11,
) -> list[ExportedNetwork]:
    """Write both networks of a hands model as ONNX, which ``Pipeline(output)`` then runs.

    tf2onnx converts them in an environment of its own, which takes 1.6 GB in the user's cache folder and is made once.
    Linear resizing in the palm detector is replaced by the same sums without Resize, and both networks are compared
    with LiteRT before they are written.

    Parameters
    ----------
    name : str
        ``"hands"``, ``"hands-full"`` or ``"hands-lite"``.
    output : str or path
        A folder; made if it is not there.
    weights : str or path, optional
        A folder with the two ``.tflite`` files; those of the cache folder unless given, fetched where they are missing.
    opset : int
        Version of the operators, 11 to 17.

    Returns
    -------
    list of ExportedNetwork
        Palm detector, landmark network.

    Raises
    ------
    ArgumentError
        For a wrong name or opset.
    ModelError
        If a file is missing, cannot be converted or written, or the results differ.
    MissingDependencyError
        If onnx, onnxruntime or LiteRT is not installed.
    """
    if not is_weights_name(name):
        raise ArgumentError(f"export: model must be hands, hands-full or hands-lite; got {name!r}")
    if opset not in OPSETS:
        raise ArgumentError(f"export: opset must be {OPSETS.start}..{OPSETS.stop - 1}; got {opset}")
    require_packages("to write and compare models", onnx="export", onnxruntime="export", ai_edge_litert="cpu")
    files = _given(name, Path(weights)) if weights is not None else require_weights(name)
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"export: {folder} cannot be made: {error.strerror}") from error
    return [_export(name, role, source, folder, opset) for role, source in files.items()]


def without_linear_resizes(model: Any) -> Any:
    """Return a model that computes the same without linear Resize.

    Parameters
    ----------
    model : onnx.ModelProto
        With static shapes. Each linear Resize in it doubles height and width between pixel centres.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ModelError
        If one resizes in another way.
    """
    import onnx

    shapes = {
        one.name: [size.dim_value for size in one.type.tensor_type.shape.dim]
        for one in onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
    }
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    graph = GraphWriter.beginning_as(model)
    for node in model.graph.node:
        options = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type != "Resize" or options.get("mode") != b"linear":
            graph.add(node)
            continue
        scales = constants.get(node.input[2]) if len(node.input) > 2 else None
        doubles = scales is not None and scales.tolist() == [1, 1, 2, 2]
        if not doubles or options.get("coordinate_transformation_mode", b"half_pixel") != b"half_pixel":
            raise ModelError(f"export: node {node.name!r} resizes linearly, but does not double between pixel centres")
        doubled = write_doubled(graph, node.input[0], shapes[node.input[0]], node.name)
        graph.rename(doubled, node.output[0])
    return graph.model({one.key: one.value for one in model.metadata_props})


def _given(name: str, folder: Path) -> dict[str, Path]:
    files = {role: folder / file.file_name for role, file in weight_set(name).files.items()}
    missing = [file.name for file in files.values() if not file.is_file()]
    if missing:
        raise ModelError(f"export: {folder} has no {', '.join(missing)}")
    return files


def _export(name: str, role: str, source: Path, folder: Path, opset: int) -> ExportedNetwork:
    import onnx

    target = folder / f"{source.stem}.onnx"
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as temporary:
        converted = Path(temporary) / target.name
        convert_tflite(source, converted, opset)
        model = without_linear_resizes(onnx.load(str(converted)))
        spec = _spec(name, role, source, model)
        onnx.helper.set_model_props(model, spec_metadata(spec))
        check_operators(model)
        content = model.SerializeToString()
        converted.write_bytes(content)
        differences = _compare(source, converted)
    return ExportedNetwork(target, write_model(content, spec, target), differences)


def _spec(name: str, role: str, source: Path, model: Any) -> ModelSpec:
    weights = weight_set(name)
    _, height, width, _ = (size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim)
    return ModelSpec(
        name=source.stem,
        family=_FAMILIES[role],
        channel_order="rgb",
        input_hw=(height, width),
        input_layout="NHWC",
        fit="letterbox",
        source=f"{weights.source} ({weights.package})",
        license=weights.license,
        weights_sha256=(digest_of(source),),
    )


def _compare(source: Path, converted: Path) -> dict[str, float]:
    """Run both on rendered hands; returns the largest difference of each output."""
    with open_backend(source) as original, open_backend(converted) as exported:
        _, height, width, _ = original.inputs[0].shape
        camera = Camera(focal_px=1.25 * width, size_hw=(height, width))  # the hand fills a third of the picture
        differences: dict[str, float] = {}
        for pose in ("open", "relaxed"):
            picture = render(Scene(hands=(SceneHand(POSES[pose]),), camera=camera)).image
            wanted, given = _outputs(original, picture), _outputs(exported, picture)
            for name, values in wanted.items():
                if name not in given:
                    raise ModelError(f"export: tf2onnx lost output {name!r}; there are {', '.join(given)}")
                difference = check_difference(name, values, given[name], _LIMIT)
                differences[name] = max(difference, differences.get(name, 0.0))
    return differences


def _outputs(backend: Backend, picture: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    _, height, width, _ = backend.inputs[0].shape
    preprocess(picture, size_hw=(height, width), channel_order="rgb", layout="NHWC", out=backend.input_buffer(0))
    backend.submit(0)
    return {info.name.split(":")[0]: one.copy() for info, one in zip(backend.outputs, backend.wait(0))}
