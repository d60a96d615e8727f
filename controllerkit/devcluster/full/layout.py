"""Where everything of one cluster is: its addresses and its folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CA_NAME", "CLUSTER_DOMAIN", "Addresses", "Folders"]

CLUSTER_DOMAIN: Final = "cluster.local"
CA_NAME: Final = "controllerkit-dev-ca"


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """The addresses inside the cluster's network namespace.

    They are the same in every cluster: namespaces do not see each other.
    """

    node: str = "10.98.0.1"
    pods: str = "10.97.0.0/24"
    services: str = "10.0.0.0/24"
    api_service: str = "10.0.0.1"
    dns_service: str = "10.0.0.10"
    api_port: int = 6443
    etcd_port: int = 2379
    etcd_peer_port: int = 2380
    registry_port: int = 5000

    @property
    def api_url(self) -> str:
        """Where clients in the namespace reach the API server."""
        return f"https://{self.node}:{self.api_port}"

    @property
    def etcd_url(self) -> str:
        """The control plane's own etcd; on the namespace's loopback, so without TLS."""
        return f"http://127.0.0.1:{self.etcd_port}"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders under one cluster's ``data_dir``."""

    root: Path

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        """The API server's storage."""
        return self.root / "etcd"

    @property
    def logs(self) -> Path:
        """One log per component; the Pods' own under ``pods``."""
        return self.root / "logs"

    @property
    def images(self) -> Path:
        """Layers of images made here, by digest."""
        return self.root / "images"

    @property
    def config(self) -> Path:
        """Rendered configurations and the components' kubeconfigs."""
        return self.root / "config"

    @property
    def containerd(self) -> Path:
        """What the node sees as /var/lib/containerd: unpacked images."""
        return self.root / "containerd"

    @property
    def kubelet(self) -> Path:
        """What the node sees as /var/lib/kubelet: the Pods' volumes."""
        return self.root / "kubelet"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.root / "kubeconfig"

    def make(self) -> None:
        """Makes them all, for root alone."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.pki, self.logs, self.images, self.config, self.containerd, self.kubelet):
            folder.mkdir(exist_ok=True)
