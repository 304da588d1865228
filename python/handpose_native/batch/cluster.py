"""Workers on a cluster, through Ray Data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, missing_dependency
from .processes import usable_cpus
from .videos import Video
from .work import Outcome, VideoWorker

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Iterable, Iterator

    from .options import BatchOptions

__all__ = ["run_on_ray"]


def run_on_ray(
    videos: Iterable[Video],
    out: str | os.PathLike[str],
    options: BatchOptions,
    *,
    workers: int,
    cpus: float | None = None,
    npus: float = 0,
    stop: threading.Event | None = None,
) -> Iterator[Outcome]:
    """Do videos on a Ray cluster: :class:`VideoWorker` mapped over a dataset of them.

    Videos and the folder of results have the same paths on all machines, as on a shared file system. Ray is used as it
    is set up: call ``ray.init`` before, or let the first use connect to what ``RAY_ADDRESS`` says, or start Ray on this
    machine.

    Parameters
    ----------
    videos : iterable of Video
    out : path
        The folder of results.
    options : BatchOptions
        Networks get ``threads`` of its pipeline, else as many as `cpus`.
    workers : int
        How many at a time, each an actor with a pipeline of its own.
    cpus : float, optional
        What each takes of the processors; an equal share of one like this machine's unless given.
    npus : float
        What each takes of Ray's resource ``NPU``: Ascend devices, which Ray counts and gives out itself.
    stop : threading.Event, optional
        Set it to end once the next video is done; those in work are given up.

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
    if workers < 1:
        raise ArgumentError(f"run_on_ray: workers must be at least 1; got {workers}")
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    todo = {video.name: video for video in videos}
    if not todo:
        return
    share = max(usable_cpus() / workers, 0.5) if cpus is None else cpus
    context = ray.data.DataContext.get_current()
    # A video that cannot be done is missed below; the others go on.
    context.max_errored_blocks = -1
    dataset = ray.data.from_items(
        [{"video": json.dumps(video.to_dict())} for video in todo.values()],
        override_num_blocks=len(todo),  # what is done again where a worker dies is then one video
    )
    done = dataset.map(
        _RayWorker,
        fn_constructor_args=(options, str(Path(out).absolute()), max(int(share), 1)),
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(todo)), max_tasks_in_flight_per_actor=1),
        num_cpus=share,
        **_remote_arguments(npus),
    )
    for row in done.iter_rows():
        outcome = Outcome.from_dict(json.loads(row["outcome"]))
        del todo[outcome.video.name]
        yield outcome
        if stop is not None and stop.is_set():
            return
    for video in todo.values():
        yield Outcome(video, "failed", error=f"{video.path}: the worker ended in the middle of it, 2 times", attempts=2)


def _remote_arguments(npus: float) -> dict[str, Any]:
    arguments: dict[str, Any] = {"max_restarts": -1, "max_task_retries": 1}
    return {**arguments, "resources": {"NPU": npus}} if npus else arguments


class _RayWorker:
    """A worker as Ray Data wants it: rows in, rows out."""

    def __init__(self, options: BatchOptions, out: str, threads: int) -> None:
        self._worker = VideoWorker(options.with_threads(threads), out)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        outcome = self._worker(Video(**json.loads(row["video"])))
        return {"outcome": json.dumps(outcome.to_dict())}
