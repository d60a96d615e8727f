"""Remote write and remote read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from controllerkit.schema import Int32
from operators.prometheus.api.core.meta import SecretKeySelector
from operators.prometheus.api.http import Authorization, BasicAuth, OAuth2, ProxyConfig, Sigv4, TLSConfig
from operators.prometheus.api.scraping import RelabelConfig
from operators.prometheus.api.types import Duration, HttpUrl, Model, NonEmptyString

__all__ = [
    "AzureAD",
    "AzureOAuth",
    "AzureSDK",
    "AzureWorkloadIdentity",
    "ManagedIdentity",
    "MetadataConfig",
    "QueueConfig",
    "RemoteReadSpec",
    "RemoteWriteMessageVersion",
    "RemoteWriteSpec",
]


RemoteWriteMessageVersion = Literal["V1.0", "V2.0"]


class ManagedIdentity(Model):
    """A managed identity of Azure."""

    client_id: NonEmptyString | None = None


class AzureOAuth(Model):
    """Client credentials of Azure."""

    client_id: NonEmptyString
    client_secret: SecretKeySelector
    tenant_id: str = Field(min_length=1, pattern="^[0-9a-zA-Z-.]+$")


class AzureSDK(Model):
    """Credentials that Azure's SDK finds by itself."""

    tenant_id: str | None = Field(default=None, pattern="^[0-9a-zA-Z-.]+$")


class AzureWorkloadIdentity(Model):
    """A workload identity of Azure."""

    client_id: NonEmptyString
    tenant_id: NonEmptyString


class AzureAD(Model):
    """How remote write authenticates at Azure; one of these."""

    cloud: Literal["AzureChina", "AzureGovernment", "AzurePublic"] | None = None
    managed_identity: ManagedIdentity | None = None
    oauth: AzureOAuth | None = None
    sdk: AzureSDK | None = None
    workload_identity: AzureWorkloadIdentity | None = None
    scope: str | None = Field(default=None, pattern=r"^[\w\s:/.\\-]+$")


class MetadataConfig(Model):
    """Whether and how metadata of series is sent."""

    send: bool | None = None
    send_interval: Duration | None = None
    max_samples_per_send: Int32 | None = Field(default=None, ge=-1)


class QueueConfig(Model):
    """The queue of a remote write."""

    capacity: int | None = None
    min_shards: int | None = None
    max_shards: int | None = None
    max_samples_per_send: int | None = None
    batch_send_deadline: Duration | None = None
    max_retries: int | None = None
    min_backoff: Duration | None = None
    max_backoff: Duration | None = None
    retry_on_rate_limit: bool | None = None
    sample_age_limit: Duration | None = None


class RemoteWriteSpec(ProxyConfig):
    """An endpoint that samples are sent to."""

    url: HttpUrl
    name: str | None = None
    message_version: RemoteWriteMessageVersion | None = None
    send_exemplars: bool | None = None
    send_native_histograms: bool | None = None
    remote_timeout: Duration | None = None
    headers: dict[str, str] | None = None
    write_relabel_configs: list[RelabelConfig] | None = None
    oauth2: OAuth2 | None = None
    basic_auth: BasicAuth | None = None
    bearer_token_file: str | None = None
    authorization: Authorization | None = None
    sigv4: Sigv4 | None = None
    azure_ad: AzureAD | None = None
    bearer_token: str | None = None
    tls_config: TLSConfig | None = None
    follow_redirects: bool | None = None
    queue_config: QueueConfig | None = None
    metadata_config: MetadataConfig | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    round_robin_dns: bool | None = Field(default=None, alias="roundRobinDNS")


class RemoteReadSpec(ProxyConfig):
    """An endpoint that samples are read from."""

    url: HttpUrl
    name: str | None = None
    required_matchers: dict[str, str] | None = None
    remote_timeout: Duration | None = None
    headers: dict[str, str] | None = None
    read_recent: bool | None = None
    oauth2: OAuth2 | None = None
    basic_auth: BasicAuth | None = None
    bearer_token_file: str | None = None
    authorization: Authorization | None = None
    bearer_token: str | None = None
    tls_config: TLSConfig | None = None
    follow_redirects: bool | None = None
    filter_external_labels: bool | None = None
