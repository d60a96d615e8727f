"""The web servers of Prometheus, Alertmanager and ThanosRuler."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from controllerkit.schema import Int32
from operators.prometheus.api.core.meta import SecretKeySelector
from operators.prometheus.api.http import SecretOrConfigMap
from operators.prometheus.api.types import Model

__all__ = [
    "AlertmanagerWebSpec",
    "PrometheusWebSpec",
    "ThanosRulerWebSpec",
    "WebConfigFileFields",
    "WebHTTPConfig",
    "WebHTTPHeaders",
    "WebTLSConfig",
]


class WebTLSConfig(Model):
    """TLS of the web server."""

    cert: SecretOrConfigMap | None = None
    cert_file: str | None = None
    key_secret: SecretKeySelector | None = None
    key_file: str | None = None
    client_ca: SecretOrConfigMap | None = Field(default=None, alias="client_ca")
    client_ca_file: str | None = Field(default=None, alias="clientCAFile")
    client_auth_type: str | None = None
    min_version: str | None = None
    max_version: str | None = None
    cipher_suites: list[str] | None = None
    prefer_server_cipher_suites: bool | None = None
    curve_preferences: list[str] | None = None


class WebHTTPHeaders(Model):
    """Headers of every response of the web server."""

    content_security_policy: str | None = None
    x_frame_options: Literal["", "Deny", "SameOrigin"] | None = None
    x_content_type_options: Literal["", "NoSniff"] | None = None
    x_xss_protection: str | None = Field(default=None, alias="xXSSProtection")
    strict_transport_security: str | None = None


class WebHTTPConfig(Model):
    """HTTP of the web server."""

    http2: bool | None = None
    headers: WebHTTPHeaders | None = None


class WebConfigFileFields(Model):
    """What a web configuration file says."""

    tls_config: WebTLSConfig | None = None
    http_config: WebHTTPConfig | None = None


class AlertmanagerWebSpec(WebConfigFileFields):
    """The web server of Alertmanager."""

    get_concurrency: Int32 | None = Field(default=None, ge=0)
    timeout: Int32 | None = Field(default=None, ge=0)


class PrometheusWebSpec(WebConfigFileFields):
    """The web server of Prometheus."""

    page_title: str | None = None
    max_connections: Int32 | None = Field(default=None, ge=0)


class ThanosRulerWebSpec(WebConfigFileFields):
    """The web server of ThanosRuler."""
