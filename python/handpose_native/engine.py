"""The chain from frames to results: which stage runs in which thread, and how many frames are on their way."""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from .ahead import Ahead
from .timing import Ledger
from .types import FrameResult
from .video import default_policy, read_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .estimators import Estimator, PendingHands
    from .timing import FrameTimes
    from .types import Frame, Roi
    from .video import Source

__all__ = ["Chain"]


class _InWork(NamedTuple):
    """A frame whose hands are being looked for."""

    frame: Frame
    times: FrameTimes
    pending: PendingHands
    begun_s: float


class Chain:
    """Reads a source and finds the hands in its frames, in order.

    Parameters
    ----------
    estimator : Estimator
        Used by one chain at a time.
    source : Source
        Read once; belongs to the caller.
    rois : sequence of Roi
        Where to look.
    policy : {"all", "latest", "block"}, optional
        See :func:`~handpose_native.video.read_frames`.
    every : int
        Every n-th frame is worked on.
    max_frames : int, optional
        No more than so many.
    beside_writing : bool
        True: hands are found in a thread of their own, while the caller works on earlier results. That pays where
        writing is some work (H.264 at 1280 x 720: 1.3 times the frames per second), and costs a little where there is
        next to none. Without effect for the policy ``"block"``.
    should_stop : callable, optional
        Once it returns True no further frame is worked on; those in work are finished.

    Attributes
    ----------
    ledger : Ledger
        Counts frames, also while the chain runs. `processed` and `late` are for the caller to count.
    queues : list of Ahead
        Between the threads, while the chain runs and after.
    """

    def __init__(
        self,
        estimator: Estimator,
        source: Source,
        rois: Sequence[Roi],
        *,
        policy: str | None = None,
        every: int = 1,
        max_frames: int | None = None,
        beside_writing: bool = False,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.queues: list[Ahead[FrameResult] | Ahead[tuple[Frame, FrameTimes]]] = []
        self._estimator = estimator
        self._source = source
        self._rois = rois
        self._policy = policy or default_policy(source)
        self._every = every
        self._max_frames = max_frames
        self._beside_writing = beside_writing and self._policy != "block"
        self._should_stop = should_stop

    @contextmanager
    def results(self) -> Iterator[Iterable[FrameResult]]:
        """Run the chain; leaving the context ends its threads. What fails comes after the results before it."""
        self._estimator.reset()
        with ExitStack() as stack:
            frames = stack.enter_context(
                read_frames(
                    self._source,
                    self._every,
                    policy=self._policy,
                    ledger=self.ledger,
                    should_stop=self._should_stop,
                )
            )
            if isinstance(frames, Ahead):
                self.queues.append(frames)
            results: Iterable[FrameResult] = self._find_hands(frames)
            if self._beside_writing:
                ahead = Ahead(results, "estimate")
                self.queues.append(ahead)
                results = stack.enter_context(ahead)
                if isinstance(frames, Ahead):  # first of all, since the other thread may wait for a frame
                    stack.callback(frames.leave)
            yield results

    def _find_hands(self, frames: Iterable[tuple[Frame, FrameTimes]]) -> Iterator[FrameResult]:
        """Keep as many frames in work as the estimator takes, but none while there is no other to begin."""
        in_work: deque[_InWork] = deque()
        # Where frames are made on demand, the next one may depend on the result of this one.
        queue = frames if isinstance(frames, Ahead) else None
        depth = self._estimator.in_flight if queue is not None else 1
        device = _DeviceTime()
        begun = self._begin_each(islice(frames, self._max_frames))
        failure: Exception | None = None
        while True:
            try:
                in_work.append(next(begun))
            except StopIteration:
                break
            except Exception as error:  # raised once the frames before it are finished
                failure = error
                break
            while in_work and (len(in_work) >= depth or not self._next_comes(queue, device, in_work[0])):
                yield device.finish(in_work.popleft())
        while in_work:
            yield device.finish(in_work.popleft())
        if failure is not None:
            raise failure

    def _next_comes(self, queue: Ahead[tuple[Frame, FrameTimes]] | None, device: _DeviceTime, oldest: _InWork) -> bool:
        """Whether to begin another frame before the oldest in work is finished; waits for one where that costs nothing.

        A file's next frame always comes soon. A live source's may come later than the oldest result, which is not to be
        kept waiting.
        """
        if queue is None:
            return False
        return not self._source.info.is_live or queue.wait(device.remaining_s(oldest))

    def _begin_each(self, frames: Iterable[tuple[Frame, FrameTimes]]) -> Iterator[_InWork]:
        for frame, times in frames:
            work = _InWork(
                frame, times, self._estimator.begin(frame.picture, frame.pts_s, self._rois, times), time.perf_counter()
            )
            del frame
            yield work
            del work  # which would hold a picture until the next one is there


class _DeviceTime:
    """How long a device that works on one frame after another needs for one, from when its results came."""

    #: The estimate follows shorter times at once and longer ones slowly, by this factor a frame; and as nobody looks
    #: before the remaining time is over, which is then part of what is measured, less than all of it is waited.
    _GROWTH, _SHARE = 1.05, 0.9

    def __init__(self) -> None:
        self._needed_s = math.inf
        self._free_s = 0.0

    def remaining_s(self, work: _InWork) -> float:
        """Return how long the result of the oldest frame in work will not be there; 0 while nothing is known."""
        if math.isinf(self._needed_s):
            return 0.0
        started_s = max(work.begun_s, self._free_s)
        return max(started_s + self._needed_s * self._SHARE - time.perf_counter(), 0.0)

    def finish(self, work: _InWork) -> FrameResult:
        """Wait for the result."""
        hands = work.pending.finish()
        now_s = time.perf_counter()
        self._needed_s = min(self._needed_s * self._GROWTH, now_s - max(work.begun_s, self._free_s))
        self._free_s = now_s
        return FrameResult(work.frame.index, work.frame.pts_s, work.frame.picture, hands, work.times)
