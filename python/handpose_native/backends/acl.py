"""Huawei Ascend NPUs through pyACL: ``.om`` models, read and written in the device's own memory where the CPU can."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..ascend.runtime import Holdings
from ..errors import ArgumentError, DeviceError
from .acl_memory import AclItem, AclTensor
from .acl_model import AclDescription, load_model
from .arguments import check_arguments
from .base import Backend

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .acl_model import AclTensors

__all__ = ["AclBackend"]

_Item = TypeVar("_Item")

logger = logging.getLogger(__name__)

#: The NPU works on one frame while the CPU prepares the next; see the page "Board" of the documentation.
_SLOTS = 2


@dataclass
class _Slot:
    """A loaded copy of the model with a stream, and the memory it reads and writes.

    Attributes
    ----------
    items : tuple of AclItem
        The images of a batch; empty where the model takes one only.
    views : dict of int to tuple of ndarray
        The outputs, by batch size.
    batch : int
        The batch size that is set.
    queued : bool
        Whether the stream may hold work: from before the first call that queues some until it was waited for.
    """

    stream: int
    model: int
    input_set: int
    output_set: int
    inputs: tuple[AclTensor, ...]
    outputs: tuple[AclTensor, ...]
    items: tuple[AclItem, ...]
    views: dict[int, tuple[NDArray[Any], ...]]
    batch: int
    queued: bool = False


class AclBackend(Backend):
    """Run an ``.om`` model on an Ascend NPU.

    Parameters
    ----------
    path : str or path
        The model file, converted by ATC for this chip.
    slots : int, optional
        Frames in flight; 2 unless given.
    device_id : int
        Which NPU.
    flush : bool
        Write back and invalidate the CPU's caches before and after each run. Only where an old board returns wrong
        results without: documented versions of CANN need no such thing.
    input_layout : {"NCHW", "NHWC"}, optional
        Needed only where it cannot be read from the model.
    input_hw : tuple of int, optional
        Height and width; an error where the model has others.
    image_input : str or int, optional
        Which input is the image, where several could be.

    Raises
    ------
    ModelError
        If the file is no model for this chip, its sizes disagree, or it contradicts the arguments.
    ArgumentError
        For a wrong value.
    DeviceError, DeviceMemoryError
        If the runtime fails; `code` is the one of ACL.
    MissingDependencyError
        If there is no pyACL.

    Notes
    -----
    On a board, where the CPU and the NPU share memory (run mode RC), inputs are written and outputs are read in the
    blocks that the model itself uses: a run copies nothing. With a card (EP) they are in pinned memory of the host, and
    a run begins with a copy of each input and ends with one of each output that is read, queued with it.

    Each slot has a copy of the model of its own, with a stream of its own, because one model must not be on two streams
    at once, and only waiting for a stream tells for sure whether its runs failed. Results do not depend on the slot.

    Of a model with several batch sizes the smallest is run that holds the images submitted, where the image is its only
    input; else the smallest of all. `metadata` is empty: an ``.om`` file does not give any.

    The first model of a process takes seconds to open, since it starts the device.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        slots: int | None = None,
        device_id: int = 0,
        flush: bool = False,
        input_layout: str | None = None,
        input_hw: tuple[int, int] | None = None,
        image_input: str | int | None = None,
    ) -> None:
        super().__init__(_SLOTS if slots is None else slots)
        check_arguments(type(self).__name__, None, input_layout)
        if isinstance(device_id, bool) or not isinstance(device_id, int) or device_id < 0:
            raise ArgumentError(f"AclBackend: device_id must be an integer of at least 0; got {device_id!r}")
        if not isinstance(flush, bool):
            raise ArgumentError(f"AclBackend: flush must be True or False; got {flush!r}")
        self._file = Path(path)
        self._flush = flush
        self._constants: set[int] = set()
        self._holdings = Holdings()
        self._slots: list[_Slot] = []
        with self._holdings.made_on(device_id):
            self._library = self._holdings.library
            self._build(input_layout, input_hw, image_input)
        self.metadata = {}
        self.device = self._describe(device_id)
        logger.info("%s: %s", self._file, self.device)

    def _build(self, input_layout: str | None, input_hw: tuple[int, int] | None, image_input: str | int | None) -> None:
        """Make all that the runs need, kind by kind, so that it is given back in the documented order: the reverse."""
        library, keep = self._library, self._holdings.keep
        streams, models, sets = [], [], []
        for _ in range(self.slots):
            (stream,) = library.values("rt.create_stream")
            keep.callback(library.status, "rt.destroy_stream", stream)
            streams.append(stream)
        for _ in streams:
            models.append(load_model(library, self._file, keep))
        description = AclDescription(library, self._file, models[0], keep)
        for _ in range(2 * self.slots):
            sets.append(library.result("mdl.create_dataset"))
            keep.callback(library.status, "mdl.destroy_dataset", sets[-1])
        input_sets, output_sets = sets[: self.slots], sets[self.slots :]

        index = description.batch_index
        inputs = description.inputs(input_layout, input_hw, image_input)
        input_tensors = [self._fill(dataset, inputs) for dataset in input_sets]
        for tensor in chain.from_iterable(input_tensors):
            tensor.clear()
        shapes: dict[int, tuple[tuple[int, ...], ...]] = {}
        for batch in reversed(description.batches):  # the smallest last, which stays
            for model, dataset in zip(models, input_sets) if index is not None else ():
                library.status("mdl.set_dynamic_batch_size", model, dataset, index, batch)
            outputs = description.outputs()
            shapes[batch] = tuple(info.shape for info in outputs.infos)
        output_tensors = [self._fill(dataset, outputs) for dataset in output_sets]

        self.inputs = _without(inputs.infos, index)
        self.outputs = outputs.infos
        self._batch_index = index
        self._batches = self._usable(shapes)
        self.max_batch = self._batches[-1] if self._batches[0] == 1 else 1
        for slot in range(self.slots):
            given, results = _without(input_tensors[slot], index), output_tensors[slot]
            items = given[0].items(self.max_batch) if self.max_batch > 1 else ()
            views = {
                batch: tuple(one.batch(batch, shape) for one, shape in zip(results, shapes[batch]))
                for batch in self._batches
            }
            parts = (streams[slot], models[slot], input_sets[slot], output_sets[slot])
            self._slots.append(_Slot(*parts, given, results, items, views, self._batches[0]))
            keep.callback(self._settle, self._slots[slot])

    def _usable(self, shapes: Mapping[int, tuple[tuple[int, ...], ...]]) -> tuple[int, ...]:
        """Return the batch sizes, smallest first; only that one where other things than images would have to grow."""
        batches = tuple(sorted(shapes))
        grows = all(shape[:1] == (batch,) for batch, outputs in shapes.items() for shape in outputs)
        return batches if grows and len(self.inputs) == 1 else batches[:1]

    def _fill(self, dataset: int, described: AclTensors) -> tuple[AclTensor, ...]:
        """Make the memory of a data set."""
        library, keep = self._library, self._holdings.keep
        tensors = []
        for info, size in zip(described.infos, described.nbytes):
            tensors.append(AclTensor(library, info, size, keep))
            buffer = library.result("create_data_buffer", tensors[-1].device_address, size)
            keep.callback(library.status, "destroy_data_buffer", buffer)
            library.values("mdl.add_dataset_buffer", dataset, buffer)
        return tuple(tensors)

    def _describe(self, device_id: int) -> str:
        library = self._library
        memory = "zero copy" if library.run_mode == "RC" else "pinned copies"
        flush = ", flush" if self._flush else ""
        return f"{library.soc} (device {device_id}), acl {library.version}, {memory}, slots={self.slots}{flush}"

    def _buffer(self, slot: int, index: int) -> AclTensor:
        return self._slots[slot].inputs[index]

    def _item_buffer(self, slot: int, item: int) -> AclItem:
        return self._slots[slot].items[item]

    def _keep_constant(self, index: int) -> None:
        """Bring the input to the device for good."""
        with self._holdings.current():
            for one in self._slots:
                tensor = one.inputs[index]
                tensor.upload(tensor.array.nbytes, one.stream)
                if self._flush and self._library.run_mode == "RC":
                    self._library.status("rt.mem_flush", tensor.address, tensor.nbytes)
        self._constants.add(index)

    def _start(self, slot: int) -> None:
        one = self._slots[slot]
        with self._holdings.current():
            if one.queued:  # by a call that was interrupted
                with suppress(DeviceError):
                    self._settle(one)
            one.queued = True
            try:
                self._set_batch(one, self._batch[slot])
                self._queue(one)
            except DeviceError:
                with suppress(DeviceError):  # the first error is the one to tell
                    self._settle(one)
                raise

    def _set_batch(self, one: _Slot, count: int) -> None:
        """Let the next run take the smallest batch that holds so many images."""
        batch = next(batch for batch in self._batches if batch >= count)
        if batch != one.batch:
            arguments = (one.model, one.input_set, self._batch_index, batch)
            self._library.status("mdl.set_dynamic_batch_size", *arguments)
            one.batch = batch

    def _queue(self, one: _Slot) -> None:
        """Queue a run on the slot's stream, with the copies before and after it that this run mode needs."""
        library = self._library
        for index, tensor in enumerate(one.inputs):
            if index in self._constants:
                continue
            tensor.queue_upload(tensor.array.nbytes * (one.batch // self._batches[0]), one.stream)
            if self._flush and library.run_mode == "RC":
                library.status("rt.mem_flush", tensor.address, tensor.nbytes)
        library.status("mdl.execute_async", one.model, one.input_set, one.output_set, one.stream)
        for index, (tensor, view) in enumerate(zip(one.outputs, one.views[one.batch])):
            if self._selected_outputs is None or index in self._selected_outputs:
                tensor.queue_download(view.nbytes, one.stream)

    def _finish(self, slot: int) -> tuple[NDArray[Any], ...]:
        one = self._slots[slot]
        with self._holdings.current():
            self._settle(one)
            if self._flush and self._library.run_mode == "RC":
                for tensor in one.outputs:
                    self._library.status("rt.mem_invalidate", tensor.address, tensor.nbytes)
        views, count = one.views[one.batch], self._batch[slot]
        return views if one.batch in (count, self._batches[0]) else tuple(view[:count] for view in views)

    def _settle(self, one: _Slot) -> None:
        """Wait until a slot's stream is idle, without the GIL; raise what went wrong in its runs."""
        code = self._library.acl.rt.synchronize_stream(one.stream)
        one.queued = False  # also where it failed: then nothing more is going to happen
        self._library.check("rt.synchronize_stream", code)

    def _release(self) -> None:
        self._holdings.close()
        self._slots.clear()


def _without(items: tuple[_Item, ...], index: int | None) -> tuple[_Item, ...]:
    return tuple(one for place, one in enumerate(items) if place != index)
