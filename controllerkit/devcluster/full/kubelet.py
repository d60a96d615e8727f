"""kubelet and kube-proxy: their configurations, as JSON, which is the YAML they read."""

from __future__ import annotations

import json
from pathlib import Path

from controllerkit.devcluster.full.containerd import ADDRESS
from controllerkit.devcluster.full.layout import CLUSTER_DOMAIN, Addresses, Folders
from controllerkit.devcluster.full.nodespace import NodeSpace
from controllerkit.devcluster.process import ChildProcess

__all__ = ["kubelet_config", "kubelet_process", "proxy_config", "proxy_process"]


def kubelet_config(folders: Folders, addresses: Addresses, *, cgroup: str) -> str:
    """KubeletConfiguration: a node that takes what it gets and evicts nobody.

    ``cgroup`` is the control group that all Pods' groups are made in.
    """
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": addresses.node,
            "healthzBindAddress": "127.0.0.1",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(folders.pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(folders.pki / "kubelet-server.crt"),
            "tlsPrivateKeyFile": str(folders.pki / "kubelet-server.key"),
            "clusterDNS": [addresses.dns_service],
            "clusterDomain": CLUSTER_DOMAIN,
            # The machine's resolver cannot be reached from the namespace.
            "resolvConf": "",
            "containerRuntimeEndpoint": f"unix://{ADDRESS}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroup,
            "cgroupsPerQOS": True,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "serializeImagePulls": False,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "memory.available": "0%",
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
                "imagefs.inodesFree": "0%",
            },
        },
        indent=2,
    )


def proxy_config(folders: Folders, addresses: Addresses, *, node: str) -> str:
    """KubeProxyConfiguration: iptables rules in the cluster's own namespace."""
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "hostnameOverride": node,
            "clusterCIDR": addresses.pods,
            "bindAddress": addresses.node,
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "clientConnection": {"kubeconfig": str(folders.config / "kube-proxy.kubeconfig")},
            # Only the machine's first namespace may change the size of the table.
            "conntrack": {"maxPerCore": 0, "min": 0},
            # With few Services a change may be written at once.
            "iptables": {"minSyncPeriod": "50ms"},
        },
        indent=2,
    )


def kubelet_process(
    binary: Path, folders: Folders, addresses: Addresses, *, node: str, cgroup: str, space: NodeSpace
) -> ChildProcess:
    """Writes the configuration; returns kubelet, not started."""
    config = folders.config / "kubelet.json"
    config.write_text(kubelet_config(folders, addresses, cgroup=cgroup))
    return ChildProcess(
        "kubelet",
        [
            str(binary),
            f"--config={config}",
            f"--kubeconfig={folders.config / 'kubelet.kubeconfig'}",
            f"--hostname-override={node}",
            f"--node-ip={addresses.node}",
        ],
        log=folders.logs / "kubelet.log",
        cure="look for a line that starts with E",
        inside=space,
    )


def proxy_process(binary: Path, folders: Folders, addresses: Addresses, *, node: str, space: NodeSpace) -> ChildProcess:
    """Writes the configuration; returns kube-proxy, not started."""
    config = folders.config / "kube-proxy.json"
    config.write_text(proxy_config(folders, addresses, node=node))
    return ChildProcess(
        "kube-proxy",
        [str(binary), f"--config={config}"],
        log=folders.logs / "kube-proxy.log",
        cure="iptables must work in a network namespace (nf_tables or ip_tables in the kernel)",
        inside=space,
    )
