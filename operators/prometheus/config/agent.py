"""The whole file of a PrometheusAgent, put together from its sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from operators.prometheus.config import globals as common
from operators.prometheus.config.server import Additional, check_instance
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
    return {
        "global": common.agent_global(cr, scope),
        **common.runtime(spec, scope),
        "scrape_configs": [*pod_jobs, *(() if scope.options.daemon_set else other_jobs)],
        **common.agent_storage(spec, scope),
    }
