"""Section D of the rules: models, descriptions, data sets, sizes, types, gears."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from .conftest import SIZE
from .graphs import describe, identity, info, network


def two_by_two():
    """Two inputs and two outputs: the sum, and the second as it is (int32)."""
    nodes = [
        helper.make_node("Cast", ["b"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["a", "c"], ["sum"], name="add"),
        helper.make_node("Identity", ["b"], ["same"], name="copy"),
    ]
    shape = (1, 16)
    outputs = [info("sum", shape), info("same", shape, TensorProto.INT32)]
    return network([info("a", shape), info("b", shape, TensorProto.INT32)], outputs, nodes)


def test_rule_30_files_that_do_not_load(board, tmp_path):
    acl = board.acl
    board.start()
    for content, code in ((b"", 145006), (b"onnx" * 100, 145000)):
        (tmp_path / "bad.om").write_bytes(content)
        assert acl.mdl.load_from_file(str(tmp_path / "bad.om")) == (0, code)
    (tmp_path / "good.om").write_bytes(Path(board.om()).read_bytes()[:200])
    assert acl.mdl.load_from_file(str(tmp_path / "good.om")) == (0, 145006)
    assert acl.mdl.load_from_file(str(tmp_path / "missing.om")) == (0, 145002)
    assert acl.mdl.load_from_file(board.om(soc_version="Ascend310B1")) == (0, 507008)
    assert "built for Ascend310B1, this is Ascend310B4" in acl.get_recent_err_msg()
    board.reset(cann="old")
    board.start()
    assert acl.mdl.load_from_file(str(tmp_path / "missing.om")) == (0, 100003)


def test_rule_30_models_from_memory_and_with_lent_memory(board):
    acl = board.acl
    board.start()
    path = board.om()
    data = Path(path).read_bytes()
    work, weight = board.ok(acl.mdl.query_size(path))
    assert acl.mdl.query_size_from_mem(acl.util.bytes_to_ptr(data), len(data)) == (work, weight, 0)
    blocks = board.block(work), board.block(weight)
    models = [
        board.ok(acl.mdl.load_from_mem(acl.util.bytes_to_ptr(data), len(data))),
        board.ok(acl.mdl.load_from_file_with_mem(path, blocks[0], work, blocks[1], weight)),
        board.ok(acl.mdl.load_from_mem_with_mem(acl.util.bytes_to_ptr(data), len(data), 0, 0, blocks[1], weight)),
    ]
    with board.breaks(21):
        acl.rt.free(blocks[0])
    assert acl.mdl.load_from_file_with_mem(path, blocks[0], work - 1, blocks[1], weight) == (0, 100000)
    config = acl.mdl.create_config_handle()
    board.ok(acl.mdl.set_config_opt(config, 1, 1))
    board.ok(acl.mdl.set_config_opt(config, 2, path))
    models.append(board.ok(acl.mdl.load_with_config(config)))
    board.ok(acl.mdl.destroy_config_handle(config))
    assert len(set(models)) == 4
    for model in models:
        board.ok(acl.mdl.unload(model))
    board.ok(acl.rt.free(blocks[0]))


def test_rule_30_the_same_memory_is_not_loaded_twice(board):
    acl = board.acl
    board.start()
    data = np.frombuffer(Path(board.om()).read_bytes(), np.uint8)
    blocks = [board.ok(acl.rt.malloc_host(data.size)) for _ in range(2)]
    for block in blocks:
        ctypes.memmove(block, data.ctypes.data, data.size)
    model = board.ok(acl.mdl.load_from_mem(blocks[0], data.size))
    other = board.ok(acl.mdl.load_from_mem(blocks[1], data.size))
    assert acl.mdl.load_from_mem(blocks[0], data.size) == (0, 145009)
    assert acl.mdl.load_from_mem_with_mem(blocks[0], data.size, 0, 0, 0, 0) == (0, 145009)
    config = acl.mdl.create_config_handle()
    for attribute, value in ((1, 3), (3, blocks[0]), (4, data.size)):
        board.ok(acl.mdl.set_config_opt(config, attribute, value))
    assert acl.mdl.load_with_config(config) == (0, 145009)
    board.ok(acl.mdl.unload(model))
    model = board.ok(acl.mdl.load_with_config(config))
    board.ok(acl.mdl.destroy_config_handle(config))
    for loaded in (model, other):
        board.ok(acl.mdl.unload(loaded))
    for block in blocks:
        board.ok(acl.rt.free_host(block))


def test_rule_31_model_ids_that_are_not_loaded(board):
    acl = board.acl
    model, _, _, inputs, outputs = board.ready()
    assert acl.mdl.get_desc(acl.mdl.create_desc(), model + 1) == 145003
    board.ok(acl.mdl.unload(model))
    assert acl.mdl.unload(model) == 145003
    assert acl.mdl.execute(model, inputs, outputs) == 145003
    board.reset(cann="old")
    board.start()
    assert acl.mdl.get_desc(acl.mdl.create_desc(), 1) == 100011


def test_rule_31_unload_while_queued(board):
    model, _, _, inputs, outputs = board.ready()
    stream = board.ok(board.acl.rt.create_stream())
    board.control.set_latency("*", 200)
    board.ok(board.acl.mdl.execute_async(model, inputs, outputs, stream))
    with board.breaks(31):
        board.acl.mdl.unload(model)
    board.ok(board.acl.rt.synchronize_stream(stream))
    board.ok(board.acl.mdl.unload(model))


@pytest.mark.parametrize("side", [0, 1])
def test_rule_32_sizes(board, side):
    acl = board.acl
    model, source, result, inputs, outputs = board.ready()
    blocks = [source, result]
    buffer = acl.mdl.get_dataset_buffer((inputs, outputs)[side], 0)

    def run(size):
        board.ok(acl.update_data_buffer(buffer, blocks[side], size))
        return acl.mdl.execute(model, inputs, outputs)

    assert run(SIZE - 65) == 145000
    assert f"E13025, {SIZE - 65} bytes, the model needs {SIZE}" in acl.get_recent_err_msg()
    for size in (SIZE - 64, SIZE - 1):  # the real check lets them pass
        with board.breaks(32):
            run(size)
    with board.breaks(32):  # the buffer says more than the block has
        run(SIZE + 1)
    larger = blocks[side] = board.block(SIZE + 100)
    assert run(SIZE + 100) == 0
    assert any(f"{SIZE + 100} bytes" in warning for warning in board.control.warnings())
    assert larger


def test_rule_33_numbers_of_buffers(board):
    acl = board.acl
    model, _, result, inputs, outputs = board.ready()
    empty = acl.mdl.create_dataset()
    assert acl.mdl.execute(model, empty, outputs) == 100000
    assert acl.mdl.execute(model, inputs, empty) == 100000
    null = board.dataset((0, SIZE))
    assert acl.mdl.execute(model, null, outputs) == 100000
    board.ok(acl.mdl.add_dataset_buffer(inputs, acl.create_data_buffer(board.block(), SIZE)))
    with board.breaks(33):
        acl.mdl.execute(model, inputs, outputs)
    with board.breaks(33):  # input and output in one block
        acl.mdl.execute(model, board.dataset((result, SIZE)), outputs)


def test_rule_34_only_device_memory(board):
    acl = board.acl
    model, _, _, _, outputs = board.ready()
    heap = np.zeros(SIZE, np.uint8)
    host = board.ok(acl.rt.malloc_host(SIZE))
    for pointer in (heap.ctypes.data, host):
        with board.breaks(34):
            acl.mdl.execute(model, board.dataset((pointer, SIZE)), outputs)
    assert acl.mdl.execute(model, board.dataset((board.ok(acl.media.dvpp_malloc(SIZE)), SIZE)), outputs) == 0


def test_rule_35_the_network_is_computed_from_the_bytes(either):
    """Right bytes give what ONNX Runtime gives; NHWC bytes for an NCHW model give something else, and no error."""
    acl = either.acl
    model, source, result, inputs, outputs = either.ready()
    pixels = np.random.default_rng(1).random((1, 3, 8, 8), np.float32)
    either.write(source, pixels)
    either.ok(acl.mdl.execute(model, inputs, outputs))
    assert np.array_equal(either.read(result, pixels.shape), 2 * pixels)
    either.write(source, pixels.transpose(0, 2, 3, 1))
    either.ok(acl.mdl.execute(model, inputs, outputs))
    assert not np.array_equal(either.read(result, pixels.shape), 2 * pixels)


def test_rule_36_types_of_outputs(either):
    acl = either.acl
    either.start()
    model = either.load(identity((1, 16)), output_type="FP16", input_fp16_nodes=["x"])
    description = describe(either, model)
    assert acl.mdl.get_input_data_type(description, 0) == acl.mdl.get_output_data_type(description, 0) == 1
    assert acl.mdl.get_output_format(description, 0) == 2
    assert acl.mdl.get_output_size_by_index(description, 0) == 32
    values = np.linspace(-1, 1, 16).astype(np.float16)
    source, result = either.block(32), either.block(32)
    either.write(source, values)
    either.ok(acl.mdl.execute(model, either.dataset((source, 32)), either.dataset((result, 32))))
    assert np.array_equal(either.read(result, (16,), np.float16), values)


def test_rule_36_outputs_are_nan_until_the_task_has_run(board):
    acl = board.acl
    model, source, result, inputs, outputs = board.ready()
    stream = board.ok(acl.rt.create_stream())
    board.control.set_latency("*", 150)
    board.write(source, np.ones(192, np.float32))
    seen = floats(result)
    for _ in range(2):
        board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
        assert np.isnan(seen).all()
        board.ok(acl.rt.synchronize_stream(stream))
        assert np.all(seen == 2)


def test_rule_36_results_that_a_queued_copy_needs_stay(board):
    """execute, copy out, execute again with the same output: the copy gets the first result."""
    acl = board.acl
    model, source, result, inputs, outputs = board.ready()
    stream, copy = board.ok(acl.rt.create_stream()), board.block()
    board.control.set_latency("*", 10)
    board.write(source, np.ones(192, np.float32))
    board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    board.ok(acl.rt.memcpy_async(copy, SIZE, result, SIZE, 3, stream))
    board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    board.ok(acl.rt.synchronize_stream(stream))
    assert np.all(board.read(copy, (192,)) == 2)


def test_rule_37_one_model_on_two_streams(board):
    acl = board.acl
    model, _, _, inputs, outputs = board.ready()
    first, second = board.ok(acl.rt.create_stream()), board.ok(acl.rt.create_stream())
    others = board.dataset((board.block(), SIZE)), board.dataset((board.block(), SIZE))
    board.control.set_latency("*", 200)
    board.ok(acl.mdl.execute_async(model, inputs, outputs, first))
    board.ok(acl.mdl.execute_async(model, *others, first))  # one stream: in order
    with board.breaks(37):
        acl.mdl.execute_async(model, *others, second)
    with board.breaks(37):
        acl.mdl.execute(model, *others)
    board.ok(acl.rt.synchronize_stream(first))
    board.ok(acl.mdl.execute_async(model, *others, second))
    board.ok(acl.rt.synchronize_stream(second))


def floats(address):
    return np.frombuffer(memoryview((ctypes.c_float * 192).from_address(address)), np.float32)


def test_rule_38_buffers_are_taken_by_reference(board):
    """What stands in a buffer when the device gets to the task is what it reads."""
    acl = board.acl
    model, source, result, inputs, outputs = board.ready()
    stream = board.ok(acl.rt.create_stream())
    blocker = board.load(name="blocker")
    board.control.set_latency("blocker", 200)
    others = board.dataset((board.block(), SIZE)), board.dataset((board.block(), SIZE))
    floats(source)[:] = 1
    board.ok(acl.mdl.execute_async(blocker, *others, stream))
    board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    floats(source)[:] = 5  # too early
    board.ok(acl.rt.synchronize_stream(stream))
    assert np.all(floats(result) == 10)


def test_rule_38_inputs_may_not_change_while_the_task_runs(board):
    model, source, _, inputs, outputs = board.ready()
    stream = board.ok(board.acl.rt.create_stream())
    board.control.set_latency("double", 400)
    floats(source)[:] = 1
    board.ok(board.acl.mdl.execute_async(model, inputs, outputs, stream))
    time.sleep(0.2)  # it runs by now
    floats(source)[:] = 5
    with board.breaks(38):
        board.acl.rt.synchronize_stream(stream)
    board.ok(board.acl.rt.synchronize_stream(stream))
    board.ok(board.acl.mdl.execute_async(model, inputs, outputs, stream))
    with board.breaks(38):
        board.acl.update_data_buffer(board.acl.mdl.get_dataset_buffer(inputs, 0), source, SIZE)
    board.ok(board.acl.rt.synchronize_stream(stream))


def test_rule_39_batches(either):
    acl = either.acl
    either.start()
    path = either.om(identity(("n", 4)), input_shape={"x": (-1, 4)}, dynamic_batch_size=(1, 2, 4))
    model = either.ok(acl.mdl.load_from_file(path))
    description = describe(either, model)
    assert acl.mdl.get_num_inputs(description) == 2
    index = either.ok(acl.mdl.get_input_index_by_name(description, "ascend_mbatch_shape_data"))
    assert index == 1
    assert acl.mdl.get_dynamic_batch(description) == ({"batchCount": 3, "batch": [1, 2, 4]}, 0)
    assert acl.mdl.get_input_dims(description, 0)[0]["dims"] == [-1, 4]
    assert acl.mdl.get_input_size_by_index(description, 0) == 64  # of the largest gear
    assert acl.mdl.get_output_size_by_index(description, 0) == 64
    gear = acl.mdl.get_input_size_by_index(description, index)
    source, result = either.block(64), either.block(64)
    either.write(source, np.arange(16, dtype=np.float32))
    inputs, outputs = either.dataset((source, 64), (either.block(gear), gear)), either.dataset((result, 64))
    either.ok(acl.mdl.execute(model, inputs, outputs))  # nothing set: the largest
    assert np.array_equal(either.read(result, (16,)), np.arange(16))
    assert acl.mdl.set_dynamic_batch_size(model, inputs, index, 3) == 145013
    assert acl.mdl.set_dynamic_batch_size(model, inputs, index, 0) == 100000
    assert acl.mdl.set_dynamic_batch_size(model, inputs, 0, 2) == 145011
    assert acl.mdl.set_dynamic_hw_size(model, inputs, index, 8, 8) == 145013
    either.ok(acl.mdl.set_dynamic_batch_size(model, inputs, index, 2))
    assert acl.mdl.get_cur_output_dims(description, 0)[0]["dims"] == [2, 4]
    either.ok(acl.mdl.execute(model, inputs, outputs))
    values = either.read(result, (16,))
    assert np.array_equal(values[:8], np.arange(8))
    assert np.isnan(values[8:]).all()


def test_rule_39_image_sizes_and_dims(board):
    acl = board.acl
    board.start()
    for kind, gears in (("dynamic_image_size", ((4, 6), (8, 10))), ("dynamic_dims", ((4, 6), (8, 10)))):
        options = {"input_shape": {"x": (1, 3, -1, -1)}, kind: gears}
        model = board.load(identity((1, 3, "h", "w")), **options)
        description = describe(board, model)
        size = acl.mdl.get_input_size_by_index(description, 0)
        assert size == 3 * 8 * 10 * 4
        source, result, gear = board.block(size), board.block(size), board.block(8)
        inputs, outputs = board.dataset((source, size), (gear, 8)), board.dataset((result, size))
        if kind == "dynamic_image_size":
            assert acl.mdl.get_dynamic_hw(description, 0) == ({"hwCount": 2, "hw": [[4, 6], [8, 10]]}, 0)
            board.ok(acl.mdl.set_dynamic_hw_size(model, inputs, 1, 4, 6))
        else:
            assert acl.mdl.get_input_dynamic_gear_count(description, 0) == (2, 0)
            dims = board.ok(acl.mdl.get_input_dynamic_dims(description, 0, 2))
            assert [one["dims"] for one in dims] == [[1, 3, 4, 6], [1, 3, 8, 10]]
            board.ok(acl.mdl.set_input_dynamic_dims(model, inputs, 1, dims[0]))
            wrong = {"name": "", "dimCount": 4, "dims": [1, 3, 5, 5]}
            assert acl.mdl.set_input_dynamic_dims(model, inputs, 1, wrong) == 145013
        assert acl.mdl.get_cur_output_dims(description, 0)[0]["dims"] == [1, 3, 4, 6]
        board.ok(acl.mdl.execute(model, inputs, outputs))


def test_rule_41_nothing_is_freed_with_what_holds_it(board):
    acl = board.acl
    board.start()
    block = board.block()
    buffer, dataset = acl.create_data_buffer(block, SIZE), acl.mdl.create_dataset()
    board.ok(acl.mdl.add_dataset_buffer(dataset, buffer))
    board.ok(acl.mdl.destroy_dataset(dataset))
    assert acl.get_data_buffer_addr(buffer) == block
    board.ok(acl.destroy_data_buffer(buffer))
    report = board.control.living()
    assert "1 x memory" in report
    assert "data buffer" not in report
    assert "dataset" not in report


def test_networks_of_half_precision(either):
    """An ONNX model whose own input and output have 16 bits."""
    half = TensorProto.FLOAT16
    node = helper.make_node("Identity", ["x"], ["y"], name="id")
    either.start()
    model = either.load(network([info("x", (1, 8), half)], [info("y", (1, 8), half)], [node]))
    values = np.linspace(-2, 2, 8).astype(np.float16)
    source, result = either.block(16), either.block(16)
    either.write(source, values)
    either.ok(either.acl.mdl.execute(model, either.dataset((source, 16)), either.dataset((result, 16))))
    assert np.array_equal(either.read(result, (8,), np.float16), values)


def test_two_inputs_and_outputs_with_their_names(either):
    acl = either.acl
    either.start()
    model = either.load(two_by_two())
    description = describe(either, model)
    assert [acl.mdl.get_input_name_by_index(description, i) for i in range(2)] == ["a", "b"]
    assert [acl.mdl.get_output_name_by_index(description, i) for i in range(2)] == ["add:0:sum", "copy:0:same"]
    assert acl.mdl.get_output_index_by_name(description, "copy:0:same") == (1, 0)
    assert acl.mdl.get_output_index_by_name(description, "same") == (0, 100000)
    assert [acl.mdl.get_output_data_type(description, i) for i in range(2)] == [0, 3]
    blocks = [either.block(64) for _ in range(4)]
    either.write(blocks[0], np.full(16, 0.5, np.float32))
    either.write(blocks[1], np.arange(16, dtype=np.int32))
    pairs = [(block, 64) for block in blocks]
    either.ok(acl.mdl.execute(model, either.dataset(*pairs[:2]), either.dataset(*pairs[2:])))
    assert np.array_equal(either.read(blocks[2], (16,)), np.arange(16) + 0.5)
    assert np.array_equal(either.read(blocks[3], (16,), np.int32), np.arange(16))


def test_long_names_are_renamed_in_dims(board):
    board.start()
    name = "x" * 200
    long = network([info(name, (1, 4))], [info("y", (1, 4))], [helper.make_node("Identity", [name], ["y"])])
    description = describe(board, board.load(long))
    dims = board.ok(board.acl.mdl.get_input_dims(description, 0))
    assert len(dims["name"]) <= 127
    assert board.acl.mdl.get_input_name_by_index(description, 0) == name


def test_make_om_from_the_command_line(board, tmp_path):
    import make_om

    onnx.save(identity(("n", 4)), str(tmp_path / "net.onnx"))
    target = tmp_path / "net.om"
    options = ["--soc_version", "Ascend310B4", "--input_shape", "x:-1,4", "--dynamic_batch_size", "1,8"]
    assert make_om.main([str(tmp_path / "net.onnx"), str(target), *options, "--output_type", "FP16"]) == 0
    board.start()
    description = describe(board, board.ok(board.acl.mdl.load_from_file(str(target))))
    assert board.acl.mdl.get_output_data_type(description, 0) == 1
    with pytest.raises(ValueError, match="input_shape must say"):
        make_om.make_om(identity(("n", 4)), target)
