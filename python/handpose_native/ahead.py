"""One stage of a chain beside the next: an iterator that runs in a thread of its own."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

__all__ = ["Ahead"]

_Item = TypeVar("_Item")

#: Items that wait at most, while another one is being made; each may hold a whole picture.
_DEPTH = 1


class Ahead(Generic[_Item]):
    """Iterates over something in a thread of its own, a little ahead of whoever takes the items.

    A context manager around the loop over it: leaving it ends the thread, whether or not all items were taken. What the
    iterable raises is raised here, after the items that came before it.

    Parameters
    ----------
    items : iterable
        Used by the thread only. It should release the GIL while it works.
    name : str
        Of the thread, for debuggers.
    """

    def __init__(self, items: Iterable[_Item], name: str) -> None:
        self._items = items
        self._ready: queue.Queue[_Item | _End] = queue.Queue(_DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Ahead[_Item]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        while self._thread.is_alive():
            try:  # make room for one that waits to put
                self._ready.get_nowait()
            except queue.Empty:
                self._thread.join(0.01)

    def __iter__(self) -> Iterator[_Item]:
        while True:
            item = self._ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def _run(self) -> None:
        end = _End(None)
        try:
            for item in self._items:
                self._ready.put(item)
                if self._stop.is_set():
                    return
        except BaseException as error:  # raised again where the items are taken
            end = _End(error)
        self._ready.put(end)


class _End:
    """What follows the last item."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
