"""Section E of the rules: streams, events, callbacks, threads and the GIL; section G: latencies and the one core."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

SIZE = 1 * 3 * 8 * 8 * 4


class Ticks:
    """Count how often another Python thread got to run inside the block."""

    def __enter__(self):
        self.count = 0
        self._stop = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        time.sleep(0.02)
        self.before = self.count
        return self

    def _run(self):
        while not self._stop:
            self.count += 1
            time.sleep(0.001)

    def __exit__(self, *error):
        self.seen = self.count - self.before
        self._stop = True
        self._thread.join()


def test_rule_42_execute_holds_the_gil(board):
    model, _, _, inputs, outputs = board.ready()
    board.ok(board.acl.mdl.execute(model, inputs, outputs))
    board.control.set_latency("*", 300)
    with Ticks() as ticks:
        board.ok(board.acl.mdl.execute(model, inputs, outputs))
    assert ticks.seen <= 50  # around the call; 300 if the GIL were free


def test_rule_42_synchronize_stream_releases_the_gil(board):
    model, _, _, inputs, outputs = board.ready()
    stream = board.ok(board.acl.rt.create_stream())
    board.control.set_latency("*", 300)
    with Ticks() as ticks:
        board.ok(board.acl.mdl.execute_async(model, inputs, outputs, stream))
        board.ok(board.acl.rt.synchronize_stream(stream))
    assert ticks.seen > 20


def test_rule_43_streams_are_queues_and_share_one_core(board):
    """Times are those of the device, from events: two models on two streams take the sum, a copy runs beside."""
    acl = board.acl
    board.start()
    streams = [board.ok(acl.rt.create_stream()) for _ in range(3)]
    models = [board.load(name=name) for name in ("one", "two")]
    board.control.set_latency("*", 200)
    ends = [board.ok(acl.rt.create_event_with_flag(8)) for _ in range(4)]
    board.ok(acl.rt.record_event(ends[0], streams[0]))
    for number, model in enumerate(models):
        sets = board.dataset((board.block(), SIZE)), board.dataset((board.block(), SIZE))
        board.ok(acl.mdl.execute_async(model, *sets, streams[number]))
        board.ok(acl.rt.record_event(ends[1 + number], streams[number]))
    first, second = board.block(), board.block()
    board.ok(acl.rt.memcpy_async(first, SIZE, second, SIZE, 3, streams[2]))
    board.ok(acl.rt.record_event(ends[3], streams[2]))
    for stream in streams:
        board.ok(acl.rt.synchronize_stream(stream))
    *runs, copy = (board.ok(acl.rt.event_elapsed_time(ends[0], end)) for end in ends[1:])
    assert min(runs) >= 199.9
    assert max(runs) >= 399.9
    assert copy < max(runs)
    assert board.control.core_usage().busy >= 0.3999


def test_rule_43_the_device_does_not_wait_for_late_threads(board):
    """Ten queued runs take ten latencies of the device, to the microsecond, if the computation is replayed."""
    acl = board.acl
    board.reset(replay_outputs=True)
    model, _, _, inputs, outputs = board.ready()
    stream = board.ok(acl.rt.create_stream())
    board.ok(acl.mdl.execute(model, inputs, outputs))  # the run that is replayed
    start, end = (board.ok(acl.rt.create_event_with_flag(8)) for _ in range(2))
    board.control.set_latency("*", 400)  # time to queue the others behind
    board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    board.ok(acl.rt.record_event(start, stream))
    time.sleep(0.1)
    board.control.set_latency("*", 5)
    for _ in range(10):
        board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    board.ok(acl.rt.record_event(end, stream))
    board.ok(acl.rt.synchronize_stream(stream))
    assert board.ok(acl.rt.event_elapsed_time(start, end)) == pytest.approx(50, abs=1e-3)


def test_rule_44_errors_come_late(board):
    acl = board.acl
    model, _, _, inputs, outputs = board.ready()
    stream, other = board.ok(acl.rt.create_stream()), board.ok(acl.rt.create_stream())
    board.control.inject("mdl.execute_async", nth=1, code=507015, late=True)
    assert acl.mdl.execute_async(model, inputs, outputs, stream) == 0
    assert acl.rt.synchronize_stream(other) == 0
    assert acl.rt.synchronize_stream(stream) == 507015
    assert acl.rt.synchronize_stream(stream) == 0  # told once
    board.control.inject("mdl.execute_async", nth=1, code=507011, late=True)
    board.ok(acl.mdl.execute_async(model, inputs, outputs, other))
    assert acl.rt.synchronize_device() == 507011
    board.control.inject("mdl.execute", code=507011, late=True)
    assert acl.mdl.execute(model, inputs, outputs) == 507011
    with pytest.raises(ValueError, match="queues no task"):
        board.control.inject("rt.malloc", late=True)


def test_rule_44_timeouts(board):
    acl = board.acl
    model, _, _, inputs, outputs = board.ready()
    stream = board.ok(acl.rt.create_stream())
    for wrong in (0, -2):
        assert acl.rt.synchronize_stream_with_timeout(stream, wrong) == 107000
    board.control.set_latency("*", 300)
    board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    assert acl.rt.synchronize_stream_with_timeout(stream, 1) == 507046
    assert acl.rt.synchronize_stream_with_timeout(stream, -1) == 0


def test_the_default_stream_is_0(board):
    model, source, result, inputs, outputs = board.ready()
    board.write(source, np.ones(192, np.float32))
    board.ok(board.acl.mdl.execute_async(model, inputs, outputs, 0))
    board.ok(board.acl.rt.synchronize_stream(0))
    assert np.all(board.read(result, (192,)) == 2)
    assert board.acl.rt.destroy_stream(0) == 100000


def test_rule_45_events(board):
    acl = board.acl
    model, _, _, inputs, outputs = board.ready()
    stream, other = board.ok(acl.rt.create_stream()), board.ok(acl.rt.create_stream())
    event = board.ok(acl.rt.create_event())
    board.control.set_latency("*", 300)
    board.ok(acl.mdl.execute_async(model, inputs, outputs, stream))
    board.ok(acl.rt.record_event(event, stream))
    assert acl.rt.query_event(event) == (1, 0)  # not ready
    assert acl.rt.query_event_status(event) == (0, 0)  # not ready, the other way round
    assert acl.rt.query_event_wait_status(event) == (1, 0)  # not ready, as query_event
    board.ok(acl.rt.stream_wait_event(other, event))
    assert acl.rt.synchronize_stream_with_timeout(other, 1) == 507046
    board.ok(acl.rt.synchronize_event(event))
    board.ok(acl.rt.synchronize_stream(other))
    assert acl.rt.query_event(event) == (0, 0)
    assert acl.rt.query_event_status(event) == (1, 0)
    board.ok(acl.rt.reset_event(event, stream))
    board.ok(acl.rt.synchronize_stream(stream))
    with board.breaks(45):
        acl.rt.synchronize_event(event)


def test_rule_45_events_that_are_not_there(board):
    acl = board.acl
    board.start()
    stream = board.ok(acl.rt.create_stream())
    assert acl.rt.record_event(0, stream) == 100000
    assert acl.rt.record_event(0x99, stream) == 107017
    event = board.ok(acl.rt.create_event())
    for call in (lambda: acl.rt.stream_wait_event(stream, event), lambda: acl.rt.query_event(event)):
        with board.breaks(45):
            call()
    board.ok(acl.rt.destroy_event(event))
    assert acl.rt.destroy_event(event) == 107017
    plain = [board.ok(acl.rt.create_event()) for _ in range(2)]
    for one in plain:
        board.ok(acl.rt.record_event(one, stream))
    board.ok(acl.rt.synchronize_stream(stream))
    assert acl.rt.event_elapsed_time(*plain) == (0.0, 107000)  # made without the time-line flag


def test_streams_run_out(board):
    board.start()
    for _ in range(480):
        board.ok(board.acl.rt.create_stream())
    assert board.acl.rt.create_stream() == (0, 207005)


def serve(board, context):
    """A thread of the runtime that serves callbacks until told to stop."""
    stop = threading.Event()

    def loop(arguments):
        board.ok(board.acl.rt.set_context(arguments[0]))
        while not stop.is_set():
            board.acl.rt.process_report(20)

    return board.ok(board.acl.util.start_thread(loop, [context])), stop


def test_rule_46_callbacks_run_on_the_subscribed_thread(board):
    acl = board.acl
    context = board.start()
    stream = board.ok(acl.rt.create_stream())
    thread, stop = serve(board, context)
    seen = []
    assert acl.rt.launch_callback(seen.append, 0, 0, stream) == 107012
    board.ok(acl.rt.subscribe_report(thread, stream))
    assert acl.rt.subscribe_report(thread, stream) == 107012
    board.ok(acl.rt.launch_callback(lambda value: seen.append((value, threading.get_ident())), 7, 1, stream))
    board.ok(acl.rt.synchronize_stream(stream))
    assert seen == [(7, thread)]
    board.ok(acl.rt.unsubscribe_report(thread, stream))
    assert acl.rt.unsubscribe_report(thread, stream) == 107012
    stop.set()
    assert acl.util.stop_thread(thread) == 0
    assert acl.util.stop_thread(thread) == 100000


def test_rule_46_process_report(board):
    acl = board.acl
    board.start()
    stream = board.ok(acl.rt.create_stream())
    assert acl.rt.process_report(0) == 100000
    assert acl.rt.process_report(-2) == 100000
    assert acl.rt.process_report(10) == 107011
    board.ok(acl.rt.subscribe_report(threading.get_ident(), stream))
    assert acl.rt.process_report(1) == 507012
    board.ok(acl.rt.unsubscribe_report(threading.get_ident(), stream))


def test_rule_46_what_callbacks_may_not_do(board):
    acl = board.acl
    context = board.start()
    stream = board.ok(acl.rt.create_stream())
    thread, stop = serve(board, context)
    board.ok(acl.rt.subscribe_report(thread, stream))

    def fails(_value):
        raise ValueError("lost on a board")

    board.ok(acl.rt.launch_callback(lambda size: acl.rt.malloc(size, 0), 64, 1, stream))
    board.ok(acl.rt.launch_callback(fails, 0, 1, stream))
    board.ok(acl.rt.synchronize_stream(stream))
    texts = [str(violation) for violation in board.control.violations()]
    assert any("acl.rt.malloc inside a callback" in text for text in texts)
    assert any("ValueError('lost on a board')" in text for text in texts)
    board.ok(acl.rt.unsubscribe_report(thread, stream))
    stop.set()
    board.ok(acl.util.stop_thread(thread))


def test_rule_48_one_dataset_in_two_places(board):
    acl = board.acl
    model, _, _, inputs, outputs = board.ready()
    other = board.load(name="other")
    streams = [board.ok(acl.rt.create_stream()) for _ in range(2)]
    board.control.set_latency("*", 200)
    board.ok(acl.mdl.execute_async(model, inputs, outputs, streams[0]))
    with board.breaks(48):
        acl.mdl.execute_async(other, inputs, board.dataset((board.block(), SIZE)), streams[1])
    with board.breaks(48):
        board.acl.mdl.execute(other, inputs, board.dataset((board.block(), SIZE)))
    board.ok(acl.rt.synchronize_stream(streams[0]))


def test_rule_52_latencies_of_the_boards(board):
    board.reset(slow=True, soc="Ascend310B1")
    model, _, _, inputs, outputs = board.ready(name="hand_landmark_full")
    stream = board.ok(board.acl.rt.create_stream())
    start, end = (board.ok(board.acl.rt.create_event_with_flag(8)) for _ in range(2))
    board.ok(board.acl.rt.record_event(start, stream))
    board.ok(board.acl.mdl.execute_async(model, inputs, outputs, stream))
    board.ok(board.acl.rt.record_event(end, stream))
    board.ok(board.acl.rt.synchronize_stream(stream))
    assert board.ok(board.acl.rt.event_elapsed_time(start, end)) >= 2.66
    free = board.acl.rt.get_mem_info(0)[1]
    assert free == 20 << 30


def test_ctrl_c_waits_for_the_end_of_a_call(program, tmp_path):
    """The signal comes during the wait; the call ends first, then KeyboardInterrupt is raised."""
    from tests.acl_emulator.importing import importable
    from tests.acl_emulator.tests.conftest import double_network

    with importable():
        import make_om

        make_om.make_om(double_network(), tmp_path / "m.om")
    ended = program(
        f"path = {str(tmp_path / 'm.om')!r}\n"
        "import os, signal, threading, time, acl_emulator_control as control\n"
        "ok(acl.init()); ok(acl.rt.set_device(0)); model = ok(acl.mdl.load_from_file(path))\n"
        "def dataset(block):\n"
        "    made = acl.mdl.create_dataset()\n"
        "    acl.mdl.add_dataset_buffer(made, acl.create_data_buffer(block, 768))\n"
        "    return made\n"
        "sets = [dataset(ok(acl.rt.malloc(768, 0))) for _ in range(2)]\n"
        "control.set_latency('*', 600)\n"
        "threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "begin = time.monotonic()\n"
        "ok(acl.mdl.execute_async(model, *sets, 0))\n"
        "try:\n    acl.rt.synchronize_stream(0)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', time.monotonic() - begin > 0.5, control.living().count('made at'))\n"
    )
    assert ended.stdout == "interrupted True 7\n"
