"""The workqueue's metrics, with client-go's names and buckets and controller-runtime's labels.

Nothing is counted twice: a scrape reads the queues. So the two gauges of unfinished work, which client-go refreshes
every half second, are exact.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from controllerkit.errors import ConfigError
from controllerkit.workqueue.item import PROCESSING, READY
from controllerkit.workqueue.machine import QueueMachine

__all__ = ["PRIORITIES_MAX", "QueueMetrics", "WorkQueueMetrics"]

BUCKETS: Final = tuple(1e-8 * 10**power for power in range(12))
"""client-go: ``ExponentialBuckets(10e-9, 10, 12)``."""

PRIORITIES_MAX: Final = 25
"""controller-runtime: more distinct priorities than this share one label."""

_TOO_MANY: Final = "exceeded_cardinality_limit"
_LABELS: Final = ("name", "controller")
_EDGES: Final = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")


class _Histogram:
    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        seen, told = 0, []
        for edge, count in zip(_EDGES, self.counts, strict=True):
            seen += count
            told.append((edge, float(seen)))
        return told


class QueueMetrics:
    """What one queue reports; see `Timings`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._queued, self._worked = _Histogram(), _Histogram()
        self.queued = self._queued.observe
        self.worked = self._worked.observe
        self._queue: Any = None
        self._priorities: set[int] = {0}

    def attach(self, queue: QueueMachine[Any]) -> None:
        """The queue to read; once."""
        if self._queue is not None:
            raise ConfigError(f"two queues are named {self.name!r}")
        self._queue = queue

    def depth(self) -> Iterable[tuple[str, int]]:
        """Ready keys by priority; a priority once seen stays, at 0."""
        queue = self._queue
        ready: Counter[str] = Counter({self._label(priority): 0 for priority in sorted(self._priorities)})
        for each in queue.snapshot() if queue is not None else ():
            if each.state == READY:
                ready[self._label(each.priority)] += 1
        return ready.items()

    def _label(self, priority: int) -> str:
        if priority not in self._priorities and len(self._priorities) >= PRIORITIES_MAX:
            return _TOO_MANY
        self._priorities.add(priority)
        return str(priority)

    def figures(self) -> tuple[int, int, list[float]]:
        """Adds, retries, and the seconds each key in work has taken so far."""
        queue = self._queue
        if queue is None:
            return 0, 0, []
        return queue.adds, queue.retries, [each.for_s for each in queue.snapshot() if each.state == PROCESSING]

    def histograms(self) -> tuple[_Histogram, _Histogram]:
        """Of the time queued and of the work."""
        return self._queued, self._worked


class WorkQueueMetrics:
    """A collector over queues; ``of(name)`` gives each its own series, all there from the start."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._queues: dict[str, QueueMetrics] = {}
        if registry is not None:
            registry.register(self)

    def of(self, name: str) -> QueueMetrics:
        """The series of the queue ``name``. Raises ConfigError where the name is taken."""
        if name in self._queues:
            raise ConfigError(f"two queues are named {name!r}")
        self._queues[name] = QueueMetrics(name)
        return self._queues[name]

    def describe(self) -> Iterator[Metric]:
        """The families without samples."""
        yield from self._families().values()

    def collect(self) -> Iterator[Metric]:
        """The families as of now."""
        families = self._families()
        for name, metrics in self._queues.items():
            labels = (name, name)
            adds, retries, running = metrics.figures()
            for priority, depth in metrics.depth():
                families["depth"].add_metric((*labels, priority), depth)
            families["adds"].add_metric(labels, adds)
            families["retries"].add_metric(labels, retries)
            families["unfinished"].add_metric(labels, sum(running))
            families["longest"].add_metric(labels, max(running, default=0.0))
            for word, histogram in zip(("queued", "worked"), metrics.histograms(), strict=True):
                families[word].add_metric(labels, histogram.buckets(), histogram.total)
        yield from families.values()

    @staticmethod
    def _families() -> dict[str, Any]:
        return {
            "depth": GaugeMetricFamily(
                "workqueue_depth", "Keys ready to be worked on, by priority", labels=(*_LABELS, "priority")
            ),
            "adds": CounterMetricFamily("workqueue_adds", "Keys that became ready", labels=_LABELS),
            "retries": CounterMetricFamily("workqueue_retries", "Delayed adds", labels=_LABELS),
            "queued": HistogramMetricFamily(
                "workqueue_queue_duration_seconds", "How long keys are ready before they are handed out", labels=_LABELS
            ),
            "worked": HistogramMetricFamily(
                "workqueue_work_duration_seconds", "How long the work on a key takes", labels=_LABELS
            ),
            "unfinished": GaugeMetricFamily(
                "workqueue_unfinished_work_seconds", "What the keys in work have taken so far, summed", labels=_LABELS
            ),
            "longest": GaugeMetricFamily(
                "workqueue_longest_running_processor_seconds", "What the longest key in work has taken", labels=_LABELS
            ),
        }
