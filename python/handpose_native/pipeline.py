"""The whole job: frames in, hands out, pictures and keypoints written."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .backends import open_backend
from .draw import draw_hands
from .errors import ArgumentError, DTypeError, HandposeError
from .geometry import input_from_roi, invert, transform_points
from .models import check_input, find_spec, make_decoder, spec_from_metadata
from .preprocess import preprocess
from .report import RunReport
from .types import FrameResult, Hand, Roi
from .video import KeypointWriter, Sink, Source, WindowSink, open_keypoint_writer, open_sink, open_source

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from fractions import Fraction
    from types import TracebackType

    from numpy.typing import NDArray

    from .backends import Backend
    from .models import ModelSpec
    from .types import Frame

__all__ = ["Pipeline"]


class _Placement(NamedTuple):
    """Where a frame of one size meets the model's input; worked out once per size."""

    image_hw: tuple[int, int]
    roi: Roi
    input_from_image: NDArray[np.float64]
    image_from_input: NDArray[np.float64]


class Pipeline:
    """Find hands in frames, files and cameras.

    Parameters
    ----------
    model : str or path
        A model file (``.onnx``).
    spec : ModelSpec, str or path, optional
        What the model expects and returns: a :class:`ModelSpec`, the name of a known one (``"unet"``,
        ``"handpose-x"``) or a JSON file. Without it, a JSON file beside the model, or one kept inside it, is used.
    roi : Roi or tuple of four numbers, optional
        Where to look: a :class:`Roi`, or ``(x, y, width, height)`` in pixels of the image. The whole frame unless
        given.
    threads : int, optional
        Threads of the model; the backend's own choice unless given.
    min_presence : float, optional
        Hands with a lower presence are not returned; the spec's value unless given. Hands of models that give no
        presence always are.

    Raises
    ------
    ModelError
        If the model cannot be loaded, or does not fit its spec.
    MissingDependencyError
        If the package that runs such models is not installed.

    Notes
    -----
    One frame at a time: use one pipeline per thread. Release it with :meth:`close` or as a context manager.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        spec: ModelSpec | str | os.PathLike[str] | None = None,
        roi: Roi | Sequence[float] | None = None,
        threads: int | None = None,
        min_presence: float | None = None,
    ) -> None:
        self.roi = _as_roi(roi)
        self.last_report: RunReport | None = None
        self._backend, self.spec = _open_model(model, spec, threads)
        self.min_presence = self.spec.min_presence if min_presence is None else min_presence
        try:
            self._layout, self._input_hw = check_input(self.spec, self._backend.inputs)
            self._decoder = make_decoder(self.spec, self._backend.outputs, self._input_hw)
        except HandposeError:
            self._backend.close()
            raise
        self._placement: _Placement | None = None

    def __call__(self, frame: NDArray[np.uint8], *, roi: Roi | Sequence[float] | None = None) -> list[Hand]:
        """Find the hands in one frame.

        Parameters
        ----------
        frame : ndarray, uint8, shape (H, W, 3)
            BGR; any row pitch. Only read.
        roi : Roi or tuple, optional
            Where to look in this frame; the pipeline's own unless given.

        Returns
        -------
        list of Hand
            New arrays; empty where there is no hand.
        """
        return self._find_hands(frame, _as_roi(roi) or self.roi, {})

    def stream(self, source: Any, *, max_frames: int | None = None, every: int = 1) -> Iterator[FrameResult]:
        """Yield frames with their hands, one by one.

        Parameters
        ----------
        source : path, URL, int, ndarray or iterable
            Anything that :func:`handpose_native.open_source` takes.
        max_frames : int, optional
            Stop after this many results.
        every : int
            Take every n-th frame of the source; the others are read and passed over.

        Yields
        ------
        FrameResult
            With the frame itself, not drawn on.

        Raises
        ------
        VideoError
            If the source cannot be opened or holds no frame.
        """
        _check_counts(max_frames, every)
        with open_source(source) as opened:
            yield from self._stream(opened, max_frames, every)

    def run(
        self,
        source: Any,
        output: str | os.PathLike[str] | Sink | Sequence[str | os.PathLike[str] | Sink] | None = None,
        *,
        keypoints: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        max_frames: int | None = None,
        every: int = 1,
        on_frame: Callable[[FrameResult], None] | None = None,
        stop: threading.Event | None = None,
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
        max_frames, every
            As for :meth:`stream`.
        on_frame : callable, optional
            Called with every result after it has been written; the frame is drawn on.
        stop : threading.Event, optional
            Set it, from a signal handler or another thread, to end the run after the frame in work.

        Returns
        -------
        RunReport
            Also kept as ``last_report``, of a run that failed too.

        Raises
        ------
        VideoError
            If the source or an output fails. Every output holds the frames finished until then and can be played.
        """
        _check_counts(max_frames, every)
        report = RunReport(source=str(source), model=f"{self.spec.name} on {self._backend.device}")
        self.last_report = report
        endpoints: list[Source | Sink | KeypointWriter] = []
        with _accounted(report, endpoints), ExitStack() as stack:
            opened = stack.enter_context(open_source(source))
            endpoints.append(opened)
            report.source = opened.info.name
            _check_distinct(opened, [*_as_list(output), *_as_list(keypoints)])
            rate = opened.info.fps / every if opened.info.fps else None
            sinks = [stack.enter_context(_as_sink(target, rate)) for target in _as_list(output)]
            writers = [
                stack.enter_context(open_keypoint_writer(path, source=opened.info)) for path in _as_list(keypoints)
            ]
            endpoints += [*sinks, *writers]
            for result in self._stream(opened, max_frames, every):
                _write(result, sinks, writers)
                _count(result, report)
                if on_frame is not None:
                    on_frame(result)
                if stop is not None and stop.is_set():
                    report.stopped = "asked to stop"
                    break
                if any(sink.wants_stop for sink in sinks):
                    report.stopped = "the window was closed"
                    break
        return report

    def reset(self) -> None:
        """Forget everything that was learned from earlier frames, before another video."""
        self._placement = None

    def close(self) -> None:
        """Release the model. May be called again."""
        self._backend.close()

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, source: Source, max_frames: int | None, every: int) -> Iterator[FrameResult]:
        for done, (frame, decode_ms) in enumerate(_timed(source, every), start=1):
            timings = {"decode": decode_ms}
            hands = self._find_hands(frame.image, self.roi, timings)
            yield FrameResult(frame.index, frame.pts_s, frame.image, hands, timings)
            if done == max_frames:
                return

    def _find_hands(self, image: NDArray[np.uint8], roi: Roi | None, timings_ms: dict[str, float]) -> list[Hand]:
        placement = self._place(image, roi)
        spec = self.spec
        with _stage("preprocess", timings_ms):
            preprocess(
                image,
                input_from_image=placement.input_from_image,
                filter=spec.filter,
                border_value=spec.border_value,
                channel_order=spec.channel_order,
                scale=spec.scale,
                mean=spec.mean,
                std=spec.std,
                layout=self._layout,
                out=self._backend.input_buffer(0),
            )
        with _stage("model", timings_ms):
            self._backend.submit(0)
            outputs = self._backend.wait(0)
        with _stage("joints", timings_ms):
            points, scores, presence = self._decoder.decode(outputs)
            if presence < self.min_presence:
                return []
            keypoints = transform_points(placement.image_from_input, points)
            return [Hand(keypoints=keypoints, scores=scores, presence=presence, roi=placement.roi)]

    def _place(self, image: NDArray[np.uint8], roi: Roi | None) -> _Placement:
        if not isinstance(image, np.ndarray):
            raise DTypeError(f"Pipeline: frame must be a uint8 array of shape (H, W, 3); got {type(image).__name__}")
        if image.ndim != 3 or 0 in image.shape:
            raise ArgumentError(f"Pipeline: frame must be a uint8 array of shape (H, W, 3); got {image.shape}")
        height, width = image.shape[:2]
        wanted = roi or Roi(width / 2, height / 2, width, height)
        known = self._placement
        if known is None or known.image_hw != (height, width) or known.roi != wanted:
            forward = input_from_roi(wanted, self._input_hw, fit=self.spec.fit)
            known = self._placement = _Placement((height, width), wanted, forward, invert(forward))
        return known


def _open_model(
    model: str | os.PathLike[str], spec: ModelSpec | str | os.PathLike[str] | None, threads: int | None
) -> tuple[Backend, ModelSpec]:
    """Open the file, then settle its spec: one given, one beside the file, or one kept inside it."""
    # A spec may fix what the file leaves open, so one that stands outside the file has to be known first.
    outside = find_spec(model, spec)
    backend = open_backend(
        model,
        threads=threads,
        input_layout=outside.input_layout if outside else None,
        input_hw=outside.input_hw if outside else None,
    )
    try:
        return backend, outside or spec_from_metadata(model, backend.metadata)
    except HandposeError:
        backend.close()
        raise


def _as_roi(roi: Roi | Sequence[float] | None) -> Roi | None:
    if roi is None or isinstance(roi, Roi):
        return roi
    numbers = [float(value) for value in roi]
    if len(numbers) != 4:
        raise ArgumentError(f"Pipeline: roi must be a Roi or (x, y, width, height) in pixels; got {roi!r}")
    return Roi.from_xywh(*numbers)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _as_sink(target: str | os.PathLike[str] | Sink, fps: Fraction | None) -> Sink:
    return target if isinstance(target, Sink) else open_sink(target, fps=fps)


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


def _timed(source: Source, every: int) -> Iterator[tuple[Frame, float]]:
    """Yield every n-th frame with the milliseconds that reading took, those passed over included."""
    frames = iter(source)
    began = time.perf_counter()
    for frame in frames:
        if frame.index % every:
            continue
        yield frame, (time.perf_counter() - began) * 1e3
        began = time.perf_counter()


@contextmanager
def _stage(name: str, timings_ms: dict[str, float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    timings_ms[name] = (time.perf_counter() - began) * 1e3


def _write(result: FrameResult, sinks: list[Sink], writers: list[KeypointWriter]) -> None:
    # Keypoints first: they are small, and stay whole where a picture cannot be written any more.
    with _stage("write", result.timings_ms):
        for writer in writers:
            writer.write(result)
    if not sinks:
        return
    keypoints_ms = result.timings_ms.pop("write")
    with _stage("draw", result.timings_ms):
        draw_hands(result.frame, result.hands)
    with _stage("write", result.timings_ms):
        for sink in sinks:
            sink.write(result.frame, result.pts_s)
    result.timings_ms["write"] += keypoints_ms


def _count(result: FrameResult, report: RunReport) -> None:
    report.frames += 1
    report.frames_with_hands += bool(result.hands)
    for name, duration_ms in result.timings_ms.items():
        report.add_stage(name, duration_ms)


@contextmanager
def _accounted(report: RunReport, endpoints: list[Source | Sink | KeypointWriter]) -> Iterator[None]:
    """Complete the report once everything is closed, also after an error."""
    began = time.perf_counter()
    try:
        yield
    finally:
        report.seconds = time.perf_counter() - began
        report.problems = [problem for endpoint in endpoints for problem in endpoint.problems]
        report.source_damaged = any(one.problems for one in endpoints if isinstance(one, Source))
        written = [one for one in endpoints if not isinstance(one, (Source, WindowSink)) and one.frames_written]
        report.outputs = [one.name for one in written]
