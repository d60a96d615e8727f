"""``kubernetes_sd_configs`` of monitors, ingress probes and Alertmanagers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from operators.prometheus.config import http
from operators.prometheus.config.sharding import is_zoned
from operators.prometheus.tables import Field, Inline, Scope, Table
from operators.prometheus.tables.reading import entries, mapping, text
from operators.prometheus.tables.selecting import selector_text

__all__ = [
    "ENDPOINTS",
    "ENDPOINTSLICE",
    "endpoints_role",
    "kubernetes_sd_config",
    "uses_role_selector",
]

ENDPOINTS: Final = "endpoints"
ENDPOINTSLICE: Final = "endpointslice"


def endpoints_role(section: Mapping[str, Any], cr_spec: Mapping[str, Any], scope: Scope) -> str:
    """``endpointslice`` where the cluster and Prometheus know it and the object, else the Prometheus, asks for it."""
    asked = section.get("serviceDiscoveryRole") or cr_spec.get("serviceDiscoveryRole")
    known = scope.options.endpoint_slices and scope.version.at_least("2.21.0")
    return ENDPOINTSLICE if known and asked == "EndpointSlice" else ENDPOINTS


def uses_role_selector(section: Mapping[str, Any]) -> bool:
    """Whether the API server selects, rather than relabeling."""
    return section.get("selectorMechanism") == "RoleSelector"


def kubernetes_sd_config(
    role: str,
    section: Mapping[str, Any],
    cr: Mapping[str, Any],
    scope: Scope,
    *,
    attach: Mapping[str, Any] | None = None,
    attach_since: str = "",
    selects: Sequence[str] = (),
) -> dict[str, Any]:
    """One entry.

    Args:
        section: of the object; its ``namespaceSelector`` says where to look, and ``selector`` what for.
        attach: ``attachMetadata`` of the object or its scrape class.
        attach_since: the first version that attaches metadata in that role.
        selects: roles that get the selector, where the object selects by role.
    """
    view = {
        "role": role,
        "namespaces": _namespaces(mapping(section.get("namespaceSelector")), mapping(cr.get("spec")), scope),
        "api": _Api(cr) if mapping(cr.get("spec")).get("apiserverConfig") is not None else None,
        "attach": _attach(role, attach, attach_since, mapping(cr.get("spec")), scope),
        "selectors": [
            *([{"role": "pod", "field": "spec.nodeName=$(NODE_NAME)"}] if scope.options.daemon_set else ()),
            *(
                {"role": each, "label": selector_text(section.get("selector"))}
                for each in selects
                if uses_role_selector(section)
            ),
        ],
    }
    return _ENTRY.of(view, scope)


def _namespaces(selector: Mapping[str, Any], cr_spec: Mapping[str, Any], scope: Scope) -> Any:
    if cr_spec.get("ignoreNamespaceSelectors") is True:
        return {"names": [scope.namespace]}
    if selector.get("any") is True:
        return None
    return {"names": entries(selector.get("matchNames")) or [scope.namespace]}


def _attach(
    role: str, attach: Mapping[str, Any] | None, since: str, cr_spec: Mapping[str, Any], scope: Scope
) -> Mapping[str, Any] | None:
    """Zones of targets are labels of their nodes, unless Pods have them."""
    if not since:
        return None
    if is_zoned(cr_spec, scope) and not scope.options.pod_topology_labels:
        return {"node": True, "since": since}
    return None if attach is None else {"node": attach.get("node") is True, "since": since}


def _attached(value: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
    return _attached_since(value["since"]).of(value, scope)


@lru_cache(maxsize=16)
def _attached_since(since: str) -> Table:
    return Table(Field("attach_metadata", ".", lambda value, scope: {"node": value["node"]}, since=since))


class _Api:
    """The API server that is asked instead of the cluster's own."""

    def __init__(self, cr: Mapping[str, Any]) -> None:
        self.config = mapping(mapping(cr.get("spec")).get("apiserverConfig"))
        self.namespace = text(mapping(cr.get("metadata")).get("namespace"))


def _api(value: _Api, scope: Scope) -> Mapping[str, Any]:
    """Its references are of the namespace of the Prometheus; in that of the monitor the original looks for them."""
    return _API_SERVER.of(value.config, scope if scope.options.compat else scope.within(namespace=value.namespace))


_API_SERVER: Final = Table(
    Field("api_server", "host", lambda value, scope: value or "", always=True),
    http.BASIC_AUTH,
    Field("bearer_token", "bearerToken"),
    Field("bearer_token_file", "bearerTokenFile"),
    http.AUTHORIZATION,
    http.TLS,
    http.PROXY,
)

_ENTRY: Final = Table(
    Field("role"),
    Field("namespaces"),
    Inline(_api, "api"),
    Inline(_attached, "attach"),
    Field("selectors"),
)
