"""The whole file of a Prometheus, put together from its sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.prometheus.config import globals as common
from operators.prometheus.config.additional import additional_scrape_configs
from operators.prometheus.config.alerting import alerting_section
from operators.prometheus.config.classes import check_scrape_classes
from operators.prometheus.config.durations import check_timeout
from operators.prometheus.config.otlp import otlp_section
from operators.prometheus.config.references import inside
from operators.prometheus.config.remote import remote_read_section, remote_write_section
from operators.prometheus.config.tracing import tracing_section
from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.reading import mapping

__all__ = ["Additional", "check_instance", "server_configuration"]


@dataclass(frozen=True, slots=True)
class Additional:
    """YAML texts of the user's own, as they are in Secrets. None: not referred to.

    Attributes:
        scrape_configs: behind all jobs.
        alert_relabel_configs: behind that of the replica's label.
        alertmanager_configs: behind the Alertmanagers of ``alerting``.
    """

    scrape_configs: str | None = None
    alert_relabel_configs: str | None = None
    alertmanager_configs: str | None = None


def check_instance(cr: Mapping[str, Any], scope: Scope) -> None:
    """What has to be right of a Prometheus or agent itself, before anything is made for it.

    Raises:
        Rejected: a version that is not 2 or 3, a scrape class that Prometheus refuses, a timeout above the interval.
    """
    spec = mapping(cr.get("spec"))
    if scope.version.major not in (2, 3):
        raise Rejected(f"{scope.version} is no version that can be configured; use 2 or 3", "spec.version")
    check_scrape_classes(spec, scope.version)
    try:
        check_timeout(spec, spec, "scrapeInterval")
    except Rejected as refused:
        raise refused.at("spec") from None


def server_configuration(
    cr: Mapping[str, Any],
    jobs: Sequence[Any],
    scope: Scope,
    *,
    rule_config_maps: Sequence[str] = (),
    additional: Additional | None = None,
) -> dict[str, Any]:
    """The file, ready to be written.

    Args:
        cr: the Prometheus.
        jobs: scrape configurations, or `Text` of some that are written already, in order.
        rule_config_maps: names of those that hold its rules.

    Raises:
        Rejected: as `check_instance`, or a section that cannot be written.
    """
    spec, more = mapping(cr.get("spec")), additional or Additional()
    check_instance(cr, scope)
    return {
        "global": common.server_global(cr, scope),
        **common.runtime(spec, scope),
        **common.rule_files(spec, list(rule_config_maps)),
        "scrape_configs": [*jobs, *additional_scrape_configs(more.scrape_configs, spec, scope)],
        **common.server_storage(spec, scope),
        **alerting_section(cr, scope, more.alert_relabel_configs, more.alertmanager_configs),
        **inside("spec", remote_write_section, spec, scope),
        **inside("spec", remote_read_section, spec, scope),
        **inside("spec", otlp_section, spec, scope),
        **inside("spec", tracing_section, spec, scope),
    }
