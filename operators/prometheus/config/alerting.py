"""Where alerts are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.config import http
from operators.prometheus.config.additional import yaml_list
from operators.prometheus.config.kubernetes_sd import ENDPOINTSLICE, endpoints_role, kubernetes_sd_config
from operators.prometheus.config.relabel import relabel_configs
from operators.prometheus.tables import OMIT, Field, Inline, Scope, Table
from operators.prometheus.tables.makes import given, lowered
from operators.prometheus.tables.reading import entries, mapping, text

__all__ = ["alerting_section"]

REPLICA: Final = "prometheus_replica"
"""The external label that tells replicas apart, unless ``replicaExternalLabelName`` says another."""


def alerting_section(
    cr: Mapping[str, Any], scope: Scope, relabelings: str | None = None, alertmanagers: str | None = None
) -> dict[str, Any]:
    """``{"alerting": …}`` of a Prometheus; empty if nothing says where alerts go.

    Args:
        relabelings, alertmanagers: the YAML texts that ``additionalAlertRelabelConfigs`` and
            ``additionalAlertManagerConfigs`` refer to; None: they refer to nothing.

    Raises:
        Rejected: one of the texts is no list.
    """
    spec = mapping(cr.get("spec"))
    if spec.get("alerting") is None and relabelings is None and alertmanagers is None:
        return {}
    named = [_entry(mapping(each), cr, scope) for each in entries(mapping(spec.get("alerting")).get("alertmanagers"))]
    return {
        "alerting": {
            "alert_relabel_configs": [
                *_without_replica(spec),
                *yaml_list(relabelings, "spec.additionalAlertRelabelConfigs"),
            ],
            "alertmanagers": [*named, *yaml_list(alertmanagers, "spec.additionalAlertManagerConfigs")],
        }
    }


def _without_replica(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Alerts of all replicas are the same to an Alertmanager."""
    label = spec.get("replicaExternalLabelName")
    label = REPLICA if label is None else text(label)
    return [{"action": "labeldrop", "regex": quoted(label)}] if label else []


def quoted(literal: str) -> str:
    r"""The regular expression that matches only that text, as Go quotes it.

    >>> quoted("a.b_c-d")
    'a\\.b_c-d'
    """
    return "".join(f"\\{sign}" if sign in "\\.+*?()|[]{}^$" else sign for sign in literal)


def _entry(endpoints: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    return _ALERTMANAGER.of({"am": endpoints, "cr": cr}, scope)


def _discovery(view: Any, scope: Scope) -> Any:
    """The Endpoints of a Service in one namespace, wherever monitors may look."""
    namespace = view["am"].get("namespace")
    namespace = text(namespace) if namespace is not None else scope.namespace
    spec = {**mapping(view["cr"].get("spec")), "ignoreNamespaceSelectors": False}
    section = {"namespaceSelector": {"matchNames": [namespace]}}
    return [kubernetes_sd_config(endpoints_role({}, spec, scope), section, {**view["cr"], "spec": spec}, scope)]


def _api_version(view: Any, scope: Scope) -> Any:
    """Prometheus 3 knows only the second, which is what it takes unless told."""
    version = text(view.get("apiVersion")).lower()
    known = version == "v2" or (version == "v1" and scope.version.major <= 2)
    return version if known else OMIT


def _relabelings(view: Any, scope: Scope) -> Any:
    am, port = view["am"], view["am"].get("port")
    found = [_keep("__meta_kubernetes_service_name", text(am.get("name")))]
    if isinstance(port, str) and port:
        sliced = endpoints_role({}, mapping(view["cr"].get("spec")), scope) == ENDPOINTSLICE
        found.append(_keep(f"__meta_kubernetes_{'endpointslice' if sliced else 'endpoint'}_port_name", port))
    elif port and type(port) is int:
        found.append(_keep("__meta_kubernetes_pod_container_port_number", str(port)))
    return [*found, *relabel_configs(am.get("relabelings"), scope)]


def _keep(label: str, regex: str) -> dict[str, Any]:
    return {"action": "keep", "source_labels": [label], "regex": regex}


def _alert_relabelings(value: Any, scope: Scope) -> Any:
    return relabel_configs(value, scope) or OMIT


_ALERTMANAGER: Final = Table(
    Field("scheme", "am.scheme", lowered),
    Field("path_prefix", "am.pathPrefix", given),
    Field("timeout", "am.timeout", given),
    Field("enable_http2", "am.enableHttp2", given, since="2.35.0"),
    Field("tls_config", "am.tlsConfig", http.tls_config),
    Inline(http.PROXY.make, "am"),
    Field("kubernetes_sd_configs", ".", _discovery),
    Field("bearer_token_file", "am.bearerTokenFile"),
    Field("basic_auth", "am.basicAuth", http.basic_auth, since="2.26.0"),
    Field("authorization", "am.authorization", http.authorization, since="2.26.0"),
    Field("sigv4", "am.sigv4", http.sigv4, since="2.48.0"),
    Field("api_version", "am", _api_version, since="2.11.0"),
    Field("relabel_configs", ".", _relabelings),
    Field("alert_relabel_configs", "am.alertRelabelings", _alert_relabelings, since="2.51.0"),
)
