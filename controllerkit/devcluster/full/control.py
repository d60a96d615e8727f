"""The control plane of a full cluster: etcd, kube-apiserver, kube-controller-manager, kube-scheduler.

It differs from `controllerkit.devcluster.control_plane` in what a real node and real Pods need: an address they
can reach, every component as a user of its own, the Node authorizer, and a way back to the kubelet for logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controllerkit.devcluster.full.layout import CA_NAME, CLUSTER_DOMAIN, Addresses, Folders
from controllerkit.devcluster.pki import Authority, Identity, kubeconfig, service_account_keys
from controllerkit.devcluster.process import ChildProcess

__all__ = ["Pki", "control_plane_processes", "prepare_pki"]

ADMIN: Final = "kubernetes-admin"
ADMIN_GROUP: Final = "system:masters"

_USERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "kube-proxy": ("system:kube-proxy", ()),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pki:
    """What `prepare_pki` wrote: paths, and the administrator's own identity as files."""

    authority: Path
    admin_certificate: Path
    admin_key: Path


def prepare_pki(folders: Folders, addresses: Addresses, *, cluster: str, node: str) -> Pki:
    """Writes every certificate, and a kubeconfig per component; the authority is kept over restarts.

    It must be, because Pods keep its certificate in their volumes.
    """
    authority = Authority.load(folders.pki) or Authority.create(CA_NAME)
    ca_file = authority.save(folders.pki)
    service_account_keys(folders.pki)
    services = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    authority.issue(
        "kube-apiserver",
        names=["localhost", *services, f"kubernetes.default.svc.{CLUSTER_DOMAIN}"],
        addresses=["127.0.0.1", addresses.node, addresses.api_service],
        client=False,
    ).write(folders.pki, "apiserver")
    authority.issue("kube-apiserver-kubelet-client", organizations=[ADMIN_GROUP]).write(
        folders.pki, "apiserver-kubelet-client"
    )
    authority.issue(node, names=[node], addresses=[addresses.node], client=False).write(folders.pki, "kubelet-server")

    def write_kubeconfig(path: Path, user: str, identity: Identity) -> None:
        kubeconfig(
            path,
            server=addresses.api_url,
            authority=authority.certificate,
            identity=identity,
            cluster=cluster,
            user=user,
        )

    for component, (user, groups) in {**_USERS, "kubelet": (f"system:node:{node}", ("system:nodes",))}.items():
        identity = authority.issue(user, organizations=groups)
        write_kubeconfig(folders.config / f"{component}.kubeconfig", user, identity)
    admin = authority.issue(ADMIN, organizations=[ADMIN_GROUP])
    write_kubeconfig(folders.kubeconfig, ADMIN, admin)
    certificate, key = admin.write(folders.pki, "admin")
    return Pki(authority=ca_file, admin_certificate=certificate, admin_key=key)


def etcd_flags(folders: Folders, addresses: Addresses) -> list[str]:
    """The API server's storage."""
    peer = f"http://127.0.0.1:{addresses.etcd_peer_port}"
    return [
        f"--data-dir={folders.etcd}",
        f"--listen-client-urls={addresses.etcd_url}",
        f"--advertise-client-urls={addresses.etcd_url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # A development cluster that loses its last second in a power cut has lost nothing.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver_flags(folders: Folders, addresses: Addresses) -> list[str]:
    """kube-apiserver, reachable from Pods and trusted by the kubelet."""
    pki = folders.pki
    return [
        f"--etcd-servers={addresses.etcd_url}",
        "--bind-address=0.0.0.0",
        f"--secure-port={addresses.api_port}",
        f"--advertise-address={addresses.node}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={addresses.services}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
    ]


def controller_manager_flags(folders: Folders, _: Addresses) -> list[str]:
    """kube-controller-manager, each controller under its own ServiceAccount as in a real cluster."""
    return [
        f"--kubeconfig={folders.config / 'kube-controller-manager.kubeconfig'}",
        f"--service-account-private-key-file={folders.pki / 'sa.key'}",
        f"--root-ca-file={folders.pki / 'ca.crt'}",
        "--use-service-account-credentials=true",
        # It asks for a token per controller before it starts any of them: at the default 20 a second, five seconds.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


def scheduler_flags(folders: Folders, _: Addresses) -> list[str]:
    """kube-scheduler."""
    return [
        f"--kubeconfig={folders.config / 'kube-scheduler.kubeconfig'}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]


_FLAGS: Final = {
    "etcd": etcd_flags,
    "kube-apiserver": apiserver_flags,
    "kube-controller-manager": controller_manager_flags,
    "kube-scheduler": scheduler_flags,
}


def control_plane_processes(
    binaries: Mapping[str, Path], folders: Folders, addresses: Addresses
) -> dict[str, ChildProcess]:
    """The four components, not started, in the order in which they start."""
    return {
        name: ChildProcess(name, [str(binaries[name]), *flags(folders, addresses)], log=folders.logs / f"{name}.log")
        for name, flags in _FLAGS.items()
    }
