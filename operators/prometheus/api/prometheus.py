"""The kind Prometheus."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from controllerkit.schema import Column, Int32, Int64, Scale
from operators.prometheus.api.core.containers import VolumeMount
from operators.prometheus.api.core.meta import LabelSelector, ResourceRequirements, SecretKeySelector
from operators.prometheus.api.http import (
    BasicAuth,
    GRPCServerTLSConfig,
    ProxyConfig,
    SafeAuthorization,
    Scheme,
    Sigv4,
    TLSConfig,
)
from operators.prometheus.api.prometheus_common import CommonPrometheusFields, PrometheusStatus
from operators.prometheus.api.remote import RemoteReadSpec
from operators.prometheus.api.scraping import RelabelConfig
from operators.prometheus.api.types import (
    CATEGORIES,
    GROUP,
    ByteSize,
    Duration,
    IntOrString,
    Model,
    MonitoringResource,
    NonEmptyString,
)
from operators.prometheus.api.workload import Argument, PrometheusRuleExcludeConfig

__all__ = [
    "AlertingSpec",
    "AlertmanagerEndpoints",
    "Exemplars",
    "Prometheus",
    "PrometheusSpec",
    "QuerySpec",
    "RetainConfig",
    "Rules",
    "RulesAlert",
    "ShardRetentionPolicy",
    "ThanosSpec",
    "WhenScaledRetentionType",
]


WhenScaledRetentionType = Literal["Retain", "Delete"]


class AlertmanagerEndpoints(ProxyConfig):
    """Alertmanagers that alerts are sent to, found by their Service."""

    namespace: NonEmptyString | None = None
    name: NonEmptyString
    port: IntOrString
    scheme: Scheme | None = None
    path_prefix: NonEmptyString | None = None
    tls_config: TLSConfig | None = None
    basic_auth: BasicAuth | None = None
    bearer_token_file: str | None = None
    authorization: SafeAuthorization | None = None
    sigv4: Sigv4 | None = None
    api_version: Literal["v1", "V1", "v2", "V2"] | None = None
    timeout: Duration | None = None
    enable_http2: bool | None = None
    relabelings: list[RelabelConfig] | None = None
    alert_relabelings: list[RelabelConfig] | None = None


class AlertingSpec(Model):
    """Where alerts are sent."""

    alertmanagers: list[AlertmanagerEndpoints]


class Exemplars(Model):
    """How many exemplars are kept."""

    max_size: Int64 | None = None


class QuerySpec(Model):
    """Limits of queries."""

    lookback_delta: str | None = None
    max_concurrency: Int32 | None = Field(default=None, ge=1)
    max_samples: Int32 | None = None
    timeout: Duration | None = None


class RulesAlert(Model):
    """When alerts are restored and sent again."""

    for_outage_tolerance: str | None = None
    for_grace_period: str | None = None
    resend_delay: str | None = None


class Rules(Model):
    """How rules are evaluated."""

    alert: RulesAlert | None = None


class RetainConfig(Model):
    """How long a shard is kept that is no longer asked for."""

    retention_period: Duration


class ShardRetentionPolicy(Model):
    """What becomes of a shard that is no longer asked for."""

    when_scaled: WhenScaledRetentionType | None = None
    retain: RetainConfig | None = None


class ThanosSpec(Model):
    """The Thanos sidecar."""

    image: str | None = None
    version: str | None = None
    tag: str | None = None
    sha: str | None = None
    base_image: str | None = None
    resources: ResourceRequirements | None = None
    object_storage_config: SecretKeySelector | None = None
    object_storage_config_file: str | None = None
    listen_local: bool | None = None
    grpc_listen_local: bool | None = None
    http_listen_local: bool | None = None
    tracing_config: SecretKeySelector | None = None
    tracing_config_file: str | None = None
    grpc_server_tls_config: GRPCServerTLSConfig | None = None
    log_level: Literal["", "debug", "info", "warn", "error"] | None = None
    log_format: Literal["", "logfmt", "json"] | None = None
    min_time: str | None = None
    block_size: Duration = "2h"
    ready_timeout: Duration | None = None
    get_config_interval: Duration | None = None
    get_config_timeout: Duration | None = None
    volume_mounts: list[VolumeMount] | None = None
    additional_args: list[Argument] | None = None


class PrometheusSpec(CommonPrometheusFields):
    """What is asked of a Prometheus."""

    base_image: str | None = None
    tag: str | None = None
    sha: str | None = None
    retention: Duration | None = None
    retention_size: ByteSize | None = None
    shard_retention_policy: ShardRetentionPolicy | None = None
    disable_compaction: bool | None = None
    rules: Rules | None = None
    prometheus_rules_excluded_from_enforce: list[PrometheusRuleExcludeConfig] | None = None
    rule_selector: LabelSelector | None = None
    rule_namespace_selector: LabelSelector | None = None
    query: QuerySpec | None = None
    alerting: AlertingSpec | None = None
    additional_alert_relabel_configs: SecretKeySelector | None = None
    additional_alert_manager_configs: SecretKeySelector | None = None
    remote_read: list[RemoteReadSpec] | None = None
    thanos: ThanosSpec | None = None
    query_log_file: str | None = None
    allow_overlapping_blocks: bool | None = None
    exemplars: Exemplars | None = None
    evaluation_interval: Duration = "30s"
    rule_query_offset: Duration | None = None
    enable_admin_api: bool | None = Field(default=None, alias="enableAdminAPI")


class Prometheus(
    MonitoringResource,
    group=GROUP,
    version="v1",
    plural="prometheuses",
    short_names=["prom"],
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
    """A Prometheus server, or several that share or repeat its work."""

    spec: PrometheusSpec
    status: PrometheusStatus | None = None
