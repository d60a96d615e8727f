"""The jobs of one object as text, kept as long as nothing that they were made of has changed.

Of a thousand monitors one changes at a time: its jobs are made anew, those of the others are put in as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from operators.prometheus.config.checks import check_pod_monitor, check_probe, check_service_monitor
from operators.prometheus.config.monitors import pod_monitor_jobs, service_monitor_jobs
from operators.prometheus.config.options import Options
from operators.prometheus.config.probes import probe_job
from operators.prometheus.config.scrapeconfig import check_scrape_config, scrape_config
from operators.prometheus.config.selection import name_of
from operators.prometheus.tables import Assets, Rejected, Scope, Version, to_yaml
from operators.prometheus.tables.reading import mapping, text
from operators.prometheus.tables.versions import DEFAULT_PROMETHEUS

__all__ = ["CHECKS", "JOBS", "RELEVANT", "Fragment", "Fragments", "instance_scope", "jobs_of"]

Make = Callable[[Mapping[str, Any], Mapping[str, Any], Scope], list[dict[str, Any]]]
Check = Callable[[Mapping[str, Any], Mapping[str, Any], Scope], dict[str, str]]

JOBS: Final[Mapping[str, Make]] = {
    "ServiceMonitor": service_monitor_jobs,
    "PodMonitor": pod_monitor_jobs,
    "Probe": lambda probe, cr, scope: [probe_job(probe, cr, scope)],
    "ScrapeConfig": lambda config, cr, scope: [scrape_config(config, cr, scope)],
}
"""Kinds in the order of the file, and what makes their jobs."""

CHECKS: Final[Mapping[str, Check]] = {
    "ServiceMonitor": check_service_monitor,
    "PodMonitor": check_pod_monitor,
    "Probe": check_probe,
    "ScrapeConfig": check_scrape_config,
}
"""What says whether an object can become jobs, and which files of certificates they need."""

RELEVANT: Final = (
    "apiserverConfig",
    "arbitraryFSAccessThroughSMs",
    "enforcedBodySizeLimit",
    "enforcedKeepDroppedTargets",
    "enforcedLabelLimit",
    "enforcedLabelNameLengthLimit",
    "enforcedLabelValueLengthLimit",
    "enforcedNamespaceLabel",
    "enforcedSampleLimit",
    "enforcedTargetLimit",
    "excludedFromEnforcement",
    "ignoreNamespaceSelectors",
    "overrideHonorLabels",
    "overrideHonorTimestamps",
    "podTargetLabels",
    "scrapeClasses",
    "scrapeInterval",
    "serviceDiscoveryRole",
    "shardingStrategy",
    "shards",
)
"""The fields of a Prometheus' spec, beside its version, that jobs or their checks depend on."""


def instance_scope(cr: Mapping[str, Any], assets: Assets, options: Options) -> Scope:
    """The scope of a Prometheus' own sections.

    Raises:
        Rejected: its version is none.
    """
    version = Version.parse(text(mapping(cr.get("spec")).get("version")) or DEFAULT_PROMETHEUS)
    return Scope(version, text(mapping(cr.get("metadata")).get("namespace")), assets, options)


def jobs_of(kind: str, target: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """The scrape configurations that one object is made into.

    Raises:
        Rejected: of the object, by its kind and name.
    """
    try:
        inner = scope.within(namespace=text(mapping(target.get("metadata")).get("namespace")))
        return JOBS[kind](target, cr, inner)
    except Rejected as refused:
        raise refused.of(f"{kind} {name_of(target)}") from None


@dataclass(frozen=True, slots=True)
class Fragment:
    """What one object comes to.

    Attributes:
        lines: its jobs as items of a list, ready to be put in; "" for none.
        refused: why it has no jobs, if it was refused.
        dropped: of its fields, what the version does not know; a line each.
        files: certificates and keys that the jobs need, by the names that they have for them.
    """

    lines: str = ""
    refused: Rejected | None = None
    dropped: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict, repr=False)


class _Watched(Mapping[tuple[str, str], Mapping[str, bytes]]):
    """Secrets or ConfigMaps; remembers which were asked for, and what was there."""

    def __init__(self, found: Mapping[tuple[str, str], Mapping[str, bytes]]) -> None:
        self.found = found
        self.read: dict[tuple[str, str], Mapping[str, bytes] | None] = {}

    def __getitem__(self, name: tuple[str, str]) -> Mapping[str, bytes]:
        self.read[name] = self.found.get(name)
        return self.found[name]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def is_same(self, now: Mapping[tuple[str, str], Mapping[str, bytes]]) -> bool:
        """Whether what was read is there still, and nothing that was missing has come."""
        return all(now.get(name) == value for name, value in self.read.items())


@dataclass(frozen=True, slots=True)
class _Kept:
    made_of: tuple[Any, ...]
    secrets: _Watched
    config_maps: _Watched
    fragment: Fragment


@dataclass(slots=True)
class Fragments:
    """Of one Prometheus, over time.

    Attributes:
        made: how many were made at the last time; the others were kept.
    """

    made: int = 0
    _kept: dict[tuple[str, str], _Kept] = field(default_factory=dict, repr=False)

    def of(
        self, chosen: Mapping[str, list[Mapping[str, Any]]], cr: Mapping[str, Any], scope: Scope
    ) -> dict[tuple[str, str], Fragment]:
        """By kind and ``namespace/name``, in the order given. What is not among them is forgotten.

        An object counts as the same while its uid and generation are; without those, while its spec is.
        """
        instance = (scope.version, scope.namespace, scope.options, _digest(_relevant(cr)))
        kept: dict[tuple[str, str], _Kept] = {}
        self.made = 0
        for kind, targets in chosen.items():
            for target in targets:
                key = kind, name_of(target)
                made_of = (instance, _identity(target))
                old = self._kept.get(key)
                if old is not None and old.made_of == made_of and _is_current(old, scope.assets):
                    kept[key] = old
                    continue
                self.made += 1
                kept[key] = _make(kind, target, cr, scope, made_of)
        self._kept = kept
        return {key: each.fragment for key, each in kept.items()}


def _is_current(kept: _Kept, assets: Assets) -> bool:
    return kept.secrets.is_same(assets.secrets) and kept.config_maps.is_same(assets.config_maps)


def _make(kind: str, target: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope, made_of: tuple[Any, ...]) -> _Kept:
    secrets, config_maps = _Watched(scope.assets.secrets), _Watched(scope.assets.config_maps)
    inner = scope.within(assets=Assets(secrets, config_maps), dropped=[])
    try:
        files = CHECKS[kind](target, cr, inner)
        jobs = jobs_of(kind, target, cr, inner)
    except Rejected as refused:
        fragment = Fragment(refused=refused.of(f"{kind} {name_of(target)}"))
    else:
        written = to_yaml({"": jobs}).partition("\n")[2] if jobs else ""
        told = tuple(f"{kind} {name_of(target)}: {line}" for line in inner.dropped)
        fragment = Fragment(written, None, told, files)
    # What was asked for is known now; holding on to all that there was would keep it in memory.
    secrets.found = config_maps.found = {}
    return _Kept(made_of, secrets, config_maps, fragment)


def _relevant(cr: Mapping[str, Any]) -> dict[str, Any]:
    spec = mapping(cr.get("spec"))
    return {name: spec[name] for name in RELEVANT if name in spec}


def _identity(target: Mapping[str, Any]) -> tuple[Any, ...]:
    metadata = mapping(target.get("metadata"))
    uid, generation = text(metadata.get("uid")), metadata.get("generation")
    return (uid, generation) if uid and type(generation) is int else (_digest(target.get("spec")),)


def _digest(value: Any) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode("utf-8", "surrogatepass")).digest()
