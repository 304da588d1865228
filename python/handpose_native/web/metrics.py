"""The figures of a run for Prometheus. The names are described in docs/serve.md."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..report import RunReport, StageTimes
    from .feed import Feed
    from .status import Status

__all__ = ["Metrics"]

_PREFIX = "handpose_native"
#: Upper bounds of the histograms' bins, in milliseconds.
_BOUNDS_MS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 33.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0)
#: Numbers of the ledger, and what they count.
_LEDGER = {
    "read": "Frames that the source gave.",
    "processed": "Frames that went through the whole chain.",
    "late": "Processed frames that were done later than one frame's duration after they were read.",
    "repeated": "Frames whose time was not after that of the frame before.",
}
_DROPS = {"every": "not_asked_for", "replaced": "newer_frame", "damaged": "damaged"}


class Metrics:
    """Makes the text of ``/metrics``.

    Parameters
    ----------
    status : Status
    feed : Feed
    server : callable
        Returns further gauges and counters by name: ``{name: (kind, help, value)}``.
    """

    def __init__(self, status: Status, feed: Feed, server: Callable[[], dict[str, tuple[str, str, float]]]) -> None:
        self._status = status
        self._feed = feed
        self._server = server
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Return the text and its content type, in the form that an ``Accept`` header asks for."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def collect(self) -> Iterator[Any]:
        """Yield the families; called by the registry."""
        state, age_s, report = self._status.state, self._status.age_s, self._status.report
        yield _gauge("up", "Whether frames come as they should: 0 or 1.", state.is_well)
        if age_s is not None:
            yield _gauge(
                "last_frame_timestamp_seconds", "When the newest frame was done, Unix time.", time.time() - age_s
            )
        yield _gauge("recent_fps", "Frames per second of the last ten seconds.", self._feed.recent()["fps"] or 0.0)
        newest = self._feed.newest
        yield _gauge("hands", "Hands in the newest frame.", len(newest.hands) if newest is not None else 0)
        for name, (kind, text, value) in self._server().items():
            yield _gauge(name, text, value) if kind == "gauge" else _counter(name, text, value)
        if report is not None:
            yield from _families_of(report)


def _families_of(report: RunReport) -> Iterator[Any]:
    yield InfoMetricFamily(f"{_PREFIX}_run", "What is run.", {"source": report.source, "model": report.model})
    counts = report.ledger.to_dict()
    for name, text in _LEDGER.items():
        yield _counter(f"frames_{name}", text, counts[name])
    dropped = CounterMetricFamily(f"{_PREFIX}_frames_dropped", "Frames not worked on, by reason.", labels=["reason"])
    for name, reason in _DROPS.items():
        dropped.add_metric([reason], counts[name])
    yield dropped
    yield _counter("frames_with_hands", "Processed frames with at least one hand.", report.frames_with_hands)
    yield _counter("source_reconnects", "How often a broken connection was made again.", counts["reconnected"])
    yield _histogram("latency_seconds", "From a frame being there to being done with.", [({}, report.latency)])
    stages = [({"stage": name}, times) for name, times in list(report.stages.items())]
    yield _histogram("stage_seconds", "Time of each stage on a frame.", stages, ["stage"])
    busy = GaugeMetricFamily(f"{_PREFIX}_thread_busy_ratio", "Share of the time a thread worked.", labels=["thread"])
    for thread, share in report.busy.items():
        busy.add_metric([thread], share)
    yield busy
    waiting = GaugeMetricFamily(f"{_PREFIX}_queue_waiting_mean", "Frames ready when one was taken.", labels=["queue"])
    for queue, (mean, _) in report.queues.items():
        waiting.add_metric([queue], mean)
    yield waiting


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=float(value))


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"{_PREFIX}_{name}", text, value=float(value))


def _histogram(
    name: str, text: str, series: Iterable[tuple[dict[str, str], StageTimes]], labels: Iterable[str] = ()
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"{_PREFIX}_{name}", text, labels=list(labels))
    for labelled, times in series:
        counts = times.counts_up_to(_BOUNDS_MS)
        buckets = [(str(bound / 1e3), float(count)) for bound, count in zip(_BOUNDS_MS, counts)]
        buckets.append(("+Inf", float(counts[-1])))
        family.add_metric(list(labelled.values()), buckets, times.total_ms / 1e3)
    return family
