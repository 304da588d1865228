"""Section A of the rules: how pyACL is called, what it returns, and which functions there are."""

from __future__ import annotations

import numpy as np
import pytest


def test_rule_1_positional_arguments_only(board):
    board.start()
    with pytest.raises(TypeError, match="no keyword arguments"):
        board.acl.rt.malloc(size=64, policy=0)
    with pytest.raises(TypeError, match="2 arguments expected, got 1"):
        board.acl.rt.malloc(64)


def test_rule_2_shapes_of_returns(board):
    acl = board.acl
    assert acl.init() == 0
    assert acl.rt.set_device(0) == 0
    context, code = acl.rt.create_context(0)
    assert isinstance(context, int)
    assert code == 0
    assert acl.get_soc_name() == "Ascend310B4"
    assert len(acl.get_version()) == 4
    assert acl.rt.get_run_mode() == (0, 0)
    free, total, code = acl.rt.get_mem_info(0)
    assert 0 < free <= total
    assert code == 0
    block = board.block()
    buffer = acl.create_data_buffer(block, 768)
    assert isinstance(buffer, int)
    dataset = acl.mdl.create_dataset()
    assert acl.mdl.add_dataset_buffer(dataset, buffer) == (dataset, 0)
    assert acl.mdl.get_dataset_num_buffers(dataset) == 1
    assert acl.mdl.get_dataset_buffer(dataset, 0) == buffer
    assert acl.get_data_buffer_addr(buffer) == block
    assert acl.get_data_buffer_size(buffer) == acl.get_data_buffer_size_v2(buffer) == 768
    assert acl.update_data_buffer(buffer, block, 64) == 0
    assert acl.get_data_buffer_size(buffer) == 64


def test_rule_2_functions_that_fail_keep_their_shape(board):
    acl = board.acl
    board.start()
    description = acl.mdl.create_desc()
    assert acl.mdl.get_input_dims(description, 0) == ({}, 100000)
    assert acl.mdl.get_num_inputs(description) == 0
    assert acl.mdl.load_from_file("nowhere.om") == (0, 145002)
    assert acl.rt.malloc(0, 0) == (0, 100000)


@pytest.mark.parametrize("value", [None, 1.0, np.float32(1), np.float64(1), "1", np.int64(64)], ids=repr)
def test_rule_3_types_of_pointers_and_sizes(board, value):
    board.start()
    with pytest.raises(TypeError, match="args parse failed"):
        board.acl.rt.malloc(value, 0)
    with pytest.raises(TypeError, match="args parse failed"):
        board.acl.rt.free(value)


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_rule_3_pointers_that_pyacl_would_wrap(board, value):
    board.start()
    with board.breaks(3):
        board.acl.rt.malloc(value, 0)


def test_rule_3_small_integers_may_be_numpy(board):
    board.start()
    assert board.acl.rt.malloc(64, np.int32(0))[1] == 0
    with board.breaks(3):
        board.acl.mdl.unload(-1)
    with pytest.raises(TypeError, match="args parse failed"):
        board.acl.rt.set_device(1 << 40)


def test_rule_4_null_and_dead_handles(board):
    acl = board.acl
    board.start()
    assert acl.destroy_data_buffer(0) == 100000
    assert acl.mdl.add_dataset_buffer(acl.mdl.create_dataset(), 0) == (0, 100000)
    buffer = acl.create_data_buffer(board.block(), 768)
    assert acl.destroy_data_buffer(buffer) == 0
    with board.breaks(4):
        acl.get_data_buffer_addr(buffer)
    with board.breaks(4):
        acl.mdl.destroy_dataset(acl.create_data_buffer(0, 0))


def test_rule_5_every_function_can_be_made_to_fail(board):
    """Injected failures keep the shape of the return, at the call that was asked for."""
    acl, control = board.acl, board.control
    board.start()
    control.inject("rt.malloc", nth=2)
    control.inject("rt.create_stream", nth=1, code=207008)
    control.inject("mdl.create_dataset")
    assert acl.rt.malloc(64, 0)[1] == 0
    assert acl.rt.malloc(64, 0) == (0, 207001)
    assert acl.rt.malloc(64, 0)[1] == 0
    assert acl.rt.create_stream() == (0, 207008)
    assert "injected into call 1 of acl.rt.create_stream" in acl.get_recent_err_msg()
    assert acl.mdl.create_dataset() == 0
    assert [(f.function, f.nth) for f in control.injected_failures()] == [
        ("rt.malloc", 2),
        ("rt.create_stream", 1),
        ("mdl.create_dataset", 1),
    ]


def test_rule_5_failures_can_be_enumerated_from_a_clean_run(board):
    board.start()
    board.block()
    board.block()
    counts = board.control.calls()
    assert counts == {"init": 1, "rt.set_device": 1, "rt.create_context": 1, "rt.malloc": 2}
    failures = list(board.control.failures_of(counts))
    assert [(f.function, f.nth) for f in failures if f.function == "rt.malloc"] == [("rt.malloc", 1), ("rt.malloc", 2)]
    assert all(f.code for f in failures)
    with pytest.raises(ValueError, match=r"no function 'rt\.get_soc_name'"):
        board.control.inject("rt.get_soc_name")


def test_rule_5_an_exception_can_be_injected(board):
    board.start()
    board.control.inject("rt.malloc", raises=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        board.acl.rt.malloc(64, 0)
    assert board.acl.rt.malloc(64, 0)[1] == 0


def test_rule_6_unknown_functions(board):
    for module, name in ((board.acl.rt, "get_soc_name"), (board.acl.mdl, "set_input_AIPP"), (board.acl, "malloc")):
        with pytest.raises(AttributeError):
            getattr(module, name)


def test_rule_7_old_cann_lacks_functions(board):
    acl = board.acl
    board.reset(cann="old")
    assert not hasattr(acl, "get_recent_err_msg")
    assert "bytes_to_ptr" not in dir(acl.util)
    assert "numpy_to_ptr" in dir(acl.util)
    board.start()
    source, result = np.zeros(8, np.uint8), np.zeros(8, np.uint8)
    assert acl.rt.memcpy(result.ctypes.data, 8, source.ctypes.data, 8, 4) == 100000
    assert acl.util.numpy_to_ptr(source) == source.ctypes.data
    board.reset(cann="new")
    assert "bytes_to_ptr" in dir(acl.util)


def test_rule_7_new_cann_warns_at_the_numpy_functions(board):
    array = np.arange(4, dtype=np.float32)
    with pytest.warns(DeprecationWarning, match="numpy_to_ptr"):
        pointer = board.acl.util.numpy_to_ptr(array)
    with pytest.warns(DeprecationWarning, match="ptr_to_numpy"):
        view = board.acl.util.ptr_to_numpy(pointer, (4,), 11)
    assert np.array_equal(view, array)
    with pytest.warns(DeprecationWarning, match="numpy_contiguous"):
        pointer, kept = board.acl.util.numpy_contiguous_to_ptr(array[::2])
    assert pointer == kept.ctypes.data
    with pytest.warns((DeprecationWarning, RuntimeWarning)) as caught:
        board.acl.util.numpy_to_ptr(array[::2])
    assert any("not contiguous" in str(warning.message) for warning in caught)


def test_util_needs_an_exact_bytes_object(board):
    with pytest.raises(ValueError, match="bytes expected, got bytearray"):
        board.acl.util.bytes_to_ptr(bytearray(4))


def test_values_of_the_top_level(board):
    acl = board.acl
    assert [acl.data_type_size(number) for number in (0, 1, 2, 3, 4, 9, 12)] == [4, 2, 1, 4, 1, 8, 1]
    assert acl.float16_to_float(acl.float_to_float16(0.5)) == 0.5
    board.start()
    description = acl.create_tensor_desc(0, [1, 2], 0)
    assert acl.destroy_tensor_desc(description) == 0
