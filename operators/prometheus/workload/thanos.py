"""Thanos: the sidecar beside Prometheus, and Thanos Ruler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from operators.prometheus.tables import OMIT, Field, Rejected, Scope, Table, Version, to_yaml
from operators.prometheus.tables.versions import DEFAULT_PROMETHEUS, DEFAULT_THANOS
from operators.prometheus.workload.arguments import arguments, joined, unless
from operators.prometheus.workload.merge import merged_containers
from operators.prometheus.workload.names import dns_label
from operators.prometheus.workload.objects import governing_service, pruned
from operators.prometheus.workload.pods import (
    Storage,
    image,
    pod_metadata,
    pod_spec,
    probe_of,
    stateful_set,
    url_path,
)
from operators.prometheus.workload.reloader import CONTAINER_SECURITY, field_env, reloader
from operators.prometheus.workload.settings import Settings
from operators.prometheus.workload.tls import web_config

__all__ = ["CLIENT_FILE", "client_file", "ruler", "ruler_prefix", "ruler_service", "shipping", "sidecar"]

CLIENT_FILE: Final = "prometheus.http-client-file.yaml"
CLIENT_FOLDER: Final = "/etc/thanos/config/prometheus.http-client-file"
SHIPPED_FILE: Final = "thanos.shipper.json"
"""Where the sidecar writes what it has shipped, and Prometheus reads it."""

BLOCK: Final = "2h"
"""How long a block of samples is where they are shipped; the CRD's default."""

_DELAYED: Final = ("3.9.0", "0.41.0")
"""Versions of Prometheus and of Thanos from which compaction waits for the upload, and needs not be off."""

GRACE_S: Final = 120
FOLDER: Final = "/etc/thanos"
DATA: Final = "/thanos/data"


# -- sidecar -----------------------------------------------------------------------------------------------------


def _ships(thanos: Mapping[str, Any]) -> bool:
    return thanos.get("objectStorageConfig") is not None or bool(thanos.get("objectStorageConfigFile"))


def _delays(spec: Mapping[str, Any]) -> bool:
    """Whether compaction goes on, and waits for what is shipped."""
    if spec.get("disableCompaction") or not _ships(spec.get("thanos") or {}):
        return False
    versions = (spec.get("version") or DEFAULT_PROMETHEUS, (spec.get("thanos") or {}).get("version") or DEFAULT_THANOS)
    return all(Version.parse(text).at_least(least) for text, least in zip(versions, _DELAYED, strict=True))


def shipping(spec: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Flags of a Prometheus whose blocks are shipped: compaction delayed or, in older versions, blocks of one size.

    Blocks of samples that came late may overlap; they are not merged before they are shipped.
    """
    thanos = spec.get("thanos") or {}
    if not spec.get("disableCompaction") and not _ships(thanos):
        return {}
    flags: dict[str, Any] = {}
    if _delays(spec):
        flags["storage.tsdb.delay-compact-file.path"] = f"/prometheus/{SHIPPED_FILE}"
    else:
        block = thanos.get("blockSize") or BLOCK
        flags = {"storage.tsdb.max-block-duration": block, "storage.tsdb.min-block-duration": block}
    late = (spec.get("tsdb") or {}).get("outOfOrderTimeWindow") is not None
    if late and scope.version.at_least("2.55.0"):
        flags["no-storage.tsdb.allow-overlapping-compaction"] = True
    return flags


def client_file() -> str:
    """How the sidecar talks to the Prometheus beside it: by the Pod's own address, whose name no certificate has.

    The same with and without TLS, so that turning it on changes no file that the sidecar reads.
    """
    return to_yaml({"tls_config": {"insecure_skip_verify": True}})


def _address(port: int, *fields: str) -> Any:
    def made(thanos: Mapping[str, Any], scope: Scope) -> str:
        return f"{'127.0.0.1' if any(thanos.get(each) for each in fields) else ''}:{port}"

    return made


def _tls_version(value: Any, scope: Scope) -> Any:
    """``TLS12`` as ``1.2``."""
    return f"{value[3]}.{value[4]}" if isinstance(value, str) and len(value) == len("TLS12") else OMIT


_TLS: Final = (
    Field("grpc-server-tls-cert", "grpcServerTlsConfig.certFile"),
    Field("grpc-server-tls-key", "grpcServerTlsConfig.keyFile"),
    Field("grpc-server-tls-client-ca", "grpcServerTlsConfig.caFile"),
    Field("grpc-server-tls-min-version", "grpcServerTlsConfig.minVersion", _tls_version, since="0.37.0"),
    Field("grpc-server-tls-ciphers", "grpcServerTlsConfig.cipherSuites", joined, since="0.42.0"),
    Field("grpc-server-tls-curves", "grpcServerTlsConfig.curves", joined, since="0.42.0"),
)


def _or_env(file: str, reference: str, variable: str) -> Any:
    """Two flags in one row: the file's path, or the value of a variable."""

    def made(thanos: Mapping[str, Any], scope: Scope) -> Any:
        if thanos.get(file):
            return thanos[file] if variable == "" else OMIT
        return f"$({variable})" if variable and thanos.get(reference) is not None else OMIT

    return made


_SIDECAR: Final = Table(
    Field("prometheus.url", "url"),
    Field(
        "prometheus.http-client-file",
        ".",
        lambda value, scope: f"{CLIENT_FOLDER}/{CLIENT_FILE}",
        since="0.24.0",
        quiet=True,
    ),
    Field("grpc-address", ".", _address(10901, "listenLocal", "grpcListenLocal")),
    Field("http-address", ".", _address(10902, "listenLocal", "httpListenLocal")),
    *_TLS,
    Field("objstore.config-file", ".", _or_env("objectStorageConfigFile", "objectStorageConfig", "")),
    Field("objstore.config", ".", _or_env("objectStorageConfigFile", "objectStorageConfig", "OBJSTORE_CONFIG")),
    Field("tsdb.path", ".", lambda value, scope: "/prometheus" if _ships(value) else OMIT),
    Field("shipper.meta-file-name", "delays", lambda value, scope: SHIPPED_FILE if value else OMIT),
    Field("shipper.ignore-unequal-block-size", "delays", lambda value, scope: value or OMIT),
    Field("tracing.config-file", ".", _or_env("tracingConfigFile", "tracingConfig", "")),
    Field("tracing.config", ".", _or_env("tracingConfigFile", "tracingConfig", "TRACING_CONFIG")),
    Field("log.level", "logLevel"),
    Field("log.format", "logFormat"),
    Field("min-time", "minTime"),
    Field("prometheus.ready_timeout", "readyTimeout"),
    Field("prometheus.get_config_timeout", "getConfigTimeout"),
    Field("prometheus.get_config_interval", "getConfigInterval"),
)


def sidecar(
    parent: Mapping[str, Any], settings: Settings, *, https: bool, storage: Storage, prefix: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The container, and the volume of its client file.

    Raises:
        Rejected: an unreadable version, or a flag that is set twice.
    """
    spec = parent.get("spec") or {}
    thanos = spec.get("thanos") or {}
    version = thanos.get("version") or DEFAULT_THANOS
    route = url_path(spec.get("routePrefix") or "/", "/")
    wanted = {
        **thanos,
        "url": f"{'https' if https else 'http'}://{settings.localhost}:9090{route}",
        "logLevel": thanos.get("logLevel") or spec.get("logLevel"),
        "logFormat": thanos.get("logFormat") or spec.get("logFormat"),
        "delays": _delays(spec),
    }
    flags = _SIDECAR.of(wanted, Scope(Version.parse(version)))
    env = [
        {"name": variable, "valueFrom": {"secretKeyRef": thanos[field]}}
        for variable, field, file in (
            ("OBJSTORE_CONFIG", "objectStorageConfig", "objectStorageConfigFile"),
            ("TRACING_CONFIG", "tracingConfig", "tracingConfigFile"),
        )
        if thanos.get(field) is not None and not thanos.get(file)
    ]
    client = {"name": "thanos-prometheus-http-client-file", "mountPath": CLIENT_FOLDER}
    container = {
        "name": "thanos-sidecar",
        "image": image(thanos, settings.thanos_image, version),
        "imagePullPolicy": spec.get("imagePullPolicy"),
        "args": ["sidecar", *arguments(flags, thanos.get("additionalArgs"))],
        "env": env,
        "ports": [{"name": "http", "containerPort": 10902}, {"name": "grpc", "containerPort": 10901}],
        "volumeMounts": [client, *(thanos.get("volumeMounts") or ()), *([storage.mount] if _ships(thanos) else ())],
        "resources": thanos.get("resources"),
        "securityContext": dict(CONTAINER_SECURITY),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    volume = {"name": client["name"], "secret": {"secretName": f"{prefix}-thanos-prometheus-http-client-file"}}
    return pruned(container), [volume]


# -- ruler -------------------------------------------------------------------------------------------------------


def ruler_prefix(parent: Mapping[str, Any]) -> str:
    """Of the names of all objects of a ThanosRuler."""
    return f"thanos-ruler-{(parent.get('metadata') or {}).get('name') or ''}"


def ruler_service(parents: Sequence[Mapping[str, Any]], settings: Settings) -> dict[str, Any]:
    """The governing Service of all in a namespace."""
    port = (parents[0].get("spec") or {}).get("portName") or "web"
    ports = [
        {"name": port, "port": 10902, "targetPort": port, "protocol": "TCP"},
        {"name": "grpc", "port": 10901, "targetPort": "grpc", "protocol": "TCP"},
    ]
    selector = {"app.kubernetes.io/name": "thanos-ruler"}
    return governing_service(parents, "thanos-ruler-operated", "operated-thanos-ruler", ports, selector, settings)


REPLICA: Final = "thanos_ruler_replica"
_FILES: Final = (
    ("remote-write.config-file", "remoteWrite", "", "remote-write-config"),
    ("query.config-file", "queryConfig", "", "query-config"),
    ("alertmanagers.config-file", "alertmanagersConfig", "", "alertmanager-config"),
    ("objstore.config-file", "objectStorageConfig", "objectStorageConfigFile", "objstorage-config"),
    ("tracing.config-file", "tracingConfig", "tracingConfigFile", "tracing-config"),
    ("alert.relabel-config-file", "alertRelabelConfigs", "alertRelabelConfigFile", "alertrelabel-config"),
)
"""Flag, the field with a key of a Secret, the field with a path that goes before it, the volume."""


def _labels(value: Any, scope: Scope) -> list[str]:
    named = [f'{name}="{text}"' for name, text in sorted((value or {}).items())]
    return [f'{REPLICA}="$(POD_NAME)"', *named]


def _mounted(field: str) -> Any:
    """Of files that `_file_volumes` put into the scope's options."""
    return lambda value, scope: scope.options.get(field, OMIT)


_RULER: Final = Table(
    Field("data-dir", ".", lambda value, scope: DATA),
    Field("eval-interval", "evaluationInterval", lambda value, scope: value or "15s", always=True),
    Field("tsdb.retention", "retention", lambda value, scope: value or "24h", always=True),
    Field("rule-query-offset", "ruleQueryOffset", since="0.38.0"),
    Field("rule-concurrent-evaluation", "ruleConcurrentEval", lambda value, scope: value or OMIT, since="0.37.0"),
    Field("for-outage-tolerance", "ruleOutageTolerance", since="0.30.0"),
    Field("for-grace-period", "ruleGracePeriod", since="0.30.0"),
    Field("resend-delay", "resendDelay"),
    Field("enable-feature", "enableFeatures", joined, since="0.39.0"),
    Field("label", "labels", _labels, always=True),
    Field("alert.label-drop", "alertDropLabels", lambda value, scope: [REPLICA, *(value or ())], always=True),
    Field("http-address", "listenLocal", lambda value, scope: "localhost:10902" if value else OMIT),
    Field("log.level", "logLevel", unless("info")),
    Field("log.format", "logFormat"),
    Field("rule-file", ".", lambda value, scope: f"{FOLDER}/rules/*/*.yaml"),
    Field("remote-write.config-file", ".", _mounted("remote-write.config-file"), since="0.24.0"),
    Field("query.config-file", ".", _mounted("query.config-file")),
    Field("query", ".", lambda value, scope: OMIT if value.get("queryConfig") else value.get("queryEndpoints") or OMIT),
    Field("alertmanagers.config-file", ".", _mounted("alertmanagers.config-file")),
    Field(
        "alertmanagers.url",
        ".",
        lambda value, scope: OMIT if value.get("alertmanagersConfig") else value.get("alertmanagersUrl") or OMIT,
    ),
    Field("objstore.config-file", ".", _mounted("objstore.config-file")),
    Field("tracing.config-file", ".", _mounted("tracing.config-file")),
    Field("alert.relabel-config-file", ".", _mounted("alert.relabel-config-file")),
    *_TLS,
    Field("web.external-prefix", "externalPrefix"),
    Field("web.route-prefix", "routePrefix"),
    Field("alert.query-url", "alertQueryUrl"),
)
_WEB_CONFIG_SINCE: Final = "0.21.0"


def ruler(
    parent: Mapping[str, Any],
    settings: Settings,
    *,
    rule_map_names: Sequence[str] = (),
    tls_secret_names: Sequence[str] = (),
    dropped: list[str] | None = None,
) -> dict[str, Any]:
    """The StatefulSet of a ThanosRuler.

    Raises:
        Rejected: nobody to query; an unreadable version; a web configuration that cannot be; a flag set twice.
    """
    spec = parent.get("spec") or {}
    if not spec.get("queryConfig") and not spec.get("queryEndpoints"):
        raise Rejected("has nobody to query; set `queryConfig` or `queryEndpoints`", "spec.queryEndpoints")
    text = spec.get("version") or DEFAULT_THANOS
    files, volumes, mounts = _file_volumes(parent)
    scope = Scope(Version.parse(text), options=files, dropped=[] if dropped is None else dropped)
    flags = _RULER.of(spec, scope)
    web = web_config(spec.get("web"), f"{FOLDER}/web_config", f"{ruler_prefix(parent)}-web-config")
    has_web = scope.version.at_least(_WEB_CONFIG_SINCE)
    if has_web and web.argument:
        flags["http.config"] = web.argument[1]
        volumes, mounts = [*volumes, *web.volumes], [*mounts, *web.mounts]
    storage = Storage.of(spec, f"{ruler_prefix(parent)}-data", DATA, "")
    projected = {"sources": [{"secret": {"name": name}} for name in tls_secret_names]}
    volumes.append({"name": "tls-assets", "projected": projected})
    mounts += [{"name": "tls-assets", "readOnly": True, "mountPath": f"{FOLDER}/certs"}, storage.mount]
    for name in rule_map_names:
        volumes.append({"name": name, "configMap": {"name": name, "optional": True}})
        mounts.append({"name": name, "readOnly": True, "mountPath": f"{FOLDER}/rules/{name}"})
    if storage.volume:
        volumes.append(storage.volume)
    https = has_web and bool((spec.get("web") or {}).get("tlsConfig"))
    mounts += spec.get("volumeMounts") or ()
    containers = [_ruler_container(spec, settings, flags, mounts, https=https)]
    if rule_map_names:
        url = f"{'https' if https else 'http'}://{settings.localhost}:10902"
        containers.append(
            reloader(
                spec,
                settings,
                reload=[f"--reload-url={url}{url_path(spec.get('routePrefix') or '/', '/-/reload')}"],
                watched=[f"{FOLDER}/rules/{name}" for name in rule_map_names],
                web_config=web.argument[1] if has_web and web.argument else "",
                env=[{"name": "SHARD", "value": "-1"}],
                mounts=[
                    *({"name": name, "mountPath": f"{FOLDER}/rules/{name}"} for name in rule_map_names),
                    *(web.mounts if has_web else ()),
                ],
            )
        )
    name = (parent.get("metadata") or {}).get("name") or ""
    selector = {
        **((spec.get("podMetadata") or {}).get("labels") or {}),  # as they are in StatefulSets that are there already
        "app.kubernetes.io/name": "thanos-ruler",
        "app.kubernetes.io/managed-by": "prometheus-operator",
        "app.kubernetes.io/instance": name,
        "thanos-ruler": name,
    }
    template = pod_spec(
        spec,
        grace_s=GRACE_S,
        selector=selector,
        containers=merged_containers(containers, spec.get("containers")),
        init_containers=merged_containers([], spec.get("initContainers")),
        volumes=volumes,
    )
    return stateful_set(
        parent,
        ruler_prefix(parent),
        settings,
        labels=selector,
        selector=selector,
        service="thanos-ruler-operated",
        template={"metadata": pod_metadata(spec, selector, "thanos-ruler", text, settings), "spec": template},
        storage=storage,
    )


def _file_volumes(parent: Mapping[str, Any]) -> tuple[dict[str, str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Flag → path of the files that are mounted, and what mounts them."""
    spec = parent.get("spec") or {}
    written = {"name": f"{ruler_prefix(parent)}-config", "key": "remote-write.yaml"}
    files: dict[str, str] = {}
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    for name, field, path, volume in _FILES:
        if path and spec.get(path):
            files[name] = spec[path]
            continue
        reference = written if field == "remoteWrite" else spec.get(field)
        if not reference:
            continue
        label = dns_label(volume)
        volumes.append({"name": label, "secret": {"secretName": reference.get("name") or ""}})
        mounts.append({"name": label, "readOnly": True, "mountPath": f"{FOLDER}/config/{volume}"})
        if field != "remoteWrite" or spec.get(field):
            files[name] = f"{FOLDER}/config/{volume}/{reference.get('key') or ''}"
    return files, volumes, mounts


def _ruler_container(
    spec: Mapping[str, Any],
    settings: Settings,
    flags: Mapping[str, Any],
    mounts: Sequence[Mapping[str, Any]],
    *,
    https: bool,
) -> dict[str, Any]:
    port = spec.get("portName") or "web"
    ready = probe_of(spec, "/-/ready", port=port, number=10902, https=https)
    healthy = probe_of(spec, "/-/healthy", port=port, number=10902, https=https)
    ports: list[dict[str, Any]] = [{"name": "grpc", "containerPort": 10901, "protocol": "TCP"}]
    if not spec.get("listenLocal"):
        ports.append({"name": port, "containerPort": 10902, "protocol": "TCP"})
    resources = dict(spec.get("resources") or {})
    resources["requests"] = {"memory": "200Mi", **(resources.get("requests") or {})}
    return pruned(
        {
            "name": "thanos-ruler",
            "image": image(spec, settings.thanos_image, spec.get("version") or DEFAULT_THANOS),
            "imagePullPolicy": spec.get("imagePullPolicy"),
            "args": ["rule", *arguments(flags, spec.get("additionalArgs"))],
            "env": [field_env("POD_NAME", "metadata.name")],
            "ports": ports,
            "volumeMounts": list(mounts),
            "readinessProbe": {**ready, "timeoutSeconds": 3, "periodSeconds": 5, "failureThreshold": 10},
            "livenessProbe": {**healthy, "timeoutSeconds": 3, "periodSeconds": 5, "failureThreshold": 10},
            "resources": resources,
            "securityContext": dict(CONTAINER_SECURITY),
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }
    )
