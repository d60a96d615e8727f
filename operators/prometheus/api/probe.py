"""The kind Probe."""

from __future__ import annotations

from pydantic import Field

from controllerkit.schema import Int64
from operators.prometheus.api.core.meta import LabelSelector
from operators.prometheus.api.http import HTTPConfig, ProxyConfig, SafeAuthorization, Scheme
from operators.prometheus.api.scraping import NamespaceSelector, NativeHistogramConfig, RelabelConfig, ScrapeProtocol
from operators.prometheus.api.status import ConfigResourceStatus
from operators.prometheus.api.types import (
    CATEGORIES,
    GROUP,
    Duration,
    ListByName,
    Model,
    MonitoringResource,
    NonEmptyString,
    SetList,
)

__all__ = [
    "Probe",
    "ProbeParam",
    "ProbeSpec",
    "ProbeTargetIngress",
    "ProbeTargetStaticConfig",
    "ProbeTargets",
    "ProberSpec",
]


class ProbeParam(Model):
    """A parameter of the request to the prober."""

    name: NonEmptyString
    values: list[NonEmptyString] | None = Field(default=None, min_length=1)


class ProberSpec(ProxyConfig):
    """The prober that is asked about each target."""

    url: NonEmptyString
    scheme: Scheme | None = None
    path: str = "/probe"


class ProbeTargetIngress(Model):
    """Ingresses whose hosts are probed."""

    selector: LabelSelector | None = None
    namespace_selector: NamespaceSelector | None = None
    relabeling_configs: list[RelabelConfig] | None = None


class ProbeTargetStaticConfig(Model):
    """Targets that are probed, by name."""

    static: list[str] | None = None
    labels: dict[str, str] | None = None
    relabeling_configs: list[RelabelConfig] | None = None


class ProbeTargets(Model):
    """What is probed."""

    static_config: ProbeTargetStaticConfig | None = None
    ingress: ProbeTargetIngress | None = None


class ProbeSpec(NativeHistogramConfig, HTTPConfig):
    """What is probed, by which prober, and how."""

    job_name: str | None = None
    prober: ProberSpec | None = None
    module: str | None = None
    targets: ProbeTargets | None = None
    interval: Duration | None = None
    scrape_timeout: Duration | None = None
    metric_relabelings: list[RelabelConfig] | None = None
    authorization: SafeAuthorization | None = None
    sample_limit: Int64 | None = Field(default=None, ge=0)
    target_limit: Int64 | None = Field(default=None, ge=0)
    scrape_protocols: SetList[ScrapeProtocol] | None = None
    fallback_scrape_protocol: ScrapeProtocol | None = None
    label_limit: Int64 | None = Field(default=None, ge=0)
    label_name_length_limit: Int64 | None = Field(default=None, ge=0)
    label_value_length_limit: Int64 | None = Field(default=None, ge=0)
    keep_dropped_targets: Int64 | None = Field(default=None, ge=0)
    scrape_class: NonEmptyString | None = None
    params: ListByName[ProbeParam] | None = Field(default=None, min_length=1)


class Probe(
    MonitoringResource,
    group=GROUP,
    version="v1",
    short_names=["prb"],
    categories=CATEGORIES,
):
    """Ingresses and other targets that are probed from outside."""

    spec: ProbeSpec
    status: ConfigResourceStatus | None = None
