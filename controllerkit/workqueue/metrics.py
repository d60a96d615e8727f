"""The workqueue's metrics, with client-go's names and buckets."""

from __future__ import annotations

from typing import Final, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["QueueMetrics", "WorkQueueMetrics"]

BUCKETS: Final = tuple(1e-8 * 10**power for power in range(12))
"""client-go: ``ExponentialBuckets(10e-9, 10, 12)``."""


class WorkQueueMetrics:
    """The collectors of one registry; ``of(name)`` gives each queue its own series."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        label = ["name", "controller"]
        self.depth = Gauge("workqueue_depth", "Current depth of the workqueue", label, registry=registry)
        self.adds = Counter("workqueue_adds", "Total number of adds handled by the workqueue", label, registry=registry)
        self.retries = Counter("workqueue_retries", "Total number of delayed adds", label, registry=registry)
        self.queued = Histogram(
            "workqueue_queue_duration_seconds",
            "How long a key waits in the workqueue before it is handed out",
            label,
            registry=registry,
            buckets=BUCKETS,
        )
        self.worked = Histogram(
            "workqueue_work_duration_seconds",
            "How long the work on a key takes",
            label,
            registry=registry,
            buckets=BUCKETS,
        )

    def of(self, name: str) -> QueueMetrics:
        """The series of the queue ``name``."""
        return QueueMetrics(self, name)


class QueueMetrics:
    """What one queue reports."""

    def __init__(self, metrics: WorkQueueMetrics, name: str) -> None:
        self._depth = metrics.depth.labels(name, name)
        self._adds = metrics.adds.labels(name, name)
        self._retries = metrics.retries.labels(name, name)
        self._queued = metrics.queued.labels(name, name)
        self._worked = metrics.worked.labels(name, name)

    @classmethod
    def none(cls, name: str) -> Self:
        """Series that no registry shows."""
        return cls(WorkQueueMetrics(None), name)

    def added(self, depth: int) -> None:
        """A key became ready."""
        self._adds.inc()
        self._depth.set(depth)

    def retried(self) -> None:
        """A key was delayed."""
        self._retries.inc()

    def got(self, depth: int, queued_s: float) -> None:
        """A key was handed out."""
        self._depth.set(depth)
        self._queued.observe(queued_s)

    def done(self, depth: int, worked_s: float) -> None:
        """The work on a key ended."""
        self._depth.set(depth)
        self._worked.observe(worked_s)
