"""The work on one video: the same wherever it is done, in a process here or on another machine."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import traceback
import uuid
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import HandposeError, VideoError
from ..pipeline import Pipeline
from .videos import Video

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from ..report import RunReport
    from ..types import FrameResult
    from .options import BatchOptions

__all__ = ["Outcome", "VideoWorker"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of one video.

    Attributes
    ----------
    video : Video
    state : {"done", "damaged", "failed", "stopped"}
        ``"damaged"``: done, but some of the source could not be read. ``"stopped"``: left unfinished because the batch
        was asked to end.
    outputs : list of str
        What was written, as paths relative to the folder of results; empty where it failed.
    frames, frames_with_hands : int
    seconds : float
        Wall time of the work, opening and closing files included.
    media_s : float
        Length of what was worked on, by the video's own times.
    error : str or None
        The cause in one line, where it failed.
    attempts : int
        How often it was begun: more than once where a worker ended in the middle of it.
    """

    video: Video
    state: str
    outputs: tuple[str, ...] = ()
    frames: int = 0
    frames_with_hands: int = 0
    seconds: float = 0.0
    media_s: float = 0.0
    error: str | None = None
    attempts: int = 1

    @property
    def is_done(self) -> bool:
        """Whether there is a result."""
        return self.state in ("done", "damaged")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "outputs": list(self.outputs)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Outcome:
        """Read what :meth:`to_dict` returned."""
        return cls(**{**values, "video": Video(**values["video"]), "outputs": tuple(values["outputs"])})


class VideoWorker:
    """Does one video after another with one pipeline.

    Results of ``NAME`` are ``NAME.jsonl`` and so on, and ``NAME.report.json``. They are made in a hidden folder beside
    and renamed when all are whole, so whatever bears such a name is complete.

    Parameters
    ----------
    options : BatchOptions
    out : str or path
        The folder of results.

    Raises
    ------
    ModelError, ArgumentError, MissingDependencyError
        As :class:`~handpose_native.Pipeline`.
    """

    def __init__(self, options: BatchOptions, out: str | os.PathLike[str]) -> None:
        self._options = options
        self._out = Path(out)
        self._pipeline = Pipeline(options.model, **options.pipeline)

    def __call__(
        self,
        video: Video,
        *,
        stop: threading.Event | None = None,
        on_frame: Callable[[FrameResult], None] | None = None,
    ) -> Outcome:
        """Do one video. Nothing that is wrong with it is raised: it is told in the outcome.

        Parameters
        ----------
        video : Video
        stop : threading.Event, optional
            Set it to end after the frame in work; what was made of the video is then given up.
        on_frame : callable, optional
            Called with every result.
        """
        began_s = time.perf_counter()
        error: Exception | None = None
        try:
            outcome = self._do(video, stop, on_frame)
        except HandposeError as failure:
            error = failure
        except OSError as failure:
            error = VideoError(f"{failure.filename or video.name}: {failure.strerror or failure}")
        except Exception as failure:  # a fault of the program: no reason to leave the other videos
            logger.debug("%s", traceback.format_exc())
            error = failure
        if error is not None:
            known = isinstance(error, HandposeError)
            text = str(error) if known else f"{type(error).__name__}: {error}"
            return Outcome(video, "failed", seconds=time.perf_counter() - began_s, error=" ".join(text.split()))
        return outcome

    def close(self) -> None:
        """Release the networks."""
        self._pipeline.close()

    def _do(
        self, video: Video, stop: threading.Event | None, on_frame: Callable[[FrameResult], None] | None
    ) -> Outcome:
        target = self._out / video.name
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_left_overs(self._out, video)
        last_s = [0.0]

        def note(result: FrameResult) -> None:
            last_s[0] = result.pts_s
            if on_frame is not None:
                on_frame(result)

        with _new_folder(_growing(target)) as folder:
            options = self._options
            report = self._pipeline.run(
                video.path,
                folder / f"{target.name}.{options.drawn}" if options.drawn else None,
                keypoints=[folder / f"{target.name}.{kind}" for kind in dict.fromkeys(options.keypoints)],
                every=options.every,
                max_frames=options.max_frames,
                decoder=options.decoder,
                on_frame=note,
                stop=stop,
            )
            if report.stopped is not None:
                return Outcome(video, "stopped")
            self._write_report(report, folder, target)
            outputs = [target.with_name(path.name) for path in sorted(folder.iterdir())]
            for path in sorted(folder.iterdir()):
                _sync(path)  # else a power cut could leave the name with an empty file
                path.replace(target.with_name(path.name))
        return Outcome(
            video,
            "damaged" if report.source_damaged else "done",
            tuple(path.relative_to(self._out).as_posix() for path in outputs),
            report.frames,
            report.frames_with_hands,
            report.seconds,
            last_s[0] + last_s[0] / max(report.frames - 1, 1),
        )

    def _write_report(self, report: RunReport, folder: Path, target: Path) -> None:
        text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
        # Where things are in the end, not where they were made.
        made, kept = (json.dumps(str(place), ensure_ascii=False)[1:-1] for place in (folder, target.parent))
        text = text.replace(made, kept)
        (folder / f"{target.name}.report.json").write_text(text + "\n", encoding="utf-8")


def remove_left_overs(out: Path, video: Video) -> None:
    """Remove what a worker that was killed left of a video."""
    shutil.rmtree(_growing(out / video.name), ignore_errors=True)


def _growing(target: Path) -> Path:
    """Return the hidden folder beside the results in which they are made."""
    return target.with_name(f".{target.name}.part")


@contextmanager
def _new_folder(place: Path) -> Iterator[Path]:
    """Make a folder that no other worker has, also where one that was thought dead still lives."""
    folder = place / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
