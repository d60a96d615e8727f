"""Discovery of targets in clouds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from controllerkit.schema import Int32
from operators.prometheus.api.core.meta import SecretKeySelector
from operators.prometheus.api.discovery import Filter
from operators.prometheus.api.http import BasicAuth, OAuth2, ProxyConfig, SafeAuthorization, SafeTLSConfig
from operators.prometheus.api.types import URL, Duration, ListByName, Model, NonEmptyString, SetList

__all__ = [
    "AuthenticationMethodType",
    "AzureSDConfig",
    "DigitalOceanSDConfig",
    "EC2SDConfig",
    "GCESDConfig",
    "HetznerSDConfig",
    "IonosSDConfig",
    "LightSailSDConfig",
    "LinodeSDConfig",
    "OVHCloudSDConfig",
    "OVHService",
    "OpenStackRole",
    "OpenStackSDConfig",
    "ScalewayRole",
    "ScalewaySDConfig",
]


AuthenticationMethodType = Literal["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"]
OVHService = Literal["VPS", "DedicatedServer"]
OpenStackRole = Literal["Instance", "Hypervisor", "LoadBalancer"]
ScalewayRole = Literal["Instance", "Baremetal"]


class AzureSDConfig(ProxyConfig):
    """Targets from Azure."""

    environment: NonEmptyString | None = None
    authentication_method: AuthenticationMethodType | None = None
    subscription_id: NonEmptyString = Field(alias="subscriptionID")
    tenant_id: NonEmptyString | None = Field(default=None, alias="tenantID")
    client_id: NonEmptyString | None = Field(default=None, alias="clientID")
    client_secret: SecretKeySelector | None = None
    resource_group: NonEmptyString | None = None
    refresh_interval: Duration | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    tls_config: SafeTLSConfig | None = None


class DigitalOceanSDConfig(ProxyConfig):
    """Targets from DigitalOcean."""

    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    tls_config: SafeTLSConfig | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    refresh_interval: Duration | None = None


class EC2SDConfig(ProxyConfig):
    """Targets from EC2."""

    region: NonEmptyString | None = None
    access_key: SecretKeySelector | None = None
    secret_key: SecretKeySelector | None = None
    role_arn: NonEmptyString | None = Field(default=None, alias="roleARN")
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    refresh_interval: Duration | None = None
    filters: ListByName[Filter] | None = None
    tls_config: SafeTLSConfig | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")


class GCESDConfig(Model):
    """Targets from Google's cloud."""

    project: NonEmptyString
    zone: NonEmptyString
    filter: NonEmptyString | None = None
    refresh_interval: Duration | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    tag_separator: NonEmptyString | None = None


class HetznerSDConfig(ProxyConfig):
    """Targets from Hetzner."""

    role: Literal["hcloud", "Hcloud", "robot", "Robot"]
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    tls_config: SafeTLSConfig | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    refresh_interval: Duration | None = None
    label_selector: NonEmptyString | None = None


class IonosSDConfig(ProxyConfig):
    """Targets from IONOS."""

    datacenter_id: NonEmptyString = Field(alias="datacenterID")
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    refresh_interval: Duration | None = None
    authorization: SafeAuthorization
    tls_config: SafeTLSConfig | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    oauth2: OAuth2 | None = None


class LightSailSDConfig(ProxyConfig):
    """Targets from Lightsail."""

    region: NonEmptyString | None = None
    access_key: SecretKeySelector | None = None
    secret_key: SecretKeySelector | None = None
    role_arn: NonEmptyString | None = Field(default=None, alias="roleARN")
    endpoint: NonEmptyString | None = None
    refresh_interval: Duration | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    basic_auth: BasicAuth | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    tls_config: SafeTLSConfig | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")


class LinodeSDConfig(ProxyConfig):
    """Targets from Linode."""

    region: NonEmptyString | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    tag_separator: NonEmptyString | None = None
    refresh_interval: Duration | None = None
    authorization: SafeAuthorization | None = None
    oauth2: OAuth2 | None = None
    follow_redirects: bool | None = None
    tls_config: SafeTLSConfig | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")


class OpenStackSDConfig(Model):
    """Targets from OpenStack."""

    role: OpenStackRole
    region: NonEmptyString
    identity_endpoint: URL | None = None
    username: NonEmptyString | None = None
    userid: NonEmptyString | None = None
    password: SecretKeySelector | None = None
    domain_name: NonEmptyString | None = None
    domain_id: NonEmptyString | None = Field(default=None, alias="domainID")
    project_name: NonEmptyString | None = None
    project_id: NonEmptyString | None = Field(default=None, alias="projectID")
    application_credential_name: NonEmptyString | None = None
    application_credential_id: NonEmptyString | None = None
    application_credential_secret: SecretKeySelector | None = None
    all_tenants: bool | None = None
    refresh_interval: Duration | None = None
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    availability: Literal["Public", "public", "Admin", "admin", "Internal", "internal"] | None = None
    tls_config: SafeTLSConfig | None = None


class OVHCloudSDConfig(Model):
    """Targets from OVHcloud."""

    application_key: NonEmptyString
    application_secret: SecretKeySelector
    consumer_key: SecretKeySelector
    service: OVHService
    endpoint: NonEmptyString | None = None
    refresh_interval: Duration | None = None


class ScalewaySDConfig(ProxyConfig):
    """Targets from Scaleway."""

    access_key: NonEmptyString
    secret_key: SecretKeySelector
    project_id: NonEmptyString = Field(alias="projectID")
    role: ScalewayRole
    port: Int32 | None = Field(default=None, ge=0, le=65535)
    api_url: URL | None = Field(default=None, alias="apiURL")
    zone: NonEmptyString | None = None
    name_filter: NonEmptyString | None = None
    tags_filter: SetList[NonEmptyString] | None = Field(default=None, min_length=1)
    refresh_interval: Duration | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = Field(default=None, alias="enableHTTP2")
    tls_config: SafeTLSConfig | None = None
