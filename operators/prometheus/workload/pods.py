"""What every StatefulSet of the operator has in common: the Pod, its storage, its probes."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from operators.prometheus.tables import OMIT, Field, Scope, Table, Version
from operators.prometheus.workload.names import dns_label
from operators.prometheus.workload.objects import MANAGED, metadata, pruned
from operators.prometheus.workload.settings import Settings

__all__ = [
    "Storage",
    "extra_files",
    "image",
    "pod_metadata",
    "pod_spec",
    "probe_of",
    "startup_probe",
    "stateful_set",
    "url_path",
]


def _dns_policy(spec: Mapping[str, Any], scope: Scope) -> Any:
    return spec.get("dnsPolicy") or ("ClusterFirstWithHostNet" if spec.get("hostNetwork") else OMIT)


def _true(value: Any, scope: Scope) -> Any:
    return OMIT if value is None else bool(value)


_POD: Final = Table(
    Field("serviceAccountName"),
    Field(
        "automountServiceAccountToken", make=lambda value, scope: True if value is None else bool(value), always=True
    ),
    Field("securityContext"),
    Field("nodeSelector"),
    Field("affinity"),
    Field("tolerations"),
    Field("topologySpreadConstraints"),
    Field("priorityClassName"),
    Field("schedulerName"),
    Field("terminationGracePeriodSeconds"),
    Field("imagePullSecrets"),
    Field("hostAliases"),
    Field("hostNetwork", make=lambda value, scope: True if value else OMIT),
    Field("hostUsers", make=_true),
    Field("dnsPolicy", ".", _dns_policy),
    Field("dnsConfig"),
    Field("enableServiceLinks", make=_true),
)
_ANY: Final = Version.parse("0.0.0")


def pod_spec(
    spec: Mapping[str, Any],
    *,
    grace_s: int,
    selector: Mapping[str, str],
    containers: Sequence[Mapping[str, Any]],
    init_containers: Sequence[Mapping[str, Any]] = (),
    volumes: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """``spec`` of the Pod template: what the custom resource says of Pods, and the containers and volumes."""
    wanted = {
        **spec,
        "terminationGracePeriodSeconds": spec.get("terminationGracePeriodSeconds", grace_s),
        "topologySpreadConstraints": [_spread(each, selector) for each in spec.get("topologySpreadConstraints") or ()],
    }
    return {
        "containers": list(containers),
        **({"initContainers": list(init_containers)} if init_containers else {}),
        **_POD.of(wanted, Scope(_ANY)),
        "volumes": [*volumes, *(spec.get("volumes") or ())],
    }


def _spread(constraint: Mapping[str, Any], selector: Mapping[str, str]) -> dict[str, Any]:
    """``additionalLabelSelectors`` is the operator's own: the labels of the shard, or of all shards."""
    made = {key: each for key, each in constraint.items() if key != "additionalLabelSelectors"}
    which = constraint.get("additionalLabelSelectors")
    if which not in ("OnShard", "OnResource"):
        return made
    labels = {key: text for key, text in selector.items() if which == "OnShard" or not key.endswith("/shard")}
    found = made.get("labelSelector") or {}
    made["labelSelector"] = {**found, "matchLabels": {**(found.get("matchLabels") or {}), **labels}}
    return made


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a program keeps its data."""

    mount: dict[str, Any]
    volume: dict[str, Any] | None
    claim: dict[str, Any] | None

    @classmethod
    def of(cls, spec: Mapping[str, Any], name: str, folder: str, sub_path: str) -> Storage:
        """``spec.storage``: a claim, an ephemeral volume, or an emptyDir, which it is without."""
        storage = spec.get("storage")
        mount = {"name": name, "mountPath": folder}
        if storage is None:
            return cls(mount, {"name": name, "emptyDir": {}}, None)
        if sub_path and not storage.get("disableMountSubPath"):
            mount["subPath"] = sub_path
        for kind in ("emptyDir", "ephemeral"):
            if storage.get(kind) is not None:
                return cls(mount, {"name": name, kind: dict(storage[kind])}, None)
        claim = dict(storage.get("volumeClaimTemplate") or {})
        described = claim.get("metadata") or {}
        name = described.get("name") or name
        wanted = dict(claim.get("spec") or {})
        wanted.setdefault("accessModes", ["ReadWriteOnce"])
        template = {
            "apiVersion": claim.get("apiVersion") or "v1",
            "kind": claim.get("kind") or "PersistentVolumeClaim",
            "metadata": pruned(
                {"name": name, "labels": described.get("labels"), "annotations": described.get("annotations")}
            ),
            "spec": wanted,
        }
        return cls({**mount, "name": name}, None, template)


def extra_files(spec: Mapping[str, Any], folder: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes and mounts of ``spec.secrets`` and ``spec.configMaps``, under ``folder``."""
    volumes, mounts = [], []
    for name in spec.get("secrets") or ():
        volume = dns_label(f"secret-{name}")
        volumes.append({"name": volume, "secret": {"secretName": name}})
        mounts.append({"name": volume, "readOnly": True, "mountPath": f"{folder}/secrets/{name}"})
    for name in spec.get("configMaps") or ():
        volume = dns_label(f"configmap-{name}")
        volumes.append({"name": volume, "configMap": {"name": name}})
        mounts.append({"name": volume, "readOnly": True, "mountPath": f"{folder}/configmaps/{name}"})
    return volumes, mounts


def image(spec: Mapping[str, Any], base: str, version: str) -> str:
    """``spec.image``, else the base with its digest, tag or version.

    >>> image({"tag": "a"}, "x/y", "v1"), image({"sha": "b", "tag": "a"}, "x/y", "v1"), image({}, "x/y:1", "v1")
    ('x/y:a', 'x/y@sha256:b', 'x/y:1')
    """
    if spec.get("image"):
        return str(spec["image"])
    base = spec.get("baseImage") or base
    if "@" in base or ":" in base.rpartition("/")[2]:
        return base
    if spec.get("sha"):
        return f"{base}@sha256:{spec['sha']}"
    return f"{base}:{spec.get('tag') or version}"


def url_path(prefix: str, path: str) -> str:
    """``path`` behind a route prefix.

    >>> url_path("/", "/-/ready"), url_path("/a/", "/-/ready"), url_path("", "/")
    ('/-/ready', '/a/-/ready', '/')
    """
    return "/" + posixpath.normpath(f"/{prefix}/{path}").strip("/")


def probe_of(spec: Mapping[str, Any], path: str, *, port: str, number: int, https: bool) -> dict[str, Any]:
    """How the kubelet asks: over HTTP, or where the program listens at localhost by a command in the container."""
    path = url_path(spec.get("routePrefix") or "/", path)
    if not spec.get("listenLocal"):
        return {"httpGet": pruned({"path": path, "port": port, "scheme": "HTTPS" if https else ""})}
    url = f"{'https' if https else 'http'}://localhost:{number}{path}"
    script = (
        f'if [ -x "$(command -v curl)" ]; then exec curl {"--insecure " if https else ""}--fail {url}; '
        f'elif [ -x "$(command -v wget)" ]; then exec wget {"--no-check-certificate " if https else ""}'
        f"-q -O /dev/null {url}; else exit 1; fi"
    )
    return {"exec": {"command": ["sh", "-c", script]}}


def startup_probe(handler: Mapping[str, Any], longest_s: int | None) -> dict[str, Any]:
    """15 minutes for the write-ahead log to be read, or as long as the user says, at one minute's steps.

    >>> probe = startup_probe({}, 600)
    >>> probe["periodSeconds"], probe["failureThreshold"]
    (60, 10)
    """
    period, threshold = 15, 60
    if longest_s and longest_s >= 60:
        threshold = math.ceil(longest_s / 60)
        period = math.ceil(longest_s / threshold)
    return {**handler, "timeoutSeconds": 3, "periodSeconds": period, "failureThreshold": threshold}


def stateful_set(
    parent: Mapping[str, Any],
    name: str,
    settings: Settings,
    *,
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    service: str,
    template: Mapping[str, Any],
    storage: Storage,
) -> dict[str, Any]:
    """The StatefulSet around a Pod template; its labels and annotations are the custom resource's, too."""
    spec = parent.get("spec") or {}
    replicas = spec.get("replicas")
    body = {
        "serviceName": spec.get("serviceName") or service,
        "replicas": 1 if replicas is None else max(0, replicas),
        "podManagementPolicy": spec.get("podManagementPolicy") or "Parallel",
        "updateStrategy": spec.get("updateStrategy") or {"type": "RollingUpdate"},
        "minReadySeconds": spec.get("minReadySeconds"),
        "persistentVolumeClaimRetentionPolicy": spec.get("persistentVolumeClaimRetentionPolicy"),
        "selector": {"matchLabels": {**selector, **settings.labels}},
        "template": template,
        "volumeClaimTemplates": [storage.claim] if storage.claim else None,
    }
    described = metadata(parent, name, settings, labels, inherited=True)
    kept = {key: each for key, each in body.items() if each is not None}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": described, "spec": kept}


def pod_metadata(
    spec: Mapping[str, Any], selector: Mapping[str, str], container: str, version: str, settings: Settings
) -> dict[str, Any]:
    """Labels and annotations of the Pods; those of the selector are never the user's."""
    given = spec.get("podMetadata") or {}
    labels = {
        "app.kubernetes.io/version": version.removeprefix("v"),
        **(given.get("labels") or {}),
        **{key: text for key, text in MANAGED.items() if key.startswith("app")},
        **selector,
        **settings.labels,
    }
    annotations = {"kubectl.kubernetes.io/default-container": container, **(given.get("annotations") or {})}
    return {"labels": labels, "annotations": annotations}
