"""What has to be right of a Prometheus' own sections: remote write and read, alerting, traces, its API server.

One that is wrong keeps the whole configuration from being written, where a wrong monitor only loses its jobs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.config.jobs import as_float
from operators.prometheus.config.references import References, check_tls_fields, inside
from operators.prometheus.config.relabel import check_relabel_configs, is_label_name
from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.reading import entries, mapping, text
from operators.prometheus.tables.urls import parse_url

__all__ = ["check_own_sections", "check_remote_write", "check_tracing"]


def check_own_sections(cr: Mapping[str, Any], scope: Scope) -> dict[str, str]:
    """The files of certificates that the sections need; ``scope.namespace`` is that of the Prometheus or agent.

    Raises:
        Rejected: the first thing that is wrong of them.
    """
    spec, references = mapping(cr.get("spec")), References(scope)
    _check_labels(spec, scope)
    inside("spec", check_remote_write, spec, references)
    for at, entry in enumerate(entries(spec.get("remoteRead"))):
        inside(f"spec.remoteRead[{at}]", _check_read, mapping(entry), references)
    for at, entry in enumerate(entries(mapping(spec.get("alerting")).get("alertmanagers"))):
        inside(f"spec.alerting.alertmanagers[{at}]", _check_alertmanager, mapping(entry), references)
    inside("spec.tracingConfig", check_tracing, mapping(spec.get("tracingConfig")))
    inside(
        "spec.tracingConfig.tlsConfig", references.tls, mapping(spec.get("tracingConfig")).get("tlsConfig"), files=True
    )
    if spec.get("apiserverConfig") is not None:
        inside("spec.apiserverConfig", _check_reached, mapping(spec["apiserverConfig"]), references)
    for at, entry in enumerate(map(mapping, entries(spec.get("scrapeClasses")))):
        inside(f"spec.scrapeClasses[{at}]", _check_class, entry, references)
    return references.files


def _check_labels(spec: Mapping[str, Any], scope: Scope) -> None:
    """Labels that are written into every job, and those of the instance; the original leaves them to Prometheus."""
    names = {"enforcedNamespaceLabel": [text(spec.get("enforcedNamespaceLabel"))]}
    names["externalLabels"] = sorted(mapping(spec.get("externalLabels")))
    for field, found in names.items():
        for name in found:
            if name and not scope.compat and not is_label_name(name, scope.version):
                raise Rejected(f"{name!r} is no label in {scope.version}", f"spec.{field}")


def check_remote_write(spec: Mapping[str, Any], references: References) -> None:
    """``remoteWrite`` of a Prometheus, an agent or a Thanos Ruler.

    Raises:
        Rejected: with the field, from ``remoteWrite`` on.
    """
    for at, entry in enumerate(entries(spec.get("remoteWrite"))):
        inside(f"remoteWrite[{at}]", _check_write, mapping(entry), references)


def check_tracing(section: Mapping[str, Any]) -> None:
    """The fraction is one, and the fields of TLS go together, as far as can be told without what they refer to."""
    fraction = section.get("samplingFraction")
    if fraction is not None:
        number = inside("samplingFraction", as_float, fraction, None)
        if not 0 <= number <= 1:
            raise Rejected(f"{fraction} is no fraction; write one from 0 to 1", "samplingFraction")
    if section.get("tlsConfig") is not None:
        inside("tlsConfig", check_tls_fields, mapping(section["tlsConfig"]), files=True)


_WRITE_METHODS: Final = ("basicAuth", "authorization", "oauth2", "sigv4", "azureAd")


def _check_write(entry: Mapping[str, Any], references: References) -> None:
    inside("url", _check_server, entry.get("url"))
    _check_one(entry, _WRITE_METHODS)
    _check_reached(entry, references)
    _check_sigv4(entry, references)
    inside("writeRelabelConfigs", check_relabel_configs, entry.get("writeRelabelConfigs"), references.scope.version)
    if entry.get("azureAd") is not None:
        inside("azureAd", _check_azure, mapping(entry["azureAd"]), references)


def _check_read(entry: Mapping[str, Any], references: References) -> None:
    inside("url", _check_server, entry.get("url"))
    _check_reached(entry, references)


_ALERTMANAGER_METHODS: Final = ("basicAuth", "authorization", "sigv4", "bearerTokenFile")


def _check_alertmanager(entry: Mapping[str, Any], references: References) -> None:
    _check_one(entry, _ALERTMANAGER_METHODS)
    _check_reached(entry, references)
    _check_sigv4(entry, references)
    for field in ("relabelings", "alertRelabelings"):
        inside(field, check_relabel_configs, entry.get(field), references.scope.version)


def _check_class(section: Mapping[str, Any], references: References) -> None:
    inside("tlsConfig", references.tls, section.get("tlsConfig"), files=True)
    inside("authorization", references.authorization, section.get("authorization"))


def _check_reached(section: Mapping[str, Any], references: References) -> None:
    """Credentials may be a file here, or left out as the original lets them be."""
    in_file = bool(mapping(section.get("authorization")).get("credentialsFile"))
    references.http(section, files=True, class_authorizes=in_file or references.scope.compat)


def _check_one(section: Mapping[str, Any], methods: tuple[str, ...]) -> None:
    found = [method for method in methods if section.get(method) not in (None, "")]
    if len(found) > 1:
        raise Rejected(f"a client authenticates in one way; use {' or '.join(found)}")


def _check_server(value: Any) -> None:
    url = parse_url(text(value))
    if url.scheme not in ("http", "https") or not url.host:
        raise Rejected("is no address of http or https with a host")


def _check_sigv4(entry: Mapping[str, Any], references: References) -> None:
    if entry.get("sigv4") is not None:
        inside("sigv4", check_sigv4, mapping(entry["sigv4"]), references)


def check_sigv4(section: Mapping[str, Any], references: References) -> None:
    """Both keys or neither, and they can be read; an external id only for a role."""
    keys = [field for field in ("accessKey", "secretKey") if section.get(field) is not None]
    if len(keys) == 1:
        raise Rejected("goes only with the other key; set accessKey and secretKey, or neither", keys[0])
    for field in keys:
        inside(field, references.secret, section[field])
    if section.get("externalId") and not section.get("roleArn"):
        raise Rejected("goes only with roleArn", "externalId")


_IDENTITIES: Final[Mapping[str, str]] = {
    "managedIdentity": "2.45.0",
    "oauth": "2.48.0",
    "sdk": "2.52.0",
    "workloadIdentity": "3.7.0",
}
"""Ways to be known to Azure, and the versions that know them. An older one than 2.45.0 leaves all of Azure out."""

CLIENTLESS_SINCE: Final = "3.5.0"
"""From here on a managed identity may be that of the system, which has no id."""

_PLAIN: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUID: Final = re.compile(_PLAIN + rf"|urn:uuid:{_PLAIN}|\{{{_PLAIN}\}}|[0-9a-f]{{32}}", re.IGNORECASE)


def _check_azure(section: Mapping[str, Any], references: References) -> None:
    scope = references.scope
    found = [name for name in _IDENTITIES if section.get(name) is not None]
    if len(found) != 1:
        raise Rejected(f"needs one of {', '.join(_IDENTITIES)}; it has {' and '.join(found) or 'none'}")
    name, values = found[0], mapping(section[found[0]])
    if name != "managedIdentity" and not scope.knows(_IDENTITIES[name]):
        raise Rejected(f"needs {_IDENTITIES[name]}, this is {scope.version}", name)
    if name == "managedIdentity" and not values.get("clientId") and not scope.knows(CLIENTLESS_SINCE):
        raise Rejected(f"has to be set before {CLIENTLESS_SINCE}", "managedIdentity.clientId")
    for field in _UUIDS.get(name, ()):
        required = name != "managedIdentity" or (values.get(field) and not scope.compat)
        if required and not _UUID.fullmatch(text(values.get(field))):
            raise Rejected("is no UUID", f"{name}.{field}")
    if name == "oauth":
        inside("oauth.clientSecret", references.secret, values.get("clientSecret"))


_UUIDS: Final[Mapping[str, tuple[str, ...]]] = {
    "managedIdentity": ("clientId",),
    "oauth": ("clientId",),
    "workloadIdentity": ("clientId", "tenantId"),
}
"""That of a managed identity may be left out, and the original leaves it to Prometheus."""
