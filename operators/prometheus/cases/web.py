"""Web and cluster TLS configurations, and the remote-write configuration of Thanos Ruler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from operators.prometheus.config.options import Options
from operators.prometheus.config.remote import ruler_configuration
from operators.prometheus.tables import Assets, Rejected, Scope, Version, to_yaml
from operators.prometheus.tables.versions import DEFAULT_PROMETHEUS
from operators.prometheus.workload.tls import Mounted, cluster_tls, web_config

__all__ = ["FUNCTIONS"]


def _web(case: Mapping[str, Any]) -> str:
    extra = case.get("extra") or {}
    made = web_config(
        extra.get("web_config_file_fields"), extra.get("mount_path") or "", extra.get("secret_name") or ""
    )
    return _agreed(made, extra)


def _cluster(case: Mapping[str, Any]) -> str:
    extra = case.get("extra") or {}
    return _agreed(cluster_tls(case.get("cr") or {}, extra.get("mount_path") or ""), extra)


def _ruler(case: Mapping[str, Any]) -> str:
    cr = case.get("cr") or {}
    assets = Assets.of(case.get("secrets") or (), case.get("configmaps") or ())
    namespace = (cr.get("metadata") or {}).get("namespace") or ""
    scope = Scope(Version.parse(DEFAULT_PROMETHEUS), namespace, assets, Options(compat=True))
    return to_yaml(ruler_configuration(cr, scope))


def _agreed(made: Mounted, extra: Mapping[str, Any]) -> str:
    """The text, if what is mounted is what the case says of it."""
    argument = {"name": made.argument[0], "value": made.argument[1]} if made.argument else None
    for name, ours in (("argument", argument), ("volumes", made.volumes), ("volume_mounts", made.mounts)):
        if name in extra and extra[name] != ours:
            raise Rejected(f"{name} would be {ours}, not {extra[name]}", f"extra.{name}")
    return made.text


FUNCTIONS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "webconfig.CreateOrUpdateWebConfigSecret": _web,
    "createOrUpdateRulerConfigSecret": _ruler,
    "clustertlsconfig.ClusterTLSConfiguration": _cluster,
}
