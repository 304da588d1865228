"""The whole job: frames in, hands out, pictures and keypoints written."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Union

from .draw import draw_hands
from .engine import Chain
from .errors import ArgumentError
from .estimators import WorldOptions, open_estimator
from .picture import Picture, check_image
from .regions import as_rois
from .report import RunReport
from .timing import FrameTimes, stage
from .trace import TraceWriter
from .types import Roi
from .video import (
    KeypointWriter,
    Sink,
    Source,
    WindowSink,
    open_keypoint_writer,
    open_sink,
    open_source,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from .camera import Intrinsics
    from .models import HandsModel, ModelSpec
    from .types import FrameResult, Hand

    RoiLike = Union[Roi, Sequence[float]]

__all__ = ["Pipeline"]

_BACKEND_OPTIONS = ("slots", "device_id", "flush")


class Pipeline:
    """Find hands in frames, files and cameras.

    Parameters
    ----------
    model : str, path or HandsModel
        ``"hands"`` (the default; the same as ``"hands-full"``) or ``"hands-lite"``: hands are found anywhere in the
        picture, followed and told apart. Their weights are fetched on first use, once. A folder with a
        ``palm_detection*`` and a ``hand_landmark*`` model does the same with those files. Any other path is the file of
        a heatmap or regression model (``.onnx``, ``.tflite``, ``.om``), which looks at one region.
    spec : ModelSpec, str or path, optional
        For a model file: what it expects and returns: a :class:`ModelSpec`, the name of a known one (``"unet"``,
        ``"handpose-x"``) or a JSON file. Without it, a JSON file beside the model, or one kept inside it, is used.
    roi : Roi, tuple of four numbers, or a list of these, optional
        Where to look: a :class:`Roi`, or ``(x, y, width, height)`` in pixels of the image. For hands this stands in
        for the palm detector: new hands are looked for there, and then followed. For a model file it is where it looks
        in every frame; the whole frame unless given.
    threads : int, optional
        Threads of each network on the CPU; the runtime's own choice unless given.
    backend_options : mapping, optional
        How models are run: ``slots``, the frames in flight, and for ``.om`` files ``device_id`` and ``flush``; see
        :func:`handpose_native.backends.open_backend`.
    verified : bool
        True: model files must have passed ``handpose-native verify``, as they are and with this spec: what it wrote
        beside them is insisted on. Weights known by name are checked against their digests anyway.
    min_presence : float, optional
        Hands with a lower presence are not returned; 0.5 for hands, else the spec's value, unless given. Hands of
        models that give no presence always are.
    intrinsics : Intrinsics, array_like (3, 3), str or path, optional
        For models that give depths: the camera, for `world`. K, or the file that ``handpose-native calibrate`` writes.
        Unless given, a field of view of 65 degrees across the longer side of the picture is taken.
    crop : {"cpu", "vpc"}
        For model files. ``"vpc"``: VPC of an Ascend board scales regions of what was read with ``decoder="ascend"``.
    hand_scale_m : float, optional
        For models that give depths: length in metres of the bone from the base of the middle finger to its next joint;
        that of an average adult, 0.04463, unless given. `world` is as much too large or too far as this is wrong.
    max_hands : int, optional
        Hands only, as all that follow. How many hands at most; 1 unless given.
    redetect_every : int, optional
        While some but fewer than `max_hands` are followed, the palm detector looks for others every so many frames;
        10 unless given. Where none is followed, and where one has just been lost, it looks at once.
    smoothing : {"off", "light", "strong"}, optional
        Of `keypoints` and `world`; ``"off"`` unless given. Never touches how hands are followed.
    mirrored : bool, optional
        Whether the picture is mirrored, as selfie views are, so that left is left; False unless given.
    tracking : bool, optional
        False: every frame is looked at by itself, as for unrelated pictures; hands then have no `track_id`.
    detector_only : bool, optional
        True: return palms: hands with only the wrist, the thumb's first two joints and the other fingers' first.
    min_palm_score : float, optional
        Palms with a lower score are not looked at; 0.5 unless given.

    Raises
    ------
    ModelError
        If the model cannot be loaded, does not fit its spec, is not `verified`, or its weights are not there and
        cannot be fetched.
    ArgumentError
        For a wrong value, or an option that the model does not have.
    MissingDependencyError
        If the package that runs such models is not installed.
    DeviceError
        If an NPU fails.

    Notes
    -----
    One video at a time: use one pipeline per thread. Release it with :meth:`close` or as a context manager.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | HandsModel = "hands",
        *,
        spec: ModelSpec | str | os.PathLike[str] | None = None,
        roi: RoiLike | Sequence[RoiLike] | None = None,
        threads: int | None = None,
        backend_options: Mapping[str, Any] | None = None,
        verified: bool = False,
        min_presence: float | None = None,
        intrinsics: Intrinsics | ArrayLike | str | os.PathLike[str] | None = None,
        hand_scale_m: float | None = None,
        crop: str = "cpu",
        max_hands: int | None = None,
        redetect_every: int | None = None,
        smoothing: str | None = None,
        mirrored: bool | None = None,
        tracking: bool | None = None,
        detector_only: bool | None = None,
        min_palm_score: float | None = None,
    ) -> None:
        self.rois = as_rois(roi)
        self.last_report: RunReport | None = None
        for_hands = {
            "max_hands": max_hands,
            "redetect_every": redetect_every,
            "smoothing": smoothing,
            "mirrored": mirrored,
            "tracking": tracking,
            "detector_only": detector_only,
            "min_palm_score": min_palm_score,
        }
        self._estimator = open_estimator(
            model,
            spec=spec,
            backend_options=_backend_options(threads, backend_options),
            min_presence=min_presence,
            verified=verified,
            crop=crop,
            world=WorldOptions.of(intrinsics, hand_scale_m),
            options={name: value for name, value in for_hands.items() if value is not None},
        )

    @property
    def spec(self) -> ModelSpec | None:
        """What the model file expects and returns; None for hands."""
        return self._estimator.spec

    def __call__(
        self,
        frame: Picture | NDArray[np.uint8],
        *,
        roi: RoiLike | Sequence[RoiLike] | None = None,
        time_s: float | None = None,
    ) -> list[Hand]:
        """Find the hands in one frame.

        Parameters
        ----------
        frame : Picture, or ndarray, uint8, shape (H, W, 3)
            An array is BGR, of any row pitch. Only read.
        roi : Roi, tuple of four numbers, or a list of these, optional
            Where to look in this frame; the pipeline's own unless given.
        time_s : float, optional
            When the frame was taken, for smoothing and identities; the clock's time unless given.

        Returns
        -------
        list of Hand
            New arrays; empty where there is no hand.
        """
        now_s = time.monotonic() if time_s is None else float(time_s)
        picture = frame if isinstance(frame, Picture) else Picture.from_bgr(check_image("Pipeline", "frame", frame))
        return self._estimator.estimate(picture, now_s, as_rois(roi) or self.rois, FrameTimes())

    def stream(
        self,
        source: Any,
        *,
        max_frames: int | None = None,
        every: int = 1,
        planes: bool = False,
        policy: str | None = None,
        decoder: str = "cpu",
        stop: threading.Event | None = None,
    ) -> Iterator[FrameResult]:
        """Yield frames with their hands, one by one.

        Parameters
        ----------
        source : path, URL, int, ndarray or iterable
            Anything that :func:`handpose_native.open_source` takes.
        max_frames : int, optional
            Stop after this many results.
        every : int
            Take every n-th frame of the source; the others are read and passed over.
        planes : bool
            True: pictures of videos stay in the planes they were decoded to, which saves the conversion to BGR: use
            ``result.picture``. ``result.frame`` then converts when it is first asked for.
        policy : {"all", "latest", "block"}, optional
            What happens to frames that come faster than they are worked on. ``"all"``: they wait, read ahead by one;
            unless given so for files. ``"latest"``: only the newest waits, the others are dropped and counted; so for
            cameras and streams. ``"block"``: a frame is read when the one before it is done with; so for arrays and
            iterables.
        decoder : {"cpu", "ascend", "ascend:N"}
            What decodes; see :func:`handpose_native.open_source`.
        stop : threading.Event, optional
            Set it, from a signal handler or another thread, to end after the frames in work.

        Yields
        ------
        FrameResult
            With the picture itself, not drawn on. ``last_report`` counts along.

        Raises
        ------
        VideoError
            If the source cannot be opened or holds no frame.
        """
        _check_counts(max_frames, every)
        report = self._new_report(source)
        endpoints: list[Source | Sink | KeypointWriter] = []
        with _accounted(report, endpoints), open_source(source, decoder=decoder) as opened:
            endpoints.append(opened)
            opened.planes_wanted = planes
            chain = self._chain(opened, report, policy=policy, every=every, max_frames=max_frames, stop=stop)
            with chain.results() as results:
                for result in results:
                    report.count(result)
                    yield result

    def run(
        self,
        source: Any,
        output: str | os.PathLike[str] | Sink | Sequence[str | os.PathLike[str] | Sink] | None = None,
        *,
        keypoints: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        max_frames: int | None = None,
        every: int = 1,
        policy: str | None = None,
        decoder: str = "cpu",
        on_frame: Callable[[FrameResult], None] | None = None,
        stop: threading.Event | None = None,
        trace: str | os.PathLike[str] | None = None,
    ) -> RunReport:
        """Do the whole job: read, find, draw, write.

        Parameters
        ----------
        source : path, URL, int, ndarray or iterable
            Anything that :func:`handpose_native.open_source` takes.
        output : path, Sink, or a sequence of them, optional
            Where the drawn frames go: ``.gif``, ``.mp4``, a folder or a numbered pattern of images.
        keypoints : path or sequence of paths, optional
            ``.jsonl`` or ``.csv``.
        max_frames, every, policy, decoder
            As for :meth:`stream`.
        on_frame : callable, optional
            Called with every result after it has been written; the picture is drawn on where there is an output.
        stop : threading.Event, optional
            Set it, from a signal handler or another thread, to end the run after the frames in work, which are written.
        trace : path, optional
            Write when each stage worked on each frame, as JSON for ``chrome://tracing`` and Perfetto.

        Returns
        -------
        RunReport
            Also kept as ``last_report``, which counts along while the run goes on, and of a run that failed too.

        Raises
        ------
        VideoError
            If the source or an output fails. Every output holds the frames finished until then and can be played.
        """
        _check_counts(max_frames, every)
        report = self._new_report(source)
        endpoints: list[Source | Sink | KeypointWriter] = []
        with _accounted(report, endpoints), ExitStack() as stack:
            opened = stack.enter_context(open_source(source, decoder=decoder))
            endpoints.append(opened)
            _check_distinct(opened, [*_as_list(output), *_as_list(keypoints), *_as_list(trace)])
            rate = opened.info.fps / every if opened.info.fps else None
            sinks = [
                stack.enter_context(target if isinstance(target, Sink) else open_sink(target, fps=rate))
                for target in _as_list(output)
            ]
            writers = [
                stack.enter_context(open_keypoint_writer(path, source=opened.info)) for path in _as_list(keypoints)
            ]
            endpoints += [*sinks, *writers]
            tracer = stack.enter_context(TraceWriter(trace)) if trace is not None else None
            opened.planes_wanted = all(sink.takes_planes for sink in sinks)
            chain = self._chain(
                opened,
                report,
                policy=policy,
                every=every,
                max_frames=max_frames,
                stop=stop,
                beside_writing=bool(sinks),
            )
            # Left before the source is closed, also where the loop ends early.
            for result in stack.enter_context(chain.results()):
                _write(result, sinks, writers)
                report.count(result)
                if tracer is not None:
                    tracer.write(result, chain.queues)
                if on_frame is not None:
                    on_frame(result)
                if any(sink.wants_stop for sink in sinks):
                    report.stopped = "the window was closed"
                    break
            if stop is not None and stop.is_set():
                report.stopped = "asked to stop"
        return report

    def reset(self) -> None:
        """Forget the hands of earlier frames, before another video; :meth:`stream` and :meth:`run` do so first."""
        self._estimator.reset()

    def close(self) -> None:
        """Release the networks. May be called again."""
        self._estimator.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new_report(self, source: Any) -> RunReport:
        self.last_report = RunReport(source=str(source), model=f"{self._estimator.name} on {self._estimator.device}")
        return self.last_report

    def _chain(self, opened: Source, report: RunReport, *, stop: threading.Event | None, **options: Any) -> Chain:
        chain = Chain(self._estimator, opened, self.rois, should_stop=stop.is_set if stop else None, **options)
        report.follow(chain, opened.info)
        return chain


def _backend_options(threads: int | None, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options for the backends that were given, once they are known ones."""
    unknown = sorted(set(given or ()) - set(_BACKEND_OPTIONS))
    if unknown:
        raise ArgumentError(
            f"Pipeline: backend_options may hold {', '.join(_BACKEND_OPTIONS)}; got {', '.join(map(repr, unknown))}"
        )
    return {"threads": threads, **(given or {})}


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _check_distinct(source: Source, targets: Sequence[str | os.PathLike[str] | Sink]) -> None:
    """Refuse to write over the source, and to write two outputs to one place."""
    taken = {os.path.realpath(source.info.name)}
    for target in targets:
        if isinstance(target, Sink):
            continue
        place = os.path.realpath(target)
        if place in taken:
            raise ArgumentError(f"Pipeline.run: {os.fspath(target)} is the source, or named as an output twice")
        taken.add(place)


def _check_counts(max_frames: int | None, every: int) -> None:
    if max_frames is not None and max_frames < 1:
        raise ArgumentError(f"Pipeline: max_frames must be at least 1; got {max_frames}")
    if every < 1:
        raise ArgumentError(f"Pipeline: every must be at least 1; got {every}")


def _write(result: FrameResult, sinks: list[Sink], writers: list[KeypointWriter]) -> None:
    times = result.timings_ms
    # Keypoints first: they are small, and stay whole where a picture cannot be written any more.
    if writers:
        with stage("write", times):
            for writer in writers:
                writer.write(result)
    if sinks:
        with stage("draw", times):
            draw_hands(result.picture, result.hands)
        with stage("write", times):
            for sink in sinks:
                sink.write(result.picture, result.pts_s)


@contextmanager
def _accounted(report: RunReport, endpoints: list[Source | Sink | KeypointWriter]) -> Iterator[None]:
    """Complete the report once everything is closed, also after an error."""
    try:
        yield
    finally:
        report.end()
        report.problems = [problem for endpoint in endpoints for problem in endpoint.problems]
        report.source_damaged = any(one.problems for one in endpoints if isinstance(one, Source))
        written = [one for one in endpoints if not isinstance(one, (Source, WindowSink)) and one.frames_written]
        report.outputs = [one.name for one in written]
