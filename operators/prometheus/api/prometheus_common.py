"""What a Prometheus and a PrometheusAgent have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controllerkit.schema import Int32, Int64, cel, list_map
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
from operators.prometheus.api.http import Authorization, BasicAuth, ProxyConfig, TLSConfig
from operators.prometheus.api.remote import RemoteWriteMessageVersion, RemoteWriteSpec
from operators.prometheus.api.scraping import (
    AttachMetadata,
    NameEscapingSchemeOptions,
    NameValidationSchemeOptions,
    RelabelConfig,
    ScrapeProtocol,
    ServiceDiscoveryRole,
)
from operators.prometheus.api.status import Condition
from operators.prometheus.api.types import (
    AtomicList,
    ByteSize,
    Duration,
    ListByName,
    Model,
    NonEmptyString,
    Quantity,
    SetList,
)
from operators.prometheus.api.web import PrometheusWebSpec
from operators.prometheus.api.workload import (
    Argument,
    DNSPolicy,
    EmbeddedObjectMetadata,
    EnableFeature,
    HostAlias,
    ObjectReference,
    PodDNSConfig,
    PodManagementPolicyType,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
    StatefulSetUpdateStrategy,
    StorageSpec,
)

__all__ = [
    "APIServerConfig",
    "AdditionalLabelSelectors",
    "ArbitraryFSAccessThroughSMsConfig",
    "ChunkEncodingFloats",
    "ChunkEncodingSpec",
    "CommonPrometheusFields",
    "OTLPConfig",
    "PrometheusStatus",
    "PrometheusTopologySpreadConstraint",
    "ReloadStrategyType",
    "RuntimeConfig",
    "ScrapeClass",
    "ShardStatus",
    "ShardingStrategy",
    "ShardingStrategyMode",
    "TSDBSpec",
    "TopologyShardingStrategy",
    "TracingConfig",
    "TranslationStrategyOption",
]


AdditionalLabelSelectors = Literal["OnResource", "OnShard"]
ChunkEncodingFloats = Literal["Xor", "Xor2"]
ReloadStrategyType = Literal["HTTP", "ProcessSignal"]
ShardingStrategyMode = Literal["Address", "Topology"]
TranslationStrategyOption = Literal[
    "NoUTF8EscapingWithSuffixes", "UnderscoreEscapingWithSuffixes", "NoTranslation", "UnderscoreEscapingWithoutSuffixes"
]


class APIServerConfig(ProxyConfig):
    """The API server that Prometheus discovers with, where it is not its own cluster's."""

    host: str
    basic_auth: BasicAuth | None = None
    bearer_token_file: str | None = None
    tls_config: TLSConfig | None = None
    authorization: Authorization | None = None
    bearer_token: str | None = None


class ArbitraryFSAccessThroughSMsConfig(Model):
    """Whether monitors may name files of the Prometheus Pod."""

    deny: bool | None = None


class OTLPConfig(Model):
    """What becomes of metrics received by OTLP."""

    promote_all_resource_attributes: bool | None = None
    ignore_resource_attributes: SetList[NonEmptyString] | None = Field(default=None, min_length=1)
    promote_resource_attributes: SetList[NonEmptyString] | None = Field(default=None, min_length=1)
    translation_strategy: TranslationStrategyOption | None = None
    keep_identifying_resource_attributes: bool | None = None
    convert_histograms_to_nhcb: bool | None = Field(default=None, alias="convertHistogramsToNHCB")
    promote_scope_metadata: bool | None = None
    label_name_underscore_sanitization: bool | None = None
    label_name_preserve_multiple_underscores: bool | None = None


class RuntimeConfig(Model):
    """Go's runtime."""

    go_gc: Int32 | None = Field(default=None, ge=-1, alias="goGC")


class ScrapeClass(Model):
    """Settings that scrapes name, or have by default."""

    name: NonEmptyString
    default: bool | None = None
    fallback_scrape_protocol: ScrapeProtocol | None = None
    tls_config: TLSConfig | None = None
    authorization: Authorization | None = None
    relabelings: list[RelabelConfig] | None = None
    metric_relabelings: list[RelabelConfig] | None = None
    attach_metadata: AttachMetadata | None = None


class TopologyShardingStrategy(Model):
    """Shards by zone, or by another label of nodes."""

    external_label_name: str | None = None
    values: AtomicList[str] | None = None


class ShardingStrategy(
    Model,
    rules=[cel("!has(self.topology) || (has(self.mode) && self.mode == 'Topology')", "topology is for mode Topology")],
):
    """How targets are spread over shards."""

    mode: ShardingStrategyMode | None = None
    topology: TopologyShardingStrategy | None = None


class PrometheusTopologySpreadConstraint(TopologySpreadConstraint):
    """How Pods are spread; also each shard by itself."""

    additional_label_selectors: AdditionalLabelSelectors | None = None


class TracingConfig(Model):
    """Where traces are sent."""

    client_type: Literal["http", "grpc", "HTTP", "GRPC"] | None = None
    endpoint: NonEmptyString
    sampling_fraction: Quantity | None = None
    insecure: bool | None = None
    headers: dict[str, str] | None = None
    compression: Literal["gzip", "Gzip"] | None = None
    timeout: Duration | None = None
    tls_config: TLSConfig | None = None


class ChunkEncodingSpec(Model):
    """How chunks of samples are encoded."""

    floats: ChunkEncodingFloats | None = None


class TSDBSpec(Model):
    """The local database."""

    out_of_order_time_window: Duration | None = None
    stale_series_compaction_threshold: Quantity | None = None
    chunk_encoding: ChunkEncodingSpec | None = None


class ShardStatus(Model):
    """The Pods of one shard."""

    shard_id: str = Field(alias="shardID")
    replicas: Int32
    updated_replicas: Int32
    available_replicas: Int32
    unavailable_replicas: Int32


class PrometheusStatus(Model):
    """What was observed; the operator writes it."""

    paused: bool | None = None
    replicas: Int32 | None = None
    updated_replicas: Int32 | None = None
    available_replicas: Int32 | None = None
    unavailable_replicas: Int32 | None = None
    conditions: Annotated[list[Condition], list_map("type")] | None = None
    shard_statuses: Annotated[list[ShardStatus], list_map("shardID")] | None = None
    shards: Int32 | None = None
    selector: str | None = None


_ENOUGH_SHARDS = cel(
    "!has(self.shardingStrategy) || !has(self.shardingStrategy.mode) || self.shardingStrategy.mode != 'Topology'"
    " || !has(self.shardingStrategy.topology) || !has(self.shardingStrategy.topology.values)"
    " || self.shardingStrategy.topology.values.size() == 0"
    " || (has(self.shards) ? self.shards : 1) >= self.shardingStrategy.topology.values.size()",
    "fewer shards than values of the topology, each of which has one of its own",
)


class CommonPrometheusFields(Model, rules=[_ENOUGH_SHARDS]):
    """What a Prometheus and a PrometheusAgent have in common."""

    pod_metadata: EmbeddedObjectMetadata | None = None
    service_monitor_selector: LabelSelector | None = None
    service_monitor_namespace_selector: LabelSelector | None = None
    pod_monitor_selector: LabelSelector | None = None
    pod_monitor_namespace_selector: LabelSelector | None = None
    probe_selector: LabelSelector | None = None
    probe_namespace_selector: LabelSelector | None = None
    scrape_config_selector: LabelSelector | None = None
    scrape_config_namespace_selector: LabelSelector | None = None
    version: str | None = None
    paused: bool | None = None
    image: str | None = None
    image_pull_policy: Literal["", "Always", "Never", "IfNotPresent"] | None = None
    image_pull_secrets: list[LocalObjectReference] | None = None
    replicas: Int32 | None = None
    shards: Int32 = 1
    sharding_strategy: ShardingStrategy | None = None
    replica_external_label_name: str | None = None
    prometheus_external_label_name: str | None = None
    log_level: Literal["", "debug", "info", "warn", "error"] | None = None
    log_format: Literal["", "logfmt", "json"] | None = None
    scrape_interval: Duration = "30s"
    scrape_timeout: Duration | None = None
    scrape_protocols: SetList[ScrapeProtocol] | None = None
    external_labels: dict[str, str] | None = None
    enable_remote_write_receiver: bool | None = None
    enable_otlp_receiver: bool | None = Field(default=None, alias="enableOTLPReceiver")
    remote_write_receiver_message_versions: SetList[RemoteWriteMessageVersion] | None = Field(
        default=None, min_length=1
    )
    enable_features: SetList[EnableFeature] | None = None
    external_url: str | None = None
    route_prefix: str | None = None
    storage: StorageSpec | None = None
    volumes: list[Volume] | None = None
    volume_mounts: list[VolumeMount] | None = None
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    web: PrometheusWebSpec | None = None
    resources: ResourceRequirements | None = None
    node_selector: dict[str, str] | None = None
    scheduler_name: NonEmptyString | None = None
    service_account_name: str | None = None
    automount_service_account_token: bool | None = None
    secrets: SetList[str] | None = None
    config_maps: list[str] | None = None
    affinity: Affinity | None = None
    tolerations: list[Toleration] | None = None
    topology_spread_constraints: list[PrometheusTopologySpreadConstraint] | None = None
    remote_write: list[RemoteWriteSpec] | None = None
    otlp: OTLPConfig | None = None
    security_context: PodSecurityContext | None = None
    dns_policy: DNSPolicy | None = None
    dns_config: PodDNSConfig | None = None
    listen_local: bool | None = None
    pod_management_policy: PodManagementPolicyType | None = None
    update_strategy: StatefulSetUpdateStrategy | None = None
    enable_service_links: bool | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    additional_scrape_configs: SecretKeySelector | None = None
    apiserver_config: APIServerConfig | None = None
    priority_class_name: str | None = None
    port_name: str = "web"
    arbitrary_fs_access_through_sms: ArbitraryFSAccessThroughSMsConfig | None = Field(
        default=None, alias="arbitraryFSAccessThroughSMs"
    )
    override_honor_labels: bool | None = None
    override_honor_timestamps: bool | None = None
    ignore_namespace_selectors: bool | None = None
    enforced_namespace_label: str | None = None
    enforced_sample_limit: Int64 | None = Field(default=None, ge=0)
    enforced_target_limit: Int64 | None = Field(default=None, ge=0)
    enforced_label_limit: Int64 | None = Field(default=None, ge=0)
    enforced_label_name_length_limit: Int64 | None = Field(default=None, ge=0)
    enforced_label_value_length_limit: Int64 | None = Field(default=None, ge=0)
    enforced_keep_dropped_targets: Int64 | None = Field(default=None, ge=0)
    enforced_body_size_limit: ByteSize | None = None
    name_validation_scheme: NameValidationSchemeOptions | None = None
    name_escaping_scheme: NameEscapingSchemeOptions | None = None
    convert_classic_histograms_to_nhcb: bool | None = Field(default=None, alias="convertClassicHistogramsToNHCB")
    scrape_native_histograms: bool | None = None
    scrape_classic_histograms: bool | None = None
    min_ready_seconds: Int32 | None = Field(default=None, ge=0)
    host_aliases: Annotated[list[HostAlias], list_map("ip")] | None = None
    additional_args: list[Argument] | None = None
    wal_compression: bool | None = None
    excluded_from_enforcement: list[ObjectReference] | None = None
    host_network: bool | None = None
    pod_target_labels: list[str] | None = None
    tracing_config: TracingConfig | None = None
    body_size_limit: ByteSize | None = None
    sample_limit: Int64 | None = Field(default=None, ge=0)
    target_limit: Int64 | None = Field(default=None, ge=0)
    label_limit: Int64 | None = Field(default=None, ge=0)
    label_name_length_limit: Int64 | None = Field(default=None, ge=0)
    label_value_length_limit: Int64 | None = Field(default=None, ge=0)
    keep_dropped_targets: Int64 | None = Field(default=None, ge=0)
    reload_strategy: ReloadStrategyType | None = None
    maximum_startup_duration_seconds: Int32 | None = Field(default=None, ge=60)
    scrape_classes: ListByName[ScrapeClass] | None = None
    service_discovery_role: ServiceDiscoveryRole | None = None
    tsdb: TSDBSpec | None = None
    scrape_failure_log_file: NonEmptyString | None = None
    service_name: NonEmptyString | None = None
    runtime: RuntimeConfig | None = None
    termination_grace_period_seconds: Int64 | None = Field(default=None, ge=0)
    host_users: bool | None = None
