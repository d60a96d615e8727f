"""The kind ThanosRuler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controllerkit.schema import Column, Int32, Int64, list_map
from operators.prometheus.api.core.containers import Container, VolumeMount
from operators.prometheus.api.core.meta import (
    LabelSelector,
    LocalObjectReference,
    ResourceRequirements,
    SecretKeySelector,
)
from operators.prometheus.api.core.scheduling import Affinity, Toleration, TopologySpreadConstraint
from operators.prometheus.api.core.security import PodSecurityContext
from operators.prometheus.api.core.volumes import Volume
from operators.prometheus.api.http import GRPCServerTLSConfig
from operators.prometheus.api.remote import RemoteWriteSpec
from operators.prometheus.api.status import Condition
from operators.prometheus.api.types import (
    CATEGORIES,
    GROUP,
    Duration,
    Model,
    MonitoringResource,
    NonEmptyString,
    SetList,
)
from operators.prometheus.api.web import ThanosRulerWebSpec
from operators.prometheus.api.workload import (
    Argument,
    DNSPolicy,
    EmbeddedObjectMetadata,
    EnableFeature,
    HostAlias,
    ObjectReference,
    PodDNSConfig,
    PodManagementPolicyType,
    PrometheusRuleExcludeConfig,
    StatefulSetUpdateStrategy,
    StorageSpec,
)

__all__ = ["ThanosRuler", "ThanosRulerSpec", "ThanosRulerStatus"]


class ThanosRulerSpec(Model):
    """What is asked of a ThanosRuler."""

    version: str | None = None
    pod_metadata: EmbeddedObjectMetadata | None = None
    image: str | None = None
    image_pull_policy: Literal["", "Always", "Never", "IfNotPresent"] | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    paused: bool | None = None
    replicas: Int32 | None = None
    node_selector: dict[str, str] | None = None
    scheduler_name: NonEmptyString | None = None
    resources: ResourceRequirements | None = None
    affinity: Affinity | None = None
    tolerations: list[Toleration] | None = None
    topology_spread_constraints: list[TopologySpreadConstraint] | None = None
    security_context: PodSecurityContext | None = None
    dns_policy: DNSPolicy | None = None
    dns_config: PodDNSConfig | None = None
    enable_service_links: bool | None = None
    priority_class_name: str | None = None
    service_name: NonEmptyString | None = None
    service_account_name: str | None = None
    storage: StorageSpec | None = None
    volumes: list[Volume] | None = None
    volume_mounts: list[VolumeMount] | None = None
    object_storage_config: SecretKeySelector | None = None
    object_storage_config_file: str | None = None
    listen_local: bool | None = None
    pod_management_policy: PodManagementPolicyType | None = None
    update_strategy: StatefulSetUpdateStrategy | None = None
    query_endpoints: list[str] | None = None
    query_config: SecretKeySelector | None = None
    alertmanagers_url: list[str] | None = None
    alertmanagers_config: SecretKeySelector | None = None
    rule_selector: LabelSelector | None = None
    rule_namespace_selector: LabelSelector | None = None
    enforced_namespace_label: str | None = None
    excluded_from_enforcement: list[ObjectReference] | None = None
    prometheus_rules_excluded_from_enforce: list[PrometheusRuleExcludeConfig] | None = None
    log_level: Literal["", "debug", "info", "warn", "error"] | None = None
    log_format: Literal["", "logfmt", "json"] | None = None
    port_name: str = "web"
    evaluation_interval: Duration = "15s"
    resend_delay: Duration | None = None
    rule_outage_tolerance: Duration | None = None
    rule_query_offset: Duration | None = None
    rule_concurrent_eval: Int32 | None = Field(default=None, ge=1)
    rule_grace_period: Duration | None = None
    retention: Duration = "24h"
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    tracing_config: SecretKeySelector | None = None
    tracing_config_file: str | None = None
    labels: dict[str, str] | None = None
    alert_drop_labels: list[str] | None = None
    external_prefix: str | None = None
    route_prefix: str | None = None
    grpc_server_tls_config: GRPCServerTLSConfig | None = None
    alert_query_url: str | None = None
    min_ready_seconds: Int32 | None = Field(default=None, ge=0)
    alert_relabel_configs: SecretKeySelector | None = None
    alert_relabel_config_file: str | None = None
    host_aliases: Annotated[list[HostAlias], list_map("ip")] | None = None
    additional_args: list[Argument] | None = None
    web: ThanosRulerWebSpec | None = None
    remote_write: list[RemoteWriteSpec] | None = None
    termination_grace_period_seconds: Int64 | None = Field(default=None, ge=0)
    enable_features: SetList[EnableFeature] | None = None
    host_users: bool | None = None


class ThanosRulerStatus(Model):
    """What was observed; the operator writes it."""

    paused: bool | None = None
    replicas: Int32 | None = None
    updated_replicas: Int32 | None = None
    available_replicas: Int32 | None = None
    unavailable_replicas: Int32 | None = None
    conditions: Annotated[list[Condition], list_map("type")] | None = None


class ThanosRuler(
    MonitoringResource,
    group=GROUP,
    version="v1",
    short_names=["ruler"],
    categories=CATEGORIES,
    columns=[
        Column("Version", ".spec.version"),
        Column("Replicas", ".spec.replicas", "integer"),
        Column("Ready", ".status.availableReplicas", "integer"),
        Column("Reconciled", ".status.conditions[?(@.type == 'Reconciled')].status"),
        Column("Available", ".status.conditions[?(@.type == 'Available')].status"),
        Column("Age", ".metadata.creationTimestamp", "date"),
        Column("Paused", ".status.paused", "boolean", priority=1),
    ],
):
    """Rules evaluated against Thanos, by one Pod or several."""

    spec: ThanosRulerSpec
    status: ThanosRulerStatus | None = None
