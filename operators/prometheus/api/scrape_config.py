"""The kind ScrapeConfig."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from controllerkit.schema import Int64, cel, map_atomic
from operators.prometheus.api.discovery import (
    ConsulSDConfig,
    DNSSDConfig,
    DockerSDConfig,
    DockerSwarmSDConfig,
    EurekaSDConfig,
    FileSDConfig,
    HTTPSDConfig,
    KubernetesSDConfig,
    KumaSDConfig,
    NomadSDConfig,
    PuppetDBSDConfig,
)
from operators.prometheus.api.discovery_clouds import (
    AzureSDConfig,
    DigitalOceanSDConfig,
    EC2SDConfig,
    GCESDConfig,
    HetznerSDConfig,
    IonosSDConfig,
    LightSailSDConfig,
    LinodeSDConfig,
    OpenStackSDConfig,
    OVHCloudSDConfig,
    ScalewaySDConfig,
)
from operators.prometheus.api.http import BasicAuth, OAuth2, ProxyConfig, SafeAuthorization, SafeTLSConfig, Scheme
from operators.prometheus.api.scraping import (
    NameEscapingSchemeOptions,
    NameValidationSchemeOptions,
    NativeHistogramConfig,
    RelabelConfig,
    ScrapeProtocol,
)
from operators.prometheus.api.status import ConfigResourceStatus
from operators.prometheus.api.types import (
    CATEGORIES,
    GROUP,
    ByteSize,
    Duration,
    Model,
    MonitoringResource,
    NonEmptyString,
    SetList,
)

__all__ = ["ScrapeConfig", "ScrapeConfigSpec", "StaticConfig", "Target"]


Target = Annotated[str, Field(min_length=1)]


class StaticConfig(Model):
    """Targets by name, and their labels."""

    targets: SetList[Target] = Field(min_length=1)
    labels: Annotated[dict[str, str], map_atomic()] | None = None


class ScrapeConfigSpec(
    NativeHistogramConfig,
    ProxyConfig,
    rules=[
        cel(
            "[has(self.basicAuth), has(self.authorization), has(self.oauth2)].filter(x, x).size() <= 1",
            "one of basicAuth, authorization and oauth2 at most",
        )
    ],
):
    """Where targets are found, and how they are scraped."""

    job_name: NonEmptyString | None = None
    static_configs: list[StaticConfig] | None = None
    file_sd_configs: list[FileSDConfig] | None = Field(default=None, alias="fileSDConfigs")
    http_sd_configs: list[HTTPSDConfig] | None = Field(default=None, alias="httpSDConfigs")
    kubernetes_sd_configs: list[KubernetesSDConfig] | None = Field(default=None, alias="kubernetesSDConfigs")
    consul_sd_configs: list[ConsulSDConfig] | None = Field(default=None, alias="consulSDConfigs")
    dns_sd_configs: list[DNSSDConfig] | None = Field(default=None, alias="dnsSDConfigs")
    ec2_sd_configs: list[EC2SDConfig] | None = Field(default=None, alias="ec2SDConfigs")
    azure_sd_configs: list[AzureSDConfig] | None = Field(default=None, alias="azureSDConfigs")
    gce_sd_configs: list[GCESDConfig] | None = Field(default=None, alias="gceSDConfigs")
    openstack_sd_configs: list[OpenStackSDConfig] | None = Field(default=None, alias="openstackSDConfigs")
    digital_ocean_sd_configs: list[DigitalOceanSDConfig] | None = Field(default=None, alias="digitalOceanSDConfigs")
    kuma_sd_configs: list[KumaSDConfig] | None = Field(default=None, alias="kumaSDConfigs")
    eureka_sd_configs: list[EurekaSDConfig] | None = Field(default=None, alias="eurekaSDConfigs")
    docker_sd_configs: list[DockerSDConfig] | None = Field(default=None, alias="dockerSDConfigs")
    linode_sd_configs: list[LinodeSDConfig] | None = Field(default=None, alias="linodeSDConfigs")
    hetzner_sd_configs: list[HetznerSDConfig] | None = Field(default=None, alias="hetznerSDConfigs")
    nomad_sd_configs: list[NomadSDConfig] | None = Field(default=None, alias="nomadSDConfigs")
    docker_swarm_sd_configs: list[DockerSwarmSDConfig] | None = Field(default=None, alias="dockerSwarmSDConfigs")
    puppet_db_sd_configs: list[PuppetDBSDConfig] | None = Field(default=None, alias="puppetDBSDConfigs")
    light_sail_sd_configs: list[LightSailSDConfig] | None = Field(default=None, alias="lightSailSDConfigs")
    ovhcloud_sd_configs: list[OVHCloudSDConfig] | None = Field(default=None, alias="ovhcloudSDConfigs")
    scaleway_sd_configs: list[ScalewaySDConfig] | None = Field(default=None, alias="scalewaySDConfigs")
    ionos_sd_configs: list[IonosSDConfig] | None = Field(default=None, alias="ionosSDConfigs")
    relabelings: list[RelabelConfig] | None = Field(default=None, min_length=1)
    metrics_path: NonEmptyString | None = None
    scrape_interval: Duration | None = None
    scrape_timeout: Duration | None = None
    scrape_protocols: SetList[ScrapeProtocol] | None = Field(default=None, min_length=1)
    fallback_scrape_protocol: ScrapeProtocol | None = None
    honor_timestamps: bool | None = None
    track_timestamps_staleness: bool | None = None
    honor_labels: bool | None = None
    params: Annotated[dict[str, list[str]], map_atomic()] | None = None
    scheme: Scheme | None = None
    enable_compression: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    tls_config: SafeTLSConfig | None = None
    sample_limit: Int64 | None = Field(default=None, ge=0)
    target_limit: Int64 | None = Field(default=None, ge=0)
    label_limit: Int64 | None = Field(default=None, ge=0)
    label_name_length_limit: Int64 | None = Field(default=None, ge=0)
    label_value_length_limit: Int64 | None = Field(default=None, ge=0)
    body_size_limit: ByteSize | None = None
    keep_dropped_targets: Int64 | None = Field(default=None, ge=0)
    metric_relabelings: list[RelabelConfig] | None = Field(default=None, min_length=1)
    name_validation_scheme: NameValidationSchemeOptions | None = None
    name_escaping_scheme: NameEscapingSchemeOptions | None = None
    scrape_class: NonEmptyString | None = None


class ScrapeConfig(
    MonitoringResource,
    group=GROUP,
    version="v1alpha1",
    short_names=["scfg"],
    categories=CATEGORIES,
):
    """One scrape configuration of Prometheus."""

    spec: ScrapeConfigSpec
    status: ConfigResourceStatus | None = None
