"""The kind ServiceMonitor."""

from __future__ import annotations

from pydantic import Field

from controllerkit.schema import Int64
from operators.prometheus.api.core.meta import LabelSelector
from operators.prometheus.api.http import HTTPConfigWithProxyAndTLSFiles, Scheme
from operators.prometheus.api.scraping import (
    AttachMetadata,
    NamespaceSelector,
    NativeHistogramConfig,
    RelabelConfig,
    ScrapeProtocol,
    SelectorMechanism,
    ServiceDiscoveryRole,
)
from operators.prometheus.api.status import ConfigResourceStatus
from operators.prometheus.api.types import (
    CATEGORIES,
    GROUP,
    ByteSize,
    Duration,
    IntOrString,
    MonitoringResource,
    NonEmptyString,
    SetList,
)

__all__ = ["Endpoint", "ServiceMonitor", "ServiceMonitorSpec"]


class Endpoint(HTTPConfigWithProxyAndTLSFiles):
    """A port of a Service that is scraped, and how."""

    port: str | None = None
    target_port: IntOrString | None = None
    path: str | None = None
    scheme: Scheme | None = None
    params: dict[str, list[str]] | None = None
    interval: Duration | None = None
    scrape_timeout: Duration | None = None
    honor_labels: bool | None = None
    honor_timestamps: bool | None = None
    track_timestamps_staleness: bool | None = None
    metric_relabelings: list[RelabelConfig] | None = None
    relabelings: list[RelabelConfig] | None = None
    filter_running: bool | None = None
    bearer_token_file: str | None = None


class ServiceMonitorSpec(NativeHistogramConfig):
    """Which Services are scraped, and how."""

    job_label: str | None = None
    target_labels: list[str] | None = None
    pod_target_labels: list[str] | None = None
    endpoints: list[Endpoint]
    selector: LabelSelector
    selector_mechanism: SelectorMechanism | None = None
    namespace_selector: NamespaceSelector | None = None
    sample_limit: Int64 | None = Field(default=None, ge=0)
    scrape_protocols: SetList[ScrapeProtocol] | None = None
    fallback_scrape_protocol: ScrapeProtocol | None = None
    target_limit: Int64 | None = Field(default=None, ge=0)
    label_limit: Int64 | None = Field(default=None, ge=0)
    label_name_length_limit: Int64 | None = Field(default=None, ge=0)
    label_value_length_limit: Int64 | None = Field(default=None, ge=0)
    keep_dropped_targets: Int64 | None = Field(default=None, ge=0)
    attach_metadata: AttachMetadata | None = None
    scrape_class: NonEmptyString | None = None
    body_size_limit: ByteSize | None = None
    service_discovery_role: ServiceDiscoveryRole | None = None


class ServiceMonitor(
    MonitoringResource,
    group=GROUP,
    version="v1",
    short_names=["smon"],
    categories=CATEGORIES,
):
    """Services whose endpoints are scraped."""

    spec: ServiceMonitorSpec
    status: ConfigResourceStatus | None = None
