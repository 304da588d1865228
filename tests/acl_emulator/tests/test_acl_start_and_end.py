"""Section B of the rules: init and finalize, devices, contexts, what must be gone at the end."""

from __future__ import annotations

import threading

import pytest


def test_rule_8_nothing_before_init(board):
    acl = board.acl
    assert acl.rt.set_device(0) == 100001
    assert acl.rt.get_run_mode() == (0, 100001)
    assert acl.rt.malloc(64, 0) == (0, 100001)
    assert acl.get_soc_name() is None
    assert acl.mdl.create_dataset() == 0
    assert "acl.init" in acl.get_recent_err_msg()


def test_rule_9_init_twice(board, tmp_path):
    acl = board.acl
    config = tmp_path / "acl.json"
    config.write_text('{"dump": {}}')
    assert acl.init() == 0
    assert acl.init() == 100002
    assert acl.init(str(config)) == 100000
    board.reset()
    assert acl.init(str(config)) == 0
    assert acl.init(str(config)) == 100002
    board.reset()
    assert acl.init(str(tmp_path / "missing.json")) == 100003


def test_rule_9_finalize_twice_and_use_afterwards(board):
    acl = board.acl
    assert acl.finalize() == 100037
    assert acl.init() == 0
    assert acl.finalize() == 0
    assert acl.finalize() == 100037
    with board.breaks(9):
        acl.rt.set_device(0)
    assert acl.init() == 0  # new CANN allows it
    assert acl.rt.set_device(0) == 0


def test_rule_9_old_cann_does_not_promise_a_second_start(board):
    board.reset(cann="old")
    assert board.acl.init() == 0
    assert board.acl.finalize() == 0
    with board.breaks(9):
        board.acl.init()


def test_rule_9_references_are_counted_on_new_cann(board):
    acl = board.acl
    assert acl.init() == 0
    assert acl.init() == 100002
    assert acl.finalize_reference() == (1, 0)
    assert acl.finalize_reference() == (0, 0)
    assert acl.finalize_reference() == (0, 100037)


def test_rule_10_devices(board):
    acl = board.acl
    board.ok(acl.init())
    assert acl.rt.get_device_count() == (1, 0)
    assert acl.rt.set_device(1) == 107001
    with board.breaks(10):
        acl.rt.reset_device(0)
    assert acl.rt.set_device(0) == 0
    assert acl.rt.set_device(0) == 0
    assert acl.rt.reset_device(0) == 0
    assert acl.rt.get_device() == (0, 0)  # one set_device still counts
    assert acl.rt.reset_device(0) == 0
    assert acl.rt.get_device() == (0, 107002)


def test_rule_11_threads_start_without_a_context(board):
    acl = board.acl
    context = board.start()
    block = board.block()

    def work():
        before = [
            acl.rt.malloc(64, 0)[1],
            acl.rt.create_stream()[1],
            acl.rt.memcpy(block, 8, block + 64, 8, 3),
            acl.mdl.load_from_file("x.om")[1],
            acl.rt.get_context(),
            acl.rt.mem_flush(block, 8),
        ]
        assert acl.rt.set_context(context) == 0
        return before, acl.rt.malloc(64, 0)[1]

    assert board.in_thread(work) == ([107002, 107002, 107002, 107002, (0, 107002), 107002], 0)


def test_rule_11_set_device_shares_the_default_context(board):
    acl = board.acl
    board.ok(acl.init())
    board.ok(acl.rt.set_device(0))
    first = acl.rt.get_context()[0]

    def work():
        board.ok(acl.rt.set_device(0))
        return acl.rt.get_context(0)  # an extra argument is tolerated

    assert board.in_thread(work) == (first, 0)


def test_rule_12_contexts_null_dead_default(board):
    acl = board.acl
    board.ok(acl.init())
    board.ok(acl.rt.set_device(0))
    default = board.ok(acl.rt.get_context())
    assert acl.rt.set_context(0) == 100000
    assert acl.rt.set_context(0x1234) == 107017
    assert acl.rt.destroy_context(default) == 107000
    own = board.ok(acl.rt.create_context(0))
    assert acl.rt.get_context() == (own, 0)  # create_context makes it current
    stays = threading.Event()
    goes = threading.Event()

    def work():
        board.ok(acl.rt.set_context(own))
        stays.set()
        goes.wait()
        return acl.rt.malloc(64, 0)

    results = []
    thread = threading.Thread(target=lambda: results.append(board.in_thread(work)))
    thread.start()
    stays.wait()
    assert acl.rt.destroy_context(own) == 0
    goes.set()
    thread.join()
    assert str(results[0]).startswith("rule 12:")
    assert acl.rt.get_context() == (0, 107002)
    with board.breaks(12):
        acl.rt.set_context(own)


def test_rule_13_streams_and_models_of_another_context(board):
    acl = board.acl
    model, _, _, inputs, outputs = board.ready()
    stream = board.ok(acl.rt.create_stream())
    board.ok(acl.rt.create_context(0))
    own = board.ok(acl.rt.create_stream())
    assert acl.rt.destroy_stream(stream) == 107003
    assert acl.mdl.execute(model, inputs, outputs) == 107004
    assert acl.mdl.execute_async(model, inputs, outputs, own) == 107004
    assert acl.mdl.unload(model) == 107004
    assert acl.rt.synchronize_stream(stream) == 0  # current runtimes switch
    other = board.load(name="other")
    assert acl.mdl.execute_async(other, inputs, outputs, stream) == 107003
    assert acl.rt.destroy_stream(0x99) == 107017


def test_rule_13_old_runtimes_do_not_switch(board):
    board.reset(cann="old")
    board.start()
    stream = board.ok(board.acl.rt.create_stream())
    board.ok(board.acl.rt.create_context(0))
    assert board.acl.rt.synchronize_stream(stream) == 107003


def test_rule_14_everything_left_is_reported_with_its_place(board):
    acl = board.acl
    board.ready()
    board.ok(acl.rt.create_stream())
    board.ok(acl.rt.create_event())
    acl.mdl.create_desc()
    board.ok(acl.rt.malloc_host(10))
    with board.breaks(14):
        acl.rt.reset_device(0)
    (report,) = board.control.leaks()
    first = report.splitlines()[0]
    for part in ("2 x dataset", "2 x data buffer", "3 x memory", "1 x model", "1 x stream", "1 x event", "1 x context"):
        assert part in first
    assert "1 x model description" in first
    assert "test_acl_start_and_end.py" in report
    assert "board.ok(acl.rt.malloc_host(10))" in report
    assert acl.finalize() == 0  # what was reported is gone


def test_rule_14_finalize_with_a_device_that_was_not_reset(board):
    board.ok(board.acl.init())
    board.ok(board.acl.rt.set_device(0))
    with board.breaks(14):
        board.acl.finalize()


def test_rule_14_a_clean_end_reports_nothing(board):
    acl = board.acl
    context = board.start()
    block = board.block()
    board.ok(acl.rt.free(block))
    board.ok(acl.rt.destroy_context(context))
    board.ok(acl.rt.reset_device(0))
    board.ok(acl.finalize())
    assert board.control.leaks() == []
    assert board.control.violations() == []
    assert board.control.living() == ""


def test_rule_14_process_exit_without_finalize(program):
    ended = program("ok(acl.init())\nok(acl.rt.set_device(0))\nblock = ok(acl.rt.malloc(77, 0))\nprint('last')\n")
    assert ended.returncode == 70
    assert "process exit without acl.finalize: 1 x memory" in ended.stderr
    assert 'program.py", line 8, in <module>' in ended.stderr
    assert ended.stdout == "last\n"


def test_rule_14_atexit_handlers_come_first(program):
    ended = program(
        "import atexit\n"
        "def end():\n    ok(acl.rt.reset_device(0))\n    ok(acl.finalize())\n"
        "atexit.register(end)\nok(acl.init())\nok(acl.rt.set_device(0))\n"
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_rule_15_finalize_while_the_interpreter_shuts_down(program):
    """An object of a module that is torn down before the emulator."""
    ended = program(
        "import sys, types\n"
        "class Resource:\n    def __del__(self, finalize=acl.finalize):\n        finalize()\n"
        "library = sys.modules['library'] = types.ModuleType('library')\n"
        "library.resource = Resource()\ndel library\nok(acl.init())\n"
    )
    assert "rule 15: acl.finalize while the interpreter shuts down" in ended.stderr
    assert ended.returncode == 70


def test_rule_15_finalize_in_a_del_of_the_main_module(program):
    ended = program(
        "class Resource:\n    def __del__(self):\n        acl.finalize()\nresource = Resource()\nok(acl.init())\n"
    )
    assert "rules 14 and 15: process exit without acl.finalize" in ended.stderr
    assert ended.returncode == 70


def test_rule_47_fork(program):
    ended = program(
        "import os\nok(acl.init())\nok(acl.rt.set_device(0))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try:\n        acl.rt.malloc(64, 0)\n"
        "    except Exception as error:\n        print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\nok(acl.rt.reset_device(0))\nok(acl.finalize())\n"
    )
    assert ended.stdout.startswith("rule 47: acl.rt.malloc in a forked child")
    assert ended.returncode == 0


def test_rule_53_the_first_set_device_and_finalize_take_seconds(board, monkeypatch):
    slept = []
    board.reset(slow=True)
    monkeypatch.setattr("acl._rt_device.time.sleep", slept.append)
    board.ok(board.acl.init())
    board.ok(board.acl.rt.set_device(0))
    board.ok(board.acl.rt.set_device(0))
    board.ok(board.acl.rt.reset_device(0))
    board.ok(board.acl.rt.reset_device(0))
    board.ok(board.acl.finalize())
    assert slept == [2.0, 2.0]


def test_rule_54_names_of_the_chips(board):
    for name in ("Ascend310", "Ascend310B1", "Ascend310B4"):
        board.reset(soc=name)
        board.ok(board.acl.init())
        assert board.acl.get_soc_name() == name


def test_profiles_are_read_and_checked(board, monkeypatch):
    values = {"SOC": "Ascend310", "RUN_MODE": "ep", "CANN": "old", "MEMORY_MB": "64", "DEVICES": "2", "SLOW": "1"}
    values |= {"LATENCY_MS": "hand*=2.5,7", "REPLAY_OUTPUTS": "1", "NON_COHERENT": "0", "THREADS": "2"}
    for name, value in values.items():
        monkeypatch.setenv(f"ACL_EMULATOR_{name}", value)
    board.reset()
    profile = board.control.profile()
    assert (profile.soc, profile.is_ep, profile.is_old, profile.devices) == ("Ascend310", True, True, 2)
    assert (profile.memory_bytes, profile.slow, profile.replay_outputs, profile.threads) == (64 << 20, True, True, 2)
    assert profile.latencies_ms == (("hand*", 2.5), ("*", 7.0))
    with pytest.raises(ValueError, match="soc must be one of Ascend310, Ascend310B1, Ascend310B4, got 'Ascend910'"):
        board.reset(soc="Ascend910")
    with pytest.raises(ValueError, match="non_coherent"):
        board.reset(non_coherent=True)


def test_rule_54_profiles_come_from_the_environment(program):
    ended = program(
        "ok(acl.init())\nprint(acl.get_soc_name(), acl.rt.get_run_mode()[0], hasattr(acl, 'himpi'))\n"
        "ok(acl.finalize())\n",
        ACL_EMULATOR_SOC="Ascend310",
        ACL_EMULATOR_RUN_MODE="EP",
    )
    assert ended.stdout == "Ascend310 1 False\n"
