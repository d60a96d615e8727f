"""The kind PodMonitor."""

from __future__ import annotations

from pydantic import Field

from controllerkit.schema import Int32, Int64
from operators.prometheus.api.core.meta import LabelSelector
from operators.prometheus.api.http import HTTPConfigWithProxy, Scheme
from operators.prometheus.api.scraping import (
    AttachMetadata,
    NamespaceSelector,
    NativeHistogramConfig,
    RelabelConfig,
    ScrapeProtocol,
    SelectorMechanism,
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

__all__ = ["PodMetricsEndpoint", "PodMonitor", "PodMonitorSpec"]


class PodMetricsEndpoint(HTTPConfigWithProxy):
    """A port of a Pod that is scraped, and how."""

    port: str | None = None
    port_number: Int32 | None = Field(default=None, ge=1, le=65535)
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


class PodMonitorSpec(NativeHistogramConfig):
    """Which Pods are scraped, and how."""

    job_label: str | None = None
    pod_target_labels: list[str] | None = None
    pod_metrics_endpoints: list[PodMetricsEndpoint] | None = None
    selector: LabelSelector
    selector_mechanism: SelectorMechanism | None = None
    namespace_selector: NamespaceSelector | None = None
    sample_limit: Int64 | None = Field(default=None, ge=0)
    target_limit: Int64 | None = Field(default=None, ge=0)
    scrape_protocols: SetList[ScrapeProtocol] | None = None
    fallback_scrape_protocol: ScrapeProtocol | None = None
    label_limit: Int64 | None = Field(default=None, ge=0)
    label_name_length_limit: Int64 | None = Field(default=None, ge=0)
    label_value_length_limit: Int64 | None = Field(default=None, ge=0)
    keep_dropped_targets: Int64 | None = Field(default=None, ge=0)
    attach_metadata: AttachMetadata | None = None
    scrape_class: NonEmptyString | None = None
    body_size_limit: ByteSize | None = None


class PodMonitor(
    MonitoringResource,
    group=GROUP,
    version="v1",
    short_names=["pmon"],
    categories=CATEGORIES,
):
    """Pods that are scraped."""

    spec: PodMonitorSpec
    status: ConfigResourceStatus | None = None
