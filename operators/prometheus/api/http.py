"""HTTP clients: authentication, TLS, proxies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from controllerkit.schema import cel, map_atomic
from operators.prometheus.api.core.meta import ConfigMapKeySelector, SecretKeySelector
from operators.prometheus.api.types import HttpUrl, Model, NonEmptyString, SetList

__all__ = [
    "Authorization",
    "BasicAuth",
    "GRPCServerTLSConfig",
    "HTTPConfig",
    "HTTPConfigWithProxy",
    "HTTPConfigWithProxyAndTLSFiles",
    "HTTPConfigWithTLSFiles",
    "HTTPConfigWithoutTLS",
    "OAuth2",
    "ProxyConfig",
    "SafeAuthorization",
    "SafeTLSConfig",
    "Scheme",
    "SecretOrConfigMap",
    "Sigv4",
    "TLSConfig",
    "TLSFilesConfig",
    "TLSVersion",
]


Scheme = Literal["http", "https", "HTTP", "HTTPS"]
TLSVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13"]


class SafeAuthorization(Model):
    """The Authorization header, its credentials from a Secret."""

    type: str | None = None
    credentials: SecretKeySelector | None = None


class BasicAuth(Model):
    """User name and password, each from a Secret."""

    username: SecretKeySelector | None = None
    password: SecretKeySelector | None = None


class SecretOrConfigMap(Model):
    """A key of a Secret or of a ConfigMap."""

    secret: SecretKeySelector | None = None
    config_map: ConfigMapKeySelector | None = None


class SafeTLSConfig(Model):
    """TLS of a client, of which nothing is a file of the Pod."""

    ca: SecretOrConfigMap | None = None
    cert: SecretOrConfigMap | None = None
    key_secret: SecretKeySelector | None = None
    server_name: str | None = None
    insecure_skip_verify: bool | None = None
    min_version: TLSVersion | None = None
    max_version: TLSVersion | None = None


class ProxyConfig(Model):
    """The HTTP proxy that requests go through."""

    proxy_url: str | None = Field(default=None, pattern="^(http|https|socks5)://.+$")
    no_proxy: str | None = None
    proxy_from_environment: bool | None = None
    proxy_connect_header: Annotated[dict[str, list[SecretKeySelector]], map_atomic()] | None = None


class OAuth2(ProxyConfig):
    """Client credentials, and where a token is got for them."""

    client_id: SecretOrConfigMap
    client_secret: SecretKeySelector
    token_url: HttpUrl
    scopes: list[str] | None = None
    endpoint_params: dict[str, str] | None = None
    tls_config: SafeTLSConfig | None = None


class Sigv4(Model, rules=[cel("!has(self.externalId) || has(self.roleArn)", "externalId without roleArn")]):
    """How requests to AWS are signed."""

    region: str | None = None
    access_key: SecretKeySelector | None = None
    secret_key: SecretKeySelector | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: NonEmptyString | None = None
    use_fips_sts_endpoint: bool | None = Field(default=None, alias="useFIPSSTSEndpoint")


class HTTPConfigWithoutTLS(Model):
    """How a client authenticates, and what it does over HTTP."""

    authorization: SafeAuthorization | None = None
    basic_auth: BasicAuth | None = None
    oauth2: OAuth2 | None = None
    bearer_token_secret: SecretKeySelector | None = None
    follow_redirects: bool | None = None
    enable_http2: bool | None = None


class HTTPConfig(HTTPConfigWithoutTLS):
    """An HTTP client with TLS that names no files of the Pod."""

    tls_config: SafeTLSConfig | None = None


class HTTPConfigWithProxy(HTTPConfig, ProxyConfig):
    """An HTTP client that may go through a proxy."""


class Authorization(SafeAuthorization):
    """The Authorization header, its credentials from a Secret or a file of the Pod."""

    credentials_file: str | None = None


class TLSFilesConfig(Model):
    """TLS by files of the Pod."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class TLSConfig(SafeTLSConfig, TLSFilesConfig):
    """TLS of a client, which may name files of the Pod."""


class GRPCServerTLSConfig(TLSConfig):
    """TLS of Thanos' gRPC server."""

    cipher_suites: SetList[str] | None = Field(default=None, min_length=1)
    curves: SetList[str] | None = Field(default=None, min_length=1)


class HTTPConfigWithTLSFiles(HTTPConfigWithoutTLS):
    """An HTTP client whose TLS may name files of the Pod."""

    tls_config: TLSConfig | None = None


class HTTPConfigWithProxyAndTLSFiles(HTTPConfigWithTLSFiles, ProxyConfig):
    """An HTTP client whose TLS may name files of the Pod, and that may go through a proxy."""
