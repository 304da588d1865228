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
from .exact import ExactRun
from .files import digest_of, require_packages, spec_metadata, write_model
from .graph import OPSETS, GraphWriter, write_doubled
from .operators import check_operators
from .tf2onnx_environment import convert_tflite

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ..backends import Backend

__all__ = ["ExportedNetwork", "export_hands", "with_planes", "without_linear_resizes"]

#: What the outputs (pixels of up to 220, logits, metres) may differ by from what the network returns in exact
#: arithmetic: 13 steps of float32 at 220. The page "Export" of the documentation tells what was measured.
_LIMIT = 2e-4

#: LiteRT's own outputs tell whether it is the same network. Its rounding, which is no matter of the export, was found
#: to be 1.8e-4 with XNNPACK and 2.6e-4 without; a network converted wrongly is off by parts of a pixel.
_SAME_NETWORK = 1e-3

#: The axes of planes, by those of pixels.
_PLANES_FROM_PIXELS = [0, 3, 1, 2]

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
        Per output: the largest absolute difference of ONNX Runtime, running the file, from exact arithmetic, on
        rendered hands.
    original_differences : dict of str to float
        The same of LiteRT, running the original.
    """

    path: Path
    spec: ModelSpec
    differences: dict[str, float]
    original_differences: dict[str, float]


def export_hands(
    name: str,
    output: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    opset: int = 11,
) -> list[ExportedNetwork]:
    """Write both networks of a hands model as ONNX, which ``Pipeline(output)`` then runs.

    tf2onnx converts them in an environment of its own, which takes 1.6 GB in the user's cache folder and is made once.
    The networks take planes, as ATC wants them; linear resizing in the palm detector is replaced by the same sums
    without Resize. Before they are written, what ONNX Runtime and LiteRT return is compared with exact arithmetic:
    the first within 2e-4, the second near enough to tell that it is the same network.

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


def with_planes(model: Any) -> Any:
    """Return a model that takes planes, (1, 3, h, w), and computes the same.

    Convolutions of ONNX take planes, so that a model converted from pixels begins by turning its input round. ATC
    takes pictures of ONNX models as planes, and puts AIPP, which takes bytes as pixels, before them.

    Parameters
    ----------
    model : onnx.ModelProto
        With one input (1, h, w, 3), which every node that reads it turns round.

    Returns
    -------
    onnx.ModelProto
        Without these nodes.

    Raises
    ------
    ModelError
        If a node does something else with the input.
    """
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    image = changed.graph.input[0]
    turned = [node for node in changed.graph.node if image.name in node.input]
    for node in turned:
        order = [list(one.ints) for one in node.attribute if one.name == "perm"]
        if node.op_type != "Transpose" or order != [_PLANES_FROM_PIXELS]:
            raise ModelError(f"export: node {node.name!r} ({node.op_type}) reads the input as pixels; it must turn it")
        changed.graph.node.remove(node)
    for node in changed.graph.node:
        node.input[:] = [image.name if one in {two.output[0] for two in turned} else one for one in node.input]
    shape = image.type.tensor_type.shape.dim
    sizes = [shape[axis].dim_value for axis in _PLANES_FROM_PIXELS]
    for dimension, size in zip(shape, sizes):
        dimension.dim_value = size
    return changed


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
        model = without_linear_resizes(with_planes(onnx.load(str(converted))))
        spec = _spec(name, role, source, model)
        onnx.helper.set_model_props(model, spec_metadata(spec))
        check_operators(model)
        content = model.SerializeToString()
        converted.write_bytes(content)
        found = _compare(source, converted, ExactRun(model))
    return ExportedNetwork(target, write_model(content, spec, target), *found)


def _spec(name: str, role: str, source: Path, model: Any) -> ModelSpec:
    weights = weight_set(name)
    _, _, height, width = (size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim)
    return ModelSpec(
        name=source.stem,
        family=_FAMILIES[role],
        channel_order="rgb",
        input_hw=(height, width),
        input_layout="NCHW",
        fit="letterbox",
        source=f"{weights.source} ({weights.package})",
        license=weights.license,
        weights_sha256=(digest_of(source),),
    )


def _compare(source: Path, converted: Path, exact: ExactRun) -> tuple[dict[str, float], dict[str, float]]:
    """Run all on rendered hands; returns how far ONNX Runtime and LiteRT are from exact arithmetic, by output."""
    of_exported: dict[str, float] = {}
    of_original: dict[str, float] = {}
    with open_backend(converted) as exported, open_backend(source) as original:
        _, _, height, width = exported.inputs[0].shape
        camera = Camera(focal_px=1.25 * width, size_hw=(height, width))  # the hand fills a third of the picture
        for pose in ("open", "relaxed"):
            picture = render(Scene(hands=(SceneHand(POSES[pose]),), camera=camera)).image
            given, wanted = _outputs(exported, picture), _outputs(original, picture)
            lost = wanted.keys() - given.keys()
            if lost:
                raise ModelError(
                    f"export: tf2onnx lost outputs {', '.join(sorted(lost))}; there are {', '.join(given)}"
                )
            image: Any = exported.input_buffer(0)
            true = exact({exported.inputs[0].name: image.array})
            _add_differences(of_original, true, wanted, _SAME_NETWORK, "LiteRT")
            _add_differences(of_exported, true, given, _LIMIT, "ONNX Runtime")
    return of_exported, of_original


def _add_differences(
    worst: dict[str, float],
    true: Mapping[str, NDArray[Any]],
    returned: Mapping[str, NDArray[Any]],
    limit: float,
    runtime: str,
) -> None:
    """Keep the largest difference of every output; too large a one is an error."""
    for name, values in true.items():
        away = check_difference(name, values, returned[name], limit, f"in {runtime} from exact arithmetic")
        worst[name] = max(away, worst.get(name, 0.0))


def _outputs(backend: Backend, picture: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    shape, layout = backend.inputs[0].shape, backend.inputs[0].layout or ""
    size_hw = (shape[1], shape[2]) if layout == "NHWC" else (shape[2], shape[3])
    preprocess(picture, size_hw=size_hw, channel_order="rgb", layout=layout, out=backend.input_buffer(0))
    backend.submit(0)
    return {info.name.split(":")[0]: one.copy() for info, one in zip(backend.outputs, backend.wait(0))}
