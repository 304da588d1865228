"""Section C of the rules: memory and copies."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest


def bytes_at(address, count):
    return np.frombuffer(memoryview((ctypes.c_uint8 * count).from_address(address)), np.uint8)


def test_rule_16_addresses_are_64_byte_aligned_and_no_better(either):
    either.start()
    for size in (1, 64, 1000, 4096, 602_112):
        for function in (either.acl.rt.malloc, either.acl.rt.malloc_align32):
            assert either.ok(function(size, 0)) % 128 == 64


def test_rule_16_sizes_and_policies(board):
    acl = board.acl
    board.start()
    assert acl.rt.malloc(0, 0) == (0, 100000)
    assert acl.rt.malloc(64, 3) == (0, 207000)  # P2P
    assert acl.rt.malloc(64, 6) == (0, 207000)  # 1G pages
    with board.breaks(16):
        acl.rt.malloc(64, 8)
    assert acl.rt.malloc_cached(64, 0) == (0, 207000)
    assert acl.rt.malloc_cached(64, 2)[1] == 0
    assert acl.rt.malloc_with_cfg(64, 0, 0)[1] == 0


def test_rule_16_the_budget_of_the_board(board):
    acl = board.acl
    board.reset(memory=1 << 20)
    board.start()
    assert acl.rt.get_mem_info(0) == (1 << 20, 1 << 20, 0)
    assert acl.rt.get_mem_info(1) == (0, 0, 207000)
    block = board.ok(acl.rt.malloc(1000, 0))
    assert acl.rt.get_mem_info(0)[0] == (1 << 20) - (1024 + 32)  # rounded up to 32, and 32
    assert acl.rt.malloc(1 << 20, 0) == (0, 207001)
    assert acl.rt.malloc(64, 1) == (0, 207001)  # HUGE_ONLY takes 2 MB
    board.ok(acl.rt.free(block))
    assert acl.rt.get_mem_info(0)[0] == 1 << 20


def test_rule_17_malloc_host_is_not_aligned_on_a_board(either):
    either.start()
    address = either.ok(either.acl.rt.malloc_host(1000))
    assert address % 64 == (0 if either.control.profile().is_ep else 16)
    bytes_at(address, 1000)[:] = 7  # the CPU may always write there
    either.ok(either.acl.rt.free_host(address))


def test_rule_18_fresh_memory_is_garbage(either):
    either.start()
    block = either.block(4096)
    assert np.all(either.read(block, (4096,), np.uint8) == 0xCD)
    host = either.ok(either.acl.rt.malloc_host(100))
    assert np.all(bytes_at(host, 100) == 0xCD)


def test_rule_18_freed_memory_traps(program):
    ended = program(
        "import ctypes\nok(acl.init())\nok(acl.rt.set_device(0))\nblock = ok(acl.rt.malloc(100, 0))\n"
        "ok(acl.rt.free(block))\nctypes.string_at(block, 1)\n"
    )
    assert ended.returncode == -11


def test_rule_18_calls_refuse_freed_memory(board):
    board.start()
    first, second = board.block(), board.block()
    board.ok(board.acl.rt.free(first))
    with board.breaks(18):
        board.acl.rt.memcpy(second, 64, first, 64, 3)


@pytest.mark.parametrize("offset", [768, 768 + 31, -1, -64, -300])
def test_rule_19_writes_past_a_block_are_found_at_free(board, offset):
    board.start()
    block = board.block(768)
    bytes_at(block + offset, 1)[:] = 1
    with board.breaks(19):
        board.acl.rt.free(block)


def test_rule_19_far_overruns_trap(program):
    ended = program(
        "import ctypes\nok(acl.init())\nok(acl.rt.set_device(0))\nblock = ok(acl.rt.malloc(100, 0))\n"
        "ctypes.memset(block, 0, 100)\nprint('inside', flush=True)\nctypes.memset(block, 0, 300)\n"
    )
    assert ended.stdout == "inside\n"
    assert ended.returncode == -11


def test_rule_19_overruns_are_found_when_a_task_ends(board):
    model, source, _, inputs, outputs = board.ready()
    stream = board.ok(board.acl.rt.create_stream())
    board.control.set_latency("double", 200)
    board.write(source, np.zeros(192, np.float32))
    board.ok(board.acl.mdl.execute_async(model, inputs, outputs, stream))
    bytes_at(source + 768, 4)[:] = 0
    with board.breaks(19):
        board.acl.rt.synchronize_stream(stream)


def test_rule_20_families_may_not_be_mixed(either):
    acl = either.acl
    either.start()
    device, host = either.block(), either.ok(acl.rt.malloc_host(64))
    array = np.zeros(64, np.uint8)
    assert acl.rt.free(0) == 100000
    assert acl.rt.free_host(0) == 100000
    for pointer in (device + 64, host, array.ctypes.data):
        with either.breaks(20):
            acl.rt.free(pointer)
    with either.breaks(20):
        acl.rt.free_host(device)
    assert acl.rt.free(device) == 0
    with either.breaks(20):  # twice
        acl.rt.free(device)


def test_rule_20_the_code_where_breaches_are_only_recorded(board):
    board.reset(record_only=True)
    board.start()
    assert board.acl.rt.free(board.block() + 64) == 107000
    assert [violation.rule for violation in board.control.violations()] == [20]


def test_rule_21_free_under_a_data_buffer_or_a_task(board):
    acl = board.acl
    model, source, result, inputs, outputs = board.ready()
    stream = board.ok(acl.rt.create_stream())
    with board.breaks(21):
        acl.rt.free(source)
    spare = board.block()
    board.control.set_latency("double", 200)
    board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    board.ok(acl.rt.memcpy_async(spare, 64, result, 64, 3, stream))
    with board.breaks(21):
        acl.rt.free(spare)
    with board.breaks(21):
        acl.mdl.destroy_dataset(inputs)
    with board.breaks(21):
        acl.destroy_data_buffer(acl.mdl.get_dataset_buffer(inputs, 0))
    board.ok(acl.rt.synchronize_stream(stream))
    board.ok(acl.destroy_data_buffer(acl.mdl.get_dataset_buffer(inputs, 0)))
    board.ok(acl.rt.free(source))
    board.ok(acl.rt.free(spare))


def test_rule_22_codes_of_memcpy(board):
    acl = board.acl
    board.start()
    block, array = board.block(), np.zeros(64, np.uint8)
    pointer = array.ctypes.data
    assert acl.rt.memcpy(0, 64, pointer, 64, 1) == 100000
    assert acl.rt.memcpy(block, 64, 0, 64, 1) == 100000
    assert acl.rt.memcpy(block, 64, pointer, 0, 1) == 0
    assert acl.rt.memcpy(block, 63, pointer, 64, 1) == 107000
    assert acl.rt.memcpy(block, 64, pointer, 64, 8) == 100000
    assert acl.rt.memcpy(block, 64, pointer, 64, -1) == 100000
    assert acl.rt.memcpy(block, 64, pointer, 64, 7) == 0


def test_rule_22_ranges_and_overlap(board):
    acl = board.acl
    board.start()
    block, data = board.block(), bytes(100)
    pointer = acl.util.bytes_to_ptr(data)
    with board.breaks(22):  # dst_max is larger than the block
        acl.rt.memcpy(block + 64, 768, pointer, 64, 1)
    with board.breaks(22):  # the source ends before
        acl.rt.memcpy(block, 768, pointer, 101, 1)
    with board.breaks(22):
        acl.rt.memcpy(block, 768, block + 700, 69, 3)
    with board.breaks(22):
        acl.rt.memcpy(block, 64, block + 32, 64, 3)
    assert acl.rt.memcpy(block, 768, pointer, 100, 1) == 0


def test_rule_23_kinds_must_fit_on_a_card_and_need_not_on_a_board(either):
    acl = either.acl
    either.start()
    device, array = either.block(), np.zeros(64, np.uint8)
    if not either.control.profile().is_ep:
        assert acl.rt.memcpy(device, 64, array.ctypes.data, 64, 3) == 0
        return
    for kind in (0, 2, 3):
        with either.breaks(23):
            acl.rt.memcpy(device, 64, array.ctypes.data, 64, kind)
    assert acl.rt.memcpy(device, 64, array.ctypes.data, 64, 1) == 0
    assert acl.rt.memcpy(array.ctypes.data, 64, device, 64, 4) == 0  # DEFAULT


def test_rule_24_asynchronous_copies_read_late(either):
    acl = either.acl
    model, _, _, inputs, outputs = either.ready()
    stream = either.ok(acl.rt.create_stream())
    device, host = either.block(64), either.ok(acl.rt.malloc_host(64 + 128))
    host += -host % 64
    pinned = bytes_at(host, 64)
    pinned[:] = 1
    either.control.set_latency("double", 200)
    either.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    either.ok(acl.rt.memcpy_async(device, 64, host, 64, 1, stream))
    pinned[:] = 2  # too early: the copy has not run
    either.ok(acl.rt.synchronize_stream(stream))
    assert np.all(either.read(device, (64,), np.uint8) == 2)


def test_rule_24_pageable_memory_waits_for_the_stream(either):
    acl = either.acl
    model, _, result, inputs, outputs = either.ready()
    stream = either.ok(acl.rt.create_stream())
    either.write(either.acl.get_data_buffer_addr(acl.mdl.get_dataset_buffer(inputs, 0)), np.full(192, 3, np.float32))
    either.control.set_latency("double", 200)
    array = np.zeros(192, np.float32)
    either.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    either.ok(acl.rt.memcpy_async(array.ctypes.data, 768, result, 768, 2, stream))
    assert np.all(array == 6)


def test_rule_24_from_host_to_host_and_alignment(either):
    acl = either.acl
    either.start()
    stream = either.ok(acl.rt.create_stream())
    device, host = either.block(), either.ok(acl.rt.malloc_host(256))
    if either.control.profile().is_ep:
        assert acl.rt.memcpy_async(host, 64, host + 64, 64, 0, stream) == 207000
    else:
        with either.breaks(24):  # malloc_host of a board is not aligned
            acl.rt.memcpy_async(device, 64, host, 64, 1, stream)
    with either.breaks(24):
        acl.rt.memcpy_async(device, 64, device + 68, 64, 3, stream)


def test_rule_25_device_memory_of_a_card_traps(program):
    text = (
        "import ctypes\nok(acl.init())\nok(acl.rt.set_device(0))\nblock = ok(acl.rt.malloc(100, 0))\n"
        "host = ok(acl.rt.malloc_host(100))\nctypes.string_at(host, 100)\nprint('host', flush=True)\n"
        "ctypes.string_at(block, 1)\nprint('device', flush=True)\nok(acl.rt.free(block))\nok(acl.rt.free_host(host))\n"
        "ok(acl.rt.reset_device(0))\nok(acl.finalize())\n"
    )
    on_board = program(text, ACL_EMULATOR_RUN_MODE="rc")
    assert (on_board.returncode, on_board.stdout) == (0, "host\ndevice\n")
    on_host = program(text, ACL_EMULATOR_RUN_MODE="ep")
    assert (on_host.returncode, on_host.stdout) == (-11, "host\n")


def test_rule_25_ptr_to_bytes_of_device_memory(either):
    either.start()
    block = either.block(8)
    if either.control.profile().is_ep:
        with either.breaks(25):
            either.acl.util.ptr_to_bytes(block, 8)
    else:
        assert either.acl.util.ptr_to_bytes(block, 8) == b"\xcd" * 8


def test_rule_26_a_board_whose_caches_are_not_coherent(board):
    """Without flush the device reads old bytes, without invalidate the CPU does; with both all is well."""
    acl = board.acl
    board.reset(non_coherent=True)
    model, source, result, inputs, outputs = board.ready()
    values = bytes_at(source, 768).view(np.float32)
    seen = bytes_at(result, 768).view(np.float32)
    values[:] = 5
    board.ok(acl.mdl.execute(model, inputs, outputs))
    board.ok(acl.rt.mem_invalidate(result, 768))
    assert not np.any(seen == 10)
    board.ok(acl.rt.mem_flush(source, 768))
    board.ok(acl.mdl.execute(model, inputs, outputs))
    assert not np.any(seen == 10)
    board.ok(acl.rt.mem_invalidate(result, 768))
    assert np.all(seen == 10)
    assert np.all(board.read(result, (192,)) == 10)  # copies of the runtime are coherent


def test_rule_27_flush_and_invalidate(board):
    acl = board.acl
    board.start()
    block = board.block()
    for function in (acl.rt.mem_flush, acl.rt.mem_invalidate):
        assert function(0, 64) == 100000
        assert function(block, 0) == 100000
        assert function(block, 768) == 0
        assert board.in_thread(lambda function=function: function(block, 768)) == 107002


def test_rule_28_host_objects_must_be_alive(board):
    acl = board.acl
    board.start()
    block = board.block()
    kept = bytes(range(64))
    board.ok(acl.rt.memcpy(block, 64, acl.util.bytes_to_ptr(kept), 64, 1))
    assert np.array_equal(board.read(block, (64,), np.uint8), np.arange(64))
    gone = acl.util.bytes_to_ptr(np.arange(64, dtype=np.uint8).tobytes())
    with board.breaks(28):
        acl.rt.memcpy(block, 64, gone, 64, 1)


def test_rule_28_arrays_and_their_views(board):
    acl = board.acl
    board.start()
    block = board.block()
    array = np.arange(128, dtype=np.uint8)
    view = array[64:]
    with pytest.warns(DeprecationWarning, match="numpy_to_ptr"):
        pointer = acl.util.numpy_to_ptr(view)
    del array  # the view keeps the bytes alive
    board.ok(acl.rt.memcpy(block, 64, pointer, 64, 1))
    del view
    with board.breaks(28):
        acl.rt.memcpy(block, 64, pointer, 64, 1)


def test_rule_29_views_and_copies_of_memory(board):
    acl = board.acl
    board.start()
    block = board.block()
    with pytest.warns(DeprecationWarning, match="ptr_to_numpy"):
        view = acl.util.ptr_to_numpy(block, (3, 64), 11)
    view[:] = 1.5
    copied = acl.util.ptr_to_bytes(block, 768)
    view[:] = 2.5
    assert np.all(board.read(block, (192,)) == 2.5)
    assert np.all(np.frombuffer(copied, np.float32) == 1.5)
    with pytest.warns(DeprecationWarning, match="ptr_to_numpy"), board.breaks(22):
        acl.util.ptr_to_numpy(block, (193,), 11)


def test_rule_29_a_view_after_free_traps(program):
    ended = program(
        "import warnings\nwarnings.simplefilter('ignore')\nok(acl.init())\nok(acl.rt.set_device(0))\n"
        "block = ok(acl.rt.malloc(100, 0))\nview = acl.util.ptr_to_numpy(block, (100,), 2)\n"
        "ok(acl.rt.free(block))\nprint(view[0])\n"
    )
    assert ended.returncode == -11


def test_fills_and_copies_of_rows(either):
    acl = either.acl
    either.start()
    stream = either.ok(acl.rt.create_stream())
    device = either.block(1024)
    either.ok(acl.rt.memset(device, 1024, 0, 1024))
    array = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
    either.ok(acl.rt.memcpy2d(device, 16, array.ctypes.data, 4, 4, 3, 1))
    rows = either.read(device, (3, 16), np.uint8)
    assert np.array_equal(rows[:, :4], array)
    assert not rows[:, 4:].any()
    assert acl.rt.memcpy2d(device, 3, array.ctypes.data, 4, 4, 3, 1) == 107000
    either.ok(acl.rt.memset_async(device, 1024, 9, 48, stream))
    either.ok(acl.rt.memcpy2d_async(device + 512, 64, device, 64, 16, 2, 3, stream))
    either.ok(acl.rt.synchronize_stream(stream))
    assert either.read(device + 512, (16,), np.uint8).tolist() == [9] * 16
    assert acl.rt.memset(device, 10, 0, 11) == 107000
    with either.breaks(22):
        acl.rt.memset(device, 1025, 0, 11)
