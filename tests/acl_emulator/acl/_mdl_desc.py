"""What a model says of itself: ``acl.mdl.create_desc`` and everything that takes a description."""

from __future__ import annotations

import math
from typing import Any

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._model import Description, Model, find_model, own_model
from ._om import Om, Tensor
from ._state import emulator

Dims = dict[str, Any]
LONGEST_NAME = 127


@api("mdl.create_desc", returns=0)
def create_desc() -> int:
    return emulator.add(Description())


@api("mdl.destroy_desc", "p")
def destroy_desc(handle: int) -> int:
    emulator.remove(emulator.find(handle, Description))
    return codes.SUCCESS


@api("mdl.get_desc", "pu", context=True, fails_with=codes.GE_MODEL_ID_INVALID)
def get_desc(handle: int, number: int) -> int:
    description = emulator.find(handle, Description)
    find_model(number)
    description.model = own_model(number)
    return codes.SUCCESS


def _model(handle: int) -> Model:
    description = emulator.find(handle, Description)
    if description.model is None:
        raise AclError(codes.INVALID_PARAM, "the description is empty: call get_desc first")
    return description.model


def _tensor(handle: int, index: int, side: str) -> tuple[Model, Tensor]:
    model = _model(handle)
    tensors: list[Tensor] = getattr(model.om, side)
    if index >= len(tensors):
        raise AclError(codes.INVALID_PARAM, f"index {index}, the model has {len(tensors)} {side}")
    return model, tensors[index]


@api("mdl.get_num_inputs", "p", returns=0)
def get_num_inputs(handle: int) -> int:
    return len(_model(handle).om.inputs)


@api("mdl.get_num_outputs", "p", returns=0)
def get_num_outputs(handle: int) -> int:
    return len(_model(handle).om.outputs)


@api("mdl.get_input_size_by_index", "pu", returns=0)
def get_input_size_by_index(handle: int, index: int) -> int:
    om = _tensor(handle, index, "inputs")[0].om
    return om.input_bytes(index, om.largest_gear)


@api("mdl.get_output_size_by_index", "pu", returns=0)
def get_output_size_by_index(handle: int, index: int) -> int:
    om = _tensor(handle, index, "outputs")[0].om
    return om.output_bytes(index, om.largest_gear)


@api("mdl.get_input_name_by_index", "pu", returns="")
def get_input_name_by_index(handle: int, index: int) -> str:
    return _tensor(handle, index, "inputs")[1].name


@api("mdl.get_output_name_by_index", "pu", returns="")
def get_output_name_by_index(handle: int, index: int) -> str:
    return _tensor(handle, index, "outputs")[1].name


def _index(tensors: list[Tensor], name: str) -> tuple[int, int]:
    for index, tensor in enumerate(tensors):
        if tensor.name == name:
            return index, codes.SUCCESS
    raise AclError(codes.INVALID_PARAM, f"the model has no {name!r}")


@api("mdl.get_input_index_by_name", "ps", returns=(0, RET))
def get_input_index_by_name(handle: int, name: str) -> tuple[int, int]:
    return _index(_model(handle).om.inputs, name)


@api("mdl.get_output_index_by_name", "ps", returns=(0, RET))
def get_output_index_by_name(handle: int, name: str) -> tuple[int, int]:
    return _index(_model(handle).om.outputs, name)


@api("mdl.get_input_data_type", "pu", returns=-1)
def get_input_data_type(handle: int, index: int) -> int:
    return codes.DATA_TYPES[_tensor(handle, index, "inputs")[1].dtype]


@api("mdl.get_output_data_type", "pu", returns=-1)
def get_output_data_type(handle: int, index: int) -> int:
    return codes.DATA_TYPES[_tensor(handle, index, "outputs")[1].dtype]


@api("mdl.get_input_format", "pu", returns=-1)
def get_input_format(handle: int, index: int) -> int:
    return codes.FORMATS[_tensor(handle, index, "inputs")[1].format]


@api("mdl.get_output_format", "pu", returns=-1)
def get_output_format(handle: int, index: int) -> int:
    return codes.FORMATS[_tensor(handle, index, "outputs")[1].format]


# -- dimensions --------------------------------------------------------------------------------------------------------


def _dims(model: Model, side: str, index: int, name: str, shape: list[int]) -> tuple[Dims, int]:
    if len(name) > LONGEST_NAME:
        name = f"acl_modelId_{model.handle}_{side}_{index}"
    return {"name": name, "dimCount": len(shape), "dims": list(shape)}, codes.SUCCESS


def _shown_input(tensor: Tensor, planar: bool) -> list[int]:
    """The shape of an input; with AIPP that of the picture, and with ``planar`` so that its product is the byte
    size."""
    aipp = tensor.aipp
    if aipp is None or aipp.mode == "dynamic":
        return tensor.shape
    if planar and aipp.format == "YUV420SP_U8":
        return [tensor.shape[0], aipp.height * 3 // 2, aipp.width, 1]
    return [tensor.shape[0], aipp.height, aipp.width, aipp.channels]


@api("mdl.get_input_dims", "pu", returns=({}, RET))
def get_input_dims(handle: int, index: int) -> tuple[Dims, int]:
    model, tensor = _tensor(handle, index, "inputs")
    return _dims(model, "input", index, tensor.name, _shown_input(tensor, planar=False))


@api("mdl.get_input_dims_v2", "pu", returns=({}, RET))
def get_input_dims_v2(handle: int, index: int) -> tuple[Dims, int]:
    model, tensor = _tensor(handle, index, "inputs")
    return _dims(model, "input", index, tensor.name, _shown_input(tensor, planar=True))


@api("mdl.get_output_dims", "pu", returns=({}, RET))
def get_output_dims(handle: int, index: int) -> tuple[Dims, int]:
    model, tensor = _tensor(handle, index, "outputs")
    return _dims(model, "output", index, tensor.name, model.om.output_shapes[model.om.largest_gear][index])


@api("mdl.get_cur_output_dims", "pu", returns=({}, RET))
def get_cur_output_dims(handle: int, index: int) -> tuple[Dims, int]:
    model, tensor = _tensor(handle, index, "outputs")
    return _dims(model, "output", index, tensor.name, model.om.output_shapes[model.gear][index])


def _gears(om: Om, kind: str) -> list[list[int]]:
    return om.gears if om.gear_kind == kind else []


@api("mdl.get_dynamic_batch", "p", returns=({}, RET))
def get_dynamic_batch(handle: int) -> tuple[Dims, int]:
    batches = [gear[0] for gear in _gears(_model(handle).om, "batch")]
    return {"batchCount": len(batches), "batch": batches}, codes.SUCCESS


@api("mdl.get_dynamic_hw", "pi", returns=({}, RET))
def get_dynamic_hw(handle: int, _index: int) -> tuple[Dims, int]:
    sizes = [list(gear) for gear in _gears(_model(handle).om, "hw")]
    return {"hwCount": len(sizes), "hw": sizes}, codes.SUCCESS


@api("mdl.get_input_dynamic_gear_count", "pi", returns=(0, RET))
def get_input_dynamic_gear_count(handle: int, _index: int) -> tuple[int, int]:
    return len(_gears(_model(handle).om, "dims")), codes.SUCCESS


@api("mdl.get_input_dynamic_dims", "pii", returns=([], RET))
def get_input_dynamic_dims(handle: int, _index: int, count: int) -> tuple[list[Dims], int]:
    model = _model(handle)
    if count > len(_gears(model.om, "dims")):
        raise AclError(codes.INVALID_PARAM, f"{count} gears asked")
    found = []
    for shapes in model.om.input_shapes[:count] if model.om.gear_kind == "dims" else []:
        every = [side for shape in shapes for side in shape]
        found.append({"name": "", "dimCount": len(every), "dims": every})
    return found, codes.SUCCESS


# -- AIPP --------------------------------------------------------------------------------------------------------------

WITHOUT_AIPP, STATIC_AIPP, DYNAMIC_AIPP, AIPP_NODE = 0, 1, 2, 3


@api("mdl.get_aipp_type", "uu", returns=(0, 0, RET))
def get_aipp_type(number: int, index: int) -> tuple[int, int, int]:
    model = find_model(number)
    if index >= len(model.om.inputs):
        raise AclError(codes.INVALID_PARAM, f"input {index}")
    from ._om import AIPP_INPUT

    node = model.om.input_index(AIPP_INPUT)
    nothing = 0xFFFFFFFF
    if node == index:
        image = next(i for i, t in enumerate(model.om.inputs) if t.aipp is not None and t.aipp.mode == "dynamic")
        return AIPP_NODE, image, codes.SUCCESS
    aipp = model.om.inputs[index].aipp
    if aipp is None:
        return WITHOUT_AIPP, nothing, codes.SUCCESS
    if aipp.mode == "static":
        return STATIC_AIPP, nothing, codes.SUCCESS
    return DYNAMIC_AIPP, node if node is not None else nothing, codes.SUCCESS


@api("mdl.get_first_aipp_info", "uu", returns=(None, RET))
def get_first_aipp_info(number: int, index: int) -> tuple[Dims, int]:
    model = find_model(number)
    aipp = model.om.inputs[index].aipp if index < len(model.om.inputs) else None
    if aipp is None or aipp.mode != "static":
        raise AclError(codes.GE_AIPP_MODE_INVALID, f"input {index} has no static AIPP")
    from ._aipp import FORMATS

    picture = aipp.pictures[0]
    start_w, start_h, crop_w, crop_h = picture.crop or [0, 0, 0, 0]
    top, bottom, left, right = picture.padding or [0, 0, 0, 0]
    rows = {f"matrixR{i // 3}C{i % 3}": value for i, value in enumerate(aipp.matrix)}
    biases = {f"inputBias{i}": value for i, value in enumerate(aipp.input_bias)}
    biases |= {f"outputBias{i}": value for i, value in enumerate(aipp.output_bias)}
    channels: Dims = {}
    for name, values in (("meanChn", picture.mean), ("minChn", picture.least), ("varReciChn", picture.reciprocal)):
        channels |= {f"{name}{i}": value for i, value in enumerate(values)}
    shape = model.om.input_shapes[model.om.largest_gear][model.om.data_inputs.index(model.om.inputs[index])]
    info = {
        "inputFormat": next(number for number, name in FORMATS.items() if name == aipp.format),
        "srcImageSizeW": aipp.width,
        "srcImageSizeH": aipp.height,
        "cropSwitch": int(bool(picture.crop)),
        "loadStartPosW": start_w,
        "loadStartPosH": start_h,
        "cropSizeW": crop_w,
        "cropSizeH": crop_h,
        "resizeSwitch": 0,
        "paddingSwitch": int(bool(picture.padding)),
        "leftPaddingSize": left,
        "rightPaddingSize": right,
        "topPaddingSize": top,
        "bottomPaddingSize": bottom,
        "cscSwitch": int(aipp.convert),
        "rbuvSwapSwitch": int(aipp.swap),
        "axSwapSwitch": 0,
        "singleLineMode": 0,
        **rows,
        **biases,
        **channels,
        "srcFormat": codes.FORMATS["NCHW"],
        "srcDatatype": codes.DATA_TYPES["uint8"],
        "srcDimNum": len(shape),
        "shapeCount": 1,
        "outDims": [{"srcDims": _shown_input(model.om.inputs[index], False), "srcSize": math.prod(shape)}],
        "aippOutDims": shape,
    }
    return info, codes.SUCCESS
