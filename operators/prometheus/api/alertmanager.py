"""The kind Alertmanager."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controllerkit.schema import Column, Int32, Int64, Scale, list_map
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
from operators.prometheus.api.http import HTTPConfigWithProxy, SafeTLSConfig, SecretOrConfigMap
from operators.prometheus.api.status import Condition
from operators.prometheus.api.types import (
    CATEGORIES,
    GROUP,
    ByteSize,
    Duration,
    GoDuration,
    HttpUrl,
    Model,
    MonitoringResource,
    NonEmptyString,
)
from operators.prometheus.api.web import AlertmanagerWebSpec, WebTLSConfig
from operators.prometheus.api.workload import (
    Argument,
    DNSPolicy,
    EmbeddedObjectMetadata,
    HostAlias,
    PodDNSConfig,
    PodManagementPolicyType,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetUpdateStrategy,
    StorageSpec,
)

__all__ = [
    "Alertmanager",
    "AlertmanagerConfigMatcherStrategy",
    "AlertmanagerConfigMatcherStrategyType",
    "AlertmanagerConfiguration",
    "AlertmanagerGlobalConfig",
    "AlertmanagerLimitsSpec",
    "AlertmanagerSpec",
    "AlertmanagerStatus",
    "ClusterTLSConfig",
    "GlobalJiraConfig",
    "GlobalMattermostConfig",
    "GlobalRocketChatConfig",
    "GlobalSMTPConfig",
    "GlobalTelegramConfig",
    "GlobalVictorOpsConfig",
    "GlobalWeChatConfig",
    "GlobalWebexConfig",
    "HostPort",
]


AlertmanagerConfigMatcherStrategyType = Literal["OnNamespace", "OnNamespaceExceptForAlertmanagerNamespace", "None"]


class AlertmanagerConfigMatcherStrategy(Model):
    """Which alerts an AlertmanagerConfig is about, by their namespace."""

    type: AlertmanagerConfigMatcherStrategyType = "OnNamespace"


class GlobalJiraConfig(Model):
    """Jira, for receivers that do not say."""

    api_url: HttpUrl | None = Field(default=None, alias="apiURL")


class GlobalMattermostConfig(Model):
    """Mattermost, for receivers that do not say."""

    webhook_url: SecretKeySelector | None = Field(default=None, alias="webhookURL")


class GlobalRocketChatConfig(Model):
    """Rocket.Chat, for receivers that do not say."""

    api_url: HttpUrl | None = Field(default=None, alias="apiURL")
    token: SecretKeySelector | None = None
    token_id: SecretKeySelector | None = Field(default=None, alias="tokenID")


class HostPort(Model):
    """A host and a port."""

    host: NonEmptyString
    port: NonEmptyString


class GlobalSMTPConfig(Model):
    """The mail server, for receivers that do not say."""

    from_: str | None = Field(default=None, alias="from")
    smart_host: HostPort | None = None
    hello: str | None = None
    auth_username: str | None = None
    auth_password: SecretKeySelector | None = None
    auth_identity: str | None = None
    auth_secret: SecretKeySelector | None = None
    require_tls: bool | None = Field(default=None, alias="requireTLS")
    tls_config: SafeTLSConfig | None = None
    force_implicit_tls: bool | None = Field(default=None, alias="forceImplicitTLS")


class GlobalTelegramConfig(Model):
    """Telegram, for receivers that do not say."""

    api_url: HttpUrl | None = Field(default=None, alias="apiURL")


class GlobalVictorOpsConfig(Model):
    """VictorOps, for receivers that do not say."""

    api_url: HttpUrl | None = Field(default=None, alias="apiURL")
    api_key: SecretKeySelector | None = None


class GlobalWebexConfig(Model):
    """Webex, for receivers that do not say."""

    api_url: HttpUrl | None = Field(default=None, alias="apiURL")


class GlobalWeChatConfig(Model):
    """WeChat, for receivers that do not say."""

    api_url: HttpUrl | None = Field(default=None, alias="apiURL")
    api_secret: SecretKeySelector | None = None
    api_corp_id: NonEmptyString | None = Field(default=None, alias="apiCorpID")


class AlertmanagerGlobalConfig(Model):
    """What holds for receivers that do not say."""

    smtp: GlobalSMTPConfig | None = None
    resolve_timeout: Duration | None = None
    http_config: HTTPConfigWithProxy | None = None
    slack_api_url: SecretKeySelector | None = None
    ops_genie_api_url: SecretKeySelector | None = None
    ops_genie_api_key: SecretKeySelector | None = None
    pagerduty_url: HttpUrl | None = None
    telegram: GlobalTelegramConfig | None = None
    jira: GlobalJiraConfig | None = None
    victorops: GlobalVictorOpsConfig | None = None
    rocket_chat: GlobalRocketChatConfig | None = None
    webex: GlobalWebexConfig | None = None
    wechat: GlobalWeChatConfig | None = None
    mattermost: GlobalMattermostConfig | None = None


class AlertmanagerConfiguration(Model):
    """The AlertmanagerConfig that is the base of the configuration."""

    name: NonEmptyString | None = None
    global_: AlertmanagerGlobalConfig | None = Field(default=None, alias="global")
    templates: list[SecretOrConfigMap] | None = None


class ClusterTLSConfig(Model):
    """TLS between the Alertmanagers."""

    server: WebTLSConfig
    client: SafeTLSConfig


class AlertmanagerLimitsSpec(Model):
    """Limits of silences."""

    max_silences: Int32 | None = Field(default=None, ge=0)
    max_per_silence_bytes: ByteSize | None = None


class AlertmanagerSpec(Model):
    """What is asked of an Alertmanager."""

    pod_metadata: EmbeddedObjectMetadata | None = None
    image: str | None = None
    image_pull_policy: Literal["", "Always", "Never", "IfNotPresent"] | None = None
    version: str | None = None
    tag: str | None = None
    sha: str | None = None
    base_image: str | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    secrets: list[str] | None = None
    config_maps: list[str] | None = None
    config_secret: str | None = None
    log_level: Literal["", "debug", "info", "warn", "error"] | None = None
    log_format: Literal["", "logfmt", "json"] | None = None
    replicas: Int32 | None = None
    retention: GoDuration = "120h"
    storage: StorageSpec | None = None
    volumes: list[Volume] | None = None
    volume_mounts: list[VolumeMount] | None = None
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    external_url: str | None = None
    route_prefix: str | None = None
    paused: bool | None = None
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
    service_name: NonEmptyString | None = None
    service_account_name: str | None = None
    listen_local: bool | None = None
    pod_management_policy: PodManagementPolicyType | None = None
    update_strategy: StatefulSetUpdateStrategy | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    priority_class_name: str | None = None
    additional_peers: list[str] | None = None
    cluster_advertise_address: str | None = None
    cluster_gossip_interval: GoDuration | None = None
    cluster_label: str | None = None
    cluster_pushpull_interval: GoDuration | None = None
    cluster_peer_timeout: GoDuration | None = None
    port_name: str = "web"
    force_enable_cluster_mode: bool | None = None
    alertmanager_config_selector: LabelSelector | None = None
    alertmanager_config_namespace_selector: LabelSelector | None = None
    alertmanager_config_matcher_strategy: AlertmanagerConfigMatcherStrategy | None = None
    min_ready_seconds: Int32 | None = Field(default=None, ge=0)
    host_aliases: Annotated[list[HostAlias], list_map("ip")] | None = None
    host_network: bool | None = None
    web: AlertmanagerWebSpec | None = None
    limits: AlertmanagerLimitsSpec | None = None
    cluster_tls: ClusterTLSConfig | None = Field(default=None, alias="clusterTLS")
    alertmanager_configuration: AlertmanagerConfiguration | None = None
    automount_service_account_token: bool | None = None
    enable_features: list[str] | None = None
    additional_args: list[Argument] | None = None
    termination_grace_period_seconds: Int64 | None = Field(default=None, ge=0)
    host_users: bool | None = None


class AlertmanagerStatus(Model):
    """What was observed; the operator writes it."""

    paused: bool | None = None
    replicas: Int32 | None = None
    updated_replicas: Int32 | None = None
    available_replicas: Int32 | None = None
    unavailable_replicas: Int32 | None = None
    selector: str | None = None
    conditions: Annotated[list[Condition], list_map("type")] | None = None


class Alertmanager(
    MonitoringResource,
    group=GROUP,
    version="v1",
    short_names=["am"],
    categories=CATEGORIES,
    scale=Scale(".spec.replicas", ".status.replicas", ".status.selector"),
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
    """A cluster of Alertmanagers."""

    spec: AlertmanagerSpec
    status: AlertmanagerStatus | None = None
