"""The objects a cluster is made of, as pure functions from what is wanted to what is sent.

Names: a member, its Pod, its hostname and its volume claim are all ``<cluster>-<ordinal>``. An ordinal is never
given twice, so that a name in a log, in etcd and on a disk always means the same member.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controllerkit.objects import owner_reference
from operators.etcd.api import GROUP, SIZE_MAX, EtcdCluster, PodPolicy
from operators.etcd.versions import Version, capabilities

__all__ = [
    "CLIENT_PORT",
    "CLUSTER_ID_ANNOTATION",
    "CLUSTER_LABEL",
    "PEER_PORT",
    "ROLE_LABEL",
    "TEMPLATE_ANNOTATION",
    "VERSION_ANNOTATION",
    "PodOrder",
    "client_service",
    "client_service_name",
    "cluster_labels",
    "headless_service",
    "image",
    "member_name",
    "member_of_peer_url",
    "ordinal_of",
    "peer_url",
    "pod",
    "selector",
    "service_differs",
    "template_hash",
    "volume",
]

CLIENT_PORT: Final = 2379
PEER_PORT: Final = 2380
CONTAINER: Final = "etcd"

CLUSTER_LABEL: Final = "etcd_cluster"
NODE_LABEL: Final = "etcd_node"
ROLE_LABEL: Final = "etcd_role"
"""``voter`` or ``learner``; only voters are behind the client Service, since a learner answers with errors."""

VERSION_ANNOTATION: Final = "etcd.version"
TEMPLATE_ANNOTATION: Final = f"{GROUP}/template"
CLUSTER_ID_ANNOTATION: Final = f"{GROUP}/cluster-id"
"""On a volume claim: the identity of the cluster whose data it holds, beside the one in the status."""

VOLUME_SIZE_DEFAULT: Final = "1Gi"
DATA_ROOT: Final = "/var/etcd"
DATA_DIR: Final = f"{DATA_ROOT}/data"

GRACE_PERIOD_S: Final = 10
"""A leader that is asked to end hands over first and takes up to 7 s for it (etcd's request timeout of 5 s and
two election timeouts); after that nothing is gained by waiting, since the data is on the volume."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PodOrder:
    """What a member's Pod is to be: everything that is not in the spec."""

    member: str
    version: Version
    initial_cluster: tuple[tuple[str, str], ...]
    """Every member's name and peer URL, as etcd has them at this moment."""
    founds: bool = False
    """Whether this member starts a cluster of its own (``--initial-cluster-state=new``): the first, once."""
    learner: bool = False


def member_name(cluster: EtcdCluster, ordinal: int) -> str:
    """The one name of a member.

    >>> from controllerkit.schema import Metadata
    >>> from operators.etcd.api import EtcdClusterSpec
    >>> member_name(EtcdCluster(metadata=Metadata(name="db"), spec=EtcdClusterSpec()), 3)
    'db-3'
    """
    return f"{cluster.metadata.name}-{ordinal}"


def ordinal_of(cluster: EtcdCluster, member: str) -> int | None:
    """The ordinal in a member's name; None where the name is not one of this cluster's."""
    found = re.fullmatch(re.escape(cluster.metadata.name) + r"-(\d+)", member)
    return int(found[1]) if found else None


def client_service_name(cluster: EtcdCluster) -> str:
    """Clients dial this."""
    return f"{cluster.metadata.name}-client"


def host(cluster: EtcdCluster, member: str) -> str:
    """The member's DNS name."""
    domain = _policy(cluster).cluster_domain
    return f"{member}.{cluster.metadata.name}.{cluster.metadata.namespace}.svc{domain}"


def peer_url(cluster: EtcdCluster, member: str) -> str:
    """Where the other members reach this one; it never changes, whatever address the Pod has."""
    return f"http://{host(cluster, member)}:{PEER_PORT}"


def client_url(cluster: EtcdCluster, member: str) -> str:
    """Where clients that learn of the members reach this one."""
    return f"http://{host(cluster, member)}:{CLIENT_PORT}"


def member_of_peer_url(url: str) -> str:
    """The member's name in a peer URL; how a member that has not started yet, and so has no name, is known.

    >>> member_of_peer_url("http://db-3.db.default.svc:2380")
    'db-3'
    """
    return url.partition("://")[2].partition(":")[0].partition(".")[0]


def image(cluster: EtcdCluster, version: Version) -> str:
    """The container image."""
    return f"{cluster.spec.repository}:v{version}"


def cluster_labels(cluster: EtcdCluster) -> dict[str, str]:
    """On everything of the cluster."""
    return {"app": "etcd", CLUSTER_LABEL: cluster.metadata.name}


def selector(cluster: EtcdCluster) -> str:
    """The same as a selector's text."""
    return ",".join(f"{key}={value}" for key, value in cluster_labels(cluster).items())


def headless_service(cluster: EtcdCluster) -> dict[str, Any]:
    """Gives every member its DNS name, ready or not: members must find each other before they can be ready."""
    spec = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": cluster_labels(cluster),
        "ports": [_port("client", CLIENT_PORT), _port("peer", PEER_PORT)],
    }
    return _object(cluster, "Service", cluster.metadata.name, cluster_labels(cluster), spec)


def client_service(cluster: EtcdCluster) -> dict[str, Any]:
    """What clients dial: the members that are ready and have a vote."""
    spec = {
        "type": "ClusterIP",
        "selector": {**cluster_labels(cluster), ROLE_LABEL: "voter"},
        "ports": [_port("client", CLIENT_PORT)],
    }
    return _object(cluster, "Service", client_service_name(cluster), cluster_labels(cluster), spec)


def volume(cluster: EtcdCluster, member: str, *, cluster_id: str = "") -> dict[str, Any]:
    """The claim on the member's volume."""
    spec: dict[str, Any] = dict(_policy(cluster).persistent_volume_claim_spec or {})
    spec.setdefault("accessModes", ["ReadWriteOnce"])
    spec.setdefault("resources", {"requests": {"storage": VOLUME_SIZE_DEFAULT}})
    value = _object(cluster, "PersistentVolumeClaim", member, _member_labels(cluster, member), spec)
    if cluster_id:
        value["metadata"]["annotations"] = {CLUSTER_ID_ANNOTATION: cluster_id}
    return value


def template_hash(cluster: EtcdCluster, version: Version) -> str:
    """Changes when running Pods have to be made anew for what the spec says.

    It is made of the spec and the version, not of the rendered Pod: a new operator that renders differently
    must not restart every cluster it meets.
    """
    policy = _policy(cluster).model_dump(
        mode="json", exclude={"persistent_volume_claim_spec", "busybox_image", "dns_timeout_in_second"}
    )
    text = json.dumps([policy, image(cluster, version)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def pod(cluster: EtcdCluster, order: PodOrder) -> dict[str, Any]:
    """The member's Pod. It starts again by itself (``restartPolicy: Always``), always on the same volume."""
    policy = _policy(cluster)
    spec: dict[str, Any] = {
        "hostname": order.member,
        "subdomain": cluster.metadata.name,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": GRACE_PERIOD_S,
        "automountServiceAccountToken": False,
        "affinity": _affinity(cluster, policy),
        "containers": [_container(cluster, order, policy)],
        "volumes": [{"name": "etcd-data", "persistentVolumeClaim": {"claimName": order.member}}],
    }
    if policy.node_selector:
        spec["nodeSelector"] = policy.node_selector
    if policy.tolerations:
        spec["tolerations"] = policy.tolerations
    if policy.security_context:
        spec["securityContext"] = policy.security_context
    labels = {
        **policy.labels,
        **_member_labels(cluster, order.member),
        ROLE_LABEL: "learner" if order.learner else "voter",
    }
    value = _object(cluster, "Pod", order.member, labels, spec)
    value["metadata"]["annotations"] = {
        **policy.annotations,
        VERSION_ANNOTATION: str(order.version),
        TEMPLATE_ANNOTATION: template_hash(cluster, order.version),
    }
    return value


def _container(cluster: EtcdCluster, order: PodOrder, policy: PodPolicy) -> dict[str, Any]:
    value: dict[str, Any] = {
        "name": CONTAINER,
        "image": image(cluster, order.version),
        "command": _command(cluster, order),
        # $(POD_IP) in the command: a member listens on its Pod's address alone, so that a host on which several
        # Pods share one network device can run them too.
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            *(entry for entry in policy.etcd_env if entry.get("name") != "POD_IP"),
        ],
        "ports": [
            {"name": "client", "containerPort": CLIENT_PORT, "protocol": "TCP"},
            {"name": "server", "containerPort": PEER_PORT, "protocol": "TCP"},
        ],
        "volumeMounts": [{"name": "etcd-data", "mountPath": DATA_ROOT}],
        **_probes(order.version),
    }
    if policy.resources:
        value["resources"] = policy.resources
    return value


def _command(cluster: EtcdCluster, order: PodOrder) -> list[str]:
    return [
        "/usr/local/bin/etcd",
        f"--name={order.member}",
        f"--data-dir={DATA_DIR}",
        f"--listen-client-urls=http://$(POD_IP):{CLIENT_PORT}",
        f"--advertise-client-urls={client_url(cluster, order.member)}",
        f"--listen-peer-urls=http://$(POD_IP):{PEER_PORT}",
        f"--initial-advertise-peer-urls={peer_url(cluster, order.member)}",
        "--initial-cluster=" + ",".join(f"{name}={url}" for name, url in order.initial_cluster),
        f"--initial-cluster-state={'new' if order.founds else 'existing'}",
        f"--initial-cluster-token={cluster.metadata.uid}",
        # Every member must be made with the same number: each counts learners for itself when it applies a change.
        *((f"--max-learners={SIZE_MAX - 1}",) if capabilities(order.version).many_learners else ()),
        *capabilities(order.version).guard_flags,
    ]


def _probes(version: Version) -> dict[str, Any]:
    """Readiness: the member answers a quorum read and is no learner. Liveness: the process works at all.

    Liveness must not ask for a quorum: losing it would then restart every member at once.
    """
    if capabilities(version).health_paths:
        ready, live = _http_get("/readyz"), _http_get("/livez")
    else:
        ready, live = _http_get("/health"), {"tcpSocket": {"port": CLIENT_PORT}}
    return {
        "readinessProbe": {**ready, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": {
            **live,
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
    }


def _http_get(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": CLIENT_PORT, "scheme": "HTTP"}}


def _affinity(cluster: EtcdCluster, policy: PodPolicy) -> dict[str, Any]:
    """The spec's own; else apart from each other: required where ``antiAffinity`` asks for it, else preferred."""
    if policy.affinity:
        return policy.affinity
    term = {
        "labelSelector": {"matchLabels": {CLUSTER_LABEL: cluster.metadata.name}},
        "topologyKey": "kubernetes.io/hostname",
    }
    if policy.anti_affinity:
        return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    weighted = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": weighted}}


def _member_labels(cluster: EtcdCluster, member: str) -> dict[str, str]:
    return {**cluster_labels(cluster), NODE_LABEL: member}


def _policy(cluster: EtcdCluster) -> PodPolicy:
    return cluster.spec.pod or PodPolicy()


def _port(name: str, port: int) -> dict[str, Any]:
    return {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}


def _object(
    cluster: EtcdCluster, kind: str, name: str, labels: Mapping[str, str], spec: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": cluster.metadata.namespace,
            "labels": dict(labels),
            "ownerReferences": [owner_reference(cluster.source)],
        },
        "spec": dict(spec),
    }


def service_differs(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths of a Service at which ``found`` is not as ``wanted``; what the server adds does not count."""
    spec = found.get("spec") or {}
    different = [
        f"spec.{name}" for name, value in wanted["spec"].items() if name != "ports" and spec.get(name) != value
    ]
    if _ports(wanted["spec"]["ports"]) != _ports(spec.get("ports") or ()):
        different.append("spec.ports")
    labels = found.get("metadata", {}).get("labels") or {}
    if any(labels.get(key) != value for key, value in wanted["metadata"]["labels"].items()):
        different.append("metadata.labels")
    return tuple(different)


def _ports(value: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [(p.get("name"), p.get("port"), p.get("targetPort"), p.get("protocol", "TCP")) for p in value]
