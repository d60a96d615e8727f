"""ServiceMonitors and PodMonitors: one job for each endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.config import http
from operators.prometheus.config import jobs as rows
from operators.prometheus.config.kubernetes_sd import (
    ENDPOINTSLICE,
    endpoints_role,
    kubernetes_sd_config,
    uses_role_selector,
)
from operators.prometheus.config.relabel import JOB_NAME, label_name
from operators.prometheus.config.sharding import sharding
from operators.prometheus.tables import OMIT, Field, Inline, Scope, Table
from operators.prometheus.tables.makes import lowered, naturally, read_secret
from operators.prometheus.tables.reading import entries, mapping, number, text
from operators.prometheus.tables.rejected import Rejected

__all__ = ["BEARER_TOKEN", "pod_monitor_jobs", "service_monitor_jobs"]


def service_monitor_jobs(monitor: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """One scrape configuration for each of ``endpoints``.

    Args:
        cr: the Prometheus or PrometheusAgent.
    """
    return _jobs("ServiceMonitor", "endpoints", _SERVICE_MONITOR, monitor, cr, scope)


def pod_monitor_jobs(monitor: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """One scrape configuration for each of ``podMetricsEndpoints``."""
    return _jobs("PodMonitor", "podMetricsEndpoints", _POD_MONITOR, monitor, cr, scope)


def _jobs(
    kind: str, field: str, table: Table, monitor: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope
) -> list[dict[str, Any]]:
    metadata = mapping(monitor.get("metadata"))
    inner = scope.within(namespace=text(metadata.get("namespace")))
    prefix = f"{kind[0].lower()}{kind[1:]}/{inner.namespace}/{text(metadata.get('name'))}"
    made = []
    for at, endpoint in enumerate(entries(mapping(monitor.get("spec")).get(field))):
        view = rows.view_of(kind, monitor, mapping(endpoint), cr)
        try:
            made.append(table.of({**view, "name": f"{prefix}/{at}", "object": cr}, inner))
        except Rejected as refused:
            raise refused.at(f"spec.{field}[{at}]") from None
    return made


def _service_discovery(view: Mapping[str, Any], scope: Scope) -> Any:
    role = endpoints_role(view["spec"], view["cr"], scope)
    attach = _attach(view)
    return [
        kubernetes_sd_config(
            role, view["spec"], view["object"], scope, attach=attach, attach_since="2.37.0", selects=(role, "service")
        )
    ]


def _pod_discovery(view: Mapping[str, Any], scope: Scope) -> Any:
    attach = _attach(view)
    return [
        kubernetes_sd_config(
            "pod", view["spec"], view["object"], scope, attach=attach, attach_since="2.35.0", selects=("pod",)
        )
    ]


def _attach(view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    own, of_class = view["spec"].get("attachMetadata"), view["scrape_class"].get("attachMetadata")
    return own if isinstance(own, Mapping) else of_class if isinstance(of_class, Mapping) else None


def _bearer_token(value: Any, scope: Scope) -> Any:
    if not text(mapping(value).get("name")):
        return OMIT
    try:
        return read_secret(value, scope)
    except Rejected:
        return OMIT


_RUNNING: Final = rows.keep("__meta_kubernetes_pod_phase", "(Failed|Succeeded)", "drop")
_NAMESPACE: Final = {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"}
_SERVICE: Final = {"source_labels": ["__meta_kubernetes_service_name"], "target_label": "service"}
_POD: Final = {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"}
_CONTAINER: Final = {"source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container"}
_CONTAINER_PORT: Final = "__meta_kubernetes_pod_container_port"


def _service_relabelings(view: Mapping[str, Any], scope: Scope) -> Any:
    spec, endpoint = view["spec"], view["endpoint"]
    prefix = f"__meta_kubernetes_{_endpoint_prefix(spec, view['cr'], scope)}"
    return [
        JOB_NAME,
        *(() if uses_role_selector(spec) else rows.selected("service", spec.get("selector"))),
        *_port(endpoint, f"{prefix}_port_name"),
        *(_of_target(prefix, kind) for kind in ("node", "pod")),
        _NAMESPACE,
        _SERVICE,
        _POD,
        _CONTAINER,
        *(() if endpoint.get("filterRunning") is False else (_RUNNING,)),
        *rows.copied_labels("service", spec.get("targetLabels")),
        *_pod_labels(view),
        {"source_labels": ["__meta_kubernetes_service_name"], "target_label": "job", "replacement": "${1}"},
        *_job_label("service", spec),
        *_endpoint_label(endpoint),
        *rows.rest_of_relabelings(view, endpoint.get("relabelings"), scope),
        *sharding("__address__", view["cr"], scope),
    ]


def _pod_relabelings(view: Mapping[str, Any], scope: Scope) -> Any:
    spec, endpoint, metadata = view["spec"], view["endpoint"], view["metadata"]
    return [
        JOB_NAME,
        *(() if endpoint.get("filterRunning") is False else (_RUNNING,)),
        *(() if uses_role_selector(spec) else rows.selected("pod", spec.get("selector"))),
        *_pod_port(endpoint),
        _NAMESPACE,
        _CONTAINER,
        _POD,
        *_pod_labels(view),
        {"target_label": "job", "replacement": f"{scope.namespace}/{text(metadata.get('name'))}"},
        *_job_label("pod", spec),
        *_endpoint_label(endpoint),
        *rows.rest_of_relabelings(view, endpoint.get("relabelings"), scope),
        *(() if scope.options.daemon_set else sharding("__address__", view["cr"], scope)),
    ]


def _endpoint_prefix(spec: Mapping[str, Any], cr_spec: Mapping[str, Any], scope: Scope) -> str:
    return "endpointslice" if endpoints_role(spec, cr_spec, scope) == ENDPOINTSLICE else "endpoint"


def _of_target(prefix: str, kind: str) -> dict[str, Any]:
    return {
        "source_labels": [f"{prefix}_address_target_kind", f"{prefix}_address_target_name"],
        "separator": ";",
        "regex": f"{kind.capitalize()};(.*)",
        "replacement": "${1}",
        "target_label": kind,
    }


def _port(endpoint: Mapping[str, Any], label: str) -> list[dict[str, Any]]:
    port, target = text(endpoint.get("port")), endpoint.get("targetPort")
    if port:
        return [rows.keep(label, port)]
    if text(target):
        return [rows.keep(f"{_CONTAINER_PORT}_name", target)]
    return [rows.keep(f"{_CONTAINER_PORT}_number", number(target))] if number(target) else []


def _pod_port(endpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not text(endpoint.get("port")) and number(endpoint.get("portNumber")):
        return [rows.keep(f"{_CONTAINER_PORT}_number", endpoint["portNumber"])]
    return _port(endpoint, f"{_CONTAINER_PORT}_name")


def _pod_labels(view: Mapping[str, Any]) -> list[dict[str, Any]]:
    return rows.copied_labels(
        "pod", [*entries(view["spec"].get("podTargetLabels")), *entries(view["cr"].get("podTargetLabels"))]
    )


def _job_label(what: str, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    label = text(spec.get("jobLabel"))
    if not label:
        return []
    source = f"__meta_kubernetes_{what}_label_{label_name(label)}"
    return [{"source_labels": [source], "target_label": "job", "regex": "(.+)", "replacement": "${1}"}]


def _endpoint_label(endpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    target = endpoint.get("targetPort")
    name = text(endpoint.get("port")) or (str(target) if type(target) in (int, str) else "")
    return [{"target_label": "endpoint", "replacement": name}] if name else []


def _params(value: Any, scope: Scope) -> Any:
    """The original writes those that are none, too."""
    return {} if value == {} and scope.compat else naturally(value, scope)


BEARER_TOKEN: Final = Field("bearer_token", "bearerTokenSecret", _bearer_token)

_BEGIN: Final = Field("job_name", "name"), rows.HONOR_LABELS, rows.HONOR_TIMESTAMPS, rows.STALENESS
_SCRAPE: Final = (
    Field("scrape_interval", "interval"),
    Field("scrape_timeout", "scrapeTimeout"),
    Field("metrics_path", "path"),
    Field("params", make=_params),
    Field("scheme", make=lowered),
    http.FOLLOW_REDIRECTS,
    http.ENABLE_HTTP2,
)
_END: Final = (
    rows.LIMITS,
    rows.HISTOGRAMS,
    rows.SCRAPE_PROTOCOLS,
    rows.FALLBACK_PROTOCOL,
    rows.BODY_SIZE_LIMIT,
    rows.METRIC_RELABELINGS,
)

_SERVICE_MONITOR: Final = Table(
    *_BEGIN,
    Field("kubernetes_sd_configs", ".", _service_discovery),
    Inline(
        Table(
            *_SCRAPE,
            http.PROXY,
            http.OAUTH2,
            http.TLS,
            Field("bearer_token_file", "bearerTokenFile"),
            BEARER_TOKEN,
            http.BASIC_AUTH,
        ).of,
        "endpoint",
    ),
    rows.AUTHORIZATION,
    Field("relabel_configs", ".", _service_relabelings),
    *_END,
)

_POD_MONITOR: Final = Table(
    *_BEGIN,
    Field("kubernetes_sd_configs", ".", _pod_discovery),
    Inline(
        Table(
            *_SCRAPE,
            http.TLS,
            BEARER_TOKEN,
            http.BASIC_AUTH,
            http.OAUTH2,
            http.PROXY,
        ).of,
        "endpoint",
    ),
    rows.AUTHORIZATION,
    Field("relabel_configs", ".", _pod_relabelings),
    *_END,
)
