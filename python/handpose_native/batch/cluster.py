"""Workers on a cluster, through Ray Data."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import errors
from ..errors import ArgumentError, missing_dependency
from .processes import ATTEMPTS
from .videos import Video
from .work import Outcome, VideoWorker, remove_left_overs

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterable, Iterator

    from .options import BatchOptions

__all__ = ["run_on_ray"]


def run_on_ray(
    videos: Iterable[Video],
    out: str | os.PathLike[str],
    options: BatchOptions,
    *,
    address: str | None = None,
    workers: int | None = None,
    cpus: float | None = None,
    npus: float = 0,
    stop: threading.Event | None = None,
) -> Generator[Outcome, None, None]:
    """Do videos on a Ray cluster: :class:`VideoWorker` mapped over a dataset of them.

    Videos and the folder of results have the same paths on all machines, as on a shared file system. A connection to
    Ray that was made before (``ray.init``) is used as it is.

    Parameters
    ----------
    videos : iterable of Video
    out : path
        The folder of results.
    options : BatchOptions
        Networks get ``threads`` of its pipeline, else as many as `cpus`.
    address : str, optional
        Of the cluster: ``"auto"`` for the one that this machine is in, ``"local"`` for a new one of this machine alone;
        unless given, what ``RAY_ADDRESS`` says, else a new one.
    workers : int, optional
        How many at a time, each an actor with a pipeline of its own; as many as the cluster has room for unless given.
    cpus : float, optional
        What each takes of the processors; 1 unless given.
    npus : float
        What each takes of Ray's resource ``NPU``: Ascend devices, which Ray counts and gives out itself.
    stop : threading.Event, optional
        Set it to end when the next video is done; the others in work are given up.

    Yields
    ------
    Outcome
        As videos end, in any order. A video whose worker dies is done by another; where that dies too, it failed.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    HandposeError
        What a worker cannot begin for.
    """
    try:
        import ray.data
    except ImportError as error:
        raise missing_dependency(error, "ray", "to use a cluster", "handpose_native[ray]") from error
    if workers is not None and workers < 1:
        raise ArgumentError(f"run_on_ray: workers must be at least 1; got {workers}")
    todo = list(videos)
    if not todo:
        return
    with _connected(address):
        share = 1.0 if cpus is None else cpus
        resources: Any = ray.cluster_resources  # which has no types
        count = _workers_that_fit(resources(), share, npus) if workers is None else workers
        dataset = ray.data.from_items(
            [{"video": json.dumps(video.to_dict())} for video in todo],
            override_num_blocks=len(todo),  # what is done again where a worker dies is then one video
        )
        worker: Any = _RayWorker  # Ray's types do not know that it may be a class
        what = options.with_threads(max(int(share), 1))
        rows = dataset.map(
            worker,
            fn_constructor_args=(what, str(Path(out).absolute()), uuid.uuid4().hex),
            compute=ray.data.ActorPoolStrategy(size=min(count, len(todo)), max_tasks_in_flight_per_actor=1),
            num_cpus=share,
            resources={"NPU": npus} if npus else {},
        ).iter_rows()
        for row in rows:
            answer = json.loads(row["answer"])
            if "cannot_begin" in answer:
                raise getattr(errors, answer["cannot_begin"])(answer["reason"])
            yield Outcome.from_dict(answer)
            if stop is not None and stop.is_set():
                return


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Use Ray as it is, or else begin and end it."""
    import ray.data

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster begun here tells nobody that it was
    ray.init(address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False  # outcomes tell it
    try:
        yield
    finally:
        ray.shutdown()


def _workers_that_fit(resources: dict[str, float], cpus: float, npus: float) -> int:
    limits = [resources.get(name, 0) / share for name, share in (("CPU", cpus), ("NPU", npus)) if share]
    return max(int(min(limits)), 1)


class _RayWorker:
    """A worker as Ray Data wants it: rows in, rows out.

    Ray does a row again and again where its worker dies, and each of its versions has another way to limit that. So
    attempts are counted here, in a file beside the results.
    """

    def __init__(self, options: BatchOptions, out: str, batch: str) -> None:
        self._out = Path(out)
        self._batch = batch
        self._worker: VideoWorker | None = None
        try:
            self._worker = VideoWorker(options, out)
        except errors.HandposeError as error:  # told with the first row: Ray would try to begin again and again
            self._reason = {"cannot_begin": type(error).__name__, "reason": str(error)}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if self._worker is None:
            return {"answer": json.dumps(self._reason)}
        video = Video(**json.loads(row["video"]))
        name = self._out / video.name
        counter = name.with_name(f".{name.name}.attempts")
        attempt = self._attempts(counter) + 1
        if attempt > ATTEMPTS:
            remove_left_overs(self._out, video)
            error = f"{video.path}: the worker ended in the middle of it, {ATTEMPTS} times"
            outcome = Outcome(video, "failed", error=error, attempts=ATTEMPTS)
        else:
            counter.parent.mkdir(parents=True, exist_ok=True)
            counter.write_text(f"{self._batch} {attempt}", encoding="ascii")
            outcome = replace(self._worker(video), attempts=attempt)
        counter.unlink(missing_ok=True)
        return {"answer": json.dumps(outcome.to_dict())}

    def _attempts(self, counter: Path) -> int:
        """Return how often this batch began a video and did not end it."""
        try:
            batch, count = counter.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            return 0
        return int(count) if batch == self._batch else 0
