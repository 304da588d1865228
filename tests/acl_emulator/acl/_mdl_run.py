"""Data buffers, datasets, gears, execution: what happens per frame."""

from __future__ import annotations

from . import _codes as codes
from ._api import RET, api
from ._errors import AclError
from ._memory import memory
from ._model import DataBuffer, Dataset, Model, Run, own_model, this_place
from ._om import BATCH_INPUT
from ._state import emulator
from ._streams import Task, stream_of


@api("create_data_buffer", "pp", returns=0)
def create_data_buffer(pointer: int, size: int) -> int:
    buffer = DataBuffer(pointer, size)
    emulator.add(buffer)
    buffer.attach()
    return buffer.handle


@api("destroy_data_buffer", "p")
def destroy_data_buffer(handle: int) -> int:
    buffer = emulator.find(handle, DataBuffer)
    _require_idle(handle, "destroy_data_buffer")
    buffer.detach()
    emulator.remove(buffer)
    return codes.SUCCESS


def _require_idle(handle: int, what: str, rule: int = 21) -> None:
    """A buffer of a dataset that a queued task works with must stay as it is."""
    for dataset in emulator.living(Dataset):
        if dataset.users and handle in dataset.buffers:
            raise emulator.breach(rule, f"{what} of a data buffer of {dataset.describe()}, used on {dataset.users[0]}")


@api("get_data_buffer_addr", "p", returns=0)
def get_data_buffer_addr(handle: int) -> int:
    return emulator.find(handle, DataBuffer).address


@api("get_data_buffer_size", "p", returns=0)
def get_data_buffer_size(handle: int) -> int:
    return emulator.find(handle, DataBuffer).size & 0xFFFFFFFF


@api("get_data_buffer_size_v2", "p", returns=0, new_only=True)
def get_data_buffer_size_v2(handle: int) -> int:
    return emulator.find(handle, DataBuffer).size


@api("update_data_buffer", "ppp")
def update_data_buffer(handle: int, pointer: int, size: int) -> int:
    buffer = emulator.find(handle, DataBuffer)
    _require_idle(handle, "update_data_buffer", 38)
    buffer.detach()
    buffer.address, buffer.size = pointer, size
    buffer.attach()
    return codes.SUCCESS


@api("mdl.create_dataset", returns=0)
def create_dataset() -> int:
    return emulator.add(Dataset())


@api("mdl.destroy_dataset", "p")
def destroy_dataset(handle: int) -> int:
    dataset = emulator.find(handle, Dataset)
    if dataset.users:
        raise emulator.breach(21, f"destroy_dataset of {dataset.describe()}, used on {dataset.users[0]}")
    emulator.remove(dataset)
    return codes.SUCCESS


@api("mdl.add_dataset_buffer", "pp", returns=(0, RET))
def add_dataset_buffer(handle: int, buffer: int) -> tuple[int, int]:
    dataset = emulator.find(handle, Dataset)
    emulator.find(buffer, DataBuffer)
    dataset.buffers.append(buffer)
    return handle, codes.SUCCESS


@api("mdl.get_dataset_num_buffers", "p", returns=0)
def get_dataset_num_buffers(handle: int) -> int:
    return len(emulator.find(handle, Dataset).buffers)


@api("mdl.get_dataset_buffer", "pp", returns=0)
def get_dataset_buffer(handle: int, index: int) -> int:
    buffers = emulator.find(handle, Dataset).buffers
    if index >= len(buffers):
        raise AclError(codes.INVALID_PARAM, f"buffer {index} of {len(buffers)}")
    return buffers[index]


# -- execution ---------------------------------------------------------------------------------------------------------


@api("mdl.execute", "upp", context=True, callback_safe=False, fails_with=codes.GE_FAILURE)
def execute(number: int, inputs: int, outputs: int) -> int:
    model = own_model(number)
    run = Run(model, emulator.find(inputs, Dataset), emulator.find(outputs, Dataset), this_place())
    run.begin()
    try:
        run.in_caller()
    finally:
        run.finish()
    for block in run.blocks:
        block.check_guards()
    code = emulator.this_thread().late_code
    if code:
        raise AclError(code, f"injected into the run of {model.name}")
    return codes.SUCCESS


@api("mdl.execute_async", "uppp", context=True, callback_safe=False, fails_with=codes.GE_FAILURE)
def execute_async(number: int, inputs: int, outputs: int, stream: int) -> int:
    model = own_model(number)
    queue = stream_of(stream)
    place = f"stream {queue.handle:#x}"
    run = Run(model, emulator.find(inputs, Dataset), emulator.find(outputs, Dataset), place)
    run.begin()
    try:
        queue.submit(Task(f"execute_async({model.name})", run.on_stream, run.blocks, run.finish))
    except BaseException:
        run.finish()
        raise
    return codes.SUCCESS


# -- gears -------------------------------------------------------------------------------------------------------------


def _gear_input(model: Model, index: int) -> None:
    if model.om.input_index(BATCH_INPUT) != index:
        text = f"input {index} of {model.name} is not {BATCH_INPUT}, whose index get_input_index_by_name tells"
        raise AclError(codes.GE_DYNAMIC_INPUT_ADDRESS, text)


def _set_gear(number: int, inputs: int, index: int, kind: str, gear: list[int]) -> int:
    model, dataset = own_model(number), emulator.find(inputs, Dataset)
    if 0 in gear:
        raise AclError(codes.INVALID_PARAM, f"gear {gear}")
    _gear_input(model, index)
    if model.om.gear_kind != kind or gear not in model.om.gears:
        raise AclError(codes.GE_DYNAMIC_BATCH_INVALID, f"{gear} is not one of {model.om.gears}")
    if index >= len(dataset.buffers):
        raise AclError(codes.INVALID_PARAM, f"the dataset has no buffer {index}")
    buffer = emulator.find(dataset.buffers[index], DataBuffer)
    if memory.block_at(buffer.address) is None:
        raise AclError(codes.GE_DYNAMIC_INPUT_ADDRESS, "the gear is written to this input: give it device memory")
    dataset.gear[number] = model.gear = model.om.gears.index(gear)
    return codes.SUCCESS


@api("mdl.set_dynamic_batch_size", "uppq", context=True, fails_with=codes.GE_DYNAMIC_BATCH_INVALID)
def set_dynamic_batch_size(number: int, inputs: int, index: int, batch: int) -> int:
    return _set_gear(number, inputs, index, "batch", [batch])


@api("mdl.set_dynamic_hw_size", "uppqq", context=True, fails_with=codes.GE_DYNAMIC_BATCH_INVALID)
def set_dynamic_hw_size(number: int, inputs: int, index: int, height: int, width: int) -> int:
    return _set_gear(number, inputs, index, "hw", [height, width])


@api("mdl.set_input_dynamic_dims", "uppo", context=True, fails_with=codes.GE_DYNAMIC_BATCH_INVALID)
def set_input_dynamic_dims(number: int, inputs: int, index: int, dims: object) -> int:
    if not isinstance(dims, dict) or not {"dimCount", "dims"} <= set(dims):
        raise TypeError(
            "acl.mdl.set_input_dynamic_dims args parse failed: a dict with name, dimCount and dims expected"
        )
    own = own_model(number)
    _gear_input(own, index)
    every = [[side for shape in shapes for side in shape] for shapes in own.om.input_shapes]
    wanted = list(dims["dims"])[: dims["dimCount"]]
    if own.om.gear_kind != "dims" or wanted not in every:
        raise AclError(codes.GE_DYNAMIC_BATCH_INVALID, f"{wanted} is not one of {every}")
    return _set_gear(number, inputs, index, "dims", own.om.gears[every.index(wanted)])
