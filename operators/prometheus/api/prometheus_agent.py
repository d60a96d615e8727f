"""The kind PrometheusAgent."""

from __future__ import annotations

from typing import Final, Literal

from controllerkit.schema import Cel, Column, Scale, cel
from operators.prometheus.api.prometheus_common import CommonPrometheusFields, PrometheusStatus
from operators.prometheus.api.types import CATEGORIES, GROUP, MonitoringResource

__all__ = ["PrometheusAgent", "PrometheusAgentMode", "PrometheusAgentSpec"]


PrometheusAgentMode = Literal["StatefulSet", "DaemonSet"]


def _no_daemon_set(what: str, rule: str) -> Cel:
    return cel(f"!(has(self.mode) && self.mode == 'DaemonSet' && {rule})", f"mode DaemonSet takes no {what}")


_NOT_IN_A_DAEMON_SET: Final = (
    "replicas",
    "storage",
    "persistentVolumeClaimRetentionPolicy",
    "scrapeConfigSelector",
    "scrapeConfigNamespaceSelector",
    "probeSelector",
    "probeNamespaceSelector",
    "serviceMonitorSelector",
    "serviceMonitorNamespaceSelector",
    "additionalScrapeConfigs",
    "shardingStrategy",
)


class PrometheusAgentSpec(
    CommonPrometheusFields,
    rules=[
        *(_no_daemon_set(name, f"has(self.{name})") for name in _NOT_IN_A_DAEMON_SET),
        _no_daemon_set("second shard", "has(self.shards) && self.shards > 1"),
    ],
):
    """What is asked of a PrometheusAgent."""

    mode: PrometheusAgentMode | None = None


class PrometheusAgent(
    MonitoringResource,
    group=GROUP,
    version="v1alpha1",
    short_names=["promagent"],
    categories=CATEGORIES,
    scale=Scale(".spec.shards", ".status.shards", ".status.selector"),
    columns=[
        Column("Version", ".spec.version"),
        Column("Desired", ".spec.replicas", "integer"),
        Column("Ready", ".status.availableReplicas", "integer"),
        Column("Reconciled", ".status.conditions[?(@.type == 'Reconciled')].status"),
        Column("Available", ".status.conditions[?(@.type == 'Available')].status"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Paused", ".status.paused", "boolean", priority=1),
    ],
):
    """A Prometheus that scrapes and sends on, and keeps nothing."""

    spec: PrometheusAgentSpec
    status: PrometheusStatus | None = None
