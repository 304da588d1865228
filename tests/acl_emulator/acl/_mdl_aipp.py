"""Dynamic AIPP: parameters made at run time and given to one input of a dataset."""

from __future__ import annotations

from dataclasses import replace

from . import _codes as codes
from ._aipp import FORMATS, Aipp, Channels
from ._api import api
from ._errors import AclError
from ._model import Dataset, own_model
from ._om import AIPP_INPUT
from ._state import Handle, emulator


class Parameters(Handle):
    """What ``create_aipp`` returns."""

    kind = "aipp"

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.aipp = Aipp(mode="dynamic", pictures=[Channels() for _ in range(batch)])

    def picture(self, batch: int) -> Channels:
        if batch >= len(self.aipp.pictures):
            raise AclError(codes.INVALID_PARAM, f"picture {batch}, made for {len(self.aipp.pictures)}")
        return self.aipp.pictures[batch]


@api("mdl.create_aipp", "q", returns=0)
def create_aipp(batch: int) -> int:
    if batch == 0:
        raise AclError(codes.INVALID_PARAM, "batch is 0")
    return emulator.add(Parameters(batch))


@api("mdl.destroy_aipp", "p")
def destroy_aipp(handle: int) -> int:
    emulator.remove(_parameters(handle))
    return codes.SUCCESS


def _parameters(handle: int) -> Parameters:
    return emulator.find(handle, Parameters)


def _set(number: int, inputs: int, image: int, handle: int) -> int:
    model, dataset, parameters = own_model(number), emulator.find(inputs, Dataset), _parameters(handle)
    aipp = parameters.aipp
    if not aipp.width or not aipp.height:
        raise AclError(codes.INVALID_PARAM, "set_aipp_src_image_size was not called")
    shape = model.om.input_shapes[model.om.largest_gear][model.om.data_inputs.index(model.om.inputs[image])]
    if len(aipp.pictures) != shape[0]:
        raise AclError(codes.INVALID_PARAM, f"made for {len(aipp.pictures)} pictures, the largest batch is {shape[0]}")
    if aipp.output_size() != (shape[3], shape[2]):
        raise AclError(codes.INVALID_PARAM, f"AIPP gives {aipp.output_size()}, the network takes {shape[3], shape[2]}")
    dataset.aipp[image] = replace(aipp, pictures=[replace(picture) for picture in aipp.pictures])
    return codes.SUCCESS


@api("mdl.set_input_aipp", "uppp", context=True, fails_with=codes.GE_AIPP_MODE_INVALID)
def set_input_aipp(number: int, inputs: int, index: int, handle: int) -> int:
    om = own_model(number).om
    if om.input_index(AIPP_INPUT) != index:
        raise AclError(codes.GE_AIPP_MODE_INVALID, f"input {index} is not {AIPP_INPUT}")
    image = next(i for i, tensor in enumerate(om.inputs) if tensor.aipp is not None and tensor.aipp.mode == "dynamic")
    return _set(number, inputs, image, handle)


@api("mdl.set_aipp_by_input_index", "uppp", context=True, fails_with=codes.GE_AIPP_MODE_INVALID)
def set_aipp_by_input_index(number: int, inputs: int, index: int, handle: int) -> int:
    om = own_model(number).om
    aipp = om.inputs[index].aipp if index < len(om.inputs) else None
    if aipp is None or aipp.mode != "dynamic":
        raise AclError(codes.GE_AIPP_MODE_INVALID, f"input {index} has no dynamic AIPP")
    return _set(number, inputs, index, handle)


@api("mdl.set_aipp_input_format", "pi")
def set_aipp_input_format(handle: int, number: int) -> int:
    if number not in FORMATS:
        raise AclError(codes.INVALID_PARAM, f"format {number}")
    _parameters(handle).aipp.format = FORMATS[number]
    return codes.SUCCESS


@api("mdl.set_aipp_src_image_size", "pii")
def set_aipp_src_image_size(handle: int, width: int, height: int) -> int:
    if not 2 <= width <= 4096 or height < 1:
        raise AclError(codes.INVALID_PARAM, f"picture of {width} x {height}")
    aipp = _parameters(handle).aipp
    aipp.width, aipp.height = width, height
    return codes.SUCCESS


@api("mdl.set_aipp_rbuv_swap_switch", "pi")
def set_aipp_rbuv_swap_switch(handle: int, switch: int) -> int:
    _parameters(handle).aipp.swap = _switch(switch)
    return codes.SUCCESS


@api("mdl.set_aipp_ax_swap_switch", "pi")
def set_aipp_ax_swap_switch(handle: int, switch: int) -> int:
    _parameters(handle)
    if _switch(switch):
        raise AclError(codes.FEATURE_NOT_SUPPORTED, "ax_swap concerns XRGB8888 and AYUV444, which are not emulated")
    return codes.SUCCESS


def _switch(value: int) -> bool:
    if value not in (0, 1):
        raise AclError(codes.INVALID_PARAM, f"switch {value}")
    return bool(value)


@api("mdl.set_aipp_csc_params", "pi" + "i" * 15)
def set_aipp_csc_params(handle: int, switch: int, *values: int) -> int:
    aipp = _parameters(handle).aipp
    aipp.convert = _switch(switch)
    aipp.matrix, aipp.output_bias, aipp.input_bias = list(values[:9]), list(values[9:12]), list(values[12:])
    return codes.SUCCESS


@api("mdl.set_aipp_dtc_pixel_mean", "piiiiq")
def set_aipp_dtc_pixel_mean(handle: int, c0: int, c1: int, c2: int, c3: int, batch: int) -> int:
    _parameters(handle).picture(batch).mean = [float(value) for value in (c0, c1, c2, c3)]
    return codes.SUCCESS


@api("mdl.set_aipp_dtc_pixel_min", "pffffq")
def set_aipp_dtc_pixel_min(handle: int, c0: float, c1: float, c2: float, c3: float, batch: int) -> int:
    _parameters(handle).picture(batch).least = [c0, c1, c2, c3]
    return codes.SUCCESS


@api("mdl.set_aipp_pixel_var_reci", "pffffq")
def set_aipp_pixel_var_reci(handle: int, c0: float, c1: float, c2: float, c3: float, batch: int) -> int:
    _parameters(handle).picture(batch).reciprocal = [c0, c1, c2, c3]
    return codes.SUCCESS


@api("mdl.set_aipp_crop_params", "piiiiiq")
def set_aipp_crop_params(handle: int, switch: int, left: int, top: int, width: int, height: int, batch: int) -> int:
    _parameters(handle).picture(batch).crop = [left, top, width, height] if _switch(switch) else []
    return codes.SUCCESS


@api("mdl.set_aipp_padding_params", "piiiiiq")
def set_aipp_padding_params(handle: int, switch: int, top: int, bottom: int, left: int, right: int, batch: int) -> int:
    sides = [top, bottom, left, right]
    if any(not 0 <= side <= 32 for side in sides):
        raise AclError(codes.INVALID_PARAM, f"padding {sides}: at most 32 per side")
    _parameters(handle).picture(batch).padding = sides if _switch(switch) else []
    return codes.SUCCESS
