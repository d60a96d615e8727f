"""Which objects a Prometheus takes its jobs from, and the whole way from them to its configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from operators.prometheus.config.checks import check_pod_monitor, check_probe, check_service_monitor
from operators.prometheus.config.monitors import pod_monitor_jobs, service_monitor_jobs
from operators.prometheus.config.options import Options
from operators.prometheus.config.probes import probe_job
from operators.prometheus.config.scrapeconfig import check_scrape_config, scrape_config
from operators.prometheus.tables import Assets, Rejected, Scope, Version
from operators.prometheus.tables.reading import mapping, text
from operators.prometheus.tables.versions import DEFAULT_PROMETHEUS

__all__ = ["CHECKS", "JOBS", "instance_scope", "jobs_of", "sorted_objects"]

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
"""What says whether an object can become jobs, and which files they need."""


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
        return JOBS[kind](target, cr, scope)
    except Rejected as refused:
        raise refused.of(f"{kind} {name_of(target)}") from None


def name_of(target: Mapping[str, Any]) -> str:
    """``namespace/name``."""
    metadata = mapping(target.get("metadata"))
    return f"{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"


def sorted_objects(found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In the order of the file."""
    return sorted(found, key=name_of)
