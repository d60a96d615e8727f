"""CoreDNS: the cluster's names, as a Deployment like anywhere else."""

from __future__ import annotations

from typing import Any, Final

from controllerkit.devcluster.full.layout import CLUSTER_DOMAIN, Addresses

__all__ = ["COREDNS_IMAGE", "DNS_LABELS", "DNS_NAMESPACE", "corefile", "dns_objects"]

COREDNS_IMAGE: Final = "controllerkit.dev/coredns:1.15.0"
DNS_NAMESPACE: Final = "kube-system"
DNS_LABELS: Final = {"k8s-app": "kube-dns"}
"""The label by which everything else knows the cluster's DNS."""

_NAME: Final = "coredns"


def corefile() -> str:
    """CoreDNS's configuration: the cluster's zone, and "no such name" for the rest of the world.

    Nothing outside can be reached, and a quick NXDOMAIN ends a search through all domains sooner than a timeout.
    The two are separate servers because CoreDNS orders plugins by its build, not by this file: ``template`` would
    answer before ``kubernetes``.
    """
    return f"""\
{CLUSTER_DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
    errors
    health
    ready
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
    loadbalance
}}
.:53 {{
    errors
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def dns_objects(addresses: Addresses) -> list[dict[str, Any]]:
    """Everything CoreDNS needs, in the order in which to apply it."""
    return [*_permissions(), _config_map(), _service(addresses), _deployment()]


def _meta(name: str = _NAME, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": DNS_NAMESPACE, "labels": dict(DNS_LABELS), **more}


def _permissions() -> list[dict[str, Any]]:
    role = f"system:{_NAME}"
    reads = {"verbs": ["list", "watch"]}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta()},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], **reads},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], **reads},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": DNS_NAMESPACE}],
        },
    ]


def _config_map() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(), "data": {"Corefile": corefile()}}


def _service(addresses: Addresses) -> dict[str, Any]:
    ports = [
        {"name": name, "port": 53, "protocol": protocol} for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    spec = {"clusterIP": addresses.dns_service, "selector": dict(DNS_LABELS), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta("kube-dns"), "spec": spec}


def _deployment() -> dict[str, Any]:
    container = {
        "name": _NAME,
        "image": COREDNS_IMAGE,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
    }
    spec = {
        "serviceAccountName": _NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        # It is started while the node is not ready yet, as the cluster is ready only when it is.
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": _NAME}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": dict(DNS_LABELS)},
            "template": {"metadata": {"labels": dict(DNS_LABELS)}, "spec": spec},
        },
    }
