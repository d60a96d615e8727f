"""Prometheus, as server and as agent: StatefulSets of shards, or one DaemonSet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from operators.prometheus.tables import OMIT, Field, Inline, Scope, Table, Version
from operators.prometheus.tables.reading import mapping
from operators.prometheus.tables.versions import DEFAULT_PROMETHEUS
from operators.prometheus.workload.arguments import arguments, flag, joined, unless
from operators.prometheus.workload.merge import merged_containers
from operators.prometheus.workload.objects import governing_service, metadata, pruned
from operators.prometheus.workload.pods import (
    Storage,
    extra_files,
    image,
    pod_metadata,
    pod_spec,
    probe_of,
    startup_probe,
    stateful_set,
    url_path,
)
from operators.prometheus.workload.reloader import CONTAINER_SECURITY, field_env, reloader
from operators.prometheus.workload.settings import Settings
from operators.prometheus.workload.thanos import shipping, sidecar
from operators.prometheus.workload.tls import Mounted, web_config

__all__ = ["CONFIG_KEY", "LOG_FOLDER", "prefix", "service", "shard_name", "shards", "workloads"]

CONFIG_KEY: Final = "prometheus.yaml.gz"
FOLDER: Final = "/etc/prometheus"
DATA: Final = "/prometheus"
LOG_FOLDER: Final = "/var/log/prometheus"
"""Where a log file goes whose name has no folder."""

GRACE_S: Final = 600
"""Time to write what is in memory when it is stopped."""

_WEB_CONFIG_SINCE: Final = "2.24.0"


def _is_agent(parent: Mapping[str, Any]) -> bool:
    return parent.get("kind") == "PrometheusAgent"


def prefix(parent: Mapping[str, Any]) -> str:
    """Of the names of all objects of a Prometheus or PrometheusAgent."""
    name = (parent.get("metadata") or {}).get("name") or ""
    return f"prom-agent-{name}" if _is_agent(parent) else f"prometheus-{name}"


def shard_name(parent: Mapping[str, Any], shard: int) -> str:
    """Of the StatefulSet of a shard."""
    return prefix(parent) + (f"-shard-{shard}" if shard else "")


def shards(parent: Mapping[str, Any]) -> int:
    """How many there are; at least one."""
    return max(1, (parent.get("spec") or {}).get("shards") or 1)


def service(parents: Sequence[Mapping[str, Any]], settings: Settings) -> dict[str, Any]:
    """The governing Service of all of one kind in a namespace."""
    agent = _is_agent(parents[0])
    ports = [{"name": "web", "port": 9090, "targetPort": (parents[0].get("spec") or {}).get("portName") or "web"}]
    if any((each.get("spec") or {}).get("thanos") is not None for each in parents):
        ports.append({"name": "grpc", "port": 10901, "targetPort": "grpc"})
    name = "prometheus-agent" if agent else "prometheus"
    selector = {"app.kubernetes.io/name": name}
    return governing_service(parents, f"{name}-operated", "operated-prometheus", ports, selector, settings)


# -- command lines -----------------------------------------------------------------------------------------------


def _reload(value: Mapping[str, Any], scope: Scope) -> Any:
    return OMIT if value.get("reloadStrategy") == "ProcessSignal" else True


def _route_prefix(value: Any, scope: Scope) -> Any:
    return value or "/"


def _features(spec: Mapping[str, Any], scope: Scope) -> Any:
    """With those that older versions take for what has a flag of its own later."""
    features = list(spec.get("enableFeatures") or ())
    if spec.get("enableRemoteWriteReceiver") and not scope.version.at_least("2.33.0"):
        features.append("remote-write-receiver")
    if _receives_otlp(spec) and scope.version.at_least("2.47.0") and not scope.version.at_least("3.0.0"):
        features.append("otlp-write-receiver")
    second = any(mapping(each).get("messageVersion") == "V2.0" for each in spec.get("remoteWrite") or ())
    if second and scope.version.at_least("2.54.0") and not scope.version.at_least("3.4.0"):
        features.append("metadata-wal-records")  # which that version of the protocol sends
    floats = mapping(mapping(spec.get("tsdb")).get("chunkEncoding")).get("floats")
    if floats == "Xor2" and scope.version.at_least("3.13.0"):
        features.append("xor2-encoding")
    if scope.options and not scope.version.at_least("3.0.0"):
        features.insert(0, "agent")
    return joined(list(dict.fromkeys(features)), scope)


_MESSAGES: Final[Mapping[str, str]] = {"V1.0": "prometheus.WriteRequest", "V2.0": "io.prometheus.write.v2.Request"}


def _messages(spec: Mapping[str, Any], scope: Scope) -> Any:
    if not spec.get("enableRemoteWriteReceiver"):
        return OMIT
    return joined([_MESSAGES.get(each, each) for each in spec.get("remoteWriteReceiverMessageVersions") or ()], scope)


def _receives_otlp(spec: Mapping[str, Any]) -> bool:
    """Where it is not said, what is configured for it says it."""
    return bool(spec["enableOTLPReceiver"] if spec.get("enableOTLPReceiver") is not None else spec.get("otlp"))


_COMMON: Final = (
    Field("config.file", ".", lambda value, scope: f"{FOLDER}/config_out/prometheus.env.yaml"),
    Field("agent", ".", lambda value, scope: True if scope.options and scope.version.at_least("3.0.0") else OMIT),
    Field("web.console.templates", ".", lambda value, scope: f"{FOLDER}/consoles", until="3.0.0", quiet=True),
    Field("web.console.libraries", ".", lambda value, scope: f"{FOLDER}/console_libraries", until="3.0.0", quiet=True),
    Field("web.enable-lifecycle", ".", _reload),
    Field("web.page-title", "web.pageTitle", since="2.6.0"),
    Field("web.max-connections", "web.maxConnections"),
    Field("web.enable-remote-write-receiver", "enableRemoteWriteReceiver", flag, since="2.33.0"),
    Field(
        "web.remote-write-receiver.accepted-protobuf-messages",
        "remoteWriteReceiverMessageVersions",
        lambda value, scope: joined([_MESSAGES.get(each, each) for each in value], scope),
        since="2.54.0",
    ),
    Field(
        "web.enable-otlp-receiver",
        ".",
        lambda value, scope: True if _receives_otlp(value) else OMIT,
        since="3.0.0",
        quiet=True,
    ),
    Field("enable-feature", ".", _features, since="2.25.0"),
    Field("web.external-url", "externalUrl"),
    Field("web.route-prefix", "routePrefix", _route_prefix, always=True),
    Field("log.level", "logLevel", unless("info")),
    Field("log.format", "logFormat", unless("logfmt"), since="2.6.0"),
    Field("web.listen-address", "listenLocal", lambda value, scope: "127.0.0.1:9090" if value else OMIT),
)


def _retention(spec: Mapping[str, Any], scope: Scope) -> Any:
    return spec.get("retention") or (OMIT if spec.get("retentionSize") else "24h")


def _above(least: int) -> Callable[[Any, Scope], Any]:
    return lambda value, scope: value if isinstance(value, int) and value > least else OMIT


def _wal(value: Any, scope: Scope) -> Any:
    return OMIT if value is None else bool(value)


_SERVER: Final = Table(
    *_COMMON,
    Field(
        "storage.tsdb.retention",
        "retention",
        lambda value, scope: value or "24h",
        until="2.7.0",
        always=True,
        quiet=True,
    ),
    Field("storage.tsdb.retention.time", ".", _retention, since="2.7.0", until="3.11.0", quiet=True),
    Field("storage.tsdb.retention.size", "retentionSize", since="2.7.0", until="3.11.0", quiet=True),
    Field("storage.tsdb.path", ".", lambda value, scope: DATA),
    Field("web.enable-admin-api", "enableAdminAPI", flag),
    Field("rules.alert.for-outage-tolerance", "rules.alert.forOutageTolerance", since="2.4.0"),
    Field("rules.alert.for-grace-period", "rules.alert.forGracePeriod", since="2.4.0"),
    Field("rules.alert.resend-delay", "rules.alert.resendDelay", since="2.4.0"),
    Field("query.lookback-delta", "query.lookbackDelta"),
    Field("query.max-samples", "query.maxSamples", _above(0), since="2.5.0"),
    Field("query.max-concurrency", "query.maxConcurrency", _above(1)),
    Field("query.timeout", "query.timeout"),
    Field("storage.tsdb.allow-overlapping-blocks", "allowOverlappingBlocks", flag, since="2.11.0", until="2.39.0"),
    Field("storage.tsdb.wal-compression", "walCompression", _wal, since="2.11.0"),
    Inline(shipping),
)
_AGENT: Final = Table(
    *_COMMON,
    Field("storage.agent.path", ".", lambda value, scope: DATA),
    Field("storage.agent.wal-compression", "walCompression", _wal),
)


def _spelled(flags: dict[str, Any]) -> dict[str, Any]:
    """False as the ``no-`` form of a flag."""
    return {
        f"no-{name}" if value is False else name: True if value is False else value for name, value in flags.items()
    }


# -- Pods --------------------------------------------------------------------------------------------------------


def workloads(
    parent: Mapping[str, Any],
    settings: Settings,
    *,
    rule_map_names: Sequence[str] = (),
    tls_secret_names: Sequence[str] = (),
    dropped: list[str] | None = None,
) -> list[dict[str, Any]]:
    """The StatefulSet of each shard, or the DaemonSet of an agent whose ``mode`` is that.

    Args:
        rule_map_names: ConfigMaps of rules to mount, whether they are there or not.
        tls_secret_names: Secrets of TLS files, all seen in one folder.
    Raises:
        Rejected: an unreadable version, a web configuration that cannot be, a flag that is set twice.
    """
    if _is_agent(parent) and (parent.get("spec") or {}).get("mode") == "DaemonSet":
        return [_daemon_set(parent, settings, tls_secret_names, dropped)]
    return [
        _shard(parent, settings, shard, rule_map_names, tls_secret_names, dropped) for shard in range(shards(parent))
    ]


def _selector(parent: Mapping[str, Any]) -> dict[str, str]:
    name = (parent.get("metadata") or {}).get("name") or ""
    return {
        "app.kubernetes.io/name": "prometheus-agent" if _is_agent(parent) else "prometheus",
        "app.kubernetes.io/managed-by": "prometheus-operator",
        "app.kubernetes.io/instance": name,
        "operator.prometheus.io/name": name,
    }


def _shard(
    parent: Mapping[str, Any],
    settings: Settings,
    shard: int,
    rule_map_names: Sequence[str],
    tls_secret_names: Sequence[str],
    dropped: list[str] | None,
) -> dict[str, Any]:
    spec = parent.get("spec") or {}
    selector = {**_selector(parent), "operator.prometheus.io/shard": str(shard)}
    if not _is_agent(parent):
        selector["prometheus"] = selector["operator.prometheus.io/name"]
    storage = Storage.of(spec, f"{prefix(parent)}-db", DATA, "prometheus-db")
    env = [{"name": "SHARD", "value": str(shard)}, *_zone(spec, shard)]
    template = _template(parent, settings, selector, env, storage, rule_map_names, tls_secret_names, dropped)
    zones = _zones(spec)
    if zones:
        chosen = template["spec"].setdefault("nodeSelector", {})
        template["spec"]["nodeSelector"] = {**chosen, "topology.kubernetes.io/zone": zones[shard % len(zones)]}
    name = "prometheus-agent-operated" if _is_agent(parent) else "prometheus-operated"
    labels = {**selector, "operator.prometheus.io/mode": "agent" if _is_agent(parent) else "server"}
    return stateful_set(
        parent,
        shard_name(parent, shard),
        settings,
        labels=labels,
        selector=selector,
        service=name,
        template=template,
        storage=storage,
    )


def _zones(spec: Mapping[str, Any]) -> list[str]:
    strategy = spec.get("shardingStrategy") or {}
    if strategy.get("mode") != "Topology":
        return []
    return list((strategy.get("topology") or {}).get("values") or ())


def _zone(spec: Mapping[str, Any], shard: int) -> list[dict[str, Any]]:
    """Shards go round the zones: the zone of one, and its number within."""
    zones = _zones(spec)
    if not zones:
        return []
    return [
        {"name": "TOPOLOGY_ZONE", "value": zones[shard % len(zones)]},
        {"name": "INZONE_SHARD", "value": str(shard // len(zones))},
    ]


def _daemon_set(
    parent: Mapping[str, Any], settings: Settings, tls_secret_names: Sequence[str], dropped: list[str] | None
) -> dict[str, Any]:
    spec = parent.get("spec") or {}
    selector = _selector(parent)
    storage = Storage.of({"storage": None}, f"{prefix(parent)}-db", DATA, "")
    env = [field_env("NODE_NAME", "spec.nodeName")]
    template = _template(parent, settings, selector, env, storage, (), tls_secret_names, dropped)
    labels = {**selector, "operator.prometheus.io/mode": "agent"}
    body = {
        "selector": {"matchLabels": {**selector, **settings.labels}},
        "updateStrategy": {"type": "RollingUpdate"},
        "minReadySeconds": spec.get("minReadySeconds"),
        "template": template,
    }
    described = metadata(parent, prefix(parent), settings, labels, inherited=True)
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": described, "spec": pruned(body)}


def _template(
    parent: Mapping[str, Any],
    settings: Settings,
    selector: Mapping[str, str],
    env: Sequence[Mapping[str, Any]],
    storage: Storage,
    rule_map_names: Sequence[str],
    tls_secret_names: Sequence[str],
    dropped: list[str] | None,
) -> dict[str, Any]:
    spec = parent.get("spec") or {}
    text = spec.get("version") or DEFAULT_PROMETHEUS
    scope = Scope(Version.parse(text), options=_is_agent(parent), dropped=[] if dropped is None else dropped)
    web = web_config(spec.get("web"), f"{FOLDER}/web_config", f"{prefix(parent)}-web-config")
    has_web = scope.version.at_least(_WEB_CONFIG_SINCE)
    volumes, mounts = _volumes(parent, storage, rule_map_names, tls_secret_names)
    if has_web:
        volumes, mounts = [*volumes, *web.volumes], [*mounts, *web.mounts]
    container = _container(parent, settings, scope, web if has_web else None, mounts)
    https = has_web and bool((spec.get("web") or {}).get("tlsConfig"))
    serves_web = has_web and spec.get("web") is not None  # what holds for Prometheus holds for the reloader, too
    watched = [f"{FOLDER}/rules/{name}" for name in rule_map_names]
    reloading: dict[str, Any] = {
        "mounts": [
            {"name": "config", "mountPath": f"{FOLDER}/config"},
            {"name": "config-out", "mountPath": f"{FOLDER}/config_out"},
            *({"name": name, "mountPath": folder} for name, folder in zip(rule_map_names, watched, strict=True)),
            *(web.mounts if serves_web else ()),
        ],
        "config": (f"{FOLDER}/config/{CONFIG_KEY}", f"{FOLDER}/config_out/prometheus.env.yaml"),
        "watched": watched,
        "env": list(env),
    }
    web_file = web.argument[1] if serves_web and web.argument else ""
    beside = reloader(spec, settings, reload=_told(spec, settings, https), web_config=web_file, **reloading)
    containers = [container, beside]
    if spec.get("thanos") is not None:
        shipped, extra = sidecar(parent, settings, https=https, storage=storage, prefix=prefix(parent))
        containers.append(shipped)
        volumes += extra
    if storage.volume:
        volumes.append(storage.volume)
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
    if spec.get("reloadStrategy") == "ProcessSignal":
        template["shareProcessNamespace"] = True
    return {"metadata": pod_metadata(spec, selector, "prometheus", text, settings), "spec": template}


def _told(spec: Mapping[str, Any], settings: Settings, https: bool) -> list[str]:
    """How the reloader tells Prometheus."""
    url = f"{'https' if https else 'http'}://{settings.localhost}:9090"
    route = spec.get("routePrefix") or "/"
    if spec.get("reloadStrategy") == "ProcessSignal":
        return ["--reload-method=signal", f"--runtimeinfo-url={url}{url_path(route, '/api/v1/status/runtimeinfo')}"]
    return [f"--reload-url={url}{url_path(route, '/-/reload')}"]


def _container(
    parent: Mapping[str, Any],
    settings: Settings,
    scope: Scope,
    web: Mounted | None,
    mounts: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    spec = parent.get("spec") or {}
    flags = _spelled((_AGENT if _is_agent(parent) else _SERVER).of(spec, scope))
    if web is not None and web.argument:
        flags[web.argument[0]] = web.argument[1]
    port = spec.get("portName") or "web"
    https = web is not None and bool((spec.get("web") or {}).get("tlsConfig"))
    ready = probe_of(spec, "/-/ready", port=port, number=9090, https=https)
    healthy = probe_of(spec, "/-/healthy", port=port, number=9090, https=https)
    ports = [] if spec.get("listenLocal") else [{"name": port, "containerPort": 9090, "protocol": "TCP"}]
    return pruned(
        {
            "name": "prometheus",
            "image": image(spec, settings.prometheus_image, f"v{scope.version}"),
            "imagePullPolicy": spec.get("imagePullPolicy"),
            "args": arguments(flags, spec.get("additionalArgs")),
            "env": _env(spec, scope),
            "ports": ports,
            "volumeMounts": list(mounts),
            "startupProbe": startup_probe(ready, spec.get("maximumStartupDurationSeconds")),
            "readinessProbe": {**ready, "timeoutSeconds": 3, "periodSeconds": 5, "failureThreshold": 3},
            "livenessProbe": {**healthy, "timeoutSeconds": 3, "periodSeconds": 5, "failureThreshold": 6},
            "resources": spec.get("resources"),
            "securityContext": dict(CONTAINER_SECURITY),
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    )


def _env(spec: Mapping[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """``runtime.goGC`` for versions that do not read it in the configuration."""
    percent = mapping(spec.get("runtime")).get("goGC")
    return [] if percent is None or scope.version.at_least("2.53.0") else [{"name": "GOGC", "value": str(percent)}]


def _volumes(
    parent: Mapping[str, Any],
    storage: Storage,
    rule_map_names: Sequence[str],
    tls_secret_names: Sequence[str],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    spec = parent.get("spec") or {}
    volumes: list[dict[str, Any]] = [
        {"name": "config", "secret": {"secretName": prefix(parent)}},
        {"name": "tls-assets", "projected": {"sources": [{"secret": {"name": name}} for name in tls_secret_names]}},
        {"name": "config-out", "emptyDir": {"medium": "Memory"}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "config-out", "readOnly": True, "mountPath": f"{FOLDER}/config_out"},
        {"name": "tls-assets", "readOnly": True, "mountPath": f"{FOLDER}/certs"},
        storage.mount,
    ]
    for name in rule_map_names:
        volumes.append({"name": name, "configMap": {"name": name, "optional": True}})
        mounts.append({"name": name, "readOnly": True, "mountPath": f"{FOLDER}/rules/{name}"})
    more_volumes, more_mounts = extra_files(spec, FOLDER)
    volumes += more_volumes
    mounts += more_mounts
    files = (("query-log-file", "queryLogFile"), ("scrape-failure-log-file", "scrapeFailureLogFile"))
    logs = [name for name, field in files if spec.get(field) and "/" not in spec[field]]
    if logs:
        volumes.append({"name": logs[0], "emptyDir": {}})
        mounts.append({"name": logs[0], "mountPath": LOG_FOLDER})
    return volumes, [*mounts, *(spec.get("volumeMounts") or ())]
