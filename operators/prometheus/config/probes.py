"""Probes: one job each, of static targets or of Ingresses, that asks a prober about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from operators.prometheus.config import http
from operators.prometheus.config import jobs as rows
from operators.prometheus.config.kubernetes_sd import kubernetes_sd_config
from operators.prometheus.config.monitors import BEARER_TOKEN
from operators.prometheus.config.relabel import JOB_NAME
from operators.prometheus.config.sharding import sharding
from operators.prometheus.tables import OMIT, Field, Inline, Rejected, Scope, Table
from operators.prometheus.tables.makes import lowered, naturally
from operators.prometheus.tables.reading import entries, mapping, text

__all__ = ["probe_job"]

PATH: Final = "/probe"
"""Of the prober, where the definition's default is not applied; the original writes "" then."""


def probe_job(probe: Mapping[str, Any], cr: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The scrape configuration of a Probe. Static targets win over Ingresses.

    Args:
        cr: the Prometheus or PrometheusAgent.
    """
    metadata, spec = mapping(probe.get("metadata")), mapping(probe.get("spec"))
    inner = scope.within(namespace=text(metadata.get("namespace")))
    view = rows.view_of("Probe", probe, {**spec, "honorTimestamps": True}, cr)
    targets = mapping(spec.get("targets"))
    static, ingress = targets.get("staticConfig"), targets.get("ingress")
    named = {
        "name": f"probe/{inner.namespace}/{text(metadata.get('name'))}",
        "object": cr,
        "static": static if isinstance(static, Mapping) else None,
        "ingress": ingress if isinstance(ingress, Mapping) and not isinstance(static, Mapping) else None,
    }
    try:
        return _PROBE.of({**view, **named}, inner)
    except Rejected as refused:
        raise refused.at("spec") from None


def _path(spec: Any, scope: Scope) -> Any:
    path = text(mapping(mapping(spec).get("prober")).get("path"))
    return path or ("" if scope.options.compat else PATH)


def _params(spec: Mapping[str, Any], scope: Scope) -> Any:
    module = text(spec.get("module"))
    params: dict[str, Any] = {"module": [module]} if module else {}
    for each in map(mapping, entries(spec.get("params"))):
        if not (module and each.get("name") == "module"):
            params[text(each.get("name"))] = entries(each.get("values"))
    return params or OMIT


def _enforced_body_size(view: Mapping[str, Any], scope: Scope) -> Any:
    return text(view["cr"].get("enforcedBodySizeLimit")) or OMIT


def _static(static: Mapping[str, Any], scope: Scope) -> Any:
    labels = {"namespace": scope.namespace, **mapping(static.get("labels"))}
    return [{"targets": entries(static.get("static")), "labels": naturally(labels, scope)}]


def _discovery(view: Mapping[str, Any], scope: Scope) -> Any:
    if view["ingress"] is None:
        return OMIT
    return [kubernetes_sd_config("ingress", view["ingress"], view["object"], scope)]


_SCHEME_AND_PATH: Final = ["__meta_kubernetes_ingress_scheme", "__address__", "__meta_kubernetes_ingress_path"]


def _relabelings(view: Mapping[str, Any], scope: Scope) -> Any:
    job = text(view["spec"].get("jobName"))
    url = text(mapping(view["spec"].get("prober")).get("url"))
    return [
        JOB_NAME,
        *([{"target_label": "job", "replacement": job}] if job else ()),
        *_targets(view, url, scope),
        *sharding("__param_target", view["cr"], scope),
    ]


def _targets(view: Mapping[str, Any], url: str, scope: Scope) -> list[dict[str, Any]]:
    through_prober: list[dict[str, Any]] = [
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": url},
    ]
    if view["static"] is not None:
        return [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            *through_prober,
            *rows.rest_of_relabelings(view, view["static"].get("relabelingConfigs"), scope),
        ]
    if view["ingress"] is not None:
        return [
            *rows.selected("ingress", view["ingress"].get("selector")),
            _set(_SCHEME_AND_PATH, "(.+);(.+);(.+)", "__param_target", "${1}://${2}${3}"),
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
            {"source_labels": ["__meta_kubernetes_ingress_name"], "target_label": "ingress"},
            _set(["__address__"], "(.*)", "__tmp_ingress_address", "$1"),
            *through_prober,
            *rows.rest_of_relabelings(view, view["ingress"].get("relabelingConfigs"), scope),
        ]
    return []


def _set(sources: list[str], regex: str, target: str, replacement: str) -> dict[str, Any]:
    return {
        "source_labels": sources,
        "separator": ";",
        "regex": regex,
        "target_label": target,
        "replacement": replacement,
        "action": "replace",
    }


_PROBE: Final = Table(
    Field("job_name", "name"),
    rows.HONOR_TIMESTAMPS,
    Field("metrics_path", "spec", _path),
    Field("scrape_interval", "spec.interval"),
    Field("scrape_timeout", "spec.scrapeTimeout"),
    Field("scheme", "spec.prober.scheme", lowered),
    Field("params", "spec", _params),
    rows.LIMITS,
    rows.HISTOGRAMS,
    rows.SCRAPE_PROTOCOLS,
    rows.FALLBACK_PROTOCOL,
    Field("body_size_limit", ".", _enforced_body_size, since="2.28.0"),
    Inline(http.PROXY.make, "spec.prober"),
    Inline(Table(http.FOLLOW_REDIRECTS, http.ENABLE_HTTP2, http.TLS).of, "endpoint"),
    Field("static_configs", "static", _static),
    Field("kubernetes_sd_configs", ".", _discovery),
    Field("relabel_configs", ".", _relabelings),
    Inline(Table(BEARER_TOKEN, http.BASIC_AUTH, http.OAUTH2).of, "endpoint"),
    rows.AUTHORIZATION,
    rows.METRIC_RELABELINGS,
)
