"""Make a model file of the emulator from an ONNX model, with the options that ATC has for it.

    python make_om.py model.onnx model.om --soc_version Ascend310B4
    python make_om.py model.onnx model.om --soc_version Ascend310B4 --input_shape "image:-1,3,224,224" \\
        --dynamic_batch_size "1,2,4" --insert_op_conf aipp.cfg --output_type FP16

The result runs on the emulator only.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from acl._aipp import CHANNELS, Aipp, Channels
from acl._om import AIPP_INPUT, BATCH_INPUT, Om, Tensor
from acl._profile import SOCS

ONNX_TYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.DOUBLE: "float64",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.INT8: "int8",
    onnx.TensorProto.INT16: "int16",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.BOOL: "bool",
}
OUTPUT_TYPES = {"FP32": "float32", "FP16": "float16", "UINT8": "uint8"}


def make_om(
    model: str | Path | onnx.ModelProto,
    path: str | Path,
    *,
    soc_version: str = "Ascend310B4",
    input_shape: dict[str, Sequence[int]] | None = None,
    output_type: str | dict[str, str] = "",
    input_fp16_nodes: Sequence[str] = (),
    dynamic_batch_size: Sequence[int] = (),
    dynamic_image_size: Sequence[Sequence[int]] = (),
    dynamic_dims: Sequence[Sequence[int]] = (),
    insert_op_conf: str = "",
) -> Om:
    """Write an om and return what it says.

    Parameters
    ----------
    model
        ONNX file or model.
    path
        The om to write.
    soc_version
        The chip it is for; no other loads it.
    input_shape
        Shape by input where the ONNX model leaves it open; -1 where a gear decides.
    output_type
        ``FP16``, ``FP32``, ``UINT8`` for all outputs or by name of the ONNX output; without it that of the ONNX model.
    input_fp16_nodes
        Inputs that take half precision.
    dynamic_batch_size, dynamic_image_size, dynamic_dims
        The gears: batch sizes; (height, width) pairs; or values of every -1 in the order of the inputs. One kind at
        most.
    insert_op_conf
        The text of an AIPP configuration.

    Raises
    ------
    ValueError
        If ATC would refuse it.
    """
    proto = onnx.load(str(model)) if isinstance(model, (str, Path)) else model
    if soc_version not in SOCS:
        raise ValueError(f"make_om: soc_version must be one of {', '.join(SOCS)}, got {soc_version!r}")
    inputs = _inputs(proto, input_shape or {}, set(input_fp16_nodes))
    for rank, aipp in parse_aipp(insert_op_conf):
        _insert_aipp(inputs[rank], aipp)
    kind, gears = _gears(dynamic_batch_size, dynamic_image_size, dynamic_dims)
    shapes = _gear_shapes(inputs, kind, gears)
    outputs, output_shapes = _outputs(proto, inputs, shapes, output_type)
    for tensor in inputs:
        if tensor.aipp is None:
            continue
        for gear in shapes:
            _check_aipp(tensor.aipp, gear[inputs.index(tensor)])
    largest = max(math.prod(shape) for gear in [*shapes, *output_shapes] for shape in gear)
    om = Om(
        name=Path(path).stem,
        soc=soc_version,
        inputs=inputs + _added_inputs(inputs, kind, gears, shapes),
        outputs=outputs,
        gear_kind=kind,
        gears=gears,
        input_shapes=shapes,
        output_shapes=output_shapes,
        work_size=4 * largest,
        weight_size=max(512, proto.ByteSize()),
        network=proto.SerializeToString(),
    )
    Path(path).write_bytes(om.to_bytes())
    return om


# -- inputs and outputs ------------------------------------------------------------------------------------------------


def _inputs(proto: onnx.ModelProto, given: dict[str, Sequence[int]], halves: set[str]) -> list[Tensor]:
    constants = {initializer.name for initializer in proto.graph.initializer}
    found = []
    for value in proto.graph.input:
        if value.name in constants:
            continue
        kind = value.type.tensor_type
        shape = [side.dim_value if side.HasField("dim_value") else 0 for side in kind.shape.dim]
        shape = [int(side) for side in given.get(value.name, shape)]
        if 0 in shape:
            raise ValueError(f"make_om: input {value.name!r} has shape {shape}: input_shape must say what 0 stands for")
        dtype = ONNX_TYPES[kind.elem_type]
        if value.name in halves and dtype == "float32":
            dtype = "float16"
        layout = "NCHW" if len(shape) == 4 else "ND"
        found.append(Tensor(value.name, dtype, layout, shape, value.name, ONNX_TYPES[kind.elem_type]))
    unknown = (set(given) | halves) - {tensor.name for tensor in found}
    if unknown:
        raise ValueError(f"make_om: the model has no input {', '.join(sorted(unknown))}")
    return found


def _gears(
    batches: Sequence[int], sizes: Sequence[Sequence[int]], dims: Sequence[Sequence[int]]
) -> tuple[str, list[list[int]]]:
    kinds = {
        "batch": [[int(batch)] for batch in batches],
        "hw": [[int(side) for side in size] for size in sizes],
        "dims": [[int(side) for side in values] for values in dims],
    }
    chosen = {kind: gears for kind, gears in kinds.items() if gears}
    if len(chosen) > 1:
        raise ValueError(f"make_om: only one kind of gears is possible, got {', '.join(chosen)}")
    for kind, gears in chosen.items():
        if not 2 <= len(gears) <= 100:
            raise ValueError(f"make_om: 2 to 100 gears, got {len(gears)}")
        return kind, gears
    return "", []


def _gear_shapes(inputs: list[Tensor], kind: str, gears: list[list[int]]) -> list[list[list[int]]]:
    free = sum(tensor.shape.count(-1) for tensor in inputs)
    if not gears:
        if free:
            raise ValueError("make_om: -1 in input_shape needs dynamic_batch_size, dynamic_image_size or dynamic_dims")
        return [[tensor.shape for tensor in inputs]]
    if not free:
        raise ValueError("make_om: gears need -1 in input_shape")
    shapes = []
    for gear in gears:
        values = iter(gear * free if kind == "batch" else gear)
        shapes.append([[next(values) if side == -1 else side for side in tensor.shape] for tensor in inputs])
    return shapes


def _added_inputs(
    inputs: list[Tensor], kind: str, gears: list[list[int]], shapes: list[list[list[int]]]
) -> list[Tensor]:
    """What ATC adds behind the inputs of the model."""
    added = []
    if kind:
        added.append(Tensor(BATCH_INPUT, "int32", "ND", [len(gears[0])], "", ""))
    for index, tensor in enumerate(inputs):
        if tensor.aipp is not None and tensor.aipp.mode == "dynamic":
            batch = max(gear[index][0] for gear in shapes)
            added.append(Tensor(AIPP_INPUT, "uint8", "ND", [96 + 96 * batch], "", ""))
    return added


def _outputs(
    proto: onnx.ModelProto, inputs: list[Tensor], shapes: list[list[list[int]]], output_type: str | dict[str, str]
) -> tuple[list[Tensor], list[list[list[int]]]]:
    """Run the network once per gear to learn the shapes; name the outputs ``node:index:tensor`` as ATC does."""
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    output_shapes = []
    results: list[Any] = []
    for gear in shapes:
        feeds = {tensor.name: np.ones(shape, tensor.element) for tensor, shape in zip(inputs, gear)}
        results = session.run(None, feeds)
        output_shapes.append([list(result.shape) for result in results])
    producers = {
        name: (node.name or node.op_type, i) for node in proto.graph.node for i, name in enumerate(node.output)
    }
    tensors = []
    for value, result in zip(proto.graph.output, results):
        wanted = output_type if isinstance(output_type, str) else output_type.get(value.name, "")
        if wanted and wanted not in OUTPUT_TYPES:
            raise ValueError(f"make_om: output_type must be one of {', '.join(OUTPUT_TYPES)}, got {wanted!r}")
        dtype = OUTPUT_TYPES.get(wanted, str(result.dtype))
        node, index = producers.get(value.name, (value.name, 0))
        layout = "NCHW" if result.ndim == 4 else "ND"
        tensors.append(
            Tensor(f"{node}:{index}:{value.name}", dtype, layout, list(result.shape), value.name, str(result.dtype))
        )
    return tensors, output_shapes


# -- AIPP --------------------------------------------------------------------------------------------------------------


def _insert_aipp(tensor: Tensor, aipp: Aipp) -> None:
    if len(tensor.shape) != 4 or tensor.dtype != "float32":
        raise ValueError(f"make_om: AIPP needs a float32 NCHW input, {tensor.name!r} is {tensor.dtype} {tensor.shape}")
    tensor.dtype, tensor.aipp, tensor.format = "uint8", aipp, "NHWC"
    if aipp.mode == "static" and not aipp.width:
        aipp.height, aipp.width = tensor.shape[2:]


def _check_aipp(aipp: Aipp, shape: list[int]) -> None:
    if aipp.mode == "dynamic":
        return
    width, height = aipp.output_size()
    if (aipp.channels, height, width) != tuple(shape[1:]):
        raise ValueError(f"make_om: AIPP gives {aipp.channels} x {height} x {width}, the network takes {shape[1:]}")
    if aipp.format == "YUV420SP_U8" and (aipp.width % 2 or aipp.height % 2):
        raise ValueError(f"make_om: YUV420SP needs even sides, got {aipp.width} x {aipp.height}")


def parse_aipp(text: str) -> list[tuple[int, Aipp]]:
    """Return (rank of the input, parameters) of every ``aipp_op { ... }`` block of a configuration."""
    found = []
    text = re.sub(r"#.*", "", text)
    for block in re.findall(r"aipp_op\s*\{([^}]*)\}", text):
        pairs: list[tuple[str, str]] = re.findall(r"(\w+)\s*:\s*(\"[^\"]*\"|[^\s,]+)", block)
        found.append(_aipp_of({key: value.strip('"') for key, value in pairs}))
    return found


def _aipp_of(values: dict[str, str]) -> tuple[int, Aipp]:
    mode = values.pop("aipp_mode", "static")
    rank = int(values.pop("related_input_rank", "0"))
    kind = values.pop("input_format", "YUV420SP_U8")
    if mode not in ("static", "dynamic") or (mode == "static" and kind not in CHANNELS):
        raise ValueError(f"make_om: AIPP mode {mode!r} with input_format {kind!r} is not emulated")

    def number(key: str) -> int:
        return int(values.pop(key, "0"))

    def flag(key: str) -> bool:
        return values.pop(key, "false").lower() in ("true", "1")

    def several(key: str, count: int, default: float) -> list[float]:
        return [float(values.pop(f"{key}_{i}", default)) for i in range(count)]

    picture = Channels()
    # Current ATC takes integers only for the mean; offsets with a fraction belong into min_chn.
    picture.mean = [float(int(values.pop(f"mean_chn_{i}", "0"))) for i in range(4)]
    picture.least = several("min_chn", 4, 0.0)
    picture.reciprocal = several("var_reci_chn", 4, 1.0)
    crop = [number(key) for key in ("load_start_pos_w", "load_start_pos_h", "crop_size_w", "crop_size_h")]
    padding = [number(f"{side}_padding_size") for side in ("top", "bottom", "left", "right")]
    picture.padding_value = float(values.pop("padding_value", "0"))
    picture.crop = crop if flag("crop") else []
    picture.padding = padding if flag("padding") else []
    aipp = Aipp(mode, kind if mode == "static" else "RGB888_U8", number("src_image_size_w"), number("src_image_size_h"))
    aipp.swap, aipp.convert = flag("rbuv_swap_switch"), flag("csc_switch")
    if flag("ax_swap_switch"):
        raise ValueError("make_om: ax_swap_switch is not emulated")
    # BT.601 narrow range to BGR is what ATC takes without a matrix.
    default = [298, 516, 0, 298, -100, -208, 298, 0, 409]
    names = [f"matrix_r{row}c{column}" for row in range(3) for column in range(3)]
    aipp.matrix = [int(values.pop(name, str(value))) for name, value in zip(names, default)]
    aipp.input_bias = [int(values.pop(f"input_bias_{i}", str(v))) for i, v in enumerate((16, 128, 128))]
    aipp.output_bias = [int(values.pop(f"output_bias_{i}", "0")) for i in range(3)]
    aipp.pictures = [picture]
    values.pop("max_src_image_size", None)
    if values:
        raise ValueError(f"make_om: AIPP has no {', '.join(sorted(values))}, or it is not emulated")
    return rank, aipp


# -- command line ------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", help="ONNX file")
    parser.add_argument("output", help="the om to write")
    parser.add_argument("--soc_version", default="Ascend310B4", choices=sorted(SOCS))
    parser.add_argument("--input_shape", default="", help='"name:1,3,224,224;other:1,4"')
    parser.add_argument("--output_type", default="", choices=["", *OUTPUT_TYPES])
    parser.add_argument("--input_fp16_nodes", default="", help='"name;other"')
    parser.add_argument("--dynamic_batch_size", default="", help='"1,2,4"')
    parser.add_argument("--dynamic_image_size", default="", help='"224,224;448,448" (height,width)')
    parser.add_argument("--dynamic_dims", default="", help='"1,224;2,448"')
    parser.add_argument("--insert_op_conf", default="", help="AIPP configuration file")
    options = parser.parse_args(arguments)
    shapes = dict(part.rsplit(":", 1) for part in filter(None, options.input_shape.split(";")))
    make_om(
        options.model,
        options.output,
        soc_version=options.soc_version,
        input_shape={name: _numbers(sides) for name, sides in shapes.items()},
        output_type=options.output_type,
        input_fp16_nodes=[name for name in options.input_fp16_nodes.split(";") if name],
        dynamic_batch_size=_numbers(options.dynamic_batch_size),
        dynamic_image_size=[_numbers(part) for part in options.dynamic_image_size.split(";") if part],
        dynamic_dims=[_numbers(part) for part in options.dynamic_dims.split(";") if part],
        insert_op_conf=Path(options.insert_op_conf).read_text(encoding="utf-8") if options.insert_op_conf else "",
    )
    return 0


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    sys.exit(main())
