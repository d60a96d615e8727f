"""The webhooks' metrics, with controller-runtime's names."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Measured", "WebhookMetrics"]


class Measured:
    """One request; set ``code`` to the HTTP status before it ends."""

    code = 500


class WebhookMetrics:
    """The collectors of one registry; each path has its series from the start, at zero."""

    def __init__(self, registry: CollectorRegistry, paths: Iterable[str]) -> None:
        prefix, label = "controller_runtime_webhook", ["webhook"]
        self._latency = Histogram(f"{prefix}_latency_seconds", "Time to answer", label, registry=registry)
        self._total = Counter(f"{prefix}_requests", "Requests by HTTP status", [*label, "code"], registry=registry)
        self._in_flight = Gauge(f"{prefix}_requests_in_flight", "Requests in work", label, registry=registry)
        self.panics = Counter(f"{prefix}_panics", "Exceptions that are bugs of a webhook", registry=registry)
        self.conversion_panics = Counter(
            "controller_runtime_conversion_webhook_panics",
            "Exceptions that are bugs of a conversion",
            registry=registry,
        )
        self.token_panics = Counter(
            "controllerkit_authentication_webhook_panics",
            "Exceptions that are bugs of an authentication",
            registry=registry,
        )
        for path in paths:
            self.declare(path)

    def declare(self, path: str) -> None:
        """Its series, at zero."""
        self._latency.labels(path)
        self._in_flight.labels(path)
        for code in ("200", "500"):
            self._total.labels(path, code)

    @contextmanager
    def measured(self, path: str) -> Iterator[Measured]:
        """Counts and times one request."""
        measured, begun = Measured(), time.perf_counter()
        with self._in_flight.labels(path).track_inprogress():
            try:
                yield measured
            finally:
                self._latency.labels(path).observe(time.perf_counter() - begun)
                self._total.labels(path, str(measured.code)).inc()
