"""TLS of what the programs serve: the web configuration, and that of Alertmanager's cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from operators.prometheus.tables import OMIT, Field, Rejected, Scope, Table, Version, to_yaml
from operators.prometheus.workload.names import unique_label

__all__ = ["Mounted", "cluster_tls", "web_config"]

WEB_FILE: Final = "web-config.yaml"
CLUSTER_FILE: Final = "cluster-tls-config.yaml"


@dataclass(frozen=True, slots=True)
class Mounted:
    """A configuration file in a Secret, and what a container needs to read it.

    Attributes:
        text: of the file; "" where nothing is configured.
        argument: name and value of the flag; None where none is needed.
    """

    text: str
    secret_name: str
    key: str
    argument: tuple[str, str] | None
    volumes: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _References:
    """The Secrets and ConfigMaps of one TLS configuration, mounted under ``folder``."""

    folder: str
    prefix: str
    parts: tuple[tuple[str, str, Mapping[str, Any]], ...]
    """(name of the volume's part, of the folder's part, reference of either kind); key, certificate, CA."""

    @classmethod
    def of(cls, tls: Mapping[str, Any], folder: str, prefix: str, ca: str) -> _References:
        key = tls.get("keySecret") or {}
        parts = (
            ("key", "key", {"secret": key} if key.get("name") or key.get("key") else {}),
            ("cert", "cert", tls.get("cert") or {}),
            ("client-ca", "ca", tls.get(ca) or {}),
        )
        return cls(folder, prefix, parts)

    def file(self, part: str) -> Any:
        """Path of the key, certificate or CA in the container; `OMIT` where it is no reference."""
        reference = next(each for _, folder, each in self.parts if folder == part)
        kind, found = _kind(reference)
        return f"{self.folder}/{kind}/{found.get('name') or ''}-{part}/{found.get('key') or ''}" if found else OMIT

    def add_to(self, volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> None:
        """Whole volumes, as what is mounted by ``subPath`` is never renewed."""
        for part, folder, reference in self.parts:
            kind, found = _kind(reference)
            if not found:
                continue
            source = found.get("name") or ""
            name = unique_label(f"{self.prefix}{kind}-{part}-", source)
            held = {"secret": {"secretName": source}} if kind == "secret" else {"configMap": {"name": source}}
            volumes.append({"name": name, **held})
            mounts.append({"name": name, "readOnly": True, "mountPath": f"{self.folder}/{kind}/{source}-{folder}"})


def _kind(reference: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    secret = reference.get("secret")
    return ("secret", secret) if secret else ("configmap", reference.get("configMap") or {})


def _file(name: str, part: str) -> Any:
    """A file that is named by the user, before one that is mounted."""

    def made(tls: Mapping[str, Any], scope: Scope) -> Any:
        references: _References = scope.options
        return tls.get(name) or references.file(part)

    return made


def _lower(value: Any, scope: Scope) -> Any:
    return str(value).lower() if value else OMIT


_CERTIFICATE: Final = Field("cert_file", ".", _file("certFile", "cert"))
_KEY: Final = Field("key_file", ".", _file("keyFile", "key"))
_SERVER: Final = (
    Field("client_auth_type", "clientAuthType"),
    Field("client_ca_file", ".", _file("clientCAFile", "ca")),
    Field("min_version", "minVersion"),
    Field("max_version", "maxVersion"),
    Field("cipher_suites", "cipherSuites"),
    Field("prefer_server_cipher_suites", "preferServerCipherSuites"),
    Field("curve_preferences", "curvePreferences"),
)
_WEB_SERVER: Final = Table(_CERTIFICATE, _KEY, *_SERVER)
_CLUSTER_SERVER: Final = Table(_KEY, _CERTIFICATE, *_SERVER)
_CLUSTER_CLIENT: Final = Table(
    _KEY,
    _CERTIFICATE,
    Field("ca_file", ".", _file("", "ca")),
    Field("server_name", "serverName", lambda value, scope: value),
    Field("insecure_skip_verify", "insecureSkipVerify"),
)
_HEADERS: Final = Table(
    Field("Content-Security-Policy", "contentSecurityPolicy"),
    Field("Strict-Transport-Security", "strictTransportSecurity"),
    Field("X-Content-Type-Options", "xContentTypeOptions", _lower),
    Field("X-Frame-Options", "xFrameOptions", _lower),
    Field("X-XSS-Protection", "xXSSProtection"),
)
_HTTP: Final = Table(Field("http2"), Field("headers", make=_HEADERS.of))


def web_config(fields: Mapping[str, Any] | None, folder: str, secret_name: str) -> Mounted:
    """``spec.web`` as the web configuration of the exporter toolkit, mounted at ``folder``.

    Raises:
        Rejected: TLS without a key or certificate, or one given twice.
    """
    fields = fields or {}
    tls, http = fields.get("tlsConfig"), fields.get("httpConfig")
    volumes, mounts = _held("web-config", WEB_FILE, folder, secret_name)
    written: dict[str, Any] = {}
    if tls is not None:
        _check(tls, "tlsConfig", ca="client_ca")
        references = _References.of(tls, folder, "web-config-tls-", "client_ca")
        written["tls_server_config"] = _WEB_SERVER.of(tls, _scope(references))
        references.add_to(volumes, mounts)
    if http is not None:
        written["http_server_config"] = _HTTP.of(http, _scope(None))
    argument = ("web.config.file", f"{folder}/{WEB_FILE}")
    return Mounted(to_yaml(written) if written else "", secret_name, WEB_FILE, argument, volumes, mounts)


def cluster_tls(alertmanager: Mapping[str, Any], folder: str) -> Mounted:
    """``spec.clusterTLS`` as the mutual TLS of Alertmanager's gossip, mounted at ``folder``.

    Raises:
        Rejected: as `web_config`, of the server's or the client's side.
    """
    secret_name = f"alertmanager-{(alertmanager.get('metadata') or {}).get('name') or ''}-cluster-tls-config"
    volumes, mounts = _held("cluster-tls-config", CLUSTER_FILE, folder, secret_name)
    section = (alertmanager.get("spec") or {}).get("clusterTLS")
    if section is None:
        return Mounted("", secret_name, CLUSTER_FILE, None, volumes, mounts)
    server, client = section.get("server") or {}, section.get("client") or {}
    _check(server, "server", ca="client_ca")
    _check(client, "client", ca="ca")
    if not client.get("cert"):
        raise Rejected("has no certificate; name one", "client.cert")
    sides = (
        ("tls_server_config", _CLUSTER_SERVER, server, "server", "client_ca"),
        ("tls_client_config", _CLUSTER_CLIENT, client, "client", "ca"),
    )
    written: dict[str, Any] = {}
    for key, table, tls, side, ca in sides:
        references = _References.of(tls, f"{folder}/{side}_tls", f"cluster-tls-{side}-config-", ca)
        written[key] = table.of(tls, _scope(references))
        references.add_to(volumes, mounts)
    argument = ("cluster.tls-config", f"{folder}/{CLUSTER_FILE}")
    return Mounted(to_yaml(written), secret_name, CLUSTER_FILE, argument, volumes, mounts)


def _scope(references: _References | None) -> Scope:
    return Scope(Version.parse("0.0.0"), options=references)


def _held(name: str, key: str, folder: str, secret_name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    mount = {"name": name, "readOnly": True, "mountPath": f"{folder}/{key}", "subPath": key}
    return [{"name": name, "secret": {"secretName": secret_name}}], [mount]


def _check(tls: Mapping[str, Any], field_: str, *, ca: str) -> None:
    """One of file and reference for each, key and certificate not one without the other."""
    key = tls.get("keySecret") or {}
    given = {
        "keySecret": bool(key.get("name") or key.get("key")),
        "cert": any(_kind(tls.get("cert") or {})[1]),
        ca: any(_kind(tls.get(ca) or {})[1]),
    }
    for reference, file in (("keySecret", "keyFile"), ("cert", "certFile"), (ca, "clientCAFile")):
        if given[reference] and tls.get(file):
            raise Rejected(f"has `{reference}` and `{file}`; set one", field_)
        both = tls.get(reference) or {}
        if reference != "keySecret" and both.get("secret") and both.get("configMap"):
            raise Rejected("names a Secret and a ConfigMap; name one of them", f"{field_}.{reference}")
    if not given["keySecret"] and not tls.get("keyFile"):
        raise Rejected("has no private key; set `keySecret`", field_)
    if not given["cert"] and not tls.get("certFile"):
        raise Rejected("has no certificate; set `cert`", field_)
