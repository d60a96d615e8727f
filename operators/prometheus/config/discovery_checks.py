"""What has to be right of service discovery, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controllerkit.errors import ControllerkitError
from controllerkit.objects import FieldSelector, LabelSelector
from operators.prometheus.config.discovery import KINDS, Kind
from operators.prometheus.config.references import References, inside
from operators.prometheus.config.relabel import is_label_name
from operators.prometheus.tables import Rejected, Scope
from operators.prometheus.tables.reading import entries, mapping, text
from operators.prometheus.tables.urls import parse_url

__all__ = ["check_discovery"]


@dataclass(frozen=True, slots=True)
class _Rules:
    """Of one kind.

    Attributes:
        since: which version knows a field.
        values_since: which knows a value of a field.
        secrets: references that have to be readable.
        required: of them, which have to be there.
        more: what else there is.
    """

    since: Mapping[str, str] = field(default_factory=dict)
    values_since: Mapping[tuple[str, str], str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    more: Callable[[Mapping[str, Any], Scope], None] | None = None


def check_discovery(spec: Mapping[str, Any], references: References) -> None:
    """Raises `Rejected`, with field and rule, for what the version does not know, lacks something, or cannot be read.

    The original refuses any ScrapeConfig for a version that does not know some of the kinds, used or not.
    """
    scope = references.scope
    for kind in KINDS:
        found = entries(spec.get(kind.source))
        asked = kind.since if not scope.compat or kind.refused else ""
        if (found or scope.compat) and not scope.knows(asked):
            raise Rejected(f"needs {kind.since}, this is {scope.version}", kind.source)
        for at, entry in enumerate(found):
            inside(f"{kind.source}[{at}]", _check, kind, mapping(entry), references)


def _check(kind: Kind, entry: Mapping[str, Any], references: References) -> None:
    scope, rules = references.scope, _RULES.get(kind.source, _NONE)
    for name, since in rules.since.items():
        if entry.get(name) is not None and not scope.knows(since):
            raise Rejected(f"needs {since}, this is {scope.version}", name)
    for (name, value), since in rules.values_since.items():
        if entry.get(name) == value and not scope.knows(since):
            raise Rejected(f"{value} needs {since}, this is {scope.version}", name)
    if rules.more is not None:
        rules.more(entry, scope)
    if kind.source == "azureSDConfigs" and scope.compat and _keyless(entry):
        return
    for name in rules.secrets:
        if entry.get(name) is not None or name in rules.required:
            inside(name, references.secret, entry.get(name))
    references.http(entry, class_authorizes=scope.compat, alone=not scope.compat)


def _static(entry: Mapping[str, Any], scope: Scope) -> None:
    for name in sorted(mapping(entry.get("labels"))):
        if not is_label_name(name, scope.version):
            raise Rejected(f"{name!r} is no label in {scope.version}", "labels")


def _addressed(name: str, *schemes: str, complete: bool = False) -> Callable[[Mapping[str, Any], Scope], None]:
    """A check that the field is an address; with a scheme and a host if ``complete``."""

    def check(entry: Mapping[str, Any], scope: Scope) -> None:
        inside(name, _check_address, text(entry.get(name)), schemes, complete)

    return check


def _check_address(address: str, schemes: tuple[str, ...], complete: bool) -> None:
    url = parse_url(address)
    if complete and not (url.scheme and url.host):
        raise Rejected("is no address with a scheme and a host, as http://name:80")
    if schemes and url.scheme not in schemes:
        raise Rejected(f"is no address of {' or '.join(schemes)}")


_SELECTABLE: Final[Mapping[str, frozenset[str]]] = {
    "pod": frozenset(("pod",)),
    "service": frozenset(("service",)),
    "node": frozenset(("node",)),
    "ingress": frozenset(("ingress",)),
    "endpoints": frozenset(("pod", "service", "endpoints")),
    "endpointslice": frozenset(("pod", "service", "endpointslice")),
}
"""What can be selected in each role (Prometheus ``discovery/kubernetes``)."""


def _kubernetes(entry: Mapping[str, Any], scope: Scope) -> None:
    if entry.get("apiServer") is not None and mapping(entry.get("namespaces")).get("ownNamespace") is True:
        raise Rejected("is not known of another apiServer; leave one of them out", "namespaces.ownNamespace")
    role = text(entry.get("role")).lower()
    allowed = _SELECTABLE.get(role, frozenset())
    for at, selector in enumerate(map(mapping, entries(entry.get("selectors")))):
        if text(selector.get("role")).lower() not in allowed:
            raise Rejected(f"the role {role} selects by {', '.join(sorted(allowed))}", f"selectors[{at}].role")
        for name, parse in (("field", FieldSelector.parse), ("label", LabelSelector.parse)):
            inside(f"selectors[{at}].{name}", _check_selector, parse, text(selector.get(name)))


def _check_selector(parse: Callable[[str], object], selector: str) -> None:
    try:
        parse(selector)
    except ControllerkitError as refused:
        raise Rejected(f"is no selector: {refused}") from None


def _consul(entry: Mapping[str, Any], scope: Scope) -> None:
    """The original leaves it to Prometheus."""
    others = [name for name in ("authorization", "oauth2") if entry.get(name) is not None]
    if entry.get("tokenRef") is not None and others and not scope.compat:
        raise Rejected(f"a client authenticates in one way; use tokenRef or {others[0]}", "tokenRef")


def _dns(entry: Mapping[str, Any], scope: Scope) -> None:
    if entry.get("type") not in (None, "SRV") and entry.get("port") is None:
        raise Rejected(f"records of the type {text(entry.get('type'))} have no port; set one", "port")


def _keyless(entry: Mapping[str, Any]) -> bool:
    return entry.get("authenticationMethod") in ("ManagedIdentity", "SDK", "WorkloadIdentity")


def _azure(entry: Mapping[str, Any], scope: Scope) -> None:
    if not _keyless(entry):
        for name in ("tenantID", "clientID", "clientSecret"):
            if not entry.get(name):
                raise Rejected("has to be set, unless authenticationMethod is another than OAuth", name)


_ACCOUNT: Final = ("accessKey", "secretKey")
_NONE: Final = _Rules()
_RULES: Final[Mapping[str, _Rules]] = {
    "staticConfigs": _Rules(more=_static),
    "httpSDConfigs": _Rules(more=_addressed("url")),
    "kubernetesSDConfigs": _Rules(more=_kubernetes),
    "consulSDConfigs": _Rules(
        since={
            "pathPrefix": "2.45.0",
            "namespace": "2.28.0",
            "partition": "2.28.0",
            "filter": "3.0.0-0",
            "healthFilter": "3.11.2",
        },
        secrets=("tokenRef",),
        more=_consul,
    ),
    "dnsSDConfigs": _Rules(more=_dns),
    "ec2SDConfigs": _Rules(secrets=_ACCOUNT),
    "azureSDConfigs": _Rules(
        since={"resourceGroup": "2.35.0"},
        values_since={
            ("authenticationMethod", "SDK"): "2.52.0",
            ("authenticationMethod", "WorkloadIdentity"): "3.11.0",
        },
        secrets=("clientSecret",),
        more=_azure,
    ),
    "openstackSDConfigs": _Rules(
        values_since={("role", "LoadBalancer"): "3.2.0"},
        secrets=("password", "applicationCredentialSecret"),
    ),
    "kumaSDConfigs": _Rules(more=_addressed("server", complete=True)),
    "dockerSDConfigs": _Rules(since={"matchFirstNetwork": "2.54.1"}, more=_addressed("host")),
    "hetznerSDConfigs": _Rules(since={"labelSelector": "3.5.0"}),
    "dockerSwarmSDConfigs": _Rules(more=_addressed("host")),
    "puppetDBSDConfigs": _Rules(more=_addressed("url", "http", "https", complete=True)),
    "lightSailSDConfigs": _Rules(secrets=_ACCOUNT),
    "ovhcloudSDConfigs": _Rules(
        secrets=("applicationSecret", "consumerKey"), required=("applicationSecret", "consumerKey")
    ),
    "scalewaySDConfigs": _Rules(secrets=("secretKey",), required=("secretKey",)),
}
