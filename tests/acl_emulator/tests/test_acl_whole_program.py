"""A program from init to finalize, run with every failure injected at every call: how users test theirs."""

from __future__ import annotations

import pytest
from tests.acl_emulator.importing import importable

SIZE = 768


class Failed(Exception):
    """A return code that is not 0."""


def check(result):
    code = result[-1] if isinstance(result, tuple) else result
    if code != 0:
        raise Failed(code)
    return result[0] if isinstance(result, tuple) else None


def handle(value):
    if value == 0:
        raise Failed("no handle")
    return value


class Program:
    """Load a model, run it twice, release everything. ``undo`` holds what is to be released, last first."""

    def __init__(self, acl, path):
        self.acl, self.path = acl, path
        self.undo = []

    def later(self, function, *arguments):
        self.undo.append(lambda: function(*arguments))

    def dataset(self):
        acl = self.acl
        dataset = handle(acl.mdl.create_dataset())
        self.later(acl.mdl.destroy_dataset, dataset)
        block = check(acl.rt.malloc(SIZE, 0))
        self.later(acl.rt.free, block)
        buffer = handle(acl.create_data_buffer(block, SIZE))
        self.later(acl.destroy_data_buffer, buffer)
        check(acl.mdl.add_dataset_buffer(dataset, buffer))
        return dataset

    def run(self):
        acl = self.acl
        check(acl.init())
        self.later(acl.finalize)
        check(acl.rt.set_device(0))
        self.later(acl.rt.reset_device, 0)
        context = check(acl.rt.create_context(0))
        self.later(acl.rt.destroy_context, context)
        stream = check(acl.rt.create_stream())
        self.later(acl.rt.destroy_stream, stream)
        model = check(acl.mdl.load_from_file(self.path))
        self.later(acl.mdl.unload, model)
        description = handle(acl.mdl.create_desc())
        self.later(acl.mdl.destroy_desc, description)
        check(acl.mdl.get_desc(description, model))
        if handle(acl.mdl.get_input_size_by_index(description, 0)) != SIZE:
            raise Failed("size")
        inputs, outputs = self.dataset(), self.dataset()
        self.later(acl.rt.synchronize_stream, stream)  # a failure may leave tasks in it
        for _ in range(2):
            check(acl.mdl.execute_async(model, inputs, outputs, stream))
            check(acl.rt.synchronize_stream(stream))

    def release(self):
        """Release in reverse order; what fails is tried once more, as a failure is injected only once."""
        while self.undo:
            undo = self.undo.pop()
            if undo() != 0:
                check(undo())


@pytest.mark.parametrize("mode", ["rc", "ep"])
def test_rule_5_every_failure_of_a_whole_program(tmp_path, mode):
    from tests.acl_emulator.tests.conftest import double_network

    with importable(run_mode=mode) as (acl, control):
        import make_om

        path = str(tmp_path / "double.om")
        make_om.make_om(double_network(), path)
        program = Program(acl, path)
        program.run()
        in_run = control.calls()
        program.release()
        failures = list(control.failures_of(control.calls()))
        assert len(failures) > 30
        for failure in failures:
            for late in (False, True) if failure.function.endswith("_async") else (False,):
                control.reset(run_mode=mode)
                control.inject(failure.function, failure.nth, failure.code, late=late)
                program = Program(acl, path)
                try:
                    program.run()
                    failed = False
                except Failed:
                    failed = True
                program.release()
                assert len(control.injected_failures()) == 1
                assert failed == (failure.nth <= in_run.get(failure.function, 0))
                assert control.violations() == []
                assert control.leaks() == []


def test_importable_leaves_no_trace():
    import sys

    before = list(sys.path), {name for name in sys.modules if name == "acl" or name.startswith("acl.")}
    with importable(soc="Ascend310") as (acl, _):
        assert sys.modules["acl"] is acl
        assert acl.init() == 0
    assert (list(sys.path), {name for name in sys.modules if name == "acl" or name.startswith("acl.")}) == before
