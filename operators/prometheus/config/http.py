"""How Prometheus reaches a server: the rows that scrapes, discovery, remote write and alerting share.

A section takes the rows it has, in its own order; each reads the fields of the API that carry its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.tables import OMIT, Field, Inline, Rejected, Scope, Table
from operators.prometheus.tables.makes import given, naturally, read_secret, secret

__all__ = [
    "AUTHORIZATION",
    "BASIC_AUTH",
    "CERTIFICATES",
    "ENABLE_HTTP2",
    "FOLLOW_REDIRECTS",
    "OAUTH2",
    "PROXY",
    "SIGV4",
    "TLS",
    "asset_name",
    "authorization",
    "basic_auth",
    "blank",
    "merged_authorization",
    "merged_tls",
    "oauth2",
    "sigv4",
    "tls_config",
]

CERTIFICATES: Final = "/etc/prometheus/certs"
"""Where the Secrets of certificates and keys are mounted."""


def blank(section: Any) -> bool:
    """Whether nothing is set in a section: it is absent, or holds empty sections only."""
    return section is None or (isinstance(section, Mapping) and all(map(blank, section.values())))


def basic_auth(value: Any, scope: Scope) -> Any:
    """``{username, password}``; "" for what cannot be read."""
    return _BASIC_AUTH.of(value, scope) if isinstance(value, Mapping) else OMIT


def authorization(value: Any, scope: Scope) -> Any:
    """``{type, credentials, credentials_file}``; the type is Bearer unless it is set."""
    return _AUTHORIZATION.of(value, scope) if isinstance(value, Mapping) else OMIT


def oauth2(value: Any, scope: Scope) -> Any:
    """``{client_id, client_secret, token_url, …}``; `OMIT` if the id or the secret cannot be read."""
    if not isinstance(value, Mapping):
        return OMIT
    try:
        return _OAUTH2.of(value, scope)
    except Rejected:
        return OMIT


def sigv4(value: Any, scope: Scope) -> Any:
    """``{region, access_key, secret_key, …}``; the keys both or neither."""
    return _SIGV4.of(value, scope) if isinstance(value, Mapping) else OMIT


def tls_config(value: Any, scope: Scope) -> Any:
    """``{insecure_skip_verify, ca_file, …}``, with names of files under `CERTIFICATES`; with the texts themselves
    (``ca``, ``cert``, ``key``) where the options say ``inline_tls``.
    """
    return _TLS.of(value, scope) if isinstance(value, Mapping) else OMIT


def merged_tls(section: Mapping[str, Any] | None, scrape_class: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A ``tlsConfig`` with the files of the scrape class where it names neither a file nor a reference itself.

    Where it is absent, that of the class. The caller passes None for a blank one if blank means absent to it.
    """
    of_class = scrape_class.get("tlsConfig")
    if not isinstance(section, Mapping) or not isinstance(of_class, Mapping):
        return section if isinstance(section, Mapping) else of_class if isinstance(of_class, Mapping) else None
    files = {
        file: of_class[file]
        for file, reference in (("caFile", "ca"), ("certFile", "cert"), ("keyFile", "keySecret"))
        if not section.get(file) and blank(section.get(reference)) and of_class.get(file)
    }
    return {**section, **files}


def merged_authorization(
    section: Mapping[str, Any] | None, scrape_class: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """An ``authorization`` with the credentials of the scrape class where it has none; as `merged_tls`."""
    of_class = scrape_class.get("authorization")
    if not isinstance(section, Mapping) or not isinstance(of_class, Mapping):
        return section if isinstance(section, Mapping) else of_class if isinstance(of_class, Mapping) else None
    if section.get("credentials") is not None:
        return section
    if of_class.get("credentials") is not None:
        return {**section, "credentials": of_class["credentials"]}
    if not section.get("credentialsFile") and of_class.get("credentialsFile"):
        return {**section, "credentialsFile": of_class["credentialsFile"]}
    return section


def _kind(value: Any, scope: Scope) -> Any:
    return (value.strip() if isinstance(value, str) else "") if value else "Bearer"


def _credentials(value: Any, scope: Scope) -> Any:
    try:
        return read_secret(value, scope)
    except Rejected:
        return OMIT


def _keys(value: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    access_key, secret_key = secret(value.get("accessKey"), scope), secret(value.get("secretKey"), scope)
    return {"access_key": access_key, "secret_key": secret_key} if access_key and secret_key else {}


def _headers(value: Any, scope: Scope) -> Any:
    if not isinstance(value, Mapping):
        return OMIT
    return {
        name: [secret(reference, scope) for reference in references] if isinstance(references, list) else []
        for name, references in sorted(value.items())
    }


def _either(value: Any, scope: Scope) -> Any:
    return scope.assets.either(scope.namespace, value) if isinstance(value, Mapping) else ""


class _Certificate:
    """A certificate or key: ``<key>_file`` with its path, or the text where certificates are written inline."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, reference: Any, scope: Scope) -> Mapping[str, Any]:
        if blank(reference) or not isinstance(reference, Mapping):
            return {}
        if not getattr(scope.options, "inline_tls", False):
            return {f"{self.key}_file": f"{CERTIFICATES}/{asset_name(scope.namespace, reference)}"}
        try:
            bare = "secret" not in reference and "configMap" not in reference
            return {self.key: read_secret(reference, scope) if bare else _either(reference, scope)}
        except Rejected:
            return {}


def asset_name(namespace: str, reference: Mapping[str, Any]) -> str:
    """The name of a file of a reference: 0 for a Secret, 1 for a ConfigMap, then where it is from."""
    of_map = reference.get("secret") is None and isinstance(reference.get("configMap"), Mapping)
    found = reference.get("configMap") if of_map else reference.get("secret") or reference
    selected = found if isinstance(found, Mapping) else {}
    return f"{int(of_map)}_{namespace}_{selected.get('name') or ''}_{selected.get('key') or ''}"


_BASIC_AUTH: Final = Table(Field("username", make=secret, always=True), Field("password", make=secret, always=True))

_AUTHORIZATION: Final = Table(
    Field("type", make=_kind, always=True),
    Field("credentials", make=_credentials),
    Field("credentials_file", "credentialsFile"),
)

_TLS: Final = Table(
    Field("insecure_skip_verify", "insecureSkipVerify", given),
    Inline(_Certificate("ca"), "ca"),
    Inline(_Certificate("cert"), "cert"),
    Inline(_Certificate("key"), "keySecret"),
    Field("server_name", "serverName"),
    Field("min_version", "minVersion", given, since="2.35.0"),
    Field("max_version", "maxVersion", given, since="2.41.0"),
    Field("ca_file", "caFile"),
    Field("cert_file", "certFile"),
    Field("key_file", "keyFile"),
)

_PROXY: Final = Table(
    Field("proxy_url", "proxyUrl", given),
    Field("no_proxy", "noProxy", given, since="2.43.0"),
    Field("proxy_from_environment", "proxyFromEnvironment", given, since="2.43.0"),
    Field("proxy_connect_header", "proxyConnectHeader", _headers, since="2.43.0"),
)

_OAUTH2: Final = Table(
    Field("client_id", "clientId", _either, always=True),
    Field("client_secret", "clientSecret", read_secret, always=True),
    Field("token_url", "tokenUrl", lambda value, scope: value or "", always=True),
    Field("scopes"),
    Field("endpoint_params", "endpointParams", naturally),
    Inline(_PROXY.of, since="2.43.0"),
    Field("tls_config", "tlsConfig", tls_config, since="2.43.0"),
)

_SIGV4: Final = Table(
    Field("region"),
    Inline(_keys),
    Field("profile"),
    Field("role_arn", "roleArn"),
    Field("external_id", "externalId", given, since="3.11.0"),
    Field("use_fips_sts_endpoint", "useFIPSSTSEndpoint", given, since="2.54.0"),
)

BASIC_AUTH: Final = Field("basic_auth", "basicAuth", basic_auth)
AUTHORIZATION: Final = Field("authorization", make=authorization, since="2.26.0")
OAUTH2: Final = Field("oauth2", make=oauth2, since="2.27.0")
TLS: Final = Field("tls_config", "tlsConfig", tls_config)
PROXY: Final = Inline(_PROXY.of)
SIGV4: Final = Field("sigv4", make=sigv4)
FOLLOW_REDIRECTS: Final = Field("follow_redirects", "followRedirects", given, since="2.26.0")
ENABLE_HTTP2: Final = Field("enable_http2", "enableHttp2", given, since="2.35.0")
"""Of the older kinds; ScrapeConfigs spell it ``enableHTTP2``."""
