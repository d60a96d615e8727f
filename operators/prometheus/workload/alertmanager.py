"""Alertmanager: one StatefulSet whose Pods gossip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from operators.prometheus.alertmanager.provision import CONFIGURATION_KEY
from operators.prometheus.tables import OMIT, Field, Scope, Table, Version
from operators.prometheus.tables.versions import DEFAULT_ALERTMANAGER
from operators.prometheus.workload.arguments import arguments, joined, unless
from operators.prometheus.workload.merge import merged_containers
from operators.prometheus.workload.objects import governing_service, pruned
from operators.prometheus.workload.pods import (
    Storage,
    extra_files,
    image,
    pod_metadata,
    pod_spec,
    probe_of,
    stateful_set,
    url_path,
)
from operators.prometheus.workload.reloader import CONTAINER_SECURITY, field_env, reloader
from operators.prometheus.workload.settings import Settings
from operators.prometheus.workload.tls import cluster_tls, web_config

__all__ = ["alertmanager", "prefix", "service"]

FOLDER: Final = "/etc/alertmanager"
DATA: Final = "/alertmanager"
GRACE_S: Final = 120
_WEB_CONFIG_SINCE: Final = "0.22.0"
_CLUSTER_TLS_SINCE: Final = "0.24.0"


def prefix(parent: Mapping[str, Any]) -> str:
    """Of the names of all objects of an Alertmanager."""
    return f"alertmanager-{(parent.get('metadata') or {}).get('name') or ''}"


def service(parents: Sequence[Mapping[str, Any]], settings: Settings) -> dict[str, Any]:
    """The governing Service of all in a namespace; it names Pods that are not ready, for they must find each other."""
    port = (parents[0].get("spec") or {}).get("portName") or "web"
    ports = [
        {"name": port, "port": 9093, "targetPort": port, "protocol": "TCP"},
        {"name": "tcp-mesh", "port": 9094, "targetPort": 9094, "protocol": "TCP"},
        {"name": "udp-mesh", "port": 9094, "targetPort": 9094, "protocol": "UDP"},
    ]
    selector = {"app.kubernetes.io/name": "alertmanager"}
    name = "alertmanager-operated"
    return governing_service(parents, name, "operated-alertmanager", ports, selector, settings, not_ready_too=True)


def _replicas(spec: Mapping[str, Any]) -> int:
    count = spec.get("replicas")
    return 1 if count is None else max(0, count)


def _clustered(spec: Mapping[str, Any]) -> bool:
    return _replicas(spec) != 1 or bool(spec.get("forceEnableClusterMode"))


def _listen(value: Any, scope: Scope) -> Any:
    """Empty, which turns gossip off."""
    return "[$(POD_IP)]:9094" if _clustered(value) else ""


def _peers(parent: Mapping[str, Any], scope: Scope) -> Any:
    spec = parent.get("spec") or {}
    named = parent.get("metadata") or {}
    settings: Settings = scope.options
    governing = spec.get("serviceName") or "alertmanager-operated"
    domain = f".{named.get('namespace')}.svc.{settings.cluster_domain}." if settings.cluster_domain else ""
    names = [f"{prefix(parent)}-{at}.{governing}{domain}:9094" for at in range(_replicas(spec))]
    return [*names, *(spec.get("additionalPeers") or ())] or OMIT


def _cluster_label(parent: Mapping[str, Any], scope: Scope) -> Any:
    named = parent.get("metadata") or {}
    label = (parent.get("spec") or {}).get("clusterLabel")
    return f"{named.get('namespace')}/{named.get('name')}" if label is None else label


def _listens(value: Any, scope: Scope) -> Any:
    return "127.0.0.1:9093" if value else ":9093"


_UNITS: Final = {unit: 1024**power for power, unit in enumerate(("", "K", "M", "G", "T", "P", "E"))}


def _bytes(value: Any, scope: Scope) -> Any:
    """``1.5MB``, ``1MiB`` or ``0`` as a number of bytes; a unit is a power of 1024, with ``i`` and without."""
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)([KMGTPE]?)i?B?", str(value))
    return int(float(match[1]) * _UNITS[match[2]]) if match else OMIT


def _start_delay(spec: Mapping[str, Any], scope: Scope) -> Any:
    """Nothing is sent before a Pod counts as ready; a user who sets the flag knows better."""
    named = {each.get("name") for each in spec.get("additionalArgs") or ()}
    seconds = spec.get("minReadySeconds")
    return f"{seconds}s" if seconds and "dispatch.start-delay" not in named else OMIT


_FLAGS: Final = Table(
    Field("config.file", ".", lambda value, scope: f"{FOLDER}/config_out/alertmanager.env.yaml"),
    Field("storage.path", ".", lambda value, scope: DATA),
    Field("data.retention", "spec.retention", lambda value, scope: value or "120h", always=True),
    Field("cluster.listen-address", "spec", _listen, always=True),
    Field("web.listen-address", "spec.listenLocal", _listens, always=True),
    Field("web.external-url", "spec.externalUrl"),
    Field("web.route-prefix", "spec.routePrefix", lambda value, scope: value or "/", always=True),
    Field("web.get-concurrency", "spec.web.getConcurrency", since="0.17.0"),
    Field("web.timeout", "spec.web.timeout", since="0.17.0"),
    Field("log.level", "spec.logLevel", unless("info")),
    Field("log.format", "spec.logFormat", unless("logfmt"), since="0.16.0"),
    Field("enable-feature", "spec.enableFeatures", joined, since="0.27.0"),
    Field("silences.max-silences", "spec.limits.maxSilences", since="0.28.0"),
    Field("silences.max-per-silence-bytes", "spec.limits.maxPerSilenceBytes", _bytes, since="0.28.0"),
    Field("cluster.advertise-address", "spec.clusterAdvertiseAddress"),
    Field("cluster.gossip-interval", "spec.clusterGossipInterval"),
    Field("cluster.pushpull-interval", "spec.clusterPushpullInterval"),
    Field("cluster.peer-timeout", "spec.clusterPeerTimeout"),
    Field("cluster.peer", ".", _peers),
    Field("cluster.label", ".", _cluster_label, since="0.26.0", quiet=True),
    Field("cluster.peer-name", ".", lambda value, scope: "$(POD_NAME)", since="0.30.0", quiet=True),
    Field("cluster.reconnect-timeout", ".", lambda value, scope: "5m"),
    Field("dispatch.start-delay", "spec", _start_delay, since="0.30.0"),
)


def alertmanager(
    parent: Mapping[str, Any],
    settings: Settings,
    *,
    tls_secret_names: Sequence[str] = (),
    dropped: list[str] | None = None,
) -> dict[str, Any]:
    """The StatefulSet of an Alertmanager.

    Raises:
        Rejected: an unreadable version; a web or cluster configuration that cannot be; a flag that is set twice.
    """
    spec = parent.get("spec") or {}
    text = spec.get("version") or DEFAULT_ALERTMANAGER
    scope = Scope(Version.parse(text), options=settings, dropped=[] if dropped is None else dropped)
    flags = _FLAGS.of(parent, scope)
    volumes, mounts = _volumes(parent, tls_secret_names)
    web = web_config(spec.get("web"), f"{FOLDER}/web_config", f"{prefix(parent)}-web-config")
    cluster = cluster_tls(parent, f"{FOLDER}/cluster_tls_config")
    has_web = scope.version.at_least(_WEB_CONFIG_SINCE)
    for mounted, since in ((cluster, _CLUSTER_TLS_SINCE), (web, _WEB_CONFIG_SINCE)):
        if scope.version.at_least(since):
            volumes, mounts = [*volumes, *mounted.volumes], [*mounts, *mounted.mounts]
            flags |= {mounted.argument[0]: mounted.argument[1]} if mounted.argument else {}
    storage = Storage.of(spec, f"{prefix(parent)}-db", DATA, "alertmanager-db")
    mounts += [storage.mount, *(spec.get("volumeMounts") or ())]
    if storage.volume:
        volumes.append(storage.volume)
    https = has_web and bool((spec.get("web") or {}).get("tlsConfig"))
    serves_web = has_web and spec.get("web") is not None
    scheme = "https" if https else "http"
    told = f"{scheme}://{settings.localhost}:9093{url_path(spec.get('routePrefix') or '/', '/-/reload')}"
    watched, extra_mounts = _watched(spec)
    reloading: dict[str, Any] = {
        "config": (f"{FOLDER}/config/{CONFIGURATION_KEY}", f"{FOLDER}/config_out/alertmanager.env.yaml"),
        "watched": watched,
        "env": [{"name": "SHARD", "value": "-1"}],
        "mounts": [
            {"name": "config-volume", "readOnly": True, "mountPath": f"{FOLDER}/config"},
            {"name": "config-out", "mountPath": f"{FOLDER}/config_out"},
            *extra_mounts,
            *(web.mounts if serves_web else ()),
        ],
    }
    web_file = web.argument[1] if serves_web and web.argument else ""
    beside = reloader(spec, settings, reload=[f"--reload-url={told}"], web_config=web_file, **reloading)
    containers = [_container(spec, settings, flags, mounts, https=https), beside]
    selector = _selector(parent)
    template = pod_spec(
        spec,
        grace_s=GRACE_S,
        selector=selector,
        containers=merged_containers(containers, spec.get("containers")),
        init_containers=merged_containers(
            [reloader(spec, settings, once=True, **reloading)], spec.get("initContainers")
        ),
        volumes=volumes,
    )
    return stateful_set(
        parent,
        prefix(parent),
        settings,
        labels=selector,
        selector=selector,
        service="alertmanager-operated",
        template={"metadata": pod_metadata(spec, selector, "alertmanager", text, settings), "spec": template},
        storage=storage,
    )


def _selector(parent: Mapping[str, Any]) -> dict[str, str]:
    name = (parent.get("metadata") or {}).get("name") or ""
    return {
        "app.kubernetes.io/name": "alertmanager",
        "app.kubernetes.io/managed-by": "prometheus-operator",
        "app.kubernetes.io/instance": name,
        "alertmanager": name,
    }


def _templates(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((spec.get("alertmanagerConfiguration") or {}).get("templates") or ())


def _watched(spec: Mapping[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """Folders whose files the configuration may name: a change in them is a change of it."""
    _, mounts = extra_files(spec, FOLDER)
    if _templates(spec):
        mounts.append({"name": "notification-templates", "readOnly": True, "mountPath": f"{FOLDER}/templates"})
    return [f"{FOLDER}/config", *(each["mountPath"] for each in mounts)], mounts


def _volumes(
    parent: Mapping[str, Any], tls_secret_names: Sequence[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    spec = parent.get("spec") or {}
    volumes: list[dict[str, Any]] = [
        {"name": "config-volume", "secret": {"secretName": f"{prefix(parent)}-generated"}},
        {"name": "tls-assets", "projected": {"sources": [{"secret": {"name": name}} for name in tls_secret_names]}},
        {"name": "config-out", "emptyDir": {"medium": "Memory"}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "config-volume", "readOnly": True, "mountPath": f"{FOLDER}/config"},
        {"name": "config-out", "readOnly": True, "mountPath": f"{FOLDER}/config_out"},
        {"name": "tls-assets", "readOnly": True, "mountPath": f"{FOLDER}/certs"},
    ]
    more_volumes, more_mounts = extra_files(spec, FOLDER)
    volumes += more_volumes
    mounts += more_mounts
    if templates := _templates(spec):
        volumes.append({"name": "notification-templates", "projected": {"sources": list(map(_source, templates))}})
        mounts.append({"name": "notification-templates", "readOnly": True, "mountPath": f"{FOLDER}/templates"})
    return volumes, mounts


def _source(template: Mapping[str, Any]) -> dict[str, Any]:
    kind = "secret" if template.get("secret") else "configMap"
    reference = template.get(kind) or {}
    key = reference.get("key") or ""
    return {kind: {"name": reference.get("name") or "", "items": [{"key": key, "path": key}]}}


def _container(
    spec: Mapping[str, Any],
    settings: Settings,
    flags: Mapping[str, Any],
    mounts: Sequence[Mapping[str, Any]],
    *,
    https: bool,
) -> dict[str, Any]:
    port = spec.get("portName") or "web"
    ready = probe_of(spec, "/-/ready", port=port, number=9093, https=https)
    healthy = probe_of(spec, "/-/healthy", port=port, number=9093, https=https)
    ports = [] if spec.get("listenLocal") else [{"name": port, "containerPort": 9093, "protocol": "TCP"}]
    ports += [
        {"name": "mesh-tcp", "containerPort": 9094, "protocol": "TCP"},
        {"name": "mesh-udp", "containerPort": 9094, "protocol": "UDP"},
    ]
    resources = dict(spec.get("resources") or {})
    resources["requests"] = {"memory": "200Mi", **(resources.get("requests") or {})}
    return pruned(
        {
            "name": "alertmanager",
            "image": image(spec, settings.alertmanager_image, spec.get("version") or DEFAULT_ALERTMANAGER),
            "imagePullPolicy": spec.get("imagePullPolicy"),
            "args": arguments(flags, spec.get("additionalArgs")),
            "env": [field_env("POD_IP", "status.podIP"), field_env("POD_NAME", "metadata.name")],
            "ports": ports,
            "volumeMounts": list(mounts),
            "readinessProbe": {
                **ready,
                "initialDelaySeconds": 3,
                "timeoutSeconds": 3,
                "periodSeconds": 5,
                "failureThreshold": 10,
            },
            "livenessProbe": {**healthy, "timeoutSeconds": 3, "failureThreshold": 10},
            "resources": resources,
            "securityContext": dict(CONTAINER_SECURITY),
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    )
