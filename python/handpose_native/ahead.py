"""One stage of a chain beside the next: an iterator that runs in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

__all__ = ["Ahead"]

logger = logging.getLogger(__name__)

_Item = TypeVar("_Item")

#: How often something that waits looks whether it should stop: nothing wakes it then, because whoever asks for the end
#: may be a signal handler, which must not take locks.
_LOOK_S = 0.1


class Ahead(Generic[_Item]):
    """Iterates over something in a thread of its own, a little ahead of whoever takes the items.

    A context manager around the loop over it: leaving it ends the thread, whether or not all items were taken. What the
    iterable raises is raised here, after the items that came before it.

    Parameters
    ----------
    items : iterable
        Used by the thread only. It should release the GIL while it works.
    name : str
        Of the thread, for debuggers and reports.
    depth : int
        Items that wait at most, while another one is being made; each may hold a whole picture.
    on_drop : callable, optional
        Given, an item that finds no room takes the place of the oldest one waiting, for which this is called (by the
        thread). Else the thread waits for room.
    should_stop : callable, optional
        While it returns True, no more items are given out: iterating ends, also while it waits for an item.
    patience_s : float, optional
        How long leaving waits for a thread that does not come back, as one that reads from a dead connection; it is
        then left to end by itself. As long as it takes unless given.

    Attributes
    ----------
    depth : int
    waiting : int
        Items that are ready to be taken now.
    taken : int
        Items taken so far.
    mean_waiting : float
        How many items were ready when one was asked for, on average; 0 where none has been asked for.
    """

    def __init__(
        self,
        items: Iterable[_Item],
        name: str,
        *,
        depth: int = 1,
        on_drop: Callable[[_Item], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        patience_s: float | None = None,
    ) -> None:
        self.name, self.depth, self.taken = name, depth, 0
        self._items = items
        self._on_drop = on_drop
        self._should_stop = should_stop
        self._patience_s = patience_s
        self._ready: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        self._left = False
        self._waiting_sum = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def waiting(self) -> int:
        return len(self._ready)

    @property
    def mean_waiting(self) -> float:
        return self._waiting_sum / self.taken if self.taken else 0.0

    def __enter__(self) -> Ahead[_Item]:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        self._thread.join(self._patience_s)
        if self._thread.is_alive():
            logger.warning("%s: still waiting for its source; left alone, it ends by itself", self.name)

    def wait(self, timeout_s: float) -> bool:
        """Wait until an item can be taken, or it is clear that none will come; return False where time runs out."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not (self._ready or self._ended or self._stopping()):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(min(left_s, _LOOK_S))
        return True

    def leave(self) -> None:
        """Take no more: iterating ends, the thread after the item in work. Does not wait for it."""
        with self._changed:
            self._left = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[_Item]:
        while True:
            with self._changed:
                waiting = len(self._ready)
                while not (self._ready or self._ended or self._stopping()):
                    self._changed.wait(_LOOK_S)
                if self._stopping():
                    return
                if not self._ready:
                    break
                item = self._ready.popleft()
                self._waiting_sum += waiting
                self.taken += 1
                self._changed.notify_all()
            yield item
            del item  # else its memory would be held until the next one comes
        if self._error is not None:
            raise self._error

    def _stopping(self) -> bool:
        return self._left or (self._should_stop is not None and self._should_stop())

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
                del item
        except BaseException as error:  # raised again where the items are taken
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, item: _Item) -> bool:
        """Add an item; return False where nobody wants any more."""
        dropped: list[_Item] = []
        with self._changed:
            while len(self._ready) >= self.depth and not self._left:
                if self._on_drop is not None:
                    dropped.append(self._ready.popleft())
                else:
                    self._changed.wait()
            if self._left:
                return False
            self._ready.append(item)
            self._changed.notify_all()
        for old in dropped:
            assert self._on_drop is not None
            self._on_drop(old)
        return True
