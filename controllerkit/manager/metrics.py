"""What the caches hold and how old they are, as metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from controllerkit.cache import Informer, Informers
from controllerkit.runtime import Clock

__all__ = ["InformerMetrics"]

VERSION_DIGITS: Final = 15
"""client-go: the last digits of a resourceVersion, which a float holds exactly."""


class InformerMetrics:
    """A collector over the informers of a manager; a scrape reads them.

    One series for each kind: of several informers, by selector or namespace, the sum of what they hold, and the
    version and age of the one that is furthest behind.
    """

    def __init__(self, registry: CollectorRegistry, informers: Informers, clock: Clock) -> None:
        self._informers = informers
        self._clock = clock
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """The families without samples."""
        yield from self._families().values()

    def collect(self) -> Iterator[Metric]:
        """The families as of now."""
        families = self._families()
        now = self._clock.monotonic()
        for kind, informers in self._by_kind().items():
            stores = [each.store for each in informers]
            families["objects"].add_metric([kind], sum(map(len, stores)))
            families["bytes"].add_metric([kind], sum(each.bytes for each in stores))
            versions = [int(each.version[-VERSION_DIGITS:]) for each in stores if each.version.isdigit()]
            if versions:
                families["version"].add_metric([kind], min(versions))
            if all(each.has_synced for each in informers):
                families["stale"].add_metric([kind], max(each.staleness_s(now) for each in informers))
            families["failures"].add_metric([kind], sum(each.failures for each in informers))
        families["own"].add_metric([], len(self._informers.overlay))
        yield from families.values()

    def _by_kind(self) -> dict[str, list[Informer]]:
        found: dict[str, list[Informer]] = {}
        for informer in self._informers:
            found.setdefault(str(informer.kind), []).append(informer)
        return found

    @staticmethod
    def _families() -> dict[str, Any]:
        def gauge(name: str, text: str, labels: tuple[str, ...] = ("kind",)) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"controllerkit_{name}", text, labels=labels)

        return {
            "objects": gauge("cached_objects", "Objects in the cache"),
            "bytes": gauge("cached_bytes", "What they take as JSON"),
            "version": gauge("store_resource_version", "The last 15 digits of where the cache stands"),
            "stale": gauge("informer_staleness_seconds", "Since the server last proved the cache to be current"),
            "failures": CounterMetricFamily(
                "controllerkit_informer_failures", "Failures of list and watch", labels=("kind",)
            ),
            "own": gauge("own_writes_ahead", "Own writes that the caches have not seen yet", ()),
        }
