"""The controller's metrics, with controller-runtime's names and buckets."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controllerkit.controller.result import Forget, RequeueAfter, Retry
from controllerkit.controller.settling import WAITING_REASON

__all__ = ["ControllerMetrics"]

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
                  1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0,
                  25.0, 30.0, 40.0, 50.0, 60.0)  # fmt: skip
RESULTS: Final = ("success", "error", "requeue", "requeue_after")
REASONS: Final = ("listed", "added", "changed", "deleted", "resync", "timer", "retry", "moved", WAITING_REASON, "other")


def reason_class(reason: str) -> str:
    """One of REASONS: a label must not grow with the names of objects.

    >>> [reason_class(each) for each in ("owned Pod web-0 deleted", "spec.x changed", "retry 3", "told")]
    ['deleted', 'changed', 'retry', 'other']
    """
    last = reason[reason.rfind(" ") + 1 :]
    if last in REASONS:
        return last
    return "retry" if reason.startswith("retry ") else "other"


class ControllerMetrics:
    """The collectors of one registry; ``of(name)`` gives each controller its own series, all at zero."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        prefix, label = "controller_runtime", ["controller"]
        self.total = Counter(f"{prefix}_reconcile", "Reconciliations by result", [*label, "result"], registry=registry)
        self.errors = Counter(f"{prefix}_reconcile_errors", "Reconciliations that failed", label, registry=registry)
        self.terminal = Counter(
            f"{prefix}_terminal_reconcile_errors", "Failures that are not retried", label, registry=registry
        )
        self.time = Histogram(
            f"{prefix}_reconcile_time_seconds", "Length of a reconciliation", label, registry=registry, buckets=BUCKETS
        )
        self.workers = Gauge(
            f"{prefix}_max_concurrent_reconciles", "How many keys may be in work at once", label, registry=registry
        )
        self.active = Gauge(f"{prefix}_active_workers", "How many keys are in work", label, registry=registry)
        self.panics = Counter(
            f"{prefix}_reconcile_panics", "Exceptions that are bugs of the reconciler", label, registry=registry
        )
        self.timeouts = Counter(
            f"{prefix}_reconcile_timeouts", "Reconciliations that took too long", label, registry=registry
        )
        self.handler_errors = Counter(
            "controllerkit_handler_errors", "Predicates and functions to keys that raised", label, registry=registry
        )
        self.stale_skips = Counter(
            "controllerkit_stale_sync_skips",
            "Keys held back because the cache may be older than their own writes",
            label,
            registry=registry,
        )
        self.reasons = Counter(
            "controllerkit_reconcile_reasons", "Why keys were reconciled", [*label, "reason"], registry=registry
        )

    def of(self, name: str, workers: int) -> _Series:
        """The series of the controller ``name``."""
        return _Series(self, name, workers)


class _Series:
    def __init__(self, metrics: ControllerMetrics, name: str, workers: int) -> None:
        metrics.workers.labels(name).set(workers)
        self._active = metrics.active.labels(name)
        self._time = metrics.time.labels(name)
        self._errors = metrics.errors.labels(name)
        self._terminal = metrics.terminal.labels(name)
        self.panics = metrics.panics.labels(name)
        self.timeouts = metrics.timeouts.labels(name)
        self.handler_errors = metrics.handler_errors.labels(name)
        self.stale_skips = metrics.stale_skips.labels(name)
        self._reasons = {each: metrics.reasons.labels(name, each) for each in REASONS}
        self._results = {result: metrics.total.labels(name, result) for result in RESULTS}

    @contextmanager
    def reconciling(self, reasons: Iterable[str]) -> Iterator[None]:
        self._active.inc()
        for reason in reasons:
            self._reasons[reason_class(reason)].inc()
        began = time.perf_counter()
        try:
            yield
        finally:
            self._active.dec()
            self._time.observe(time.perf_counter() - began)

    def ended(self, outcome: Forget | RequeueAfter | Retry) -> None:
        self._results[outcome.label].inc()
        if isinstance(outcome, Retry):
            self._errors.inc()
            if outcome.terminal:
                self._terminal.inc()
