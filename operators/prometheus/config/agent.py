"""The whole file of a PrometheusAgent, put together from its sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.prometheus.config import globals as common
from operators.prometheus.config.additional import additional_scrape_configs
from operators.prometheus.config.otlp import otlp_section
from operators.prometheus.config.references import inside
from operators.prometheus.config.remote import remote_write_section
from operators.prometheus.config.server import Additional, check_instance
from operators.prometheus.config.tracing import tracing_section
from operators.prometheus.tables import Scope
from operators.prometheus.tables.reading import mapping

__all__ = ["agent_configuration"]


def agent_configuration(
    cr: Mapping[str, Any],
    pod_jobs: Sequence[Any],
    other_jobs: Sequence[Any],
    scope: Scope,
    *,
    additional: Additional | None = None,
) -> dict[str, Any]:
    """The file, ready to be written.

    Args:
        cr: the PrometheusAgent.
        pod_jobs: those of PodMonitors, which stand before the additional ones.
        other_jobs: those of ServiceMonitors, Probes and ScrapeConfigs; an agent on every node has none.

    Raises:
        Rejected: as `server_configuration`.
    """
    spec = mapping(cr.get("spec"))
    check_instance(cr, scope)
    added = additional_scrape_configs((additional or Additional()).scrape_configs, spec, scope)
    return {
        "global": common.agent_global(cr, scope),
        **common.runtime(spec, scope),
        "scrape_configs": [*pod_jobs, *added, *(() if scope.options.daemon_set else other_jobs)],
        **common.agent_storage(spec, scope),
        **inside("spec", remote_write_section, spec, scope),
        **inside("spec", otlp_section, spec, scope),
        **inside("spec", tracing_section, spec, scope),
    }
