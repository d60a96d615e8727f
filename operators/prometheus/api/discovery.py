"""Discovery of targets by protocols and schedulers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controllerkit.schema import Int32, list_map, map_atomic
from operators.prometheus.api.core.meta import SecretKeySelector
from operators.prometheus.api.http import BasicAuth, OAuth2, ProxyConfig, SafeAuthorization, SafeTLSConfig, Scheme
from operators.prometheus.api.types import URL, Duration, ListByName, Model, NonEmptyString, SetList

__all__ = [
    "ConsulSDConfig",
    "DNSRecordType",
    "DNSSDConfig",
    "DockerSDConfig",
    "DockerSwarmSDConfig",
    "EurekaSDConfig",
    "FileSDConfig",
    "Filter",
    "HTTPSDConfig",
    "K8SSelectorConfig",
    "KubernetesAttachMetadata",
    "KubernetesRole",
    "KubernetesSDConfig",
    "KumaSDConfig",
    "NamespaceDiscovery",
    "NomadSDConfig",
    "PuppetDBSDConfig",
    "SDFile",
]


DNSRecordType = Literal["A", "AAAA", "MX", "NS", "SRV"]
KubernetesRole = Literal["Pod", "Endpoints", "Ingress", "Service", "Node", "EndpointSlice"]
SDFile = Annotated[str, Field(pattern=r"^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$")]


class ConsulSDConfig(ProxyConfig):
    """Targets from Consul."""

    server: NonEmptyString
    path_prefix: NonEmptyString | None = None
    token_ref: SecretKeySelector | None = None
    datacenter: NonEmptyString | None = None
    namespace: NonEmptyString | None = None
    partition: NonEmptyString | None = None
    scheme: Scheme | None = None
    services: SetList[str] | None = None
    tags: SetList[str] | None = None
    tag_separator: NonEmptyString | None = None
    node_meta: Annotated[dict[str, str], map_atomic()] | None = None
    filter: NonEmptyString | None = None
    health_filter: NonEmptyString | None = None
    allow_stale: bool | None = None
    refresh_interval: Duration | None = None
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    tls_config: SafeTLSConfig | None = None


class DNSSDConfig(Model):
    """Targets from DNS."""

    names: list[NonEmptyString] = Field(min_length=1)
    refresh_interval: Duration | None = None
    type: DNSRecordType | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)


class Filter(Model):
    """What is listed, by a field's values."""

    name: NonEmptyString
    values: SetList[NonEmptyString] = Field(min_length=1)


class DockerSDConfig(ProxyConfig):
    """Targets from Docker."""

    host: str = Field(min_length=1, pattern="^[a-zA-Z][a-zA-Z0-9+.-]*://.+$")
    tls_config: SafeTLSConfig | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    host_networking_host: NonEmptyString | None = None
    match_first_network: bool | None = None
    filters: ListByName[Filter] | None = None
    refresh_interval: Duration | None = None
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")


class DockerSwarmSDConfig(ProxyConfig):
    """Targets from Docker Swarm."""

    host: str = Field(pattern="^[a-zA-Z][a-zA-Z0-9+.-]*://.+$")
    role: Literal["Services", "Tasks", "Nodes"]
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    filters: ListByName[Filter] | None = None
    refresh_interval: Duration | None = None
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    tls_config: SafeTLSConfig | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")


class EurekaSDConfig(ProxyConfig):
    """Targets from Eureka."""

    server: URL
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    tls_config: SafeTLSConfig | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    refresh_interval: Duration | None = None


class FileSDConfig(Model):
    """Targets from files."""

    files: SetList[SDFile] = Field(min_length=1)
    refresh_interval: Duration | None = None


class HTTPSDConfig(ProxyConfig):
    """Targets from an HTTP endpoint."""

    url: URL
    refresh_interval: Duration | None = None
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    tls_config: SafeTLSConfig | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")


class KubernetesAttachMetadata(Model):
    """Which metadata discovery attaches to targets."""

    node: bool | None = None


class NamespaceDiscovery(Model):
    """Which namespaces are looked into."""

    own_namespace: bool | None = None
    names: SetList[str] | None = None


class K8SSelectorConfig(Model):
    """Which objects of a role are looked at."""

    role: KubernetesRole
    label: NonEmptyString | None = None
    field: NonEmptyString | None = None


class KubernetesSDConfig(ProxyConfig):
    """Targets from Kubernetes."""

    api_server: NonEmptyString | None = None
    role: KubernetesRole
    namespaces: NamespaceDiscovery | None = None
    attach_metadata: KubernetesAttachMetadata | None = None
    selectors: Annotated[list[K8SSelectorConfig], list_map("role")] | None = None
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    tls_config: SafeTLSConfig | None = None


class KumaSDConfig(ProxyConfig):
    """Targets from Kuma."""

    server: URL
    client_id: NonEmptyString | None = Field(default=None, alias="clientID")
    refresh_interval: Duration | None = None
    fetch_timeout: Duration | None = None
    tls_config: SafeTLSConfig | None = None
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")


class NomadSDConfig(ProxyConfig):
    """Targets from Nomad."""

    allow_stale: bool | None = None
    namespace: NonEmptyString | None = None
    refresh_interval: Duration | None = None
    region: NonEmptyString | None = None
    server: URL
    tag_separator: NonEmptyString | None = None
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    tls_config: SafeTLSConfig | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")


class PuppetDBSDConfig(ProxyConfig):
    """Targets from PuppetDB."""

    url: URL
    query: NonEmptyString
    include_parameters: bool | None = None
    refresh_interval: Duration | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    tls_config: SafeTLSConfig | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
