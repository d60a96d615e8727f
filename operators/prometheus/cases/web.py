"""Web and cluster TLS configurations, and the remote-write configuration of Thanos Ruler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from operators.prometheus.config.options import Options
from operators.prometheus.config.remote import ruler_configuration
from operators.prometheus.tables import Assets, Scope, Version, to_yaml
from operators.prometheus.tables.versions import DEFAULT_PROMETHEUS
from operators.prometheus.workload.tls import cluster_tls, web_config

__all__ = ["FUNCTIONS"]


def _web(case: Mapping[str, Any]) -> str:
    extra = case.get("extra") or {}
    fields, folder = extra.get("web_config_file_fields"), extra.get("mount_path") or ""
    return web_config(fields, folder, extra.get("secret_name") or "").text


def _cluster(case: Mapping[str, Any]) -> str:
    extra = case.get("extra") or {}
    return cluster_tls(case.get("cr") or {}, extra.get("mount_path") or "").text


def _ruler(case: Mapping[str, Any]) -> str:
    cr = case.get("cr") or {}
    assets = Assets.of(case.get("secrets") or (), case.get("configmaps") or ())
    namespace = (cr.get("metadata") or {}).get("namespace") or ""
    scope = Scope(Version.parse(DEFAULT_PROMETHEUS), namespace, assets, Options(compat=True))
    return to_yaml(ruler_configuration(cr, scope))


FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "webconfig.CreateOrUpdateWebConfigSecret": _web,
    "createOrUpdateRulerConfigSecret": _ruler,
    "clustertlsconfig.ClusterTLSConfiguration": _cluster,
}
